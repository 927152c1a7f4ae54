//! A round of asking for votes: what it is about and how it stands. Asks nobody itself.

use std::{fmt, time::Duration};

use super::super::{TallyState, VoteTally};
use crate::types::Term;

/// A round of asking. Belongs to one role and one term, so that the answers of an older round, or of a
/// pre-vote, count for nothing (openraft 511f33c7, canonical/raft#196).
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    /// The term stood for.
    pub(super) term: Term,
    pub(super) pre_vote: bool,
    /// Whether it takes the grants of all voters, each comparing its real tail.
    pub(super) unanimous: bool,
    pub(super) tally: VoteTally,
    /// Whether the candidate's own vote is durable; without it no election is won, since after a crash the
    /// node could win the same term twice.
    pub(super) own_vote_durable: bool,
    /// When to ask for the promises once more; never again after that.
    pub(super) again: Option<Duration>,
}

impl Campaign {
    /// Whether this is an election that cannot be won yet because its record is still being written.
    pub(super) fn awaits_own_vote(&self) -> bool {
        !self.pre_vote && !self.own_vote_durable
    }

    pub(super) fn is_won(&self) -> bool {
        self.tally.state() == TallyState::Won && !self.awaits_own_vote()
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.pre_vote { "pre-vote" } else { "vote" };
        let all = if self.unanimous { " of all" } else { "" };
        write!(f, "{kind}{all} t{}: {}", self.term, self.tally)
    }
}
