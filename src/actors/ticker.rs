//! Turns time into messages.
//!
//! A busy actor polls its own timers last, so no protocol actor has one: each gets [`Tick`]s through its
//! mailbox. The ticker shares the receivers' thread, and late ticks are not made up for: whoever was busy finds
//! one tick waiting, not a burst.
//!
//! Mailbox: none. Voice: `Tick`. Go: `randomTimeout`.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{clock::Clock, messages::Tick};

/// Delivers one tick; false once the receiver is gone.
type Deliver = Box<dyn Fn(Tick) -> bool>;

/// The receivers of a node's ticks. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Ticker {
    receivers: Rc<RefCell<Vec<Deliver>>>,
}

impl Ticker {
    /// Adds a receiver until `deliver` says that it is gone.
    pub(crate) fn subscribe(&self, deliver: impl Fn(Tick) -> bool + 'static) {
        self.receivers.borrow_mut().push(Box::new(deliver));
    }

    /// Starts ticking every `interval` of `clock`, until the task is aborted.
    pub(crate) fn start(&self, clock: Clock, interval: Duration) -> JoinHandle<()> {
        let ticker = self.clone();
        actix_rt::spawn(async move {
            let mut interval = tokio::time::interval(clock.wait(interval));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                ticker.deliver(Tick { now: clock.now() });
            }
        })
    }

    fn deliver(&self, tick: Tick) {
        // A receiver may subscribe another while it is told, so the list is not borrowed meanwhile.
        let mut receivers = self.receivers.take();
        receivers.retain(|deliver| deliver(tick));
        let mut added = self.receivers.borrow_mut();
        receivers.append(&mut added);
        *added = receivers;
    }
}
