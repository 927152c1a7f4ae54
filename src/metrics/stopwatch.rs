//! How long things take that begin in order, and how much of the time any of them was under way.

use std::{collections::VecDeque, time::Duration};

/// More than a node has batches on their way. What begins beyond is not measured.
const STARTED_MAX: usize = 4096;

/// Several measurements at a time, named by numbers that rise. Knows no clock.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    /// What is under way, with the time it began; at most [`STARTED_MAX`].
    started: VecDeque<(u64, Duration)>,
    /// Since when there is something.
    busy_since: Option<Duration>,
    /// For how long there was, before that.
    busy: Duration,
}

impl Stopwatch {
    pub(super) fn is_idle(&self) -> bool {
        self.started.is_empty()
    }

    pub(super) fn start(&mut self, key: u64, now: Duration) {
        if self.started.len() < STARTED_MAX {
            self.busy_since.get_or_insert(now);
            self.started.push_back((key, now));
        }
    }

    /// Everything up to `upto` has ended: tells how long each took.
    pub(super) fn stop(&mut self, upto: u64, now: Duration, mut took: impl FnMut(Duration)) {
        while let Some((_, began)) = self.started.pop_front_if(|(key, _)| *key <= upto) {
            took(now.saturating_sub(began));
        }
        self.rest(now);
    }

    /// `key` has ended: how long it took. What began before it is taken for lost.
    pub(super) fn stop_one(&mut self, key: u64, now: Duration) -> Option<Duration> {
        let mut found = None;
        while let Some((began_as, began)) = self.started.pop_front_if(|(other, _)| *other <= key) {
            found = (began_as == key).then(|| now.saturating_sub(began));
        }
        self.rest(now);
        found
    }

    /// Nothing of what is under way will be heard of again.
    pub(super) fn abandon(&mut self, now: Duration) {
        self.started.clear();
        self.rest(now);
    }

    /// For how long anything was under way so far.
    pub(super) fn busy(&self, now: Duration) -> Duration {
        self.busy + self.busy_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn rest(&mut self, now: Duration) {
        if self.is_idle() {
            self.busy = self.busy(now);
            self.busy_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn stopped(watch: &mut Stopwatch, upto: u64, now: u64) -> Vec<Duration> {
        let mut all = Vec::new();
        watch.stop(upto, at(now), |took| all.push(took));
        all
    }

    #[test]
    fn each_is_told_once_and_the_time_between_is_no_work() {
        let mut watch = Stopwatch::default();
        watch.start(3, at(10));
        watch.start(5, at(14));
        assert_eq!(stopped(&mut watch, 2, 15), []);
        assert_eq!(stopped(&mut watch, 4, 20), [at(10)]);
        assert_eq!(watch.busy(at(22)), at(12));
        assert_eq!(stopped(&mut watch, 9, 24), [at(10)]);
        assert_eq!((stopped(&mut watch, 9, 30), watch.busy(at(40))), (vec![], at(14)));
        watch.start(10, at(40));
        watch.abandon(at(41));
        assert!(watch.is_idle());
        assert_eq!((stopped(&mut watch, 10, 50), watch.busy(at(50))), (vec![], at(15)));
    }

    #[test]
    fn of_what_is_answered_one_by_one_the_lost_are_left_out() {
        let mut watch = Stopwatch::default();
        (1..=3).for_each(|key| watch.start(key, at(key)));
        assert_eq!(watch.stop_one(2, at(10)), Some(at(8)), "the first was lost");
        assert_eq!(watch.stop_one(2, at(11)), None, "told already");
        assert_eq!(watch.stop_one(3, at(12)), Some(at(9)));
        assert!(watch.is_idle());
    }

    #[test]
    fn what_is_never_heard_of_again_is_bounded() {
        let mut watch = Stopwatch::default();
        (0..10 * STARTED_MAX as u64).for_each(|key| watch.start(key, at(0)));
        assert_eq!(watch.started.len(), STARTED_MAX);
        assert_eq!(stopped(&mut watch, u64::MAX, 1).len(), STARTED_MAX);
    }
}
