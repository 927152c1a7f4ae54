//! The state machine's queue. Go: `fsmMutateCh`, `fsmSnapshotCh`.

use std::sync::Arc;

use actix::Message;

use crate::{
    error::Fatal,
    protocol::RestoreStep,
    state_machine::{Answer, Reply, StateMachine, StateSnapshot},
    storage::{StorageError, snapshot::SnapshotSource},
    types::{Entries, LogId},
};

/// Apply these committed entries.
///
/// - *Go*: `fsmMutateCh`.
/// - *From → to*: the hand-off cursor of Log → FsmApplier.
/// - *Reply*: [`Applied`], one or more, in order.
/// - *Loss*: never; the node stops if the state machine does.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FsmMutate {
    pub(crate) entries: Entries,
    /// Whether callers of this node wait for the replies.
    pub(crate) replies: bool,
}

/// Entries are applied.
///
/// - *Go*: `future.respond`.
/// - *From → to*: FsmApplier → RaftSystem.
/// - *Follows*: callers are answered, reads that waited go on, the next entries may be handed off.
/// - *Loss*: never.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Applied<S: StateMachine> {
    /// The last entry applied.
    pub(crate) last: LogId,
    /// How many bytes of entries are done with.
    pub(crate) bytes: usize,
    /// What is to be told of the entries that clients sent, if they were asked for.
    pub(crate) replies: Vec<(LogId, Replied<S>)>,
}

/// What an entry is answered with.
pub(crate) enum Replied<S: StateMachine> {
    /// The state machine's reply: to this command or, if it is a retry, to the attempt that was applied.
    Command(Reply<S>),
    /// A session is opened, or closed.
    SessionDone,
    /// The session is over and nothing was applied. The command is given back; `None` if it does not decode.
    SessionExpired(Option<Box<S::Command>>),
    /// The session has gone past this sequence and nothing was applied.
    SequenceTooOld,
    /// What a piece of a user's snapshot came to.
    Piece(RestoreStep),
}

/// Answer these queries from the present state.
///
/// - *Go*: none; there the application reads its own state machine.
/// - *From → to*: RaftSystem → FsmApplier, when everything they must see is applied.
/// - *Reply*: [`Queried`].
/// - *Loss*: the caller's deadline.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FsmQuery<S: StateMachine> {
    pub(crate) queries: Vec<(u64, S::Query)>,
}

/// The answers, with the numbers the queries came with.
///
/// - *Go*: none.
/// - *From → to*: FsmApplier → RaftSystem.
/// - *Follows*: readers are answered.
/// - *Loss*: never.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Queried<S: StateMachine> {
    pub(crate) answers: Vec<(u64, Answer<S>)>,
}

/// Give the state as of now, to be written beside the commands that follow.
///
/// - *Go*: `fsmSnapshotCh`.
/// - *From → to*: Snapshotter → FsmApplier.
/// - *Reply*: [`FsmSnapshotted`].
/// - *Loss*: never; the node stops if the state machine does.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FsmSnapshot;

/// The state as of `at`.
///
/// - *Go*: the answer on `reqSnapshotFuture`.
/// - *From → to*: FsmApplier → Snapshotter.
/// - *Follows*: the snapshot is described, begun and written.
/// - *Loss*: never.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FsmSnapshotted {
    /// The last entry applied; zero if none was.
    pub(crate) at: LogId,
    /// The sessions table as of then, encoded.
    pub(crate) sessions: Vec<u8>,
    pub(crate) state: Result<Box<dyn StateSnapshot>, NoState>,
}

/// Why there is no state to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoState {
    /// The state machine has no snapshots.
    Unsupported,
    /// Part of a user's snapshot is here, and would be missing. [`StateReplaced`](super::StateReplaced) comes at its end,
    /// unless it takes no effect.
    Restoring,
}

/// Replace the state by a snapshot's; everything queued behind it is applied to that.
///
/// - *Go*: `restoreFuture` on `fsmMutateCh`.
/// - *From → to*: the start of a node → FsmApplier, as its first message.
/// - *Reply*: [`Restored`].
/// - *Loss*: never; the node stops if the snapshot cannot be restored.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FsmRestore {
    /// The content, at its beginning.
    pub(crate) source: Box<dyn SnapshotSource>,
    /// Whether the state machine is to read its own part: one that keeps its state by itself has it already.
    pub(crate) state: bool,
}

/// The state is that of a snapshot.
///
/// - *Go*: `future.respond` of the `restoreFuture`.
/// - *From → to*: FsmApplier → RaftSystem.
/// - *Follows*: the applied index is the snapshot's, and reads that waited for it go on.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Restored {
    /// The last entry whose effect the state holds.
    pub(crate) last: LogId,
}

/// There is no room for the copy of a user's snapshot that the log brings, or there is again. Nothing is applied meanwhile;
/// queries are answered.
///
/// - *Go*: none; there a restore does not go through the log.
/// - *From → to*: FsmApplier → RaftSystem → Consensus.
/// - *Follows*: without room the node neither leads nor stands, and it is tried again ([`FsmRetry`]) at every tick.
/// - *Loss*: never.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FsmRoom {
    /// What the file system said; `None` if there is room again.
    pub(crate) full: Option<Arc<StorageError>>,
}

/// Go on with what found no room.
///
/// - *Go*: none.
/// - *From → to*: Consensus → FsmApplier, at a tick.
/// - *Follows*: [`Applied`], and [`FsmRoom`] once nothing waits any more.
/// - *Loss*: the next tick brings another.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FsmRetry;

/// The state machine panicked, a committed command does not decode, or a snapshot cannot be restored.
///
/// - *Go*: the panic of `runFSM`.
/// - *From → to*: FsmApplier → RaftSystem.
/// - *Follows*: the node stops with this reason.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FsmFailed {
    pub(crate) fatal: Fatal,
}
