//! What a run was worth, and whether it was clean.

use std::{collections::BTreeMap, time::Duration};

use super::{oracle::Violation, plan::Plan, trace::Trace};

/// A run with fewer changes of leadership shows little.
pub const LEADER_CHANGES_MIN: u64 = 3;
/// Likewise with fewer processes that ended with something unflushed.
pub const UNFLUSHED_ENDS_MIN: u64 = 2;
/// Likewise with fewer operations that were answered.
pub const ACKNOWLEDGED_MIN: u64 = 500;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every law held, and enough happened for that to mean something.
    Passed,
    /// Nothing was wrong, and too little happened; says what.
    Rejected(String),
    /// A law did not hold.
    Failed(Violation),
}

impl Verdict {
    /// Of a run in which nothing was wrong.
    pub(super) fn of_coverage(leader_changes: u64, unflushed_ends: u64, acknowledged: u64) -> Self {
        let enough = [
            (leader_changes, LEADER_CHANGES_MIN, "leader changes"),
            (unflushed_ends, UNFLUSHED_ENDS_MIN, "crashes with unflushed data"),
            (acknowledged, ACKNOWLEDGED_MIN, "acknowledged operations"),
        ];
        match enough.iter().find(|(count, least, _)| count < least) {
            Some((count, least, what)) => Self::Rejected(format!("{count} {what} of at least {least}")),
            None => Self::Passed,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// How many operations were answered.
    pub acknowledged: u64,
    /// How many commands of unknown outcome their clients sent again, in a session.
    pub retried: u64,
    /// How many of those were answered in the end.
    pub resolved: u64,
    /// How many commands met a session that was over.
    pub sessions_expired: u64,
    /// How often the leadership changed hands.
    pub leader_changes: u64,
    /// How many processes ended with something that was not flushed.
    pub unflushed_ends: u64,
    /// How often the membership changed.
    pub membership_changes: u64,
    /// How often each kind of fault struck; zero for those that were enabled and did not.
    pub faults: BTreeMap<&'static str, u64>,
    /// How long it was, for those in it.
    pub virtual_time: Duration,
    /// What happened.
    pub trace: Trace,
    /// What was planned.
    pub plan: Plan,
}

impl Report {
    /// The law that did not hold.
    pub fn violation(&self) -> Option<&Violation> {
        match &self.verdict {
            Verdict::Failed(violation) => Some(violation),
            Verdict::Passed | Verdict::Rejected(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_little_happened_is_not_passed() {
        assert_eq!(Verdict::of_coverage(3, 2, 500), Verdict::Passed);
        for (leaders, ends, operations) in [(2, 2, 500), (3, 1, 500), (3, 2, 499)] {
            assert!(matches!(Verdict::of_coverage(leaders, ends, operations), Verdict::Rejected(_)));
        }
    }
}
