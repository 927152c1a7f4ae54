//! Snapshots between nodes: read on the leader's side, written on the follower's. Go: `InstallSnapshot`, which is one
//! request there and streams.

use std::{fmt, sync::Arc};

use actix::Message;
use bytes::Bytes;

use crate::{
    storage::{
        StorageError,
        snapshot::{SnapshotMeta, SnapshotSource},
    },
    transport::RpcError,
    types::{LogId, Response},
};

/// Who reads a snapshot: what was done for it goes there.
pub(crate) trait SnapshotReader: fmt::Debug + Send + Sync {
    fn opened(&self, message: SnapshotOpened);
    fn read(&self, message: PieceRead);
}

/// Open the newest snapshot, to be sent.
///
/// - *Go*: `SnapshotStore.List` and `Open` in `sendLatestSnapshot`.
/// - *From → to*: SnapshotSender → Snapshotter.
/// - *Reply*: [`SnapshotOpened`].
/// - *Loss*: the tenure is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct OpenSnapshot {
    pub(crate) reader: Arc<dyn SnapshotReader>,
}

/// The newest snapshot is open, or cannot be.
///
/// - *Go*: the return of `SnapshotStore.Open`.
/// - *From → to*: Snapshotter → SnapshotSender.
/// - *Follows*: the follower is asked where to begin; or [`SnapshotSent`] without a snapshot.
/// - *Loss*: the tenure is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotOpened {
    pub(crate) result: Result<Box<dyn SnapshotSource>, Arc<StorageError>>,
}

/// The newest snapshot cannot be read: take another, though nothing is new.
///
/// - *Go*: none; there a leader goes on trying to open it (hashicorp/raft#522).
/// - *From → to*: SnapshotSender → Snapshotter.
/// - *Follows*: a snapshot, unless one is being taken.
/// - *Loss*: the next try says it again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RenewSnapshot;

/// Read a piece of an open snapshot. The source travels along, so that it is closed with whoever has it.
///
/// - *Go*: a read of the snapshot's file.
/// - *From → to*: SnapshotSender → Snapshotter.
/// - *Reply*: [`PieceRead`].
/// - *Loss*: the tenure is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReadPiece {
    pub(crate) source: Box<dyn SnapshotSource>,
    pub(crate) offset: u64,
    pub(crate) length: usize,
    pub(crate) reader: Arc<dyn SnapshotReader>,
}

/// A piece of a snapshot was read, or cannot be.
///
/// - *Go*: a read of the snapshot's file.
/// - *From → to*: Snapshotter → SnapshotSender.
/// - *Follows*: an InstallSnapshot with it, if it is still the next one.
/// - *Loss*: the tenure is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PieceRead {
    pub(crate) offset: u64,
    pub(crate) result: Result<(Box<dyn SnapshotSource>, Bytes), Arc<StorageError>>,
}

/// An InstallSnapshot was answered, or will not be.
///
/// - *Go*: the return of `Transport.InstallSnapshot`.
/// - *From → to*: Transport → SnapshotSender.
/// - *Follows*: the next pieces, or [`SnapshotSent`].
/// - *Loss*: the request times out, and the follower is asked where to go on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PieceAnswered {
    pub(crate) request: u64,
    pub(crate) result: Result<Response, RpcError>,
}

/// A snapshot on its way to a follower has come further.
///
/// - *Go*: none; there nobody waits for it.
/// - *From → to*: SnapshotSender → FollowerReplicator.
/// - *Follows*: [`CaughtUpTo`](super::CaughtUpTo), if the leader wants to hear how the peer gets on.
/// - *Loss*: the next piece says it again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotMoved;

/// The end of a snapshot's way to a follower: its log stands behind `last`, or it was given up.
///
/// - *Go*: the return of `sendLatestSnapshot`.
/// - *From → to*: SnapshotSender → FollowerReplicator.
/// - *Follows*: the entries behind it; or, after a pause, whatever the follower needs by then.
/// - *Loss*: the tenure is over.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotSent {
    pub(crate) last: Option<LogId>,
}

/// Do this to the file of the snapshot that a leader sends.
///
/// - *Go*: `SnapshotStore.Create` and the writes of `installSnapshot`.
/// - *From → to*: Consensus → Snapshotter.
/// - *Reply*: [`SnapshotReceived`], unless it is given up.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReceiveSnapshot {
    /// The session that it belongs to: what is said of another counts for nothing.
    pub(crate) session: u64,
    pub(crate) part: SnapshotPart,
}

/// What is to be done to the file.
#[derive(Debug)]
pub(crate) enum SnapshotPart {
    /// Begin it, in place of any other.
    Begin(SnapshotMeta),
    /// Write this behind what is there.
    Piece(Bytes),
    /// Everything is written: check it, make it durable, show it, and open it.
    Publish,
    /// Remove it.
    GiveUp,
}

/// What became of it.
///
/// - *Go*: the returns of the sink's `Write` and `Close`.
/// - *From → to*: the store's thread → Snapshotter → Consensus.
/// - *Follows*: the leader is answered; or the log is reset behind the snapshot, and the state restored from it.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotReceived {
    pub(crate) session: u64,
    pub(crate) step: Reception,
}

/// How far the file is.
#[derive(Debug)]
pub(crate) enum Reception {
    /// It holds the content up to here.
    Written(u64),
    /// It is durable and open, at its beginning.
    Published(Box<dyn SnapshotSource>),
    /// It is gone.
    Failed(Arc<StorageError>),
}
