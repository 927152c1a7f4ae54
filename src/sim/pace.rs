//! How fast the threads of a simulated node are: the log's disk, the state machine, and what writes snapshots.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use tokio::time::Instant;

use crate::actors::paced::{Pace, Thread};

/// Usual times, in microseconds: from, to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadTimes {
    /// What a write and its flush take.
    pub(crate) flush_us: (u64, u64),
    /// What a portion of commands takes.
    pub(crate) apply_us: (u64, u64),
    /// What writing a state takes.
    pub(crate) persist_us: (u64, u64),
    /// How much later a completion arrives.
    pub(crate) completion_us: (u64, u64),
}

/// The pace of one node over all its lives. A clone is the same one.
#[derive(Clone)]
pub(crate) struct NodePace(Rc<Inner>);

struct Inner {
    times: ThreadTimes,
    rng: RefCell<fastrand::Rng>,
    /// No flush ends before.
    stalled_until: Cell<Option<Instant>>,
    /// Until when the state machine takes this long for each portion.
    slow_machine: Cell<Option<(Instant, Duration)>>,
}

impl NodePace {
    pub(crate) fn new(times: ThreadTimes, seed: u64) -> Self {
        Self(Rc::new(Inner {
            times,
            rng: RefCell::new(fastrand::Rng::with_seed(seed)),
            stalled_until: Cell::new(None),
            slow_machine: Cell::new(None),
        }))
    }

    /// Lets the disk hang.
    pub(crate) fn stall_disk(&self, span: Duration) {
        self.0.stalled_until.set(Some(Instant::now() + span));
    }

    /// Lets the state machine take `each` for every portion, for a while.
    pub(crate) fn slow_machine(&self, span: Duration, each: Duration) {
        self.0.slow_machine.set(Some((Instant::now() + span, each)));
    }

    /// Everything is as fast as usual again.
    pub(crate) fn recover(&self) {
        self.0.stalled_until.set(None);
        self.0.slow_machine.set(None);
    }

    fn draw(&self, (from, to): (u64, u64)) -> Duration {
        Duration::from_micros(self.0.rng.borrow_mut().u64(from..=to.max(from)))
    }
}

impl Pace for NodePace {
    fn work(&self, thread: Thread) -> Duration {
        let now = Instant::now();
        match thread {
            Thread::Storage => {
                let stalled = self.0.stalled_until.get().map_or(Duration::ZERO, |until| until - now);
                stalled + self.draw(self.0.times.flush_us)
            }
            Thread::StateMachine => {
                let slow = self.0.slow_machine.get().filter(|(until, _)| now < *until);
                slow.map_or(Duration::ZERO, |(_, each)| each) + self.draw(self.0.times.apply_us)
            }
            Thread::Snapshots => self.draw(self.0.times.flush_us),
            Thread::Persist => self.draw(self.0.times.persist_us),
        }
    }

    fn completion(&self, _: Thread) -> Duration {
        self.draw(self.0.times.completion_us)
    }
}
