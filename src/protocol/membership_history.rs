//! The memberships of a log: that of its base and every later one, committed or not (Raft §6).
//!
//! A membership takes effect when it is appended and falls back when its entry is truncated
//! (hashicorp/raft 687db02 kept a truncated one). The base's is committed, so there is always one to fall
//! back to (canonical/raft#250).

use std::{collections::VecDeque, fmt};

use crate::types::{LogIndex, Membership};

/// The history, ascending in index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipHistory {
    /// The membership as of the log's base, and an index at which it was in force already.
    base: (LogIndex, Membership),
    /// Ascending; all behind the base.
    later: VecDeque<(LogIndex, Membership)>,
}

impl MembershipHistory {
    /// The history of an empty log behind a base at `index`.
    pub fn new(index: LogIndex, membership: Membership) -> Self {
        Self { base: (index, membership), later: VecDeque::new() }
    }

    /// The newest membership, committed or not: the one to act on.
    pub fn effective(&self) -> &Membership {
        &self.newest().1
    }

    /// Index of the effective membership's entry; that of the base if the entry is compacted.
    pub fn effective_index(&self) -> LogIndex {
        self.newest().0
    }

    /// The newest membership at or before `commit`: what a snapshot at `commit` contains.
    pub fn committed(&self, commit: LogIndex) -> &Membership {
        &self.entry_at(commit).1
    }

    /// The same with the index of its entry, or an index at which it was in force already.
    pub fn committed_entry(&self, commit: LogIndex) -> (LogIndex, &Membership) {
        let (index, membership) = self.entry_at(commit);
        (*index, membership)
    }

    fn entry_at(&self, commit: LogIndex) -> &(LogIndex, Membership) {
        let known = self.later.partition_point(|later| later.0 <= commit);
        known.checked_sub(1).and_then(|newest| self.later.get(newest)).unwrap_or(&self.base)
    }

    /// Whether the effective membership is committed: only then may another change begin (thesis §4.1).
    pub fn is_settled(&self, commit: LogIndex) -> bool {
        self.effective_index() <= commit
    }

    /// The newest membership that is certain to be committed: the effective one if `commit` reaches it, else the one
    /// before, since a change is begun only when the one before it is committed. So it is known also after a
    /// restart, when the commit index is not.
    pub fn settled(&self, commit: LogIndex) -> &Membership {
        let newest =
            if self.is_settled(commit) { self.later.len() } else { self.later.len().saturating_sub(1) };
        newest.checked_sub(1).and_then(|newest| self.later.get(newest)).map_or(&self.base.1, |later| &later.1)
    }

    /// The entry at `index` is `membership`.
    ///
    /// # Panics
    /// If it is not behind the others: a broken invariant.
    pub fn appended(&mut self, index: LogIndex, membership: Membership) {
        assert!(index > self.effective_index(), "membership at {index} after {self}");
        self.later.push_back((index, membership));
    }

    /// Every entry from `from` on was removed.
    ///
    /// # Panics
    /// If that reaches the base, which is committed: a broken invariant.
    pub fn truncated(&mut self, from: LogIndex) {
        assert!(from > self.base.0, "the base of {self} is truncated from {from} on");
        self.later.truncate(self.later.partition_point(|later| later.0 < from));
    }

    /// Every entry up to `base` was removed from the front; what was in force there is the new base.
    pub fn compacted(&mut self, base: LogIndex) {
        let older = self.later.partition_point(|later| later.0 <= base);
        if let Some(newest) = self.later.drain(..older).next_back() {
            self.base = newest;
        }
        self.base.0 = self.base.0.max(base);
    }

    /// Every entry was removed; the log starts anew behind a base at `index`. Nothing of before stays in
    /// force (openraft#1808).
    pub fn reset(&mut self, index: LogIndex, membership: Membership) {
        *self = Self::new(index, membership);
    }

    fn newest(&self) -> &(LogIndex, Membership) {
        self.later.back().unwrap_or(&self.base)
    }
}

