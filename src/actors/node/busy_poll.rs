//! Staying awake for what is sure to come soon: the followers' answers, and the next requests of clients who have just
//! been answered.
//!
//! A thread that sleeps has to be woken, which on a virtual machine takes longer than a round trip over loopback. So a
//! leader's thread looks for work for some turns of its event loop before it sleeps, and lets other threads have the
//! processor in each of them. Where that turns out to be in vain, because answers take longer or clients have nothing
//! more to say, it is soon only tried now and then. Nothing of the protocol depends on it (adr 0021).

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::{Rc, Weak},
    task::{Poll, Waker},
};

/// A wait that ends before the turns do earns one; no more than this is kept.
const CREDIT_MAX: u8 = 8;
/// What a wait in vain costs: two in three must pay.
const COST: u8 = 2;
/// Without credit, how many occasions are left out before one is tried.
const LEFT_OUT_MAX: u8 = 32;

/// Whether to stay awake, and for how long.
#[derive(Clone, Copy, Debug)]
struct Wakefulness {
    turns_max: u32,
    /// How many turns are left; none while it sleeps.
    left: u32,
    credit: u8,
    /// Occasions left out since the last that was tried.
    left_out: u8,
}

impl Wakefulness {
    fn new(turns_max: u32) -> Self {
        Self { turns_max, left: 0, credit: CREDIT_MAX, left_out: 0 }
    }

    /// Something happened after which more is to be expected. Whether the sleeper is to be woken.
    fn expect_more(&mut self) -> bool {
        let slept = !self.is_awake();
        if slept && self.credit == 0 && self.left_out < LEFT_OUT_MAX {
            self.left_out += 1;
            return false;
        }
        if self.waits() {
            self.credit = CREDIT_MAX.min(self.credit + 1);
        }
        self.left_out = 0;
        self.left = self.turns_max;
        slept && self.is_awake()
    }

    /// A turn is over in which nothing happened after which more is to be expected.
    fn turn(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.credit = self.credit.saturating_sub(COST);
        }
    }

    fn is_awake(&self) -> bool {
        self.left > 0
    }

    /// Whether a turn went by since the last occasion: the first one carries out what that set going.
    fn waits(&self) -> bool {
        self.is_awake() && self.left < self.turns_max
    }
}

/// See the module.
pub(crate) struct BusyPoll(Rc<Shared>);

struct Shared {
    wakefulness: Cell<Wakefulness>,
    sleeper: RefCell<Option<Waker>>,
}

impl BusyPoll {
    /// For up to `turns_max` turns of this thread's event loop after each occasion; never if that is zero.
    pub(super) fn new(turns_max: u32) -> Self {
        let wakefulness = Cell::new(Wakefulness::new(turns_max));
        Self(Rc::new(Shared { wakefulness, sleeper: RefCell::default() }))
    }

    /// Answers or requests are to be expected soon.
    pub(crate) fn expect_more(&self) {
        let mut wakefulness = self.0.wakefulness.get();
        let wake = wakefulness.expect_more();
        self.0.wakefulness.set(wakefulness);
        if wake && let Some(sleeper) = self.0.sleeper.borrow().as_ref() {
            sleeper.wake_by_ref();
        }
    }

    /// Keeps this thread awake, as told, until the node is gone.
    pub(super) fn start(&self) {
        let others_may_run =
            std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1);
        if others_may_run {
            actix_rt::spawn(stay_awake(Rc::downgrade(&self.0)));
        }
    }
}

impl Drop for BusyPoll {
    fn drop(&mut self) {
        if let Some(sleeper) = self.0.sleeper.borrow().as_ref() {
            sleeper.wake_by_ref();
        }
    }
}

