//! One connection, between two lives: what the handshake said, and where the answers given on it go.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::{
    Cargo, Passage,
    channel::Ends,
    hosts::{Life, Vital},
    shared::Shared,
};
use crate::{
    transport::{Identity, Inbound, ResponseSink, RpcError},
    types::{NodeId, Response},
};

/// Never changes; a handshake that says something else makes another one.
pub(super) struct Connection {
    pub(super) answers: Arc<Answers>,
    /// The life that asks.
    pub(super) asking: Life,
    /// Who it is, as it said in the handshake.
    pub(super) from: Identity,
    /// Who answers.
    pub(super) peer: NodeId,
    pub(super) inbound: Arc<dyn Inbound>,
    /// Nothing is sent before.
    pub(super) open_from: Instant,
    /// Neither side was blank: what they said holds from now on.
    pub(super) is_lasting: bool,
}

/// Where the node that is asked answers. Does not hold the node, which may hold it for ever.
pub(super) struct Answers {
    pub(super) shared: Weak<Shared>,
    pub(super) ends: Arc<Ends>,
    /// The life that answers.
    pub(super) answering: Life,
}

impl Connection {
    pub(super) fn ends(&self) -> &Arc<Ends> {
        &self.answers.ends
    }
}

impl ResponseSink for Answers {
    /// The node answers. Its answer leaves it, unless it is dead or has stopped.
    fn respond(&self, request_id: u64, result: Result<Response, RpcError>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let (vital, watch) =
            shared.change(|state, _| (state.hosts.vital(self.answering), state.watch.clone()));
        if vital != Vital::Running {
            return;
        }
        // Whatever the error, all that is sent is that there is no answer.
        let result = result.map_err(|_| RpcError::Dropped);
        if let Some(watch) = watch {
            watch.leaves(self.ends.way_back(), Cargo::Answer(result.as_ref()));
        }
        shared.change(|state, now| state.answer_departs(now, self.ends.channel, request_id, result));
    }
}

impl Ends {
    /// The way of requests.
    pub(super) fn way_there(&self) -> Passage<'_> {
        Passage { from: &self.from, to: &self.to, lane: self.channel.lane }
    }

    /// The way of answers.
    pub(super) fn way_back(&self) -> Passage<'_> {
        Passage { from: &self.to, to: &self.from, lane: self.channel.lane }
    }
}
