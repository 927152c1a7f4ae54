//! From match indexes to the commit index, for one tenure of one leader (Raft §5.3, §5.4.2).
//!
//! Matches are keyed by the session of a replicator, not by the peer: a late acknowledgement of a peer
//! that was removed and added again counts for nothing (a hole in hashicorp/raft). The commit index never
//! falls. Go: `commitment.go`.

use std::fmt;

use super::quorum_index;
use crate::{known_bug::KnownBug, types::LogIndex};

/// The match index of every voter.
#[derive(Clone, Debug)]
pub struct Commitment {
    /// Index of the tenure's first entry, the no-op: every entry from here on is of the leader's term.
    start: LogIndex,
    /// Never falls.
    commit: LogIndex,
    /// The voters' sessions, the leader's own among them if it votes, each with its match index.
    voters: Vec<(u64, LogIndex)>,
    /// Room for the computation, as long as `voters`, so that an acknowledgement allocates nothing.
    scratch: Vec<LogIndex>,
}

impl Commitment {
    /// A tenure whose no-op is at `start`, in a log committed up to `commit`. Nobody votes yet.
    ///
    /// Entries before `start` are of older terms: however many nodes hold them, they are committed only by
    /// what is committed behind them (Figure 8; hashicorp/raft 259e54d, logcabin#44).
    pub fn new(start: LogIndex, commit: LogIndex) -> Self {
        Self { start, commit, voters: Vec::new(), scratch: Vec::new() }
    }

    /// Says whose matches count from now on. Sessions that stay keep theirs; new ones begin at zero.
    /// Returns the commit index if it rose: with fewer voters the quorum may already hold more.
    pub fn set_voters(&mut self, sessions: impl IntoIterator<Item = u64>) -> Option<LogIndex> {
        let old = std::mem::take(&mut self.voters);
        let known =
            |session| old.iter().find(|voter| voter.0 == session).map_or(LogIndex::ZERO, |voter| voter.1);
        self.voters.extend(sessions.into_iter().map(|session| (session, known(session))));
        self.voters.sort_unstable_by_key(|voter| voter.0);
        self.voters.dedup_by_key(|voter| voter.0);
        self.scratch.clear();
        self.scratch.reserve(self.voters.len());
        self.advance()
    }

    /// The voter of `session` has everything up to `index` on its medium. Returns the commit index if it
    /// rose. A session that does not vote and an index below the known one change nothing.
    pub fn matched(&mut self, session: u64, index: LogIndex) -> Option<LogIndex> {
        let voter = self.voters.iter_mut().find(|voter| voter.0 == session)?;
        if index <= voter.1 {
            return None;
        }
        voter.1 = index;
        self.advance()
    }

    /// The voter of `session` has lost what it acknowledged: nothing of it counts until it is acknowledged
    /// again. What is committed stays so.
    pub fn forget(&mut self, session: u64) {
        for voter in self.voters.iter_mut().filter(|voter| voter.0 == session) {
            voter.1 = LogIndex::ZERO;
        }
    }

    /// The commit index.
    pub fn commit(&self) -> LogIndex {
        self.commit
    }

    /// The voters' sessions, each with its match index.
    pub fn matches(&self) -> &[(u64, LogIndex)] {
        &self.voters
    }

    fn advance(&mut self) -> Option<LogIndex> {
        self.scratch.clear();
        self.scratch.extend(self.voters.iter().map(|voter| voter.1));
        let held = quorum_index(&mut self.scratch);
        let own_term = held >= self.start || KnownBug::OlderTermCommitted.is_back();
        if !own_term || held <= self.commit {
            return None;
        }
        self.commit = held;
        Some(held)
    }
}

