//! What every handle to a network shares: its state behind one lock, and the call that wakes its carrier.
//!
//! Nothing of a node is called or dropped under the lock: dropping what a node gave may answer a request,
//! and that asks for the lock. What is over is collected as [`Remains`] and settled outside.

use std::sync::{Mutex, PoisonError};

use tokio::{sync::Notify, time::Instant};

use super::{remains::Remains, state::State};

pub(super) struct Shared {
    state: Mutex<State>,
    /// Something is due earlier than what the carrier waits for.
    pub(super) hastened: Notify,
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
