//! When this node heard its leader, and how evenly.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// No time that a node's clock reaches.
const NEVER: u64 = u64::MAX;

/// Times of the node's clock, in nanoseconds. One thread writes.
#[derive(Debug)]
pub(super) struct Contact {
    /// When a leader was last heard; [`NEVER`] if none was.
    heard: AtomicU64,
    /// When the present leader's last heartbeat was handled; [`NEVER`] if none was.
    beaten: AtomicU64,
    /// The longest time between two heartbeats of the present leader; [`NEVER`] before the second.
    gap_max: AtomicU64,
}

impl Default for Contact {
    fn default() -> Self {
        let never = || AtomicU64::new(NEVER);
        Self { heard: never(), beaten: never(), gap_max: never() }
    }
}

impl Contact {
    /// A leader was heard.
    pub(super) fn heard(&self, now: Duration) {
        self.heard.store(nanos(now), Ordering::Relaxed);
    }

    /// The present leader's heartbeat was handled.
    pub(super) fn beaten(&self, now: Duration) {
        let now = nanos(now);
        let before = self.beaten.swap(now, Ordering::Relaxed);
        if before != NEVER {
            let longest = known(&self.gap_max).unwrap_or(0);
            self.gap_max.store(longest.max(now.saturating_sub(before)), Ordering::Relaxed);
        }
    }

    /// Somebody else leads, or nobody does, or the term is another: what comes next has nothing to do with what was.
    pub(super) fn is_with_another(&self) {
        self.beaten.store(NEVER, Ordering::Relaxed);
        self.gap_max.store(NEVER, Ordering::Relaxed);
    }

    /// When a leader was last heard.
    pub(super) fn last(&self) -> Option<Duration> {
        known(&self.heard).map(Duration::from_nanos)
    }

    /// The longest time between two heartbeats of the present leader.
    pub(super) fn gap_max(&self) -> Option<Duration> {
        known(&self.gap_max).map(Duration::from_nanos)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1)
}

fn known(time: &AtomicU64) -> Option<u64> {
    Some(time.load(Ordering::Relaxed)).filter(|time| *time != NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_longest_gap_is_between_two_heartbeats_of_one_leader() {
        let contact = Contact::default();
        contact.beaten(ms(5));
        assert_eq!(contact.gap_max(), None);
        for at in [105, 405, 450] {
            contact.beaten(ms(at));
        }
        contact.heard(ms(2000));
        assert_eq!(contact.gap_max(), Some(ms(300)), "entries are no heartbeats");
        contact.is_with_another();
        contact.beaten(ms(9000));
        assert_eq!(contact.gap_max(), None);
        contact.beaten(ms(9100));
        assert_eq!((contact.gap_max(), contact.last()), (Some(ms(100)), Some(ms(2000))));
    }
}
