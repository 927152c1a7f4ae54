//! Who leads. Go: `stepDown`, `leaderCh`.

use actix::Message;

use crate::{error::Fatal, protocol::StepDownReason, types::Term};

/// Give up the leadership of `term`, or learn of a higher one.
///
/// - *Go*: `stepDown`, of capacity 1.
/// - *From → to*: any actor of the tenure → Consensus.
/// - *Follows*: the tenure is revoked, then its actors get [`StopActor`]; [`LeadershipChanged`].
/// - *Loss*: the next contact says it again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StepDown {
    /// The tenure that must end.
    pub(crate) term: Term,
    /// A term seen in an answer, if that is the reason.
    pub(crate) seen: Term,
    pub(crate) reason: StepDownReason,
}

/// Something about the leadership is new; the front door looks it up.
///
/// - *Go*: `leaderCh`.
/// - *From → to*: Consensus → RaftSystem.
/// - *Follows*: batches that a deposed leader never took go to the new one; those it took get
///   `OutcomeUnknown`; reads are asked again.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LeadershipChanged;

/// The node cannot go on.
///
/// - *Go*: none; there a panic ends the process.
/// - *From → to*: any actor, or the watcher of their tasks → RaftSystem.
/// - *Follows*: every waiting caller gets the reason; nothing is sent or acknowledged any more.
/// - *Loss*: never.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct NodeFailed(pub(crate) Fatal);

/// This node was removed from its cluster, for good, and is to stop if it was removed.
///
/// - *Go*: the end of `leaderLoop` under `ShutdownOnRemove`; followers never learn it there.
/// - *From → to*: Consensus → RaftSystem.
/// - *Follows*: the node stops in order, as for [`Shutdown`](super::Shutdown).
/// - *Loss*: the leader says it again, as long as it talks to this node.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RemovedFromCluster;

/// End this actor: its tenure is over, or the node stops.
///
/// - *Go*: the close of `leaderState`'s channels.
/// - *From → to*: Consensus → Leader → Commitment, FollowerReplicator → SnapshotSender, Heartbeater; a node that
///   stops or fails → Consensus; RaftSystem → FsmApplier, Snapshotter, Restorer.
/// - *Follows*: the actor ends and drops what is queued; Snapshotter when it writes nothing any more, or is told again.
/// - *Loss*: the tenure is revoked already; a left-over actor can do nothing.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopActor;
