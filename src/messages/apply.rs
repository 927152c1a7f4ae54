//! A batch of commands on its way into the log. Go: `applyCh`.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use actix::Message;

use crate::types::{EntryBuffer, LogId};

/// A batch and what became of it, shared by the front door, which holds the callers, and the leader,
/// which appends it.
///
/// As long as the buffer is in here the batch reached neither the store nor a replicator: whoever takes
/// it out may still refuse it. Taking it is the one step after which its outcome is open.
pub(crate) struct Proposal {
    state: Mutex<State>,
}

enum State {
    Queued(EntryBuffer),
    Taken,
    Appended(LogId),
}

impl Proposal {
    pub(crate) fn new(buffer: EntryBuffer) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Queued(buffer)) })
    }

    /// Takes the entries out, once.
    pub(crate) fn take(&self) -> Option<EntryBuffer> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Queued(buffer) => Some(buffer),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The leader's note of where the first entry went.
    pub(crate) fn appended(&self, first: LogId) {
        *self.lock() = State::Appended(first);
    }

    /// Where the first entry went, if it was appended.
    pub(crate) fn first(&self) -> Option<LogId> {
        match *self.lock() {
            State::Appended(first) => Some(first),
            _ => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({:?})", self.first())
    }
}

/// Append this batch, if you still lead.
///
/// - *Go*: `applyCh`, after the group commit loop.
/// - *From → to*: RaftSystem → Leader.
/// - *Reply*: none; the [`Proposal`] says where it went, [`Applied`](super::Applied) that it is done.
/// - *Loss*: a leader that was deposed leaves the buffer in the proposal; the front door takes it back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Propose(pub(crate) Arc<Proposal>);
