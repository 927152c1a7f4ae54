//! What a run was worth, and whether it was clean.

use std::{collections::BTreeMap, time::Duration};

use super::{activity::Activities, oracle::Violation, plan::Plan, trace::Trace};

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
    /// Of a run in which nothing was wrong. One of everything has more that must have happened in it.
    pub(super) fn of_coverage(activities: &Activities, everything: bool) -> Self {
        match activities.lacking(everything).next() {
            None => Self::Passed,
            Some((activity, least)) => {
                let (count, what) = (activities.of(activity), activity.plural());
                Self::Rejected(format!("{count} {what} of at least {least}"))
            }
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// How often everything happened that a run is worth something for.
    pub activities: Activities,
    /// How many commands of unknown outcome their clients sent again, in a session, answered or not.
    pub retried: u64,
    /// How many commands met a session that was over.
    pub sessions_expired: u64,
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
    use crate::sim::activity::Activity;

    #[test]
    fn a_run_in_which_little_happened_is_not_passed() {
        let mut activities = Activities::default();
        let enough =
            [(Activity::LeaderChange, 3), (Activity::UnflushedEnd, 2), (Activity::Acknowledged, 500)];
        for (activity, count) in enough {
            assert!(matches!(Verdict::of_coverage(&activities, false), Verdict::Rejected(_)));
            activities.add(activity, count);
        }
        assert_eq!(Verdict::of_coverage(&activities, false), Verdict::Passed);
        activities.add(Activity::MembershipChange, 1);
        let why = Verdict::Rejected("1 membership changes of at least 2".to_owned());
        assert_eq!(Verdict::of_coverage(&activities, true), why);
    }
}
