//! The follower's side of a snapshot (Raft §7).

use actix::Handler;

use super::Consensus;
use crate::{
    mailbox::Context,
    messages::Rpc,
    types::{InstallOutcome, InstallSnapshot, InstallSnapshotResponse, Response},
};

impl Handler<Rpc<InstallSnapshot>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<InstallSnapshot>, _: &mut Context<Self>) {
        rpc.responder.respond(Ok(Response::InstallSnapshot(InstallSnapshotResponse {
            term: self.election.term(),
            incarnation: self.node.incarnation,
            outcome: InstallOutcome::Refused,
        })));
    }
}
