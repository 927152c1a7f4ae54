//! The way to the state machine: its actor, or the step itself when it is placed inline.

use std::{cell::RefCell, rc::Rc};

use super::{FsmApplier, FsmCompletion, FsmStep, FsmWork};
use crate::{
    actors::node::FsmQueue,
    mailbox::{Outlet, Port},
    messages::{FsmMutate, FsmQuery, StopActor},
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
}

impl<S: StateMachine> InlineFsm<S> {
    pub(crate) fn new(machine: S, done: Outlet<FsmCompletion<S>>) -> Rc<Self> {
        Rc::new(Self { step: RefCell::new(FsmStep::new(machine)), done })
    }

    fn perform(&self, work: FsmWork<S>) {
        self.step.borrow_mut().perform(work, &mut |completion| self.done.send_now(completion));
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
}
