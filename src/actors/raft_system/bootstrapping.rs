//! A list of peers for a node that was started without one.

use actix::{Handler, MessageResult};

use super::{RaftSystem, batch::Refusal};
use crate::{
    error::BootstrapError,
    mailbox::Context,
    messages::{Bootstrap, FormCluster},
    state_machine::StateMachine,
    types::{Incarnation, Membership, NodeId, Server, Suffrage},
};

impl<S: StateMachine> RaftSystem<S> {
    fn check_bootstrap(&self, peers: &[(NodeId, String)]) -> Result<(), BootstrapError> {
        match self.lifecycle.refusal() {
            None => {}
            Some(Refusal::Failed(fatal)) => return Err(BootstrapError::Failed(fatal)),
            Some(_) => return Err(BootstrapError::ShuttingDown),
        }
        if !peers.iter().any(|(id, _)| *id == self.node.id) {
            return Err(BootstrapError::NotListed);
        }
        let voter = |(id, address): &(NodeId, String)| Server {
            id: id.clone(),
            address: address.clone(),
            suffrage: Suffrage::Voter,
            incarnation: Incarnation::NONE,
        };
        Membership::new(peers.iter().map(voter))?;
        let blank = self.node.leadership.borrow().blank;
        match blank {
            None => Err(BootstrapError::HasState),
            Some(listed) if listed || self.bootstrapping => Err(BootstrapError::InProgress),
            Some(_) => Ok(()),
        }
    }
}

impl<S: StateMachine> Handler<Bootstrap> for RaftSystem<S> {
    type Result = MessageResult<Bootstrap>;

    fn handle(&mut self, Bootstrap { peers }: Bootstrap, _: &mut Context<Self>) -> Self::Result {
        let checked = self.check_bootstrap(&peers);
        if checked.is_ok() {
            self.bootstrapping = true;
            self.node.ports().consensus.form.send_now(FormCluster { peers });
        }
        MessageResult(checked)
    }
}
