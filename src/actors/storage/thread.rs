//! The bridge to a store's own thread: one wake per batch, never per entry.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use super::{Completion, Completions, Operation, StorageStep};
use crate::storage::StorageError;

/// A thread that runs a [`StorageStep`] on whatever is queued.
///
/// The queue is bounded by what feeds it: the credits of the front door and the windows of the leaders.
pub(crate) struct StorageThread {
    queue: Sender<Operation>,
    blocked: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StorageThread {
    /// Starts the thread; if there is none to be had, the store has failed with that reason.
    pub(super) fn start(step: StorageStep, completions: Completions, name: &str) -> Self {
        let (queue, operations) = channel();
        let blocked = Arc::new(AtomicBool::new(false));
        let (flag, worker) = (blocked.clone(), completions.clone());
        let started = std::thread::Builder::new()
            .name(format!("raftix-log-{name}"))
            .spawn(move || serve(step, &operations, &worker, &flag));
        let thread = started.map_err(|source| {
            let file = "the log's thread".to_owned();
            let error = StorageError::Io { operation: "start", file, source };
            completions.send_now(Completion::Failed(Arc::new(error)));
        });
        Self { queue, blocked, thread: thread.ok() }
    }

    /// False if the thread has ended.
    pub(super) fn queue(&self, operation: Operation) -> bool {
        self.queue.send(operation).is_ok()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }
}

impl Drop for StorageThread {
    fn drop(&mut self) {
        // The thread ends after Close; if it hangs in the medium, the process must not hang with it.
        if let Some(thread) = self.thread.take()
            && thread.is_finished()
        {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut step: StorageStep,
    operations: &Receiver<Operation>,
    completions: &Completions,
    blocked: &AtomicBool,
) {
    while let Ok(operation) = operations.recv() {
        step.queue(operation);
        while let Ok(operation) = operations.try_recv() {
            step.queue(operation);
        }
        let mut closed = false;
        let mut deliver = |completion: Completion| {
            closed |= matches!(completion, Completion::Closed);
            if !matches!(completion, Completion::Closed) {
                completions.send_now(completion);
            }
        };
        if catch_unwind(AssertUnwindSafe(|| step.run(&mut deliver))).is_err() {
            // The store may be anybody's. Nothing that it had not flushed was told, and nothing is from here on.
            let error = StorageError::Misuse("the store panicked".to_owned());
            return completions.send_now(Completion::Failed(Arc::new(error)));
        }
        blocked.store(step.is_blocked(), Ordering::Relaxed);
        if closed {
            // The store, and with it the lock of its directory, is let go before anybody hears of it.
            drop(step);
            completions.send_now(Completion::Closed);
            return;
        }
    }
}
