//! What a service sends to its [`RaftSystem`](crate::RaftSystem). Go: `applyCh`, `verifyCh` and the
//! calls of `Raft`.

use std::time::Duration;

use actix::Message;

use crate::{
    board::Status,
    error::{ApplyError, ReadError},
    inspect::{InspectionDisabled, MailboxReport},
};

/// Apply a command to the replicated state machine.
///
/// - *Go*: `Raft.Apply`, `applyCh`.
/// - *From → to*: client → RaftSystem → Leader, here or, by one hop, on another node.
/// - *Reply*: the state machine's reply, once a quorum has the entry on disk and it is applied here or
///   on the leader.
/// - *Loss*: if the caller drops the request before it is taken up, it is never proposed; afterwards it
///   goes on without him.
#[derive(Clone, Debug)]
pub struct Apply<C>(pub C);

impl<C> Apply<C> {
    /// Gives this request a deadline of its own instead of
    /// [`request_timeout`](crate::Config::request_timeout).
    pub fn timeout(self, timeout: Duration) -> ApplyWithin<C> {
        ApplyWithin { command: self.0, timeout }
    }
}

/// [`Apply`] with a deadline of its own.
///
/// - *Go*: `Raft.Apply` with a `timeout`, which there ends with the enqueueing.
/// - *From → to*: client → RaftSystem → Leader, as for [`Apply`].
/// - *Reply*: as for [`Apply`], at the latest at the deadline.
/// - *Loss*: as for [`Apply`].
#[derive(Clone, Debug)]
pub struct ApplyWithin<C> {
    /// The command.
    pub command: C,
    /// How long the caller waits.
    pub timeout: Duration,
}

/// Several commands in one message; each is an entry of its own, in order, and has its own result.
///
/// - *Go*: none.
/// - *From → to*: client → RaftSystem → Leader.
/// - *Reply*: one result per command, in order, when the last one is known. Others' commands may come
///   between, and one may fail while a later one succeeds.
/// - *Loss*: as for [`Apply`].
#[derive(Clone, Debug)]
pub struct ApplyBatch<C>(pub Vec<C>);

/// Ask the state machine; the answer reflects every write that was answered before this was sent
/// (linearizable, by ReadIndex, thesis §6.4: no log entry per read).
///
/// - *Go*: `Raft.VerifyLeader`, with the index and the wait that it lacks.
/// - *From → to*: client → RaftSystem → Leader (here or on another node) → FsmApplier here.
/// - *Reply*: the answer.
/// - *Loss*: none; it is retried until its deadline.
#[derive(Clone, Debug)]
pub struct Read<Q>(pub Q);

impl<Q> Read<Q> {
    /// Gives this request a deadline of its own.
    pub fn timeout(self, timeout: Duration) -> ReadWithin<Q> {
        ReadWithin { query: self.0, timeout }
    }
}

/// [`Read`] with a deadline of its own.
///
/// - *Go*: none.
/// - *From → to*: client → RaftSystem → Leader → FsmApplier, as for [`Read`].
/// - *Reply*: as for [`Read`], at the latest at the deadline.
/// - *Loss*: as for [`Read`].
#[derive(Clone, Debug)]
pub struct ReadWithin<Q> {
    /// The question.
    pub query: Q,
    /// How long the caller waits.
    pub timeout: Duration,
}

/// Ask this node's state machine as it is now, however far behind it may be.
///
/// - *Go*: none; there the application reads its own state machine.
/// - *From → to*: client → RaftSystem → FsmApplier.
/// - *Reply*: the answer.
/// - *Loss*: none.
#[derive(Clone, Debug)]
pub struct StaleRead<Q>(pub Q);

/// Ask what the node knows of itself.
///
/// - *Go*: `Raft.Stats`, `Raft.State`.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: the [`Status`]; also to be had without a message from
///   [`Raft::status`](crate::Raft::status).
/// - *Loss*: none.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Status")]
pub struct GetStatus;

/// Ask what every actor's mailbox holds.
///
/// - *Go*: none.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: the report, or that inspection is compiled out; also to be had without queueing from
///   [`Raft::mailboxes`](crate::Raft::mailboxes).
/// - *Loss*: none.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<MailboxReport, InspectionDisabled>")]
pub struct InspectMailboxes;

/// Stop the node in order: stop admission, settle what is pending, drain the state machine, flush, stop
/// the actors, join the threads.
///
/// - *Go*: `Raft.Shutdown`, `shutdownCh`.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: when everything has stopped, at the latest at the deadline of the last request.
/// - *Loss*: none; a second one gets the same answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

impl<C: Message + 'static> Message for Apply<C> {
    type Result = Result<C::Result, ApplyError<C>>;
}

impl<C: Message + 'static> Message for ApplyWithin<C> {
    type Result = Result<C::Result, ApplyError<C>>;
}

impl<C: Message + 'static> Message for ApplyBatch<C> {
    type Result = Vec<Result<C::Result, ApplyError<C>>>;
}

impl<Q: Message + 'static> Message for Read<Q> {
    type Result = Result<Q::Result, ReadError>;
}

impl<Q: Message + 'static> Message for ReadWithin<Q> {
    type Result = Result<Q::Result, ReadError>;
}

impl<Q: Message + 'static> Message for StaleRead<Q> {
    type Result = Result<Q::Result, ReadError>;
}
