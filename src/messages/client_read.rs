//! Reads of other kinds than [`Read`], and what a read without a question is. Go: `Barrier`, `verifyCh`.

use std::time::Duration;

use actix::Message;

use super::{Read, StaleRead};
use crate::{error::ReadError, types::LogIndex};

/// [`Read`], answered without a word to the other nodes while the leader's lease holds.
///
/// As fresh as [`Read`] as long as clocks keep to
/// [`lease_clock_drift_ppm`](crate::Config::lease_clock_drift_ppm). Where there is no lease it is a [`Read`] and
/// costs what that costs: on a node that does not lead, on a leader that lately heard of no quorum, before the first
/// entry of its term is committed, and once it began to hand leadership on.
///
/// - *Go*: none.
/// - *From → to*: client → RaftSystem → FsmApplier; without a lease as for [`Read`].
/// - *Reply*: the answer.
/// - *Loss*: as for [`Read`].
#[derive(Clone, Debug)]
pub struct LeaseRead<Q>(pub Q);

/// [`StaleRead`] that waits until everything up to an index is applied here: whoever knows the index of its write
/// ([`ApplyIndexed`](super::ApplyIndexed)) reads it on any node.
///
/// - *Go*: none; there the application compares `AppliedIndex`.
/// - *From → to*: client → RaftSystem → FsmApplier.
/// - *Reply*: the answer; `Timeout` if this node does not get that far in time.
/// - *Loss*: none.
#[derive(Clone, Debug)]
pub struct StaleReadFrom<Q> {
    /// The question.
    pub query: Q,
    /// What must be applied.
    pub min_index: LogIndex,
    /// How long the caller waits; `None` for [`request_timeout`](crate::Config::request_timeout).
    pub timeout: Option<Duration>,
}

/// Wait until everything is applied here that was sent to the log, by this node, before this was.
///
/// Also what is not committed yet, where a [`Read`] waits only for what is. It takes an entry, one for all that come
/// together.
///
/// - *Go*: `Raft.Barrier`.
/// - *From → to*: client → RaftSystem → Leader (here or on another node) → RaftSystem.
/// - *Reply*: the index up to which everything is applied here.
/// - *Loss*: none; it is retried until its deadline.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "Result<LogIndex, ReadError>")]
pub struct Barrier {
    /// How long the caller waits; `None` for [`request_timeout`](crate::Config::request_timeout).
    pub timeout: Option<Duration>,
}

/// Is this node the leader, when it is asked? A quorum of voters says so.
///
/// Says nothing of what is applied: to see what was written, [`Read`].
///
/// - *Go*: `Raft.VerifyLeader`, `verifyCh`.
/// - *From → to*: client → RaftSystem → Leader, here alone.
/// - *Reply*: that it was, at some moment since; `NotLeader` at once if it is not, or ceases to be.
/// - *Loss*: none.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "Result<(), ReadError>")]
pub struct VerifyLeader {
    /// How long the caller waits; `None` for [`request_timeout`](crate::Config::request_timeout).
    pub timeout: Option<Duration>,
}

impl<Q> Read<Q> {
    /// Lets the leader answer by its lease.
    pub fn lease(self) -> LeaseRead<Q> {
        LeaseRead(self.0)
    }
}

impl<Q> StaleRead<Q> {
    /// Waits until everything up to `index` is applied here.
    pub fn min_index(self, index: LogIndex) -> StaleReadFrom<Q> {
        StaleReadFrom { query: self.0, min_index: index, timeout: None }
    }
}

impl<Q> StaleReadFrom<Q> {
    /// Gives this request a deadline of its own.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl<Q: Message + 'static> Message for LeaseRead<Q> {
    type Result = Result<Q::Result, ReadError>;
}

impl<Q: Message + 'static> Message for StaleReadFrom<Q> {
    type Result = Result<Q::Result, ReadError>;
}
