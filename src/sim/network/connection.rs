//! One connection, between two lives: what the handshake said, and where the answers given on it go.

use std::sync::Arc;

use tokio::time::Instant;

use super::{ends::Ends, hosts::Life};
use crate::{
    transport::{Identity, Inbound, ResponseSink},
    types::NodeId,
};

/// Never changes; a handshake that says something else makes another one.
pub(super) struct Connection {
    pub(super) ends: Arc<Ends>,
    pub(super) answers: Arc<dyn ResponseSink>,
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
