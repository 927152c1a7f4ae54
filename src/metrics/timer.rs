//! A [`Stopwatch`] with the node's clock, and the histogram that it tells.

use std::{cell::RefCell, fmt, time::Duration};

use ::metrics::Histogram;

use super::stopwatch::Stopwatch;
use crate::clock::Clock;

/// Measures what begins in order. Looks at the clock only when something begins or ends.
pub(crate) struct Timer {
    clock: Clock,
    watch: RefCell<Stopwatch>,
    histogram: Histogram,
}

impl Timer {
    pub(super) fn new(clock: Clock, histogram: Histogram) -> Self {
        Self { clock, watch: RefCell::default(), histogram }
    }

    /// `key` begins; later ones are larger.
    pub(crate) fn start(&self, key: u64) {
        self.watch.borrow_mut().start(key, self.clock.now());
    }

    /// Everything up to `upto` has ended.
    pub(crate) fn stop(&self, upto: u64) {
        let mut watch = self.watch.borrow_mut();
        if !watch.is_idle() {
            watch.stop(upto, self.clock.now(), |took| self.took(took));
        }
    }

    /// `key` has ended, and whatever began before it and has not is lost.
    pub(crate) fn answered(&self, key: u64) {
        if let Some(took) = self.watch.borrow_mut().stop_one(key, self.clock.now()) {
            self.took(took);
        }
    }

    /// Nothing of what has begun counts any more.
    pub(crate) fn abandon(&self) {
        let mut watch = self.watch.borrow_mut();
        if !watch.is_idle() {
            watch.abandon(self.clock.now());
        }
    }

    fn took(&self, took: Duration) {
        self.histogram.record(took.as_secs_f64());
    }

    pub(super) fn busy(&self, now: Duration) -> Duration {
        self.watch.borrow().busy(now)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("watch", &self.watch).finish_non_exhaustive()
    }
}
