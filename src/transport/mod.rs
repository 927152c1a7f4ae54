//! Transports: how requests and answers travel between nodes, behind one trait.
//!
//! [`memory`] joins the nodes of one process, [`tcp`] those of several; [`conformance`] is the contract as
//! a suite that both pass.
//!
//! This room knows types and nothing of actors or messages. A transport delivers inbound requests to
//! [`Inbound`] and answers to the [`Responder`] that came with the request; it keeps no request after
//! its connection is gone.

pub mod conformance;
pub mod memory;
pub mod tcp;

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::types::{ClusterId, GroupId, Incarnation, Lane, NodeId, Request, Response};

/// Who a node is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: NodeId,
    /// Its cluster; none while it is blank.
    pub cluster: ClusterId,
    /// Its group.
    pub group: GroupId,
    /// Its incarnation.
    pub incarnation: Incarnation,
}

impl Identity {
    /// Checks, from this node's side, that `there` is the peer called `expected`, or [anybody](NodeId::anybody), and may be
    /// talked to:
    /// clusters are the same, or one of the two does not have one yet.
    ///
    /// # Errors
    /// Says which of the two is wrong.
    pub fn accepts(&self, there: &Identity, expected: &NodeId) -> Result<(), Refusal> {
        if there.id != *expected && !expected.is_anybody() {
            return Err(Refusal::WrongNode { expected: expected.clone(), found: there.id.clone() });
        }
        let blank = self.cluster.is_none() || there.cluster.is_none();
        if self.group != there.group || !(blank || self.cluster == there.cluster) {
            return Err(Refusal::WrongCluster { peer: there.id.clone(), cluster: there.cluster });
        }
        Ok(())
    }
}

/// Why two nodes do not talk to each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another node answers at the address.
    #[error("expected node {expected}, found node {found}")]
    WrongNode {
        /// Who was expected.
        expected: NodeId,
        /// Who is there.
        found: NodeId,
    },
    /// The peer belongs to another cluster or group.
    #[error("node {peer} belongs to another cluster: {cluster}")]
    WrongCluster {
        /// The peer.
        peer: NodeId,
        /// Its cluster.
        cluster: ClusterId,
    },
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No byte of the request left this node: it may be sent again.
    #[error("not sent: {0}")]
    NotSent(String),
    /// A part or all of it may have reached the peer: only what is safe to repeat may be sent again.
    #[error("connection lost after sending: {0}")]
    Lost(String),
    /// The peer took the request and dropped it without an answer.
    #[error("the peer gave no answer")]
    Dropped,
}

/// What waits for answers: one per actor or connection, shared by all its requests.
pub trait ResponseSink: Send + Sync {
    /// The answer to the request numbered `request_id`. Called at most once for each.
    fn respond(&self, request_id: u64, result: Result<Response, RpcError>);
}

/// The right, and the duty, to answer one request. Dropping it answers [`RpcError::Dropped`].
pub struct Responder {
    sink: Option<Arc<dyn ResponseSink>>,
    request_id: u64,
}

impl Responder {
    /// An answer to `request_id` goes to `sink`.
    pub fn new(sink: Arc<dyn ResponseSink>, request_id: u64) -> Self {
        Self { sink: Some(sink), request_id }
    }

    /// Answers.
    pub fn respond(mut self, result: Result<Response, RpcError>) {
        if let Some(sink) = self.sink.take() {
            sink.respond(self.request_id, result);
        }
    }

    /// Answers nothing, ever: who asked is dead. For simulated crashes alone, since a process that lives
    /// waits for each of its answers.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn abandon(mut self) {
        self.sink = None;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.respond(self.request_id, Err(RpcError::Dropped));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder(#{})", self.request_id)
    }
}

/// Where inbound requests go: the node.
pub trait Inbound: Send + Sync + 'static {
    /// A request arrived from `from`. Must not block.
    fn deliver(&self, from: &Identity, request: Request, responder: Responder);

    /// Who this node is now; asked at each handshake, since a blank node gets its cluster later.
    fn identity(&self) -> Identity;
}

/// One lane to one peer. Connects by itself, and again after a loss, with growing pauses.
pub trait Link {
    /// Sends `request`; the answer, or why there is none, goes to `responder`, also when this node is
    /// not connected (then [`RpcError::NotSent`], at once or as soon as that is known).
    /// Requests of one link arrive in the order they were sent.
    fn send(&self, request: Request, responder: Responder);
}

/// Why a transport did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How a node reaches the others.
///
/// # Contract
/// 1. `start` is called once, on the node's thread, within a tokio `LocalSet`; tasks are spawned there.
/// 2. Every request given to a [`Link`] is answered exactly once through its responder.
/// 3. Nothing a peer sends may panic, or allocate more than the limits say.
/// 4. After `stop` nothing is delivered any more and every waiting responder is answered.
/// 5. A request that is not [repeatable](Request::is_repeatable) is delivered at most once: a command that came twice
///    would be applied twice. Everything else may come twice, and on different lanes or connections in any order.
pub trait Transport: 'static {
    /// Begins to listen and to deliver requests. Returns the address listened on.
    ///
    /// # Errors
    /// [`TransportError::Bind`] if the address is taken or not ours.
    fn start(&mut self, inbound: Arc<dyn Inbound>) -> Result<String, TransportError>;

    /// A lane to the peer called `id` at `address`. Connects on first use.
    fn link(&self, id: &NodeId, address: &str, lane: Lane) -> Box<dyn Link>;

    /// Stops listening and closes every connection.
    fn stop(&mut self);
}
