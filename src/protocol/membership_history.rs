//! The memberships of a log (Raft §6).

use std::collections::VecDeque;

use crate::types::{LogIndex, Membership};

/// The membership of the base and every later one.
#[derive(Clone, Debug)]
pub struct MembershipHistory {
    base: (LogIndex, Membership),
    later: VecDeque<(LogIndex, Membership)>,
}

impl MembershipHistory {
    /// The history behind a base.
    pub fn new(index: LogIndex, membership: Membership) -> Self {
        Self { base: (index, membership), later: VecDeque::new() }
    }

    /// The newest, committed or not.
    pub fn effective(&self) -> &Membership {
        self.later.back().map_or(&self.base.1, |newest| &newest.1)
    }

    /// The newest at or before `commit`.
    pub fn committed(&self, commit: LogIndex) -> &Membership {
        let known = self.later.iter().rev().find(|later| later.0 <= commit);
        known.map_or(&self.base.1, |later| &later.1)
    }

    /// A membership was appended.
    pub fn appended(&mut self, index: LogIndex, membership: Membership) {
        self.later.push_back((index, membership));
    }

    /// Everything from `from` on was removed.
    pub fn truncated(&mut self, from: LogIndex) {
        while self.later.pop_back_if(|later| later.0 >= from).is_some() {}
    }
}
