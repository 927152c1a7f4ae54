//! Between the applier and the step that does the work.

#[cfg(any(test, feature = "sim"))]
use std::collections::VecDeque;

#[cfg(any(test, feature = "sim"))]
use crate::actors::paced::{Job, PacedThread};
use crate::{mailbox::Outlet, state_machine::StateMachine};

use super::{FsmCompletion, FsmStep, FsmWork, thread::FsmThread};

/// Where the step runs.
pub(crate) enum Bridge<S: StateMachine> {
    /// On a thread of its own.
    Thread(FsmThread<S>),
    /// On this thread, when a simulator says.
    #[cfg(any(test, feature = "sim"))]
    Paced(PacedThread<QueuedStep<S>>),
}

impl<S: StateMachine> Bridge<S> {
    /// A thread of its own for `step`.
    pub(crate) fn thread(step: FsmStep<S>, done: Outlet<FsmCompletion<S>>, name: &str) -> Self {
        Self::Thread(FsmThread::start(step, done, name))
    }

    pub(super) fn queue(&self, work: FsmWork<S>) {
        match self {
            // A thread that has ended has said why before.
            Self::Thread(thread) => drop(thread.queue(work)),
            #[cfg(any(test, feature = "sim"))]
            Self::Paced(thread) => {
                thread.queue(work);
            }
        }
    }
}

/// The step with what is queued for it.
#[cfg(any(test, feature = "sim"))]
pub(crate) struct QueuedStep<S: StateMachine> {
    step: FsmStep<S>,
    queue: VecDeque<FsmWork<S>>,
}

#[cfg(any(test, feature = "sim"))]
impl<S: StateMachine> QueuedStep<S> {
    pub(crate) fn new(step: FsmStep<S>) -> Self {
        Self { step, queue: VecDeque::new() }
    }
}

#[cfg(any(test, feature = "sim"))]
impl<S: StateMachine> Job for QueuedStep<S> {
    type Work = FsmWork<S>;
    type Done = FsmCompletion<S>;

    fn queue(&mut self, work: FsmWork<S>) {
        self.queue.push_back(work);
    }

    fn run(&mut self, emit: &mut dyn FnMut(FsmCompletion<S>)) -> bool {
        if let Some(work) = self.queue.pop_front() {
            self.step.perform(work, emit);
        }
        !self.queue.is_empty()
    }

    fn is_last(_: &FsmCompletion<S>) -> bool {
        false
    }
}
