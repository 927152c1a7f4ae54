//! Between the snapshotter and the steps that do the work.

use std::cell::RefCell;
#[cfg(any(test, feature = "sim"))]
use std::collections::VecDeque;

use super::{
    FileStep, FileWork, LongWork, SnapshotCompletion,
    thread::{FileThread, perform_beside},
};
#[cfg(any(test, feature = "sim"))]
use crate::actors::paced::{Job, PacedThread};
use crate::mailbox::Outlet;

/// Where the steps run. The store has one thread; a state is written or copied on another, however long that takes.
pub(crate) enum Bridge {
    /// On this thread.
    Inline { files: RefCell<FileStep>, done: Outlet<SnapshotCompletion> },
    /// On threads of their own.
    Threads { files: FileThread, done: Outlet<SnapshotCompletion>, name: String },
    /// On this thread, when a simulator says.
    #[cfg(any(test, feature = "sim"))]
    Paced { files: PacedThread<QueuedFiles>, long: PacedThread<LongStep> },
}

impl Bridge {
    pub(crate) fn inline(files: FileStep, done: Outlet<SnapshotCompletion>) -> Self {
        Self::Inline { files: RefCell::new(files), done }
    }

    pub(crate) fn threads(files: FileStep, done: Outlet<SnapshotCompletion>, name: &str) -> Self {
        let files = FileThread::start(files, done.clone(), name);
        Self::Threads { files, done, name: name.to_owned() }
    }

    pub(super) fn files(&self, work: FileWork) {
        match self {
            Self::Inline { files, done } => {
                files.borrow_mut().perform(work, &mut |completion| done.send_now(completion));
            }
            Self::Threads { files, .. } => files.queue(work),
            #[cfg(any(test, feature = "sim"))]
            Self::Paced { files, .. } => {
                files.queue(work);
            }
        }
    }

    pub(super) fn beside(&self, work: LongWork) {
        match self {
            Self::Inline { done, .. } => done.send_now(work.perform()),
            Self::Threads { done, name, .. } => perform_beside(work, done.clone(), name),
            #[cfg(any(test, feature = "sim"))]
            Self::Paced { long, .. } => {
                long.queue(work);
            }
        }
    }
}

/// The store's part with what is queued for it.
#[cfg(any(test, feature = "sim"))]
pub(crate) struct QueuedFiles {
    step: FileStep,
    queue: VecDeque<FileWork>,
}

#[cfg(any(test, feature = "sim"))]
impl QueuedFiles {
    pub(crate) fn new(step: FileStep) -> Self {
        Self { step, queue: VecDeque::new() }
    }
}

#[cfg(any(test, feature = "sim"))]
impl Job for QueuedFiles {
    type Work = FileWork;
    type Done = SnapshotCompletion;

    fn queue(&mut self, work: FileWork) {
        self.queue.push_back(work);
    }

    fn run(&mut self, emit: &mut dyn FnMut(SnapshotCompletion)) -> bool {
        if let Some(work) = self.queue.pop_front() {
            self.step.perform(work, emit);
        }
        !self.queue.is_empty()
    }

    fn is_last(done: &SnapshotCompletion) -> bool {
        matches!(done, SnapshotCompletion::Closed)
    }
}

/// What writes and copies states, with what is queued for it.
#[cfg(any(test, feature = "sim"))]
#[derive(Default)]
pub(crate) struct LongStep(VecDeque<LongWork>);

#[cfg(any(test, feature = "sim"))]
impl Job for LongStep {
    type Work = LongWork;
    type Done = SnapshotCompletion;

    fn queue(&mut self, work: LongWork) {
        self.0.push_back(work);
    }

    fn run(&mut self, emit: &mut dyn FnMut(SnapshotCompletion)) -> bool {
        if let Some(work) = self.0.pop_front() {
            emit(work.perform());
        }
        !self.0.is_empty()
    }

    fn is_last(_: &SnapshotCompletion) -> bool {
        false
    }
}
