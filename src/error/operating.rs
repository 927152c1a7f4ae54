//! How what an operator or an onlooker asks of a node is refused.

use thiserror::Error;

use super::Fatal;
use crate::types::MembershipError;

/// Why an observer was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// [`OBSERVERS_MAX`](Self::OBSERVERS_MAX) observe already.
    #[error("{max} observers are registered already", max = Self::OBSERVERS_MAX)]
    TooMany,
}

impl ObserveError {
    /// The most observers of one node.
    pub const OBSERVERS_MAX: usize = 64;
}

/// Why a [`Bootstrap`](crate::Bootstrap) was not begun.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// The node belongs to a cluster, or waits to be added to one (hashicorp's `ErrCantBootstrap`).
    #[error("this node has state, or waits to be added to a cluster")]
    HasState,
    /// It was given a list before: by a message, or when it was started.
    #[error("this node was given a list of peers already, and forms a cluster with them")]
    InProgress,
    /// The list lacks this node (hashicorp's `ErrNotVoter`).
    #[error("the list of peers must name this node too")]
    NotListed,
    /// The list is no membership.
    #[error("peers: {0}")]
    Peers(#[from] MembershipError),
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has failed.
    #[error("the node has failed: {0}")]
    Failed(Fatal),
}
