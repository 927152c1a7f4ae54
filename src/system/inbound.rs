//! From the transport into the actors: which request goes to whom.

use std::sync::Arc;

use crate::{
    actors::{consensus::Consensus, raft_system::RaftSystem},
    board::Board,
    mailbox::Port,
    messages::{PreVote, Rpc},
    state_machine::StateMachine,
    transport::{Identity, Inbound, Responder},
    types::Request,
};

/// See the module.
pub(super) struct NodeInbound<S: StateMachine> {
    pub(super) board: Arc<Board>,
    pub(super) consensus: Port<Consensus>,
    pub(super) front: Port<RaftSystem<S>>,
}

impl<S: StateMachine> Inbound for NodeInbound<S> {
    fn deliver(&self, from: &Identity, request: Request, responder: Responder) {
        // The handshake may be older than this node's cluster: a blank node talks to anybody.
        if self.board.is_stranger(from) {
            return;
        }
        let from = from.id.clone();
        let to = &self.consensus;
        match request {
            Request::AppendEntries(request) => to.send_now(Rpc { from, request, responder }),
            Request::Heartbeat(request) => to.send_now(Rpc { from, request, responder }),
            Request::PreVote(request) => to.send_now(Rpc { from, request: PreVote(request), responder }),
            Request::RequestVote(request) => to.send_now(Rpc { from, request, responder }),
            Request::TimeoutNow(request) => to.send_now(Rpc { from, request, responder }),
            Request::Greet(request) => to.send_now(Rpc { from, request, responder }),
            Request::ForwardApply(request) => self.front.send_now(Rpc { from, request, responder }),
            Request::ForwardReadIndex(request) => self.front.send_now(Rpc { from, request, responder }),
            Request::ForwardTransfer(request) => self.front.send_now(Rpc { from, request, responder }),
            Request::ForwardChange(request) => self.front.send_now(Rpc { from, request, responder }),
            Request::InstallSnapshot(request) => to.send_now(Rpc { from, request, responder }),
        }
    }

    fn identity(&self) -> Identity {
        self.board.identity()
    }
}
