//! Handing leadership on (thesis §3.10). Go: `leadershipTransferCh`.

use actix::Message;

use crate::{
    error::TransferError,
    transport::RpcError,
    types::{LogIndex, NodeId, Response, TransferFailure},
};

/// Let another node lead: the one named, or whichever voter is furthest.
///
/// Writes that come meanwhile wait for the new leader, at most as long as their deadlines say. If the other
/// node does not lead within an election timeout, this one goes on.
///
/// - *Go*: `Raft.LeadershipTransfer`, `Raft.LeadershipTransferToServer`, `leadershipTransferCh`.
/// - *From → to*: client → RaftSystem → Leader, here or, by one hop, on another node.
/// - *Reply*: who leads now; or why nothing changed.
/// - *Loss*: none; it ends by itself.
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "Result<NodeId, TransferError>")]
pub struct TransferLeadership {
    /// The voter that is to lead; `None` for the one whose log is furthest.
    pub to: Option<NodeId>,
}

/// Hand leadership on.
///
/// - *Go*: `leadershipTransferCh`.
/// - *From → to*: RaftSystem → Leader.
/// - *Reply*: [`TransferEnded`], if it fails; if it succeeds this leader is no more.
/// - *Loss*: a leader that is deposed says nothing; the front door sees that.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Transfer {
    /// Tells one from another.
    pub(crate) number: u64,
    pub(crate) to: Option<NodeId>,
}

/// This node goes on leading.
///
/// - *Go*: the answer on `leadershipTransferFuture`.
/// - *From → to*: Leader → RaftSystem.
/// - *Follows*: whoever asked for the transfer of this number is told why.
/// - *Loss*: never.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TransferEnded {
    pub(crate) number: u64,
    pub(crate) why: TransferFailure,
}

/// Tell the match indexes at once and after every change, or stop telling them.
///
/// - *Go*: none; the transfer polls the replicators.
/// - *From → to*: Leader → Commitment.
/// - *Reply*: [`MatchesKnown`].
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct WatchMatches(pub(crate) bool);

/// How far every voter is, by the session of its replicator.
///
/// - *Go*: `nextIndex` of every `replState`.
/// - *From → to*: Commitment → Leader.
/// - *Follows*: the node that is to lead is chosen, or told to stand.
/// - *Loss*: the next one says it again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct MatchesKnown {
    pub(crate) matches: Vec<(u64, LogIndex)>,
}

/// A node that was told to stand answered, or will not.
///
/// - *Go*: the return of `Transport.TimeoutNow`.
/// - *From → to*: Transport → Leader.
/// - *Follows*: if it refused, this node goes on leading; else it is deposed soon.
/// - *Loss*: the transfer ends by itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TimeoutNowAnswered {
    pub(crate) number: u64,
    pub(crate) result: Result<Response, RpcError>,
}
