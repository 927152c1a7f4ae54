//! When a node takes a snapshot by itself, and how much of the log one makes superfluous (Raft §7, thesis §5.1).

use std::time::Duration;

use crate::types::LogIndex;

/// When to take a snapshot: looked at in an interval drawn anew each time, so that the nodes of a cluster do not
/// all write at once; taken if enough was applied since the newest one.
#[derive(Clone, Debug)]
pub struct SnapshotPolicy {
    interval: Duration,
    threshold: u64,
    /// When the next look is.
    look_at: Duration,
    random: fastrand::Rng,
}

impl SnapshotPolicy {
    /// Looks every `interval` to twice that, from `now` on, for at least `threshold` entries.
    pub fn new(interval: Duration, threshold: u64, now: Duration, seed: u64) -> Self {
        let mut policy =
            Self { interval, threshold, look_at: now, random: fastrand::Rng::with_seed(seed ^ 0x736e_6170) };
        policy.look_again(now);
        policy
    }

    /// Looks by another interval and threshold from `now` on. A shorter interval takes effect at once, a longer one
    /// behind the next look.
    pub fn reconfigure(&mut self, interval: Duration, threshold: u64, now: Duration) {
        self.threshold = threshold;
        if interval != self.interval {
            self.interval = interval;
            let drawn = self.look_at;
            self.look_again(now);
            self.look_at = self.look_at.min(drawn);
        }
    }

    /// Time passes; `entries` were applied since the newest snapshot. Whether to take one now.
    pub fn is_due(&mut self, now: Duration, entries: u64) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_again(now);
        entries > 0 && entries >= self.threshold
    }

    fn look_again(&mut self, now: Duration) {
        self.look_at = now.saturating_add(self.interval.mul_f64(1.0 + self.random.f64()));
    }
}

/// The last entry that may go from the front of a log with a snapshot of everything up to `snapshot`: `trailing`
/// entries stay for followers that lag a little, and so does what is not `durable`, since the store holds it nowhere
/// (hashicorp/raft#358 removed ranges that were not there).
pub fn compaction_base(snapshot: LogIndex, trailing: u64, durable: LogIndex) -> LogIndex {
    LogIndex(snapshot.0.saturating_sub(trailing)).min(durable)
}

/// How many more entries than otherwise a log keeps for followers that are being sent a snapshot, in thresholds of
/// entries between two snapshots.
const KEPT_THRESHOLDS: u64 = 16;

/// The same as long as a follower is being sent a snapshot of everything up to `sent`: what comes behind that stays, or
/// the follower would need another one when it has it, and then another (braft#528). Within bounds: one that is too
/// slow for this log must not make it grow without end.
pub fn keep_behind_sent(upto: LogIndex, sent: Option<LogIndex>, threshold: u64) -> LogIndex {
    let least = LogIndex(upto.0.saturating_sub(threshold.saturating_mul(KEPT_THRESHOLDS)));
    sent.map_or(upto, |sent| upto.min(sent.max(least)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(120);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_due_when_it_is_looked_at_and_enough_was_applied() {
        let mut policy = SnapshotPolicy::new(INTERVAL, 50, at(1000), 1);
        assert!(!policy.is_due(at(1119), 99), "not looked at yet");
        assert!(!policy.is_due(at(1240), 49), "too little");
        assert!(!policy.is_due(at(1241), 99), "just looked at");
        assert!(policy.is_due(at(1480), 50));
    }

    #[test]
    fn a_shorter_interval_and_a_lower_threshold_count_at_once() {
        let mut policy = SnapshotPolicy::new(INTERVAL, 50, at(0), 1);
        policy.reconfigure(at(5), 10, at(1));
        assert!(policy.is_due(at(11), 10));
        policy.reconfigure(INTERVAL, 10, at(12));
        assert!(policy.is_due(at(21), 10), "the look that was drawn stays");
        assert!(!policy.is_due(at(100), 10));
    }

    #[test]
    fn a_threshold_of_nothing_still_needs_something() {
        let mut policy = SnapshotPolicy::new(INTERVAL, 0, at(0), 1);
        assert!(!policy.is_due(at(240), 0));
        assert!(policy.is_due(at(480), 1));
    }

    #[test]
    fn trailing_entries_and_what_is_not_durable_stay() {
        let base =
            |snapshot, trailing, durable| compaction_base(LogIndex(snapshot), trailing, LogIndex(durable));
        assert_eq!(base(100, 10, 200), LogIndex(90));
        assert_eq!(base(100, 0, 200), LogIndex(100));
        assert_eq!(base(100, 0, 70), LogIndex(70), "a quorum without this node committed the rest");
        assert_eq!(base(5, 10, 200), LogIndex::ZERO);
    }

    proptest! {
        #[test]
        fn a_look_comes_after_one_interval_and_before_two(seed in any::<u64>(), start in 0_u64..1_000_000) {
            let mut policy = SnapshotPolicy::new(INTERVAL, 1, at(start), seed);
            prop_assert!(!policy.is_due(at(start + 119), 1));
            prop_assert!(policy.is_due(at(start + 240), 1));
            prop_assert!(!policy.is_due(at(start + 240 + 119), 1));
        }

        #[test]
        fn nothing_goes_that_no_snapshot_or_no_disk_holds(
            snapshot in any::<u64>(), trailing in any::<u64>(), durable in any::<u64>(),
        ) {
            let base = compaction_base(LogIndex(snapshot), trailing, LogIndex(durable));
            prop_assert!(base.0 <= snapshot && base.0 <= durable);
        }
    }

    #[test]
    fn what_comes_behind_a_snapshot_on_its_way_stays_for_a_while() {
        let upto = |sent: Option<u64>| keep_behind_sent(LogIndex(1000), sent.map(LogIndex), 10).0;
        assert_eq!([upto(None), upto(Some(2000)), upto(Some(900)), upto(Some(3))], [1000, 1000, 900, 840]);
    }
}
