//! Rounds of heartbeats that confirm reads (thesis §6.4).

use crate::types::LogIndex;

/// Reads join the next round, never one already begun.
#[derive(Clone, Debug)]
pub struct ReadRounds<T> {
    waiting: Vec<T>,
    round: Option<Round<T>>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Round<T> {
    number: u64,
    index: LogIndex,
    voters: Vec<(u64, bool)>,
    reads: Vec<T>,
}

impl<T> ReadRounds<T> {
    /// No reads.
    #[expect(clippy::new_without_default, reason = "a default says nothing here")]
    pub fn new() -> Self {
        Self { waiting: Vec::new(), round: None, last: 0 }
    }

    /// A read waits for the next round.
    pub fn join(&mut self, read: T) {
        self.waiting.push(read);
    }

    /// Begins a round for what waits, unless one is running.
    pub fn begin(
        &mut self,
        commit: LogIndex,
        voters: impl Iterator<Item = u64>,
        _own: Option<u64>,
    ) -> Option<u64> {
        if self.round.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.last += 1;
        let voters = voters.map(|session| (session, false)).collect();
        let reads = std::mem::take(&mut self.waiting);
        self.round = Some(Round { number: self.last, index: commit, voters, reads });
        Some(self.last)
    }

    /// A member answered a heartbeat of `round`. The index and the reads, once a quorum has.
    pub fn acknowledged(&mut self, session: u64, round: u64) -> Option<(LogIndex, Vec<T>)> {
        let running = self.round.as_mut().filter(|running| round >= running.number)?;
        for voter in running.voters.iter_mut().filter(|voter| voter.0 == session) {
            voter.1 = true;
        }
        let answered = running.voters.iter().filter(|voter| voter.1).count();
        if answered <= running.voters.len() / 2 {
            return None;
        }
        self.round.take().map(|round| (round.index, round.reads))
    }
}
