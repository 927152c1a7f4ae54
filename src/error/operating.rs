//! How what an operator or an onlooker asks of a node is refused.

use thiserror::Error;

use super::{Fatal, LeaderHint, UnknownReason, hint};
use crate::types::{LogIndex, MembershipError, NodeId};

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

/// Why a change of the cluster is not known to be made.
///
/// Every variant but [`OutcomeUnknown`](Self::OutcomeUnknown) and [`NotCaughtUp`](Self::NotCaughtUp) means that
/// nothing was changed. Every change may be repeated: one that is in force already is answered with its index.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// This node is not the leader and forwarding is off, or no leader was found before the deadline.
    #[error("not the leader{}", hint(.leader))]
    NotLeader {
        /// Who is, if known.
        leader: Option<LeaderHint>,
    },
    /// Too many changes wait.
    #[error("overloaded: too many requests wait for an answer")]
    Overloaded,
    /// The membership is not the one that `prev_index` named.
    #[error("the configuration has changed; that of entry {index} is in force")]
    ConfigurationChanged {
        /// The index of its entry.
        index: LogIndex,
    },
    /// Afterwards fewer than a quorum of the voters would be there: nothing could be committed any more. Only a forced
    /// change is made nevertheless.
    #[error("fewer than a quorum of the voters to be has been heard from within an election timeout")]
    QuorumUnreachable,
    /// The server does not answer at its address.
    #[error("{id} does not answer at its address")]
    Unreachable {
        /// Which.
        id: NodeId,
    },
    /// The server belongs to another cluster, or is about to form one. A new node waits to be added
    /// ([`RaftBuilder::join`](crate::RaftBuilder::join)).
    #[error("{id} belongs to another cluster, or was not started to join one")]
    Foreign {
        /// Which.
        id: NodeId,
    },
    /// The server is a voter with another life of its data directory. Remove it first: what it acknowledged in that life
    /// must not count for this one.
    #[error("{id} has lost the data directory that is a member: remove it first, then add it")]
    AnotherLife {
        /// Which.
        id: NodeId,
    },
    /// What would come out is no membership.
    #[error("{reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The server was added as a nonvoter and did not catch up with the log. Repeating the call goes on from there.
    #[error("{id} did not catch up with the log; it stays a nonvoter")]
    NotCaughtUp {
        /// Which.
        id: NodeId,
    },
    /// It was not begun before its deadline: an earlier one takes long, or no entry of the leader's term is committed yet.
    #[error("the change was not begun before its deadline")]
    Timeout,
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has failed.
    #[error("the node has failed: {0}")]
    Failed(Fatal),
    /// It was begun, and it is not known how it ends. Repeat it, or look at the configuration.
    #[error("outcome unknown: {why}")]
    OutcomeUnknown {
        /// What happened.
        why: UnknownReason,
    },
}

/// Why leadership was not handed on. Unless it says otherwise, the leader goes on as before.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TransferError {
    /// This node is not the leader, and the request was not handed to it.
    #[error("not the leader{}", hint(.leader))]
    NotLeader {
        /// Who is, if known.
        leader: Option<LeaderHint>,
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
    /// The node named does not vote.
    #[error("{0} is not a voter")]
    Nonvoter(NodeId),
    /// Leadership is being handed on already.
    #[error("leadership is being handed on already")]
    InProgress,
    /// The node that was told to stand does not: it follows another leader by now, or cannot lead.
    #[error("{0} refused to stand")]
    TargetRefused(NodeId),
    /// The node that was to be told to stand cannot be reached.
    #[error("{0} cannot be reached")]
    TargetUnreachable(NodeId),
    /// The other node did not catch up, or was not elected, in time. It may still be elected.
    #[error("the other node did not lead in time")]
    TimedOut,
    /// Somebody else leads than was asked for.
    #[error("{0} leads now")]
    WentElsewhere(NodeId),
    /// The request was forwarded, and it is not known what came of it.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(UnknownReason),
    /// Too many requests are waiting.
    #[error("overloaded: too many requests wait for an answer")]
    Overloaded,
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has failed.
    #[error("the node has failed: {0}")]
    Failed(Fatal),
}
