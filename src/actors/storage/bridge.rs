//! Between the storage actor and the step that does the work.

#[cfg(any(test, feature = "sim"))]
use crate::actors::paced::{Job, PacedThread};

use super::{Completions, Operation, StorageStep, thread::StorageThread};

#[cfg(any(test, feature = "sim"))]
use super::Completion;

/// Where the step runs.
pub(crate) enum Bridge {
    /// On a thread of its own.
    Thread(StorageThread),
    /// On this thread, when a simulator says.
    #[cfg(any(test, feature = "sim"))]
    Paced(PacedThread<StorageStep>),
}

impl Bridge {
    /// A thread of its own for `step`.
    pub(crate) fn thread(step: StorageStep, completions: Completions, name: &str) -> Self {
        Self::Thread(StorageThread::start(step, completions, name))
    }

    /// False if the step has ended.
    pub(super) fn queue(&self, operation: Operation) -> bool {
        match self {
            Self::Thread(thread) => thread.queue(operation),
            #[cfg(any(test, feature = "sim"))]
            Self::Paced(thread) => thread.queue(operation),
        }
    }

    /// Whether operations wait for room on the medium.
    pub(super) fn is_blocked(&self) -> bool {
        match self {
            Self::Thread(thread) => thread.is_blocked(),
            #[cfg(any(test, feature = "sim"))]
            Self::Paced(thread) => thread.ask(StorageStep::is_blocked).unwrap_or(false),
        }
    }
}

#[cfg(any(test, feature = "sim"))]
impl Job for StorageStep {
    type Work = Operation;
    type Done = Completion;

    fn queue(&mut self, operation: Operation) {
        StorageStep::queue(self, operation);
    }

    fn run(&mut self, emit: &mut dyn FnMut(Completion)) -> bool {
        StorageStep::run(self, emit);
        false
    }

    fn is_last(done: &Completion) -> bool {
        matches!(done, Completion::Closed)
    }
}
