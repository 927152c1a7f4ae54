//! Who may watch the node.

use actix::{Handler, MessageResult};

use super::RaftSystem;
use crate::{
    mailbox::Context,
    messages::{Observe, StopObserving},
    state_machine::StateMachine,
};

impl<S: StateMachine> Handler<Observe> for RaftSystem<S> {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, message: Observe, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.node.observers.register(message))
    }
}

impl<S: StateMachine> Handler<StopObserving> for RaftSystem<S> {
    type Result = bool;

    fn handle(&mut self, StopObserving(id): StopObserving, _: &mut Context<Self>) -> Self::Result {
        self.node.observers.deregister(id)
    }
}
