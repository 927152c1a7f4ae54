//! How long things took. The figures of whole runs; short ones print them and assert nothing.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The time of the processes under test.
#[expect(clippy::disallowed_methods, reason = "the processes under test live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Several times of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        let at = self.0.partition_point(|other| *other <= time);
        self.0.insert(at, time);
    }

    /// The upper one of the two in the middle, if there are two.
    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_millis();
        write!(f, "median {} ms, max {} ms of {}", ms(self.median()), ms(self.max()), self.0.len())
    }
}

#[test]
fn the_median_is_in_the_middle_whatever_the_order() {
    let mut times = Times::default();
    for ms in [5, 1, 9, 3, 7] {
        times.add(Duration::from_millis(ms));
    }
    assert_eq!(times.to_string(), "median 5 ms, max 9 ms of 5");
}
