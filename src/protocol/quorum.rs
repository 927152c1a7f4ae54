//! Majorities (Raft §5.2, §5.4).

use std::collections::BTreeMap;

use crate::types::{LogIndex, NodeId};

/// The largest index that a majority of `matches` has reached; zero if there are none. Sorts in place.
pub fn quorum_index(matches: &mut [LogIndex]) -> LogIndex {
    matches.sort_unstable();
    match matches.len() {
        0 => LogIndex::ZERO,
        voters => matches[(voters - 1) / 2],
    }
}

/// How an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TallyState {
    /// Open.
    Pending,
    /// Enough voters granted.
    Won,
    /// Too many refused.
    Lost,
}

/// Votes of one round, keyed by server id.
#[derive(Clone, Debug, Default)]
pub struct VoteTally {
    votes: BTreeMap<NodeId, Option<bool>>,
    unanimous: bool,
}

impl VoteTally {
    /// An election among `voters`.
    pub fn new(voters: impl Iterator<Item = NodeId>, unanimous: bool) -> Self {
        Self { votes: voters.map(|voter| (voter, None)).collect(), unanimous }
    }

    /// Counts an answer: the first of each voter.
    pub fn record(&mut self, voter: &NodeId, granted: bool) -> TallyState {
        if let Some(vote) = self.votes.get_mut(voter) {
            vote.get_or_insert(granted);
        }
        self.state()
    }

    /// How it stands.
    pub fn state(&self) -> TallyState {
        let voters = self.votes.len();
        let needed = if self.unanimous { voters } else { voters / 2 + 1 };
        let granted = self.votes.values().filter(|vote| **vote == Some(true)).count();
        let refused = self.votes.values().filter(|vote| **vote == Some(false)).count();
        if voters > 0 && granted >= needed {
            TallyState::Won
        } else if voters - refused < needed {
            TallyState::Lost
        } else {
            TallyState::Pending
        }
    }
}
