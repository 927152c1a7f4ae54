//! How long a node waits before it stands. Knows neither why it waits nor whose turn it is.

use std::time::Duration;

/// A wait that began at some time and lasts at least a timeout, at most two.
///
/// How long exactly is settled only when it matters: most waits are cut short by the leader, who is heard many times a
/// second, and then nothing has to be drawn. Times are since the node's clock began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    since: Duration,
    timeout: Duration,
    /// When it runs out, once that is settled.
    until: Option<Duration>,
}

impl Patience {
    /// Begins `now`.
    pub(super) fn new(now: Duration, timeout: Duration) -> Self {
        Self { since: now, timeout, until: None }
    }

    /// Begins anew with another timeout, unless this wait is sure to end no later than that one might.
    pub(super) fn shorten(&mut self, now: Duration, timeout: Duration) {
        let latest = |since: Duration, timeout: Duration| since.saturating_add(timeout.saturating_mul(2));
        if latest(now, timeout) < self.until.unwrap_or(latest(self.since, self.timeout)) {
            *self = Self::new(now, timeout);
        }
    }

    /// Whether it has run out. When the timeout has passed `draw` says, once, how long it lasts: no less than that.
    pub(super) fn has_run_out(&mut self, now: Duration, draw: impl FnOnce(Duration) -> Duration) -> bool {
        let Self { since, timeout, .. } = *self;
        if now < since.saturating_add(timeout) {
            return false;
        }
        let until = *self.until.get_or_insert_with(|| {
            let drawn = draw(timeout);
            assert!(drawn >= timeout, "stands {drawn:?} after a leader that is owed {timeout:?}");
            since.saturating_add(drawn)
        });
        now >= until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn never(_: Duration) -> Duration {
        panic!("drawn without need")
    }

    #[test]
    fn nothing_is_drawn_before_the_timeout_and_only_once_after_it() {
        let mut patience = Patience::new(ms(1000), T);
        assert!(!patience.has_run_out(ms(1099), never));
        assert!(!patience.has_run_out(ms(1100), |timeout| timeout + ms(50)));
        assert!(!patience.has_run_out(ms(1149), never));
        assert!(patience.has_run_out(ms(1150), never));
    }

    #[test]
    fn a_shorter_timeout_counts_from_when_it_is_set() {
        let mut patience = Patience::new(ms(1000), T);
        patience.shorten(ms(1090), ms(10));
        assert!(!patience.has_run_out(ms(1099), never));
        assert!(patience.has_run_out(ms(1110), |timeout| timeout * 2));
    }

    #[test]
    fn a_timeout_that_might_end_later_changes_nothing() {
        let mut patience = Patience::new(ms(1000), T);
        patience.shorten(ms(1010), ms(95));
        assert_eq!(patience, Patience::new(ms(1000), T));
        // What is left is settled: 50 ms.
        assert!(!patience.has_run_out(ms(1100), |timeout| timeout + ms(50)));
        patience.shorten(ms(1100), ms(25));
        assert!(patience.has_run_out(ms(1150), never));
    }

    #[test]
    #[should_panic(expected = "owed")]
    fn a_draw_below_the_timeout_is_a_bug() {
        Patience::new(ms(0), T).has_run_out(T, |timeout| timeout / 2);
    }
}
