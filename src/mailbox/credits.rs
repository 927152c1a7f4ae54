//! Admission: how many requests and how many of their bytes may be under way at once.
//!
//! Both counts share one word, so that both limits are checked and taken in one step, and neither is ever passed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire},
        },
    },
};

const BYTES_BITS: u32 = 40;
const BYTES_MASK: u64 = (1 << BYTES_BITS) - 1;

/// Credits shared by all who admit work to one place. A clone counts into the same account.
#[derive(Clone)]
pub struct Credits(Arc<Account>);

struct Account {
    /// Requests above [`BYTES_BITS`], bytes below. Invariant: each within its limit, so neither overflows.
    in_use: AtomicU64,
    requests_max: u32,
    bytes_max: u64,
}

impl Credits {
    /// The greatest possible limit in requests, about 16 million.
    pub const REQUESTS_MAX: u32 = (1 << (u64::BITS - BYTES_BITS)) - 1;
    /// The greatest possible limit in bytes, 1 TiB less one byte.
    pub const BYTES_MAX: u64 = BYTES_MASK;

    /// Credits for `requests_max` requests of together `bytes_max` bytes. Limits beyond [`Self::REQUESTS_MAX`] and
    /// [`Self::BYTES_MAX`] count as those.
    pub fn new(requests_max: u32, bytes_max: u64) -> Self {
        Self(Arc::new(Account {
            in_use: AtomicU64::new(0),
            requests_max: requests_max.min(Self::REQUESTS_MAX),
            bytes_max: bytes_max.min(Self::BYTES_MAX),
        }))
    }

    /// Takes credits for `requests` with `bytes` of data, or none at all if either limit would be passed. They come
    /// back when the guard is dropped. More bytes than the whole limit are never admitted: refuse them beforehand.
    pub fn try_acquire(&self, requests: u32, bytes: u64) -> Option<CreditGuard> {
        self.take(requests, bytes).then(|| CreditGuard { credits: self.clone(), requests, bytes })
    }

    fn take(&self, requests: u32, bytes: u64) -> bool {
        let admit = |in_use| {
            let (requests_used, bytes_used) = unpack(in_use);
            let requests = requests_used.checked_add(requests).filter(|&sum| sum <= self.0.requests_max)?;
            let bytes = bytes_used.checked_add(bytes).filter(|&sum| sum <= self.0.bytes_max)?;
            Some(pack(requests, bytes))
        };
        self.0.in_use.fetch_update(AcqRel, Acquire, admit).is_ok()
    }

    /// Gives back what was taken out of a guard by [`CreditGuard::forget`].
    ///
    /// # Panics
    /// If more is given back than was taken.
    pub fn release(&self, requests: u32, bytes: u64) {
        let give_back = |in_use| {
            let (requests_used, bytes_used) = unpack(in_use);
            Some(pack(requests_used.checked_sub(requests)?, bytes_used.checked_sub(bytes)?))
        };
        let released = self.0.in_use.fetch_update(AcqRel, Acquire, give_back);
        assert!(released.is_ok(), "more credits released than taken: {requests} requests, {bytes} bytes");
    }

    /// Requests and bytes under way now.
    pub fn in_use(&self) -> (u32, u64) {
        unpack(self.0.in_use.load(Acquire))
    }

    /// The limits in requests and bytes.
    pub fn limits(&self) -> (u32, u64) {
        (self.0.requests_max, self.0.bytes_max)
    }
}

impl fmt::Debug for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((requests, bytes), (requests_max, bytes_max)) = (self.in_use(), self.limits());
        write!(f, "Credits({requests}/{requests_max} requests, {bytes}/{bytes_max} bytes)")
    }
}

fn pack(requests: u32, bytes: u64) -> u64 {
    u64::from(requests) << BYTES_BITS | bytes
}

fn unpack(in_use: u64) -> (u32, u64) {
    ((in_use >> BYTES_BITS) as u32, in_use & BYTES_MASK)
}

/// Credits that were taken. Dropping it gives them back.
#[derive(Debug)]
#[must_use = "the credits go back when this is dropped"]
pub struct CreditGuard {
    credits: Credits,
    requests: u32,
    bytes: u64,
}

