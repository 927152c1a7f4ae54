//! Frames that wait for one connection's socket. Filled from any thread, emptied by the connection's task.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;

use crate::wire::{FrameError, Outgoing};

/// The queue in front of one socket.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    out: Outgoing,
    /// Bytes ever queued; where in the stream the next frame starts.
    queued: u64,
    /// Bytes the system has taken over. Nothing behind them has left this node.
    written: u64,
    closed: bool,
    /// The connection's task, to be woken once.
    waits: Option<Waker>,
}

/// Why a frame was not queued.
#[derive(Debug)]
pub(super) enum Rejected {
    /// Too much waits already.
    Full,
    /// The connection is being closed.
    Closed,
    /// It is no frame that can be sent.
    Frame(FrameError),
}

impl Outbox {
    /// Queues what `encode` makes unless `bytes_max` wait already. Returns where in the stream it starts.
    pub(super) fn push(
        &self,
        bytes_max: usize,
        encode: impl FnOnce(&mut Outgoing) -> Result<(), FrameError>,
    ) -> Result<u64, Rejected> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Rejected::Closed);
        }
        if queue.unwritten() >= bytes_max as u64 {
            return Err(Rejected::Full);
        }
        let idle = queue.out.is_empty();
        let before = queue.out.len();
        encode(&mut queue.out).map_err(Rejected::Frame)?;
        let start = queue.queued;
        queue.queued += (queue.out.len() - before) as u64;
        let waits = if idle { queue.waits.take() } else { None };
        drop(queue);
        if let Some(task) = waits {
            task.wake();
        }
        Ok(start)
    }

    /// Moves everything queued into `pieces` once that is empty, so that the outbox knows how much is unwritten.
    /// `task` is woken when something is queued where nothing was, or the outbox closes. False once closed.
    pub(super) fn take(&self, pieces: &mut VecDeque<Bytes>, task: &Waker) -> bool {
        let mut queue = self.lock();
        if pieces.is_empty() {
            queue.out.drain_into(pieces);
        }
        match &mut queue.waits {
            Some(waits) => waits.clone_from(task),
            waits => *waits = Some(task.clone()),
        }
        !queue.closed
    }

    /// The system took over `bytes` more.
    pub(super) fn wrote(&self, bytes: usize) {
        self.lock().written += bytes as u64;
    }

    /// How many bytes of the stream have left this node.
    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }

    /// How many bytes wait.
    pub(super) fn unwritten(&self) -> u64 {
        self.lock().unwritten()
    }

    /// Takes nothing more; the connection's task ends.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        let waits = queue.waits.take();
        drop(queue);
        if let Some(task) = waits {
            task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn unwritten(&self) -> u64 {
        self.queued - self.written
    }
}
