//! Snapshots of this node's state and the compaction of its log. Go: `userSnapshotCh`, `runSnapshots`.

use std::sync::Arc;

use actix::Message;

use crate::{
    error::SnapshotError,
    storage::{
        StorageError,
        snapshot::{SnapshotDescription, SnapshotMeta, SnapshotSink},
    },
};

/// Take a snapshot of this node's state now, whatever the thresholds say.
///
/// - *Go*: `Raft.Snapshot`, `userSnapshotCh`.
/// - *From → to*: client → RaftSystem → Snapshotter.
/// - *Reply*: what was published, when it is durable; the log is compacted behind it. Takes as long as the state takes to
///   be written.
/// - *Loss*: none; if the node stops before, the reply says so.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<SnapshotMeta, SnapshotError>")]
pub struct Snapshot;

/// Take a snapshot, for a client.
///
/// - *Go*: `userSnapshotCh`.
/// - *From → to*: RaftSystem → Snapshotter.
/// - *Reply*: [`SnapshotAnswered`], with the same number.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TakeSnapshot {
    pub(crate) request: u64,
}

/// What became of a client's snapshot.
///
/// - *Go*: `userSnapshotFuture.respond`.
/// - *From → to*: Snapshotter → RaftSystem.
/// - *Follows*: the client is answered.
/// - *Loss*: never; a node that stops answers its clients by itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotAnswered {
    pub(crate) request: u64,
    pub(crate) result: Result<SnapshotMeta, SnapshotError>,
}

/// There is a place to write a snapshot to, or none.
///
/// - *Go*: the return of `SnapshotStore.Create`.
/// - *From → to*: the store's thread → Snapshotter.
/// - *Follows*: the state is written there.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotBegun {
    pub(crate) result: Result<Box<dyn SnapshotSink>, Arc<StorageError>>,
}

/// The state is written and published, or was given up.
///
/// - *Go*: the return of `FSMSnapshot.Persist` and `SnapshotSink.Close`.
/// - *From → to*: the writing thread → Snapshotter.
/// - *Follows*: [`SnapshotTaken`]; older snapshots go; whoever asked is answered.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotWritten {
    pub(crate) result: Result<SnapshotMeta, SnapshotError>,
}

/// A snapshot is durable: the log need not hold what it holds.
///
/// - *Go*: `compactLogs`, a call there.
/// - *From → to*: Snapshotter → Consensus.
/// - *Follows*: [`Purge`](super::Purge), unless the log is that far already.
/// - *Loss*: the next snapshot makes up for it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotTaken {
    pub(crate) description: SnapshotDescription,
}

/// Nothing of this node writes snapshots any more.
///
/// - *Go*: none; there a shutdown does not wait for `takeSnapshot`.
/// - *From → to*: the store's thread → Snapshotter → RaftSystem.
/// - *Follows*: once the log is closed as well, the node has stopped.
/// - *Loss*: never; a writer that hangs is not waited for beyond a deadline, and keeps the directory locked.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotsClosed;
