//! Why a cluster was not recovered.

use thiserror::Error;

use super::Fatal;
use crate::{
    storage::StorageError,
    types::{LogId, MembershipError, NodeId},
};

/// Why [`recover_cluster`](crate::recover_cluster) did nothing, or did not finish: then the directory says so, no node
/// starts from it, and the same call again finishes it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Something is missing in the description of the node.
    #[error("{0}")]
    Incomplete(&'static str),
    /// There is no entry and no snapshot to recover from: a blank node is started with its peers instead.
    #[error("{path} holds no state of a cluster: nothing to recover")]
    NoState {
        /// Where it was looked for.
        path: String,
    },
    /// The servers given are not a membership.
    #[error("servers: {0}")]
    Servers(#[from] MembershipError),
    /// The servers given do not name the node whose directory it is.
    #[error("the servers must name {0}, whose directory this is")]
    NotListed(NodeId),
    /// Nothing in this directory says which life of that server belongs to the cluster: it is to be added when the
    /// cluster is recovered.
    #[error("this node does not know {0}: recover the cluster without it and add it then")]
    UnknownServer(NodeId),
    /// The list of servers cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// Which file, or that it was a text.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state machine failed on what it was given; it is of another version, or has a bug.
    #[error(transparent)]
    StateMachine(Fatal),
    /// The state machine has no snapshots, or could not write one.
    #[error("no snapshot of the state up to {last}: {reason}")]
    Snapshot {
        /// The last entry whose effect it would have held.
        last: LogId,
        /// What the state machine or the medium said.
        reason: String,
    },
    /// A thread could not be started, or it panicked.
    #[error("the thread of the recovery: {0}")]
    Thread(String),
}
