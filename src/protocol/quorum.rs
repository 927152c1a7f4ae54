//! Majorities: of match indexes (Raft §5.3) and of votes (Raft §5.2).
//!
//! Votes are keyed by server id, never by address (hashicorp/raft keys them by address bytes, so that
//! an address in new hands confuses it).

use std::{collections::BTreeMap, fmt};

use crate::{
    known_bug::KnownBug,
    types::{LogIndex, NodeId},
};

/// The largest index that a majority of `matches` has reached; zero if there are none.
///
/// Reorders `matches` and allocates nothing. Looks at every element: a scan that trusts a sorted front
/// part commits with 2 of 5 (openraft#1802).
pub fn quorum_index(matches: &mut [LogIndex]) -> LogIndex {
    match matches.len() {
        0 => LogIndex::ZERO,
        voters if KnownBug::QuorumTrustsSortedFront.is_back() => matches[voters / 2],
        // For an even number the lower of the two middle ones: 2 of 4 are no majority
        // (hashicorp/raft 163a55f).
        voters => *matches.select_nth_unstable((voters - 1) / 2).1,
    }
}

/// How a round of votes stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TallyState {
    /// Open: it depends on voters that have not answered.
    Pending,
    /// Enough granted.
    Won,
    /// So many refused that it cannot be won any more.
    Lost,
}

/// The votes of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteTally {
    /// Every voter of the round, with its first answer. The keys never change.
    votes: BTreeMap<NodeId, Option<bool>>,
    /// Whether every voter must grant.
    unanimous: bool,
}

impl VoteTally {
    /// A round among `voters`, none of which has answered. It takes a majority, or if `unanimous` all.
    pub fn new(voters: impl Iterator<Item = NodeId>, unanimous: bool) -> Self {
        Self { votes: voters.map(|voter| (voter, None)).collect(), unanimous }
    }

    /// Counts an answer and says how the round stands. Only the first answer of a voter counts, and
    /// none of anybody else.
    pub fn record(&mut self, voter: &NodeId, granted: bool) -> TallyState {
        if let Some(vote) = self.votes.get_mut(voter) {
            vote.get_or_insert(granted);
        }
        self.state()
    }

    /// How the round stands. A round without voters is lost.
    pub fn state(&self) -> TallyState {
        let voters = self.votes.len();
        let needed = if self.unanimous { voters.max(1) } else { voters / 2 + 1 };
        if self.count(true) >= needed {
            TallyState::Won
        } else if voters - self.count(false) < needed {
            TallyState::Lost
        } else {
            TallyState::Pending
        }
    }

    fn count(&self, answer: bool) -> usize {
        self.votes.values().filter(|vote| **vote == Some(answer)).count()
    }
}

impl fmt::Display for VoteTally {
    /// `n1 yes, n2 no, n3 ?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (voter, vote)) in self.votes.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let vote = vote.map_or("?", |granted| if granted { "yes" } else { "no" });
            write!(f, "{comma}{voter} {vote}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quorum_of(matches: &[u64]) -> u64 {
        let mut matches: Vec<LogIndex> = matches.iter().copied().map(LogIndex).collect();
        quorum_index(&mut matches).get()
    }

    fn tally(voters: &[&str], unanimous: bool) -> VoteTally {
        VoteTally::new(voters.iter().map(|id| NodeId::from(*id)), unanimous)
    }

    #[test]
    fn nobody_holds_nothing() {
        assert_eq!(quorum_of(&[]), 0);
    }

    #[test]
    fn a_majority_of_one_to_five_is_found() {
        assert_eq!(quorum_of(&[7]), 7);
        assert_eq!(quorum_of(&[7, 3]), 3);
        assert_eq!(quorum_of(&[9, 1, 5]), 5);
        assert_eq!(quorum_of(&[9, 9, 1, 1]), 1, "two of four are no majority");
        assert_eq!(quorum_of(&[9, 9, 3, 1]), 3);
        assert_eq!(quorum_of(&[1, 9, 1, 9, 1]), 1, "two of five are no majority");
        assert_eq!(quorum_of(&[1, 9, 2, 9, 9]), 9);
    }

    #[test]
    fn a_round_is_won_by_a_majority_and_lost_when_none_is_left() {
        let mut round = tally(&["a", "b", "c", "d"], false);
        assert_eq!(round.record(&"a".into(), true), TallyState::Pending);
        assert_eq!(round.record(&"b".into(), true), TallyState::Pending, "two of four");
        assert_eq!(round.clone().record(&"c".into(), true), TallyState::Won);
        assert_eq!(round.record(&"c".into(), false), TallyState::Pending);
        assert_eq!(round.record(&"d".into(), false), TallyState::Lost);
    }

    #[test]
    fn strangers_and_repeated_votes_count_for_nothing() {
        let mut round = tally(&["a", "b", "c"], false);
        assert_eq!(round.record(&"x".into(), true), TallyState::Pending);
        round.record(&"a".into(), true);
        assert_eq!(round.record(&"a".into(), true), TallyState::Pending);
        round.record(&"b".into(), false);
        assert_eq!(round.record(&"b".into(), true), TallyState::Pending, "the first answer stands");
        assert_eq!(round.to_string(), "a yes, b no, c ?");
    }

    #[test]
    fn a_unanimous_round_needs_every_voter() {
        let mut round = tally(&["a", "b", "c"], true);
        round.record(&"a".into(), true);
        assert_eq!(round.record(&"b".into(), true), TallyState::Pending);
        assert_eq!(round.clone().record(&"c".into(), true), TallyState::Won);
        assert_eq!(round.record(&"c".into(), false), TallyState::Lost);
    }

    #[test]
    fn a_round_without_voters_is_lost() {
        assert_eq!(tally(&[], false).state(), TallyState::Lost);
        assert_eq!(tally(&[], true).state(), TallyState::Lost);
    }

    proptest! {
        #[test]
        fn the_quorum_index_is_the_largest_that_a_majority_holds(
            matches in proptest::collection::vec(0_u64..20, 1..9),
        ) {
            let index = quorum_of(&matches);
            let holders = |index| matches.iter().filter(|held| **held >= index).count();
            prop_assert!(holders(index) > matches.len() / 2);
            prop_assert!(holders(index + 1) <= matches.len() / 2);
        }
    }
}
