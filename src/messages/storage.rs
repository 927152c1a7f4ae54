//! The conversation with the store. Go: `logs.StoreLogs` and `stable.Set`, calls on the main loop there.

use std::sync::Arc;

use actix::Message;

use crate::{
    log::Ticket,
    storage::StorageError,
    types::{EntryBatch, LogBase, LogIndex, Term, Vote},
};

/// Write these entries and make them durable.
///
/// - *Go*: `LogStore.StoreLogs`.
/// - *From → to*: Leader, Consensus → Storage.
/// - *Reply*: [`Flushed`], shared with everything that was queued beside it.
/// - *Loss*: never acknowledged, never counted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Append {
    pub(crate) ticket: Ticket,
    pub(crate) entries: EntryBatch,
}

/// Remove every entry from `from` on.
///
/// - *Go*: `LogStore.DeleteRange`.
/// - *From → to*: Consensus → Storage.
/// - *Reply*: [`Flushed`].
/// - *Loss*: as for [`Append`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Truncate {
    pub(crate) ticket: Ticket,
    pub(crate) from: LogIndex,
}

/// Remove every entry up to `base`: a durable snapshot holds what they did.
///
/// - *Go*: `LogStore.DeleteRange`, by `compactLogs`.
/// - *From → to*: Consensus → Storage, ahead of what waits for room, since it makes some.
/// - *Follows*: nothing; it is durable with the next flush.
/// - *Loss*: the next one covers it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Purge {
    pub(crate) base: LogBase,
}

/// Remove every entry and start anew behind `base`: a snapshot from elsewhere is ahead of this log.
///
/// - *Go*: `removeOldLogs`.
/// - *From → to*: Consensus → Storage.
/// - *Reply*: [`Flushed`].
/// - *Loss*: a restart does it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ResetLog {
    pub(crate) ticket: Ticket,
    pub(crate) base: LogBase,
}

/// Replace the record of term and vote, ahead of entries that wait for room.
///
/// - *Go*: `StableStore.Set`, three times.
/// - *From → to*: Consensus → Storage.
/// - *Reply*: [`VoteSaved`].
/// - *Loss*: the vote is not given.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SaveVote {
    pub(crate) vote: Vote,
}

/// Read entries that memory has given up.
///
/// - *Go*: `LogStore.GetLog`.
/// - *From → to*: FollowerReplicator, the hand-off → Storage.
/// - *Reply*: [`EntriesRead`], to whoever is named in `reader`.
/// - *Loss*: asked again at the next tick.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReadEntries {
    pub(crate) reader: Reader,
    pub(crate) first: LogIndex,
    pub(crate) last: LogIndex,
    pub(crate) bytes_max: usize,
}

/// Who asked for entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The hand-off to the state machine.
    HandOff,
    /// The replicator of that session and term. Sessions begin anew with each tenure, and what an
    /// earlier one asked for may be of entries that were truncated since.
    Replicator { term: Term, session: u64 },
}

/// Everything up to `ticket` is durable.
///
/// - *Go*: the return of `StoreLogs`.
/// - *From → to*: Storage → Consensus.
/// - *Follows*: the durable index rises; acknowledgements leave; the leader counts itself.
/// - *Loss*: never; without it nothing is acknowledged.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Flushed {
    pub(crate) ticket: Ticket,
}

/// The record of term and vote is durable.
///
/// - *Go*: the return of `StableStore.Set`.
/// - *From → to*: Storage → Consensus.
/// - *Follows*: the vote is sent, or counted if it is the candidate's own.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct VoteSaved {
    pub(crate) vote: Vote,
}

/// Entries from the store.
///
/// - *Go*: the return of `LogStore.GetLog`.
/// - *From → to*: Storage → Consensus → Leader, if a replicator asked.
/// - *Follows*: the hand-off goes on, or [`StoredEntries`](super::StoredEntries) goes to the replicator.
/// - *Loss*: asked again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EntriesRead {
    pub(crate) reader: Reader,
    pub(crate) batches: Vec<EntryBatch>,
}

/// The store failed, for good.
///
/// - *Go*: the error of `StoreLogs`.
/// - *From → to*: Storage → Consensus.
/// - *Follows*: the node stops with this as its reason; the file is never flushed again.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StorageFailed {
    pub(crate) error: Arc<StorageError>,
}

/// The store has no room, or has room again.
///
/// - *Go*: none; there a full disk is an error like another.
/// - *From → to*: Storage → Consensus.
/// - *Follows*: a leader steps down and does not stand until there is room; what was refused waits, in
///   order, and is tried again.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StorageRoom {
    pub(crate) full: bool,
}

/// Finish what is queued, then stop.
///
/// - *Go*: none; there the application closes its store after `Shutdown`.
/// - *From → to*: RaftSystem → Storage.
/// - *Reply*: [`StorageClosed`].
/// - *Loss*: the node is dropped with it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CloseStorage;

/// Everything queued is durable and the store is closed.
///
/// - *Go*: none.
/// - *From → to*: Storage → RaftSystem.
/// - *Follows*: whoever sent [`Shutdown`](super::Shutdown) is answered.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StorageClosed;
