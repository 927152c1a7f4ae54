//! Handing leadership on, as it travels from the node that was asked to the leader.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::NodeId;

/// Any node → leader: let another node lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardTransfer {
    /// The voter that is to lead; `None` for the one whose log is furthest.
    pub to: Option<NodeId>,
    /// How long the caller still waits, in milliseconds from receipt.
    pub timeout_ms: u64,
}

/// Leader, by then perhaps a former one → asking node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardTransferResponse {
    /// Who leads now, or why nothing changed.
    pub result: Result<NodeId, TransferFailure>,
}

/// Why leadership was not handed on, as one node tells another.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TransferFailure {
    /// Not the leader.
    #[error("not the leader")]
    NotLeader {
        /// Who is, if known.
        leader: Option<NodeId>,
    },
    /// There is no other voter.
    #[error("there is no other voter")]
    NoTarget,
    /// No member has this name.
    #[error("{0} is not a member")]
    UnknownServer(NodeId),
    /// The node named leads already.
    #[error("{0} leads already")]
    Itself(NodeId),
    /// The node named does not vote (hashicorp/raft#398).
    #[error("{0} is not a voter")]
    Nonvoter(NodeId),
    /// Leadership is being handed on already.
    #[error("leadership is being handed on already")]
    InProgress,
    /// The node that was told to stand does not.
    #[error("{0} refused to stand")]
    TargetRefused(NodeId),
    /// The node that was to be told to stand cannot be reached.
    #[error("{0} cannot be reached")]
    TargetUnreachable(NodeId),
    /// The node that was asked has too many requests waiting.
    #[error("overloaded")]
    Overloaded,
    /// The other node does not lead in time.
    #[error("the other node did not lead in time")]
    TimedOut,
    /// Somebody else leads than was asked for.
    #[error("{0} leads now")]
    WentElsewhere(NodeId),
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
}