impl fmt::Display for Commitment {
    /// `commit 4 (from 3): #1=5 #2=4 #3=0`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {} (from {}):", self.commit, self.start)?;
        self.voters.iter().try_for_each(|(session, index)| write!(f, " #{session}={index}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenure(start: u64, commit: u64, voters: &[u64]) -> Commitment {
        let mut commitment = Commitment::new(LogIndex(start), LogIndex(commit));
        assert_eq!(commitment.set_voters(voters.iter().copied()), None);
        commitment
    }

    fn matched(commitment: &mut Commitment, session: u64, index: u64) -> Option<u64> {
        commitment.matched(session, LogIndex(index)).map(LogIndex::get)
    }

    #[test]
    fn a_majority_commits() {
        let mut three = tenure(1, 0, &[1, 2, 3]);
        assert_eq!(matched(&mut three, 1, 5), None);
        assert_eq!(matched(&mut three, 2, 4), Some(4));
        assert_eq!(matched(&mut three, 3, 5), Some(5));
        assert_eq!(three.to_string(), "commit 5 (from 1): #1=5 #2=4 #3=5");
    }

    #[test]
    fn half_of_an_even_number_commits_nothing() {
        let mut four = tenure(1, 0, &[1, 2, 3, 4]);
        assert_eq!(matched(&mut four, 1, 5), None);
        assert_eq!(matched(&mut four, 2, 5), None, "two of four");
        assert_eq!(matched(&mut four, 3, 3), Some(3));
        let mut two = tenure(1, 0, &[1, 2]);
        assert_eq!(matched(&mut two, 1, 5), None);
        assert_eq!(matched(&mut two, 2, 2), Some(2));
    }

    #[test]
    fn a_single_voter_commits_alone() {
        assert_eq!(matched(&mut tenure(1, 0, &[7]), 7, 3), Some(3));
    }

    /// Figure 8: S1 leads again in term 4 and has spread the entry of term 2 at index 2 to a majority.
    #[test]
    fn an_entry_of_an_older_term_is_not_committed_by_counting() {
        let mut s1 = tenure(3, 1, &[1, 2, 3, 4, 5]);
        for session in [1, 2, 3] {
            assert_eq!(matched(&mut s1, session, 2), None, "(c): S5 may still overwrite it, as in (d)");
        }
        for session in [1, 2] {
            assert_eq!(matched(&mut s1, session, 3), None);
        }
        assert_eq!(matched(&mut s1, 3, 3), Some(3), "(e): an own entry commits everything before it");
    }

    #[test]
    fn old_and_unknown_answers_count_for_nothing() {
        let mut three = tenure(1, 0, &[1, 2, 3]);
        matched(&mut three, 1, 5);
        assert_eq!(matched(&mut three, 9, 5), None, "no voter");
        assert_eq!(matched(&mut three, 2, 5), Some(5));
        assert_eq!(matched(&mut three, 2, 3), None, "late");
        assert_eq!(three.to_string(), "commit 5 (from 1): #1=5 #2=5 #3=0");
    }

    #[test]
    fn a_peer_that_is_removed_and_added_again_begins_at_zero() {
        let mut three = tenure(1, 0, &[1, 2, 3]);
        matched(&mut three, 2, 5);
        assert_eq!(three.set_voters([1, 3]), None);
        assert_eq!(three.set_voters([1, 3, 12]), None);
        assert_eq!(matched(&mut three, 2, 9), None, "its old session's late acknowledgement");
        assert_eq!(three.to_string(), "commit 0 (from 1): #1=0 #3=0 #12=0");
    }

    #[test]
    fn removing_a_voter_commits_what_the_smaller_quorum_holds() {
        let mut four = tenure(1, 0, &[1, 2, 3, 4]);
        matched(&mut four, 1, 5);
        matched(&mut four, 2, 5);
        assert_eq!(four.set_voters([1, 2, 3]).map(LogIndex::get), Some(5));
    }

    #[test]
    fn a_leader_that_does_not_vote_does_not_count() {
        let mut two = tenure(1, 0, &[2, 3]);
        assert_eq!(matched(&mut two, 1, 5), None);
        assert_eq!(matched(&mut two, 2, 5), None);
        assert_eq!(matched(&mut two, 3, 5), Some(5));
    }

    #[test]
    fn no_voters_commit_nothing() {
        let mut none = tenure(1, 0, &[1]);
        matched(&mut none, 1, 2);
        assert_eq!(none.set_voters([]), None);
        assert_eq!(none.commit(), LogIndex(2));
    }

    proptest! {
        #[test]
        fn what_is_committed_is_held_by_a_majority_and_never_falls(
            start in 1_u64..6, voters in 1_u64..6,
            acks in proptest::collection::vec((0_u64..7, 0_u64..10), 0..40),
        ) {
            let mut commitment = tenure(start, 0, &(0..voters).collect::<Vec<_>>());
            let mut held = vec![0; voters as usize];
            let mut commit = 0;
            for (session, index) in acks {
                let news = matched(&mut commitment, session, index);
                if let Some(held) = held.get_mut(session as usize) {
                    *held = index.max(*held);
                }
                let on = |index| held.iter().filter(|held| **held >= index).count() > held.len() / 2;
                if let Some(index) = news {
                    prop_assert!(index > commit && index >= start && on(index));
                    commit = index;
                }
                prop_assert_eq!(commitment.commit().get(), commit);
                prop_assert!(!(commit.max(start - 1) + 1..12).any(on), "nothing is committed late");
            }
        }
    }

    #[test]
    fn what_a_voter_lost_does_not_count_for_a_later_entry() {
        let mut commitment = Commitment::new(LogIndex(1), LogIndex(0));
        commitment.set_voters([0, 1, 2]);
        assert_eq!(commitment.matched(1, LogIndex(9)), None);
        commitment.forget(1);
        assert_eq!(commitment.matched(0, LogIndex(9)), None, "one of three");
        assert_eq!(commitment.matched(1, LogIndex(4)), Some(LogIndex(4)));
    }
}
