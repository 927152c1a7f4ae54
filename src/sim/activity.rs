//! What has to happen in a run, and how often, for it to be worth something.

/// Something that happens in a run. Attempts that came to nothing do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The leadership went to another term, the first one not counted.
    LeaderChange,
    /// A process ended with something that it had not flushed.
    UnflushedEnd,
    /// An operation of a client was answered.
    Acknowledged,
    /// Another membership was committed, the first one not counted.
    MembershipChange,
    /// A snapshot of a node's own state was published.
    SnapshotTaken,
    /// A log began anew behind a leader's snapshot.
    SnapshotInstalled,
    /// A leader that was asked to handed leadership to another node.
    Transfer,
    /// A read was answered by the leader's lease alone.
    LeaseRead,
    /// A command of unknown outcome was sent again in its session, and answered.
    Retry,
}

impl Activity {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::LeaderChange,
        Self::UnflushedEnd,
        Self::Acknowledged,
        Self::MembershipChange,
        Self::SnapshotTaken,
        Self::SnapshotInstalled,
        Self::Transfer,
        Self::LeaseRead,
        Self::Retry,
    ];

    /// What many of them are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::LeaderChange => "leader changes",
            Self::UnflushedEnd => "crashes with unflushed data",
            Self::Acknowledged => "acknowledged operations",
            Self::MembershipChange => "membership changes",
            Self::SnapshotTaken => "snapshots taken",
            Self::SnapshotInstalled => "snapshots installed",
            Self::Transfer => "leadership transfers",
            Self::LeaseRead => "reads by lease",
            Self::Retry => "retries in sessions",
        }
    }

    /// How many a run must have at least: any run, and one of [`Plan::of_everything`](super::Plan::of_everything).
    fn least(self, everything: bool) -> u64 {
        match self {
            Self::LeaderChange => 3,
            Self::UnflushedEnd => 2,
            Self::Acknowledged => 500,
            _ if everything => 2,
            _ => 0,
        }
    }
}

/// How often each [`Activity`] happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activities([u64; Activity::ALL.len()]);

impl Activities {
    /// How often this happened.
    pub fn of(&self, activity: Activity) -> u64 {
        self.0[activity as usize]
    }

    /// It happened so many times more.
    pub fn add(&mut self, activity: Activity, count: u64) {
        self.0[activity as usize] += count;
    }

    /// What happened too seldom, with how often it must at least.
    pub(super) fn lacking(&self, everything: bool) -> impl Iterator<Item = (Activity, u64)> {
        let with_least = move |activity: Activity| (activity, activity.least(everything));
        Activity::ALL.into_iter().map(with_least).filter(|(activity, least)| self.of(*activity) < *least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_of_everything_lacks_what_a_drawn_one_may_do_without() {
        let mut activities = Activities::default();
        let drawn: Vec<_> = activities.lacking(false).collect();
        let least = [(Activity::LeaderChange, 3), (Activity::UnflushedEnd, 2), (Activity::Acknowledged, 500)];
        assert_eq!(drawn, least);
        assert_eq!(activities.lacking(true).count(), Activity::ALL.len());
        for activity in Activity::ALL {
            activities.add(activity, activity.least(true) - 1);
            assert!(activities.lacking(true).any(|(lacking, _)| lacking == activity), "{activity:?}");
            activities.add(activity, 1);
            assert!(activities.lacking(true).all(|(lacking, _)| lacking != activity), "{activity:?}");
        }
    }
}
