//! How many commands go on together.
//!
//! While the first of a great burst are with the followers and on their way to the disks, the next are taken in: the
//! leader and they work at the same time, not in turn. But what is cut early is a flush more on every node, and whoever
//! misses one waits for the next. So a batch is cut when taking it in took about a quarter as long as a flush does.

use std::time::Duration;

use crate::log::Ticket;

/// What a burst is cut at where the store takes no time.
const COMMANDS: u64 = 128;
/// The least where it does.
const COMMANDS_MIN: u64 = 256;
/// The most: that many are worth a slow flush of their own.
const COMMANDS_MAX: u64 = 1024;
/// In how many microseconds of a flush one more is due: four times as long as it takes to take one in.
const MICROSECONDS_PER_COMMAND: u128 = 2;
/// How much of the mean a new time is: one part in so many.
const SMOOTHING: u32 = 8;

/// See the module. Takes one time after another, of what the store is given when none is being taken.
#[derive(Debug, Default)]
pub(super) struct BatchSize {
    /// From when something is given to the store until it is durable, in the mean. Zero for a store that has done it
    /// when it returns.
    flush: Duration,
    began: Option<(Ticket, Duration)>,
}

impl BatchSize {
    /// The store was given something at `now`, and has not done it yet.
    pub(super) fn appended(&mut self, ticket: Ticket, now: impl FnOnce() -> Duration) {
        if self.began.is_none() {
            self.began = Some((ticket, now()));
        }
    }

    /// The store had done what it was given when it returned: what it took while something held it back is over.
    pub(super) fn done_at_once(&mut self) {
        *self = Self::default();
    }

    /// Everything up to `ticket` is durable.
    pub(super) fn flushed(&mut self, ticket: Ticket, now: impl FnOnce() -> Duration) {
        let Some((_, began)) = self.began.take_if(|(appended, _)| *appended <= ticket) else { return };
        let took = now().saturating_sub(began);
        self.flush = match self.flush {
            Duration::ZERO => took,
            mean => mean - mean / SMOOTHING + took / SMOOTHING,
        };
    }

    /// How many commands a batch has at most.
    pub(super) fn commands_max(&self) -> u64 {
        if self.flush.is_zero() {
            return COMMANDS;
        }
        let due = self.flush.as_micros() / MICROSECONDS_PER_COMMAND;
        u64::try_from(due).unwrap_or(u64::MAX).clamp(COMMANDS_MIN, COMMANDS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that takes this long, `times` over.
    fn after(size: &mut BatchSize, took: Duration, times: u64) -> u64 {
        for number in 0..times {
            let began = Duration::from_secs(number);
            size.appended(Ticket(number), || began);
            size.flushed(Ticket(number), || began + took);
        }
        size.commands_max()
    }

    #[test]
    fn it_goes_by_how_long_a_flush_takes_within_bounds() {
        let of = |micros| after(&mut BatchSize::default(), Duration::from_micros(micros), 3);
        assert_eq!([of(0), of(20), of(800), of(5_000)], [128, 256, 400, 1024]);
        assert_eq!(BatchSize::default().commands_max(), 128, "nothing is known yet");
    }

    #[test]
    fn one_flush_among_many_changes_little_and_many_change_it() {
        let mut size = BatchSize::default();
        after(&mut size, Duration::from_micros(800), 10);
        assert_eq!(after(&mut size, Duration::from_micros(1_600), 1), 450);
        let settled = after(&mut size, Duration::from_micros(1_600), 50);
        assert!((790..=800).contains(&settled), "{settled}");
    }

    #[test]
    fn a_store_that_is_done_at_once_again_takes_no_time() {
        let mut size = BatchSize::default();
        assert_eq!(after(&mut size, Duration::from_secs(1), 1), 1024, "it was held back");
        size.done_at_once();
        assert_eq!(size.commands_max(), 128);
    }

    #[test]
    fn a_time_is_that_of_what_was_given_first_and_ends_with_it() {
        let (mut size, at) = (BatchSize::default(), Duration::from_micros);
        size.appended(Ticket(2), || at(100));
        size.appended(Ticket(3), || panic!("one at a time"));
        size.flushed(Ticket(1), || panic!("it is not durable yet"));
        size.flushed(Ticket(3), || at(1_100));
        size.flushed(Ticket(4), || panic!("nothing is being timed"));
        assert_eq!(size.commands_max(), 500);
    }
}
