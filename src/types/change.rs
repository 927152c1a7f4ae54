//! Operations on the cluster itself, as they travel from the node that was asked to the leader.

use serde::{Deserialize, Serialize};

use super::{LogIndex, NodeId};

/// What is to be done with the cluster. Only its leader can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterOperation {
    /// Change who belongs to it.
    ChangeMembership(MembershipChange),
}

/// One change of the membership, and under which conditions (thesis §4.1: one server at a time).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipChange {
    /// What is to be changed.
    pub command: MembershipCommand,
    /// Refuse unless the membership is still the one whose entry is at this index: compare-and-set.
    pub prev_index: Option<LogIndex>,
    /// Change it also if no quorum of the voters to be has been heard from lately, or the server does not answer.
    pub force: bool,
}

/// What a change does to one server (hashicorp/raft's `ConfigurationChangeCommand`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MembershipCommand {
    /// The server is to vote; one that is new catches up first (thesis §4.2.1). A voter gets the address.
    AddVoter {
        /// Its name.
        id: NodeId,
        /// Where it listens.
        address: String,
    },
    /// The server is to receive the log and count for nothing. A voter stays one and gets the address.
    AddNonvoter {
        /// Its name.
        id: NodeId,
        /// Where it listens.
        address: String,
    },
    /// The server keeps receiving the log and loses its vote.
    DemoteVoter {
        /// Its name.
        id: NodeId,
    },
    /// The server is to leave.
    RemoveServer {
        /// Its name.
        id: NodeId,
    },
}

impl MembershipCommand {
    /// Whom it is about.
    pub fn id(&self) -> &NodeId {
        match self {
            Self::AddVoter { id, .. }
            | Self::AddNonvoter { id, .. }
            | Self::DemoteVoter { id }
            | Self::RemoveServer { id } => id,
        }
    }

    /// Where the server is said to listen, if the command says so.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::AddVoter { address, .. } | Self::AddNonvoter { address, .. } => Some(address),
            Self::DemoteVoter { .. } | Self::RemoveServer { .. } => None,
        }
    }
}

/// Why an operation on the cluster is not known to be done, as one node tells another.
///
/// Every variant but [`OutcomeUnknown`](Self::OutcomeUnknown) and [`NotCaughtUp`](Self::NotCaughtUp) means that
/// nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChangeFailure {
    /// Not the leader.
    NotLeader {
        /// Who is, if known.
        leader: Option<NodeId>,
    },
    /// Too many operations wait.
    Overloaded,
    /// The membership is another than the caller believed.
    ConfigurationChanged {
        /// The index of its entry.
        index: LogIndex,
    },
    /// Afterwards no quorum of the voters would be there.
    QuorumUnreachable,
    /// The server to be added does not answer at its address.
    Unreachable,
    /// The server to be added is another cluster's, or is about to form one.
    Foreign,
    /// The server is a member with another life of its directory: to be removed first.
    AnotherLife,
    /// What would come out is no membership, for this reason.
    Invalid(String),
    /// The server to be added did not catch up with the log in time. It is a nonvoter now.
    NotCaughtUp,
    /// It was not begun before the deadline.
    Timeout,
    /// The node is stopping.
    ShuttingDown,
    /// It was begun, and it is not known whether it will take effect.
    OutcomeUnknown,
}

impl ChangeFailure {
    /// The longest reason of [`Invalid`](Self::Invalid) that is told, in bytes.
    pub const REASON_BYTES_MAX: usize = 512;

    /// [`Invalid`](Self::Invalid) for this reason, cut where it is too long.
    pub fn invalid(reason: &impl ToString) -> Self {
        let mut reason = reason.to_string();
        let end =
            (0..=Self::REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or(0));
        Self::Invalid(reason)
    }
}
