//! The bridge to the state machine's own thread.

use std::sync::mpsc::{Receiver, SendError, Sender, channel};

use super::{FsmCompletion, FsmStep, FsmWork};
use crate::{error::Fatal, mailbox::Outlet, messages::FsmFailed, state_machine::StateMachine};

/// A thread that runs an [`FsmStep`]. Its queue is bounded by the hand-off and by the readers' credits.
pub(crate) struct FsmThread<S: StateMachine> {
    queue: Sender<FsmWork<S>>,
}

impl<S: StateMachine> FsmThread<S> {
    /// Starts the thread; if there is none to be had, the node fails with that reason.
    pub(super) fn start(step: FsmStep<S>, done: Outlet<FsmCompletion<S>>, name: &str) -> Self {
        let (queue, work) = channel();
        let worker = done.clone();
        // Never joined: a state machine that does not return must not hold up the node's end.
        let started = std::thread::Builder::new()
            .name(format!("raftix-fsm-{name}"))
            .spawn(move || serve(step, &work, &worker));
        if let Err(error) = started {
            done.send_now(FsmCompletion::Failed(FsmFailed { fatal: Fatal::Thread(error.to_string()) }));
        }
        Self { queue }
    }

    pub(super) fn queue(&self, work: FsmWork<S>) -> Result<(), SendError<FsmWork<S>>> {
        self.queue.send(work)
    }
}

fn serve<S: StateMachine>(
    mut step: FsmStep<S>,
    work: &Receiver<FsmWork<S>>,
    done: &Outlet<FsmCompletion<S>>,
) {
    while let Ok(work) = work.recv() {
        step.perform(work, &mut |completion| done.send_now(completion));
    }
}
