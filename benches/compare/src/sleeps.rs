//! How long flushes of a slow log and applies of a slow state machine really take: the same sleeps for every system,
//! measured within. `go/driver/slow.go` is the counterpart.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Sleeps of one kind.
#[derive(Debug)]
pub(crate) struct Sleeps {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Flushes of the fastest disks.
pub(crate) static FLUSHES: Sleeps = Sleeps::none();
/// Commands applied by slow state machines.
pub(crate) static APPLIES: Sleeps = Sleeps::none();
/// How long an apply takes, in microseconds; none if it is not slowed down.
static APPLY_US: AtomicU64 = AtomicU64::new(0);

impl Sleeps {
    const fn none() -> Self {
        Self { count: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) }
    }

    pub(crate) fn sleep(&self, time: Duration) {
        let began = Instant::now();
        thread::sleep(time);
        self.nanoseconds.fetch_add(began.elapsed().as_nanos() as u64, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// How long one took, in microseconds; 0 if there was none.
    pub(crate) fn mean_us(&self) -> f64 {
        self.nanoseconds.load(Relaxed) as f64 / 1e3 / self.count.load(Relaxed).max(1) as f64
    }
}

/// Makes every state machine of this process this slow.
pub(crate) fn slow_down(microseconds: u64) {
    APPLY_US.store(microseconds, Relaxed);
}

/// Takes the time of one command.
pub(crate) fn apply() {
    let microseconds = APPLY_US.load(Relaxed);
    if microseconds > 0 {
        APPLIES.sleep(Duration::from_micros(microseconds));
    }
}