impl fmt::Display for MembershipHistory {
    /// `base 4 [n1 n2], 7 [n1 n2 n3]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base ")?;
        for (number, (index, membership)) in std::iter::once(&self.base).chain(&self.later).enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let ids: Vec<&str> = membership.servers().iter().map(|server| server.id.as_str()).collect();
            write!(f, "{comma}{index} [{}]", ids.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Server, Suffrage};

    fn members(ids: &[&str]) -> Membership {
        let server = |id: &&str| Server {
            id: (*id).into(),
            address: format!("{id}:1"),
            suffrage: Suffrage::Voter,
            incarnation: Incarnation(1),
        };
        Membership::new(ids.iter().map(server)).unwrap()
    }

    fn history() -> MembershipHistory {
        let mut history = MembershipHistory::new(LogIndex(4), members(&["n1"]));
        history.appended(LogIndex(6), members(&["n1", "n2"]));
        history.appended(LogIndex(9), members(&["n1", "n2", "n3"]));
        history
    }

    #[test]
    fn a_membership_takes_effect_when_it_is_appended() {
        let history = history();
        assert_eq!(history.to_string(), "base 4 [n1], 6 [n1 n2], 9 [n1 n2 n3]");
        assert_eq!(history.effective(), &members(&["n1", "n2", "n3"]));
        assert_eq!(history.effective_index(), LogIndex(9));
        assert!(!history.is_settled(LogIndex(8)) && history.is_settled(LogIndex(9)));
    }

    #[test]
    fn the_committed_membership_is_the_newest_at_or_before_the_commit_index() {
        let history = history();
        let committed = |index| history.committed(LogIndex(index)).servers().len();
        assert_eq!([2, 5, 6, 8, 9, 20].map(committed), [1, 1, 2, 2, 3, 3]);
        assert_eq!(history.committed_entry(LogIndex(8)), (LogIndex(6), &members(&["n1", "n2"])));
        assert_eq!(history.committed_entry(LogIndex(5)), (LogIndex(4), &members(&["n1"])));
    }

    #[test]
    fn what_came_before_the_newest_is_committed_whatever_is_known() {
        let history = history();
        let settled = |index| history.settled(LogIndex(index)).servers().len();
        assert_eq!([0, 8, 9].map(settled), [2, 2, 3]);
        let alone = MembershipHistory::new(LogIndex(4), members(&["n1"]));
        assert_eq!(alone.settled(LogIndex(4)), &members(&["n1"]));
    }

    #[test]
    fn truncation_falls_back_to_the_one_before() {
        let mut history = history();
        history.truncated(LogIndex(10));
        assert_eq!(history.effective().servers().len(), 3);
        history.truncated(LogIndex(7));
        assert_eq!(history.effective().servers().len(), 2);
        history.truncated(LogIndex(5));
        assert_eq!(history.effective(), &members(&["n1"]));
    }

    #[test]
    fn compaction_keeps_what_is_in_force_at_the_base() {
        let mut history = history();
        history.compacted(LogIndex(8));
        assert_eq!(history.to_string(), "base 8 [n1 n2], 9 [n1 n2 n3]");
        history.truncated(LogIndex(9));
        assert_eq!(history.effective(), &members(&["n1", "n2"]), "its predecessor is compacted");
        history.compacted(LogIndex(3));
        assert_eq!(history.to_string(), "base 8 [n1 n2]", "the base never moves back");
    }

    #[test]
    fn a_reset_leaves_nothing_in_force() {
        let mut history = history();
        history.reset(LogIndex(20), members(&["n7"]));
        assert_eq!(history, MembershipHistory::new(LogIndex(20), members(&["n7"])));
    }

    #[test]
    #[should_panic(expected = "truncated from 4")]
    fn the_base_is_never_truncated() {
        history().truncated(LogIndex(4));
    }

    #[test]
    #[should_panic(expected = "membership at 9 after")]
    fn memberships_only_follow_one_another() {
        history().appended(LogIndex(9), members(&["n1"]));
    }
}
