//! Rounds of heartbeats that confirm the leader for the reads that wait (ReadIndex, thesis §6.4).
//!
//! A read joins the next round, never one already begun, so that every answer that counts for it answers
//! a heartbeat sent after it came (hashicorp/raft's `VerifyLeader` counts earlier ones). Round numbers never
//! repeat in a tenure (etcd#20418 confirmed a read by the delayed answers of an older one).
//! The caller begins a round only when an entry of its own term is committed (etcd#7331), and passes on
//! only answers of its own term that still follow.

use std::fmt;

use crate::{known_bug::KnownBug, types::LogIndex};

/// The reads of one tenure. `T` is what is given back when a read may go on, or is called off.
#[derive(Clone, Debug)]
pub struct ReadRounds<T> {
    /// Reads for the next round.
    waiting: Vec<T>,
    running: Option<Round<T>>,
    /// Number of the newest round; zero before the first. Never falls.
    newest: u64,
}

#[derive(Clone, Debug)]
struct Round<T> {
    number: u64,
    /// The commit index when the round began: what the reads must wait for.
    index: LogIndex,
    /// The voters' sessions, and whether each answered this round or a later one.
    voters: Vec<(u64, bool)>,
    reads: Vec<T>,
}

impl<T> Default for ReadRounds<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ReadRounds<T> {
    /// No reads and no round.
    pub fn new() -> Self {
        Self { waiting: Vec::new(), running: None, newest: 0 }
    }

    /// A read waits for the next round.
    pub fn join(&mut self, read: T) {
        match &mut self.running {
            Some(running) if KnownBug::ReadJoinsRunningRound.is_back() => running.reads.push(read),
            _ => self.waiting.push(read),
        }
    }

    /// Begins a round if reads wait and none is running, and returns its number: heartbeats sent from now
    /// on carry it. `commit` is the commit index now, `voters` the sessions whose answers count, `own`
    /// the leader's if it votes. Ask [`confirmed`](Self::confirmed) next: a single voter needs no answer.
    pub fn begin(
        &mut self,
        commit: LogIndex,
        voters: impl Iterator<Item = u64>,
        own: Option<u64>,
    ) -> Option<u64> {
        if self.running.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.newest += 1;
        let own = |session| Some(session) == own || KnownBug::ReadWithoutRound.is_back();
        self.running = Some(Round {
            number: self.newest,
            index: commit,
            voters: voters.map(|session| (session, own(session))).collect(),
            reads: std::mem::take(&mut self.waiting),
        });
        Some(self.newest)
    }

    /// The voter of `session` answered a heartbeat of `round`. Returns the index and the reads of the
    /// running round once a majority answered it or a later one. Sessions that do not vote count for
    /// nothing (hashicorp/raft counts them).
    pub fn acknowledged(&mut self, session: u64, round: u64) -> Option<(LogIndex, Vec<T>)> {
        let counts =
            |running: &&mut Round<T>| round >= running.number || KnownBug::EarlierAckConfirmsRead.is_back();
        let running = self.running.as_mut().filter(counts)?;
        if let Some(voter) = running.voters.iter_mut().find(|voter| voter.0 == session) {
            voter.1 = true;
        }
        self.confirmed()
    }

    /// The index and the reads of the running round, if a majority has answered.
    pub fn confirmed(&mut self) -> Option<(LogIndex, Vec<T>)> {
        let answered = |round: &&mut Round<T>| round.voters.iter().filter(|voter| voter.1).count();
        self.running.as_mut().filter(|round| answered(round) > round.voters.len() / 2)?;
        self.running.take().map(|round| (round.index, round.reads))
    }

    /// Gives up the running round: its reads wait for the next one, first in line. For when the
    /// membership changes: the old voters' answers say nothing about the new ones.
    pub fn restart(&mut self) {
        if let Some(mut round) = self.running.take() {
            round.reads.append(&mut self.waiting);
            self.waiting = round.reads;
        }
    }

    /// Takes every read back, confirmed by nobody: the tenure is over.
    pub fn drain(&mut self) -> Vec<T> {
        self.restart();
        std::mem::take(&mut self.waiting)
    }

    /// Whether a round is running.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether no read waits, in a round or for one.
    pub fn is_empty(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }
}

