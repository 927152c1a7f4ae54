//! A user's snapshot in place of the state of the whole cluster. Go: `userRestoreCh`.
//!
//! It goes through the log, in pieces that are entries; the rule is [`Restoration`](crate::protocol::Restoration).

use std::{fmt, io, sync::Arc, time::Duration};

use actix::Message;
use bytes::Bytes;

use crate::{
    error::RestoreError,
    protocol::RestoreStep,
    state_machine::SnapshotCheck,
    storage::{StorageError, staging::StagedSnapshot},
    types::{LogId, LogIndex},
};

/// Replace the state of every node by this snapshot: the bytes that
/// [`StateMachine::restore`](crate::StateMachine::restore) reads.
///
/// The leader copies it, has the state machine check it
/// ([`check_snapshot`](crate::StateMachine::check_snapshot)), and puts it into the log in pieces. It takes effect with the
/// last one, at one place of the log, on every node: commands before are gone with the state they made, though they were
/// answered; commands behind apply to the restored state. Reads and writes go on meanwhile. Which commands of client
/// sessions were applied is not part of the state: sessions live on, and a retry is applied no second time.
///
/// Until the last piece is in the log nothing has happened, and nothing will if this leader goes. A log holds all of the
/// snapshot until the state is written to one of the node's own, which is begun at once.
///
/// - *Go*: `Raft.Restore`, which swaps the leader's state before anybody else has the snapshot.
/// - *From → to*: client → RaftSystem of the leader; it is not passed on.
/// - *Reply*: the index at which it took effect, once it has on this node.
/// - *Loss*: if the caller drops the request it goes on without him until its deadline.
#[derive(Message)]
#[rtype(result = "Result<LogIndex, RestoreError>")]
pub struct Restore {
    pub(crate) snapshot: Box<dyn io::Read + Send>,
    pub(crate) timeout: Duration,
}

impl Restore {
    /// Reads the snapshot from `snapshot`, on a thread of its own if the node is durable, and gives up after `timeout`.
    pub fn new(snapshot: impl io::Read + Send + 'static, timeout: Duration) -> Self {
        Self { snapshot: Box::new(snapshot), timeout }
    }
}

impl fmt::Debug for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restore(within {:?})", self.timeout)
    }
}

/// Who feeds a snapshot into the log: what was done for it goes there.
pub(crate) trait RestoreFeeder: fmt::Debug + Send + Sync {
    fn staged(&self, message: SnapshotStaged);
    fn read(&self, message: StagedRead);
}

/// Copy a snapshot of a user's and have it checked.
///
/// - *Go*: the copy of `restoreUserSnapshot` into a sink.
/// - *From → to*: Restorer → Snapshotter.
/// - *Reply*: [`SnapshotStaged`].
/// - *Loss*: never.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StageSnapshot {
    pub(crate) snapshot: Box<dyn io::Read + Send>,
    pub(crate) check: SnapshotCheck,
    pub(crate) bytes_max: u64,
    /// It is given up when whoever holds the other end is gone.
    pub(crate) wanted: std::sync::Weak<()>,
    pub(crate) feeder: Arc<dyn RestoreFeeder>,
}

/// A snapshot is copied and found good, or refused.
///
/// - *Go*: the return of `io.Copy`.
/// - *From → to*: the copying thread → Restorer.
/// - *Follows*: its first piece is read, or the restore ends.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SnapshotStaged {
    pub(crate) result: Result<StagedSnapshot, RestoreError>,
}

/// Read a piece of a copied snapshot, which travels along.
///
/// - *Go*: none.
/// - *From → to*: Restorer → Snapshotter.
/// - *Reply*: [`StagedRead`].
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReadStaged {
    pub(crate) snapshot: StagedSnapshot,
    pub(crate) offset: u64,
    pub(crate) length: usize,
    pub(crate) feeder: Arc<dyn RestoreFeeder>,
}

/// A piece was read, or cannot be.
///
/// - *Go*: none.
/// - *From → to*: the store's thread → Restorer.
/// - *Follows*: [`ProposePiece`], or the restore ends.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StagedRead {
    pub(crate) offset: u64,
    pub(crate) result: Result<(StagedSnapshot, Bytes), Arc<StorageError>>,
}

/// Put this piece into the log, if the restore is still wanted.
///
/// - *Go*: none; there the snapshot goes by InstallSnapshot.
/// - *From → to*: Restorer → RaftSystem.
/// - *Reply*: [`PieceApplied`], unless it is the last.
/// - *Loss*: never; of a restore that is over it is dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ProposePiece {
    pub(crate) restore: u64,
    pub(crate) offset: u64,
    /// Length and checksum of the whole.
    pub(crate) whole: (u64, u32),
    pub(crate) bytes: Bytes,
}

/// What became of a piece in the log.
///
/// - *Go*: none.
/// - *From → to*: RaftSystem → itself, from among those it answers.
/// - *Follows*: [`PieceApplied`], or the end of the restore.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PieceSettled {
    pub(crate) restore: u64,
    pub(crate) last: bool,
    pub(crate) result: Result<(LogIndex, RestoreStep), RestoreError>,
}

/// A piece that is not the last is applied here.
///
/// - *Go*: none.
/// - *From → to*: RaftSystem → Restorer.
/// - *Follows*: the next piece.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PieceApplied;

/// A restorer is done and has let go of the snapshot.
///
/// - *Go*: none.
/// - *From → to*: Restorer → RaftSystem.
/// - *Follows*: the caller hears why, if it could not go on; another restore may begin.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FeedingEnded {
    pub(crate) restore: u64,
    pub(crate) result: Result<(), RestoreError>,
}

/// The state is no longer what the entries before made it.
///
/// - *Go*: `lastSnapshot` set by `restoreUserSnapshot`.
/// - *From → to*: FsmApplier → Snapshotter.
/// - *Follows*: a snapshot as soon as one can be taken, so that the log need not hold the one that was restored.
/// - *Loss*: the thresholds bring one later.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StateReplaced {
    /// The entry with the last piece.
    pub(crate) at: LogId,
}

impl fmt::Debug for StageSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageSnapshot(at most {} bytes)", self.bytes_max)
    }
}
