//! The one place where a node learns the time: tokio's clock, so that a paused runtime pauses it too.

use std::time::Duration;

use tokio::time::Instant;

/// How a node's clock differs from the runtime's. No two machines' clocks run alike, and a simulator makes
/// that worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockSkew {
    /// What the clock shows when it begins.
    pub(crate) ahead: Duration,
    /// By how many millionths it runs too fast, or too slow if negative. More than -1,000,000.
    pub(crate) drift_ppm: i32,
}

impl ClockSkew {
    /// A true clock.
    pub(crate) const NONE: Self = Self { ahead: Duration::ZERO, drift_ppm: 0 };
}

/// A node's monotonic clock; its times are durations since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    skew: ClockSkew,
}

impl Clock {
    pub(crate) fn start(skew: ClockSkew) -> Self {
        Self { began: Instant::now(), skew }
    }

    /// Time since the clock began.
    pub(crate) fn now(&self) -> Duration {
        let elapsed = self.began.elapsed();
        if self.skew == ClockSkew::NONE {
            return elapsed;
        }
        self.skew.ahead + elapsed.mul_f64(self.rate())
    }

    /// How long the runtime has to wait until this clock is `span` further.
    pub(crate) fn wait(&self, span: Duration) -> Duration {
        if self.skew.drift_ppm == 0 { span } else { span.div_f64(self.rate()) }
    }

    fn rate(&self) -> f64 {
        1.0 + f64::from(self.skew.drift_ppm) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_may_be_ahead_and_too_fast() {
        let clock = Clock::start(ClockSkew { ahead: Duration::from_secs(100), drift_ppm: 250_000 });
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(clock.now(), Duration::from_secs(105));
        assert_eq!(clock.wait(Duration::from_secs(5)), Duration::from_secs(4));
    }
}