impl<T> fmt::Display for ReadRounds<T> {
    /// `round 3 at 17: 2 reads, 1 of 3 answered; 4 wait`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Round { number, index, voters, reads }) = &self.running {
            let answered = voters.iter().filter(|voter| voter.1).count();
            let (reads, voters) = (reads.len(), voters.len());
            write!(f, "round {number} at {index}: {reads} reads, {answered} of {voters} answered; ")?;
        }
        write!(f, "{} wait", self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 0;

    fn rounds(reads: &[&'static str]) -> ReadRounds<&'static str> {
        let mut rounds = ReadRounds::new();
        reads.iter().for_each(|read| rounds.join(*read));
        rounds
    }

    fn begin(rounds: &mut ReadRounds<&'static str>, commit: u64, voters: u64) -> Option<u64> {
        rounds.begin(LogIndex(commit), 0..voters, Some(OWN))
    }

    #[test]
    fn a_majority_of_voters_confirms_a_round() {
        let mut rounds = rounds(&["a", "b"]);
        assert_eq!(begin(&mut rounds, 7, 5), Some(1));
        assert_eq!(rounds.acknowledged(1, 1), None);
        assert_eq!(rounds.acknowledged(1, 1), None, "the same voter again");
        assert_eq!(rounds.to_string(), "round 1 at 7: 2 reads, 2 of 5 answered; 0 wait");
        assert_eq!(rounds.acknowledged(2, 1), Some((LogIndex(7), vec!["a", "b"])));
        assert_eq!(rounds.acknowledged(3, 1), None, "given back once");
        assert!(rounds.is_empty());
    }

    #[test]
    fn a_nonvoter_confirms_nothing() {
        let mut rounds = rounds(&["a"]);
        begin(&mut rounds, 7, 3);
        assert_eq!(rounds.acknowledged(8, 1), None);
        assert_eq!(rounds.acknowledged(9, 1), None);
        assert!(rounds.acknowledged(1, 1).is_some());
    }

    #[test]
    fn a_read_that_comes_during_a_round_waits_for_the_next() {
        let mut rounds = rounds(&["a"]);
        assert_eq!(begin(&mut rounds, 7, 3), Some(1));
        rounds.join("b");
        assert_eq!(begin(&mut rounds, 8, 3), None, "one is running");
        assert_eq!(rounds.acknowledged(1, 1), Some((LogIndex(7), vec!["a"])));
        assert_eq!(begin(&mut rounds, 9, 3), Some(2));
        assert_eq!(rounds.acknowledged(2, 1), None, "a delayed answer to the older round");
        assert_eq!(rounds.acknowledged(2, 2), Some((LogIndex(9), vec!["b"])));
    }

    #[test]
    fn an_answer_to_a_later_heartbeat_counts_too() {
        let mut rounds = rounds(&["a"]);
        begin(&mut rounds, 7, 3);
        assert!(rounds.acknowledged(1, 5).is_some());
    }

    #[test]
    fn no_round_begins_without_reads() {
        assert_eq!(begin(&mut rounds(&[]), 7, 3), None);
    }

    #[test]
    fn a_single_voter_confirms_at_once() {
        let mut rounds = rounds(&["a"]);
        assert_eq!(rounds.confirmed(), None);
        assert_eq!(begin(&mut rounds, 7, 1), Some(1));
        assert_eq!(rounds.confirmed(), Some((LogIndex(7), vec!["a"])));
    }

    #[test]
    fn a_leader_that_does_not_vote_does_not_count_itself() {
        let mut rounds = rounds(&["a"]);
        rounds.begin(LogIndex(7), [1, 2, 3].into_iter(), None);
        assert_eq!(rounds.acknowledged(OWN, 1), None);
        assert_eq!(rounds.acknowledged(1, 1), None);
        assert!(rounds.acknowledged(2, 1).is_some());
    }

    #[test]
    fn nobody_confirms_a_round_without_voters() {
        let mut rounds = rounds(&["a"]);
        rounds.begin(LogIndex(7), std::iter::empty(), None);
        assert_eq!(rounds.confirmed(), None);
    }

    #[test]
    fn a_new_membership_starts_over_with_the_reads_in_order() {
        let mut rounds = rounds(&["a", "b"]);
        begin(&mut rounds, 7, 3);
        rounds.join("c");
        rounds.restart();
        assert_eq!(rounds.acknowledged(1, 1), None);
        assert_eq!(begin(&mut rounds, 8, 3), Some(2));
        assert_eq!(rounds.acknowledged(1, 2), Some((LogIndex(8), vec!["a", "b", "c"])));
    }

    #[test]
    fn the_end_of_a_tenure_gives_every_read_back() {
        let mut rounds = rounds(&["a"]);
        begin(&mut rounds, 7, 3);
        rounds.join("b");
        assert_eq!(rounds.drain(), ["a", "b"]);
        assert!(rounds.is_empty() && !rounds.is_running());
    }
}