async fn stay_awake(shared: Weak<Shared>) {
    while poll_fn(|cx| match shared.upgrade() {
        None => Poll::Ready(false),
        Some(shared) if shared.wakefulness.get().is_awake() => Poll::Ready(true),
        Some(shared) => {
            shared.sleeper.replace(Some(cx.waker().clone()));
            Poll::Pending
        }
    })
    .await
    {
        // Everything else on this thread has its turn first, the sockets too.
        tokio::task::yield_now().await;
        let Some(shared) = shared.upgrade() else { return };
        let mut wakefulness = shared.wakefulness.get();
        if wakefulness.waits() {
            std::thread::yield_now();
        }
        wakefulness.turn();
        shared.wakefulness.set(wakefulness);
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use tokio::{sync::oneshot, task::LocalSet};

    use super::*;

    const TURNS: u32 = 10;

    /// How many of `occasions` found it awake or woke it, where nothing comes for `quiet` turns after each.
    fn tried(wakefulness: &mut Wakefulness, occasions: u32, quiet: u32) -> u32 {
        let mut tried = 0;
        for _ in 0..occasions {
            wakefulness.expect_more();
            tried += u32::from(wakefulness.is_awake());
            for _ in 0..quiet {
                wakefulness.turn();
            }
        }
        tried
    }

    #[test]
    fn it_stays_awake_as_long_as_what_it_expects_comes() {
        assert_eq!(tried(&mut Wakefulness::new(TURNS), 1000, TURNS - 1), 1000);
    }

    #[test]
    fn what_is_in_vain_is_soon_tried_only_now_and_then() {
        let mut wakefulness = Wakefulness::new(TURNS);
        assert_eq!(tried(&mut wakefulness, 1000, TURNS), 4 + 996 / (u32::from(LEFT_OUT_MAX) + 1));
    }

    #[test]
    fn it_is_tried_each_time_again_once_it_pays() {
        let mut wakefulness = Wakefulness::new(TURNS);
        tried(&mut wakefulness, 1000, TURNS);
        tried(&mut wakefulness, u32::from(LEFT_OUT_MAX) + u32::from(CREDIT_MAX) + 2, 2);
        assert_eq!(tried(&mut wakefulness, 1000, TURNS - 1), 1000);
    }

    #[test]
    fn work_without_a_pause_is_neither_earned_nor_in_vain() {
        let mut wakefulness = Wakefulness::new(TURNS);
        tried(&mut wakefulness, 1000, TURNS);
        assert_eq!(wakefulness.credit, 0);
        tried(&mut wakefulness, 1000, 0);
        assert_eq!(wakefulness.credit, 0);
    }

    #[test]
    fn without_turns_it_never_wakes() {
        let mut wakefulness = Wakefulness::new(0);
        assert!((0..100).all(|_| !wakefulness.expect_more() && !wakefulness.is_awake()));
    }

    /// A runtime whose clock is stopped moves it on when it would sleep.
    #[tokio::test(start_paused = true)]
    async fn an_answer_within_the_turns_finds_the_thread_awake() {
        let story = async {
            let busy_poll = BusyPoll::new(u32::MAX);
            busy_poll.start();
            tokio::task::yield_now().await;
            let (answer, answered) = oneshot::channel();
            busy_poll.expect_more();
            let other = thread::spawn(move || {
                (0..1000).for_each(|_| thread::yield_now());
                answer.send(())
            });
            let answered = tokio::time::timeout(Duration::from_secs(1), answered).await;
            other.join().expect("it does not panic").expect("somebody waits");
            answered.is_ok_and(|answer| answer.is_ok())
        };
        assert!(LocalSet::new().run_until(story).await, "the thread slept");
    }

    #[tokio::test]
    async fn it_ends_with_the_node() {
        let story = async {
            let busy_poll = BusyPoll::new(TURNS);
            let task = actix_rt::spawn(stay_awake(Rc::downgrade(&busy_poll.0)));
            busy_poll.expect_more();
            tokio::task::yield_now().await;
            drop(busy_poll);
            task.await
        };
        LocalSet::new().run_until(story).await.expect("it does not panic");
    }
}