impl CreditGuard {
    /// Keeps the credits taken beyond the guard: requests and bytes, to be given back by [`Credits::release`].
    pub fn forget(mut self) -> (u32, u64) {
        (std::mem::take(&mut self.requests), std::mem::take(&mut self.bytes))
    }

    /// Takes more credits into this guard, so that a batch has one guard, as [`Credits::try_acquire`] would. Whether
    /// there were enough.
    pub fn extend(&mut self, requests: u32, bytes: u64) -> bool {
        let taken = self.credits.take(requests, bytes);
        if taken {
            self.requests += requests;
            self.bytes += bytes;
        }
        taken
    }
}

impl Drop for CreditGuard {
    fn drop(&mut self) {
        self.credits.release(self.requests, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn either_limit_refuses_and_takes_nothing() {
        let credits = Credits::new(2, 100);
        let first = credits.try_acquire(1, 60).expect("room for it");
        assert!(credits.try_acquire(1, 41).is_none(), "bytes");
        assert!(credits.try_acquire(2, 1).is_none(), "requests");
        assert!(credits.try_acquire(u32::MAX, 0).is_none() && credits.try_acquire(0, u64::MAX).is_none());
        assert_eq!(credits.in_use(), (1, 60));
        let second = credits.try_acquire(1, 40).expect("exactly the rest");
        drop((first, second));
        assert_eq!(credits.in_use(), (0, 0));
    }

    #[test]
    fn forgotten_credits_stay_taken_until_released() {
        let credits = Credits::new(10, 1_000);
        let mut batch = credits.try_acquire(1, 10).expect("room for it");
        assert!(batch.extend(2, 20));
        assert!(!batch.extend(8, 1) && !batch.extend(1, 971), "either limit");
        let (requests, bytes) = batch.forget();
        assert_eq!(((requests, bytes), credits.in_use()), ((3, 30), (3, 30)));
        credits.release(requests, bytes);
        assert_eq!(credits.in_use(), (0, 0));
    }

    #[test]
    #[should_panic(expected = "more credits released than taken")]
    fn releasing_twice_is_a_broken_invariant() {
        Credits::new(1, 1).release(1, 0);
    }

    #[test]
    fn threads_never_pass_a_limit_and_leak_nothing() {
        const LIMITS: (u32, u64) = (5, 1_000);
        let credits = Credits::new(LIMITS.0, LIMITS.1);
        let taken = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..4u64 {
                let (credits, taken) = (credits.clone(), &taken);
                scope.spawn(move || {
                    for round in 0..20_000u64 {
                        let (requests, bytes) =
                            (1 + (round % 3) as u32, 1 + (round * 37 + thread * 101) % 400);
                        let Some(guard) = credits.try_acquire(requests, bytes) else { continue };
                        // Counted after taking and uncounted before giving back: never above what is taken.
                        let (sum_requests, sum_bytes) =
                            unpack(taken.fetch_add(pack(requests, bytes), AcqRel) + pack(requests, bytes));
                        assert!(sum_requests <= LIMITS.0 && sum_bytes <= LIMITS.1, "{credits:?}");
                        taken.fetch_sub(pack(requests, bytes), AcqRel);
                        drop(guard);
                    }
                });
            }
        });
        assert_eq!(credits.in_use(), (0, 0));
    }

    proptest! {
        #[test]
        fn the_account_is_the_sum_of_the_guards(steps in prop::collection::vec((any::<bool>(), 0u32..5, 0u64..60), 0..60)) {
            let credits = Credits::new(10, 100);
            let mut guards = Vec::new();
            let mut sum = (0u32, 0u64);
            for (take, requests, bytes) in steps {
                if take {
                    let fits = sum.0 + requests <= 10 && sum.1 + bytes <= 100;
                    let guard = credits.try_acquire(requests, bytes);
                    prop_assert_eq!(guard.is_some(), fits);
                    if let Some(guard) = guard {
                        sum = (sum.0 + requests, sum.1 + bytes);
                        guards.push(guard);
                    }
                } else if let Some(guard) = guards.pop() {
                    sum = (sum.0 - guard.requests, sum.1 - guard.bytes);
                }
                prop_assert_eq!(credits.in_use(), sum);
            }
        }
    }
}
