//! Linearizable reads by ReadIndex (thesis §6.4). Go: `verifyCh`, `notifyCh`, without their holes.

use std::time::Duration;

use actix::Message;

use crate::{
    transport::RpcError,
    types::{LogIndex, Response},
};

/// Up to where must the reads of batch `reads` wait?
///
/// - *Go*: `verifyCh`.
/// - *From → to*: RaftSystem → Leader.
/// - *Reply*: [`ReadIndexReady`], after a quorum of voters answered a heartbeat sent after this came.
/// - *Loss*: a leader that is deposed says nothing; the front door asks again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReadIndex {
    pub(crate) reads: u64,
}

/// Append an entry of nothing behind everything proposed so far, for the question `reads`.
///
/// - *Go*: `applyCh`, with a `LogBarrier`.
/// - *From → to*: RaftSystem → Leader.
/// - *Reply*: [`ReadIndexReady`], when the entry is committed. One entry answers all that wait.
/// - *Loss*: a leader that is deposed says nothing; the front door asks again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AppendBarrier {
    pub(crate) reads: u64,
}

/// The batch `reads` may be answered once everything up to `index` is applied.
///
/// - *Go*: the answer on `verifyFuture`.
/// - *From → to*: Leader → RaftSystem.
/// - *Follows*: [`FsmQuery`](super::FsmQuery), once everything up to `index` is applied here; or the index goes
///   to the node that asked.
/// - *Loss*: the front door asks again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReadIndexReady {
    pub(crate) reads: u64,
    pub(crate) index: LogIndex,
}

/// Send a heartbeat of this round at once.
///
/// - *Go*: `notifyCh`, of capacity 1.
/// - *From → to*: Leader → Heartbeater.
/// - *Follows*: a heartbeat to the peer, and [`RoundAcked`] when it is answered.
/// - *Loss*: the next regular heartbeat carries the round.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct HeartbeatNow {
    pub(crate) round: u64,
}

/// A heartbeat was answered, or will not be.
///
/// - *Go*: the return of `AppendEntries` in `heartbeat`.
/// - *From → to*: Transport → Heartbeater.
/// - *Follows*: [`RoundAcked`], or [`StepDown`](super::StepDown) for a higher term.
/// - *Loss*: the next heartbeat.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct HeartbeatAnswered {
    pub(crate) request: u64,
    pub(crate) result: Result<Response, RpcError>,
}

/// A voter follows this leader: it answered a heartbeat of `round`, sent at `sent_at`.
///
/// - *Go*: `verifyFuture.vote` and `setLastContact`.
/// - *From → to*: Heartbeater → Leader.
/// - *Follows*: reads of the round come nearer to their quorum; the leader's contact and its lease are newer.
/// - *Loss*: the next round counts for earlier ones.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RoundAcked {
    pub(crate) session: u64,
    pub(crate) round: u64,
    pub(crate) sent_at: Duration,
    /// How long the voter elects nobody else, from when it was asked.
    pub(crate) sticks_for: Duration,
}
