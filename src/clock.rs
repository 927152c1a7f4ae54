//! The one place where a node learns the time: tokio's clock, so that a paused runtime pauses it too, and the time of
//! day with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// A node's clock: monotonic times, which are durations since it began, and the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    skew: ClockSkew,
    /// The Unix time at which it began, if the world it shows is not the real one.
    virtual_epoch: Option<Duration>,
}

impl Clock {
    /// A clock that begins now; in a simulated world at the Unix time `virtual_epoch`.
    pub(crate) fn start(skew: ClockSkew, virtual_epoch: Option<Duration>) -> Self {
        Self { began: Instant::now(), skew, virtual_epoch }
    }

    /// The time of day, Unix nanoseconds. It may jump both ways, as people and protocols set it.
    pub(crate) fn wall_ns(&self) -> i64 {
        let since_epoch = match self.virtual_epoch {
            Some(epoch) => epoch + self.now(),
            None => real_wall(),
        };
        i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
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

/// The machine's time of day, further by as much as the runtime's clock has been moved: not at all in a service, where
/// both are the same clock, and by as much as has passed for the test where it is paused.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn real_wall() -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (shown, real) = (Instant::now().into_std(), std::time::Instant::now());
    (since_epoch + shown.saturating_duration_since(real))
        .saturating_sub(real.saturating_duration_since(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_may_be_ahead_and_too_fast() {
        let clock = Clock::start(ClockSkew { ahead: Duration::from_secs(100), drift_ppm: 250_000 }, None);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(clock.now(), Duration::from_secs(105));
        assert_eq!(clock.wait(Duration::from_secs(5)), Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_goes_as_fast_as_the_runtimes_clock_and_is_about_right() {
        let clock = Clock::start(ClockSkew::NONE, None);
        let before = clock.wall_ns();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let hour = clock.wall_ns() - before;
        // Each reading looks at two clocks, one just after the other.
        assert!((3_599_000_000_000..3_601_000_000_000).contains(&hour), "{hour} ns");
        // Later than this was written, and the numbers are nanoseconds.
        assert!(before > 1_700_000_000_000_000_000, "{before}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_day_begins_where_it_is_told_and_runs_as_wrong_as_the_clock() {
        let skew = ClockSkew { ahead: Duration::from_secs(100), drift_ppm: 250_000 };
        let clock = Clock::start(skew, Some(Duration::from_secs(1000)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(clock.wall_ns(), 1_105_000_000_000);
    }
}
