//! Reading without asking anybody: as long as no other leader can have been elected (thesis §6.4.1).
//!
//! A voter that answers a heartbeat promises to elect nobody else for as long as the answer says, its heartbeat
//! timeout, from when the heartbeat came (stickiness, thesis §4.2.3: it refuses votes and pre-votes without looking at
//! the term, and does not stand). A majority of such promises, the leader's own among them, excludes every other
//! election until the last of them begin to end. The leader counts each from when it *sent* the heartbeat, which was
//! earlier, and cuts it by how much slower its own clock may run.
//!
//! Three things would break such a promise, and each has its answer. A voter forgets it when it is restarted: one that
//! starts with state is silent for a heartbeat timeout. A leader lets somebody stand at once: it gives its
//! lease up before it says so, for the rest of its term, since nobody knows when the word arrives. A clock stands still:
//! nothing helps, so reads by lease are asked for and not the rule.

use std::time::Duration;

use crate::known_bug::KnownBug;

/// A million millionths.
const MILLION: u32 = 1_000_000;

/// The lease of one tenure. Times are since the leader's clock began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// By how much slower than a voter's clock the leader's may run, in millionths.
    drift_ppm: u32,
    /// Nobody else is elected before.
    until: Duration,
    /// Whether an entry of the leader's own term is committed: before that it does not know what is
    /// (Raft §8).
    is_open: bool,
    is_given_up: bool,
}

impl Lease {
    /// A new leader has none.
    pub fn new(drift_ppm: u32) -> Self {
        Self { drift_ppm, until: Duration::ZERO, is_open: false, is_given_up: false }
    }

    /// Until when, by the leader's clock, the promise binds that a voter gave for `sticks_for` in its answer to what
    /// was sent at `sent_at`.
    pub fn end_of_promise(&self, sent_at: Duration, sticks_for: Duration) -> Duration {
        if KnownBug::LeaseIgnoresDrift.is_back() {
            return sent_at.saturating_add(sticks_for);
        }
        let kept = MILLION.saturating_sub(self.drift_ppm);
        // Divided first: a voter may say that it sticks for ever.
        sent_at.saturating_add((sticks_for / MILLION).saturating_mul(kept))
    }

    /// A majority of the present voters elects nobody else before `until`.
    pub fn renew(&mut self, until: Duration) {
        self.until = until;
    }

    /// The first entry of the leader's term is committed.
    pub fn open(&mut self) {
        self.is_open = true;
    }

    /// Somebody is told to stand at once, and voters will not refuse him: from here on the promises of this term are
    /// worth nothing (openraft#1747).
    pub fn give_up(&mut self) {
        if !KnownBug::LeaseKeptInTransfer.is_back() {
            self.is_given_up = true;
        }
    }

    /// Whether nobody else leads: what is committed here is all there is. `now` must be read from the clock for this
    /// very question, after the read came.
    pub fn holds(&self, now: Duration) -> bool {
        self.is_open && !self.is_given_up && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Renewed until 500 ms.
    fn lease() -> Lease {
        let mut lease = Lease::new(100_000);
        lease.open();
        lease.renew(ms(500));
        lease
    }

    #[test]
    fn it_holds_until_the_promises_end() {
        assert!(lease().holds(ms(499)));
        assert!(!lease().holds(ms(500)));
    }

    #[test]
    fn there_is_none_before_an_entry_of_the_term_is_committed() {
        let mut early = Lease::new(0);
        early.renew(Duration::MAX);
        assert!(!early.holds(ms(1)));
        early.open();
        assert!(early.holds(ms(1)));
    }

    #[test]
    fn once_given_up_it_is_not_regained() {
        let mut lease = lease();
        lease.give_up();
        lease.renew(Duration::MAX);
        lease.open();
        assert!(!lease.holds(ms(1)));
    }

    #[test]
    fn with_fewer_promises_it_is_shorter() {
        let mut lease = lease();
        lease.renew(ms(300));
        assert!(!lease.holds(ms(400)), "another membership counts other promises");
    }

    #[test]
    fn a_promise_is_cut_by_the_bound_and_counts_from_the_sending() {
        assert_eq!(Lease::new(100_000).end_of_promise(ms(70), ms(1000)), ms(970));
        assert_eq!(Lease::new(0).end_of_promise(ms(70), ms(1000)), ms(1070));
        assert!(Lease::new(0).end_of_promise(Duration::MAX, Duration::MAX) == Duration::MAX, "no overflow");
    }

    proptest! {
        /// However the two clocks run within the bound, and however long the heartbeat travels, a lease is over
        /// before the voter's promise is.
        #[test]
        fn the_leader_never_believes_longer_than_the_voter_promises(
            sticks_ms in 1u64..10_000,
            drift_ppm in 0u32..900_000,
            travel_us in 0u64..1_000_000,
            share in 0.0f64..=1.0,
        ) {
            let sticks_for = ms(sticks_ms);
            // The leader's clock is the slow one, by at most the bound.
            let slow = 1.0 - f64::from(drift_ppm) / 1e6 * share;
            let believed = Lease::new(drift_ppm).end_of_promise(Duration::ZERO, sticks_for).as_secs_f64() / slow;
            let promised = travel_us as f64 / 1e6 + sticks_for.as_secs_f64();
            prop_assert!(believed <= promised + 1e-6, "{believed} > {promised}");
        }
    }
}
