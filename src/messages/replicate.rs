//! The leader and its replicators. Go: `triggerCh`.

use actix::Message;

use crate::{
    transport::RpcError,
    types::{EntryBatch, Response},
};

/// There is something to send: entries, or a commit index that an idle follower does not know.
///
/// - *Go*: `triggerCh`, of capacity 1.
/// - *From → to*: Leader → FollowerReplicator, at most one pending.
/// - *Follows*: an AppendEntries with whatever the window allows.
/// - *Loss*: the next one or the next tick sends it all.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "()")]
pub(crate) struct Replicate;

/// An AppendEntries was answered, or will not be.
///
/// - *Go*: the pipeline's `doneCh`.
/// - *From → to*: Transport → FollowerReplicator.
/// - *Follows*: [`Match`](super::Match) if the peer has more than before; more of the log; or a new probe.
/// - *Loss*: the request times out and the replicator probes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AppendAnswered {
    pub(crate) request: u64,
    pub(crate) result: Result<Response, RpcError>,
}

/// Entries for sending that only the store had.
///
/// - *Go*: the return of `LogStore.GetLog`.
/// - *From → to*: Leader → FollowerReplicator.
/// - *Follows*: an AppendEntries with them.
/// - *Loss*: asked again at the next tick.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StoredEntries {
    pub(crate) batches: Vec<EntryBatch>,
}

/// The commit index has waited long enough for a next append: send it alone.
///
/// - *Go*: `CommitTimeout`.
/// - *From → to*: Leader → itself.
/// - *Follows*: a [`Replicate`] to every replicator.
/// - *Loss*: the next append or the next commit carries it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CommitDue;
