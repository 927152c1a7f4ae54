//! The bridges to the threads that touch snapshot files.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use super::{FileStep, FileWork, LongWork, SnapshotCompletion};
use crate::{mailbox::Outlet, storage::StorageError};

/// A thread that runs a [`FileStep`]. Its queue is bounded by the snapshotter, which takes one at a time, and by
/// what leaders have under way.
/// It ends when this is dropped, and is never joined: a disk that hangs must not hold up the node's end.
pub(crate) struct FileThread {
    queue: Sender<FileWork>,
    done: Outlet<SnapshotCompletion>,
}

impl FileThread {
    /// Starts the thread; if there is none to be had, there are no snapshots.
    pub(super) fn start(step: FileStep, done: Outlet<SnapshotCompletion>, name: &str) -> Self {
        let (queue, work) = channel();
        let worker = done.clone();
        let started = std::thread::Builder::new()
            .name(format!("raftix-snapshot-{name}"))
            .spawn(move || serve(step, &work, &worker));
        if let Err(error) = started {
            tracing::error!(node = name, %error, "cannot start the thread of the snapshots");
        }
        Self { queue, done }
    }

    pub(super) fn queue(&self, work: FileWork) {
        if let Err(unsent) = self.queue.send(work)
            && let Some(told) = unsent.0.waiting().failed(ended())
        {
            self.done.send_now(told);
        }
    }
}

fn ended() -> Arc<StorageError> {
    Arc::new(StorageError::Misuse("the thread of the snapshots has ended".to_owned()))
}

fn serve(mut step: FileStep, queue: &Receiver<FileWork>, done: &Outlet<SnapshotCompletion>) {
    while let Ok(work) = queue.recv() {
        let waiting = work.waiting();
        let performed = catch_unwind(AssertUnwindSafe(|| {
            step.perform(work, &mut |completion| done.send_now(completion));
        }));
        if performed.is_err() {
            // The store may be anybody's, and its state is not to be trusted now. The log keeps everything.
            tracing::error!("the snapshot store panicked: there are no snapshots any more");
            if let Some(told) = waiting.failed(ended()) {
                done.send_now(told);
            }
            return;
        }
    }
}

/// Does what may take long on a thread of its own, which ends with it.
pub(super) fn perform_beside(work: LongWork, done: Outlet<SnapshotCompletion>, name: &str) {
    let (told, refused) = (done.clone(), work.refused());
    let started = std::thread::Builder::new()
        .name(format!("raftix-persist-{name}"))
        .spawn(move || done.send_now(work.perform()));
    if let Err(error) = started {
        told.send_now(refused(&error));
    }
}
