//! What every handle to a network shares: its state behind one lock, and the call that wakes its carrier.
//!
//! Nothing of a node is called or dropped under the lock: dropping what a node gave may answer a request,
//! and that asks for the lock. What is over is collected as [`Remains`] and settled outside.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{sync::Notify, time::Instant};

use super::{
    channel::{Exchange, Stage},
    connection::Connection,
    state::State,
};
use crate::transport::{Inbound, Responder, RpcError};

pub(super) struct Shared {
    state: Mutex<State>,
    /// Something is due earlier than what the carrier waits for.
    pub(super) hastened: Notify,
}

/// What is over, and how it ends.
pub(super) enum Remains {
    /// The asker hears of a failure.
    Failed(Responder, RpcError),
    /// The asker is dead and hears nothing.
    Abandoned(Responder),
    /// Nobody waits any more.
    #[expect(dead_code, reason = "held to be dropped outside the lock")]
    Dropped(Rest),
}

/// What may hold a part of a node.
#[expect(dead_code, reason = "held to be dropped outside the lock")]
pub(super) enum Rest {
    Exchange(Exchange),
    Stage(Stage),
    Connection(Arc<Connection>),
    Inbound(Arc<dyn Inbound>),
}

impl Remains {
    fn settle(self) {
        match self {
            Self::Failed(responder, error) => responder.respond(Err(error)),
            Self::Abandoned(responder) => responder.abandon(),
            Self::Dropped(_) => {}
        }
    }
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), hastened: Notify::new() }
    }

    /// Does something to the state, and settles outside the lock what that ended.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state, now);
        let remains = std::mem::take(&mut state.remains);
        let hastened = state.queue.take_hastened();
        drop(state);
        if hastened {
            self.hastened.notify_one();
        }
        remains.into_iter().for_each(Remains::settle);
        result
    }
}
