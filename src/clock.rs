//! The one place where a node learns the time: tokio's clock, so that a paused runtime pauses it too.

use std::time::Duration;

use tokio::time::Instant;

/// A node's monotonic clock; its times are durations since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Time since the clock began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
