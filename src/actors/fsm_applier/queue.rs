//! The way to the state machine: its actor, or the step itself when it is placed inline.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use super::{FsmApplier, FsmCompletion, FsmStep, FsmWork};
use crate::{
    actors::node::{FsmQueue, Node},
    mailbox::{Outlet, Port},
    messages::{FsmMutate, FsmQuery, FsmRestore, FsmRetry, FsmSnapshot, StopActor},
    state_machine::StateMachine,
};

/// See the module. Whatever the way, completions come as messages, in order.
pub(crate) enum StateMachineQueue<S: StateMachine> {
    /// The state machine has a thread behind its actor.
    Actor(Port<FsmApplier<S>>),
    /// The state machine never blocks: a hop to an actor would cost more than the work.
    Inline(Rc<InlineFsm<S>>),
}

/// A state machine on the protocol thread.
pub(crate) struct InlineFsm<S: StateMachine> {
    step: RefCell<FsmStep<S>>,
    done: Outlet<FsmCompletion<S>>,
    node: Weak<Node>,
}

impl<S: StateMachine> InlineFsm<S> {
    pub(crate) fn new(step: FsmStep<S>, done: Outlet<FsmCompletion<S>>, node: &Rc<Node>) -> Rc<Self> {
        Rc::new(Self { step: RefCell::new(step), done, node: Rc::downgrade(node) })
    }

    fn perform(&self, work: FsmWork<S>) {
        self.step.borrow_mut().perform(work, &mut |completion| {
            if !self.is_noted(&completion) {
                self.done.send_now(completion);
            }
        });
    }

    /// Entries that nobody here waits for, as on a follower, are noted without a message.
    fn is_noted(&self, completion: &FsmCompletion<S>) -> bool {
        let (FsmCompletion::Applied(applied), Some(node)) = (completion, self.node.upgrade()) else {
            return false;
        };
        let awaited = node.awaited.get() || node.readers_wait.get() || !applied.replies.is_empty();
        if !awaited {
            node.note_applied(applied.last.index, applied.bytes);
        }
        !awaited
    }
}

impl<S: StateMachine> StateMachineQueue<S> {
    pub(crate) fn query(&self, message: FsmQuery<S>) {
        match self {
            Self::Actor(port) => port.send_now(message),
            Self::Inline(machine) => machine.perform(FsmWork::Query(message)),
        }
    }

    pub(crate) fn stop(&self) {
        if let Self::Actor(port) = self {
            port.send_now(StopActor);
        }
    }
}

impl<S: StateMachine> Clone for StateMachineQueue<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Actor(port) => Self::Actor(port.clone()),
            Self::Inline(machine) => Self::Inline(machine.clone()),
        }
    }
}

impl<S: StateMachine> FsmQueue for StateMachineQueue<S> {
    fn mutate(&self, message: FsmMutate) {
        match self {
            Self::Actor(port) => port.send_now(message),
            Self::Inline(machine) => machine.perform(FsmWork::Mutate(message)),
        }
    }

    fn snapshot(&self) {
        match self {
            Self::Actor(port) => port.send_now(FsmSnapshot),
            Self::Inline(machine) => machine.perform(FsmWork::Snapshot),
        }
    }

    fn restore(&self, message: FsmRestore) {
        match self {
            Self::Actor(port) => port.send_now(message),
            Self::Inline(machine) => machine.perform(FsmWork::Restore(message)),
        }
    }

    fn retry(&self) {
        match self {
            Self::Actor(port) => port.send_now(FsmRetry),
            Self::Inline(machine) => machine.perform(FsmWork::Retry),
        }
    }
}
