//! The durable log: a segmented write-ahead log. The format by byte, and for each step what a crash
//! there leaves, is docs/wal.md.
//!
//! | file | holds |
//! |---|---|
//! | `record` | one record's header, bound to its place |
//! | `control` | the payloads that are not entries |
//! | `segment` | a segment file: name, header page, how one comes to be |
//! | `spares` | segments prepared ahead |
//! | `pending` | the flush being collected |
//! | `active`, `roll` | the segment being written, and how the log goes on in the next one |
//! | `state`, `index` | what the records add up to, and where the entries lie |
//! | `window`, `scan`, `tail`, `recovery` | what is on the disk, and what of it counts |
//! | `reader` | entries read back |

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    LogStore, Recovered, StorageError, VoteStore, check_append, check_purge, check_read, check_truncate,
    corrupt, take_prefix, vfs::Vfs,
};
use crate::types::{ClusterId, EntryBatch, GroupId, Incarnation, LogBase, LogIndex, NodeId, Vote};

mod active;
mod control;
mod index;
mod open;
mod pending;
mod reader;
mod record;
mod recovery;
mod roll;
mod scan;
mod segment;
mod spares;
mod split;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod window;

use active::Active;
use control::{encode_base, encode_vote};
use index::Place;
use reader::Reader;
use record::Kind;
use segment::{Folder, HEADER_PAGE_BYTES, Owner};
use spares::Spares;
use state::State;

/// The least size of a segment: a header page and a page of records.
const SEGMENT_BYTES_MIN: u64 = 2 * HEADER_PAGE_BYTES;
/// The most that one append may bring: a record's length is 32 bits.
const APPEND_BYTES_MAX: usize = 2 << 30;

/// How to open a [`Wal`].
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// The Raft group whose log this is.
    pub group: GroupId,
    /// The life of the directory: a segment of another one is refused.
    pub incarnation: Incarnation,
    /// The cluster, [`ClusterId::NONE`] while it is not known.
    pub cluster: ClusterId,
    /// Size of a segment in bytes, rounded up to a multiple of 4096. A larger batch gets a larger one.
    pub segment_bytes: u64,
    /// Whether the directory is a member's: then one without a log is damaged, not new.
    pub must_exist: bool,
    /// Whether a thread prepares segments ahead. Without it they are made when they are needed, on the
    /// caller's thread: for the simulator.
    pub background: bool,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            group: GroupId::ZERO,
            incarnation: Incarnation::NONE,
            cluster: ClusterId::NONE,
            must_exist: false,
            segment_bytes: 64 << 20,
            background: true,
        }
    }
}

/// The write-ahead log of one group.
///
/// A mutating call collects records in memory; [`flush`](LogStore::flush) writes them with one call
/// and makes them durable with another. An append that does not fit the segment flushes what is there
/// and goes on in the next one. Dropping it flushes nothing.
#[derive(Debug)]
pub struct Wal {
    folder: Folder,
    owner: Owner,
    segment_bytes: u64,
    background: bool,
    must_exist: bool,
    phase: Phase,
    state: State,
    reader: Reader,
    /// Set by recovery, like all below.
    open: Option<Open>,
}

/// What exists once the log has been recovered.
#[derive(Debug)]
struct Open {
    active: Active,
    spares: Spares,
    /// The segments before the active one that still matter, oldest first.
    sealed: VecDeque<Sealed>,
    /// Segments before this one were not needed by the state that the last flush made durable. They go
    /// when a further flush is: then the record that made them superfluous can no longer be lost.
    floor: u64,
}

/// A segment that is no longer written to.
#[derive(Clone, Copy, Debug)]
struct Sealed {
    ordinal: u64,
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Ready,
    Failed,
}

impl Wal {
    /// A log in `dir`, which is made if it is missing. Touches nothing before
    /// [`recover`](LogStore::recover).
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: WalOptions) -> Self {
        let WalOptions { group, incarnation, cluster, must_exist, segment_bytes, background } = options;
        Self {
            folder: Folder { vfs, dir: PathBuf::from(dir) },
            owner: Owner { cluster, group, incarnation },
            segment_bytes: segment_bytes.max(SEGMENT_BYTES_MIN).next_multiple_of(HEADER_PAGE_BYTES),
            background,
            must_exist,
            phase: Phase::New,
            state: State::default(),
            reader: Reader::default(),
            open: None,
        }
    }

    /// Tells the log its cluster. Segments made from now on say so.
    ///
    /// # Errors
    /// [`StorageError::Foreign`] if it belongs to another one already.
    pub fn set_cluster(&mut self, cluster: ClusterId) -> Result<(), StorageError> {
        if !self.owner.cluster.is_none() && self.owner.cluster != cluster {
            return Err(StorageError::Foreign {
                path: self.folder.dir.display().to_string(),
                owner: format!("cluster {}", self.owner.cluster),
                wanted: format!("cluster {cluster}"),
            });
        }
        self.owner.cluster = cluster;
        if let Some(open) = &mut self.open {
            open.spares.set_cluster(cluster);
        }
        Ok(())
    }

    /// Runs `work` unless the log failed before; remembers if it fails now.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        match self.phase {
            Phase::New => return Err(StorageError::Misuse("the log is not recovered yet".to_owned())),
            Phase::Failed => return Err(self.failed_before()),
            Phase::Ready => {}
        }
        let done = work(self);
        self.note_failure(&done);
        done
    }

    fn note_failure<T>(&mut self, done: &Result<T, StorageError>) {
        if let Err(error) = done
            && !matches!(error, StorageError::Full { .. } | StorageError::Misuse(_))
        {
            self.phase = Phase::Failed;
        }
    }

    fn failed_before(&self) -> StorageError {
        StorageError::Io {
            operation: "use",
            file: self.folder.dir.display().to_string(),
            source: std::io::Error::other("the log failed before and must be recovered by a new process"),
        }
    }

    /// The part that recovery opened.
    fn opened(&mut self) -> &mut Open {
        self.open.as_mut().expect("only a recovered log is ready")
    }

    /// Adds a record that is no entry.
    fn push_control(&mut self, kind: Kind, payload: &[u8]) -> Result<(), StorageError> {
        self.make_room(record::len(payload.len()) as u64, 1)?;
        self.opened().active.pending.push(kind, 0, payload);
        Ok(())
    }

    /// Adds entries as one record or several.
    fn push_entries(&mut self, entries: &EntryBatch) {
        for part in split::split(entries) {
            let active = &mut self.opened().active;
            let payload_bytes = part.bytes.len() as u32;
            let offset = active.pending.push_entries(0, part.first, part.bytes);
            let place = Place::new(part.first, active.ordinal(), offset, payload_bytes);
            self.state.index.push(place);
        }
        self.state.runs.append(entries);
        self.state.last = entries.last_id();
        self.state.release_withheld();
    }
}

impl VoteStore for Wal {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let named = |name: &NodeId| (1..=NodeId::BYTES_MAX).contains(&name.as_str().len());
        if !vote.voted_for.as_ref().is_none_or(named) {
            return Err(StorageError::Misuse("a node's name has 1 to 255 bytes".to_owned()));
        }
        self.guarded(|log| {
            log.push_control(Kind::Vote, &encode_vote(vote))?;
            log.state.vote.clone_from(vote);
            Ok(())
        })
    }
}

impl LogStore for Wal {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        if self.phase != Phase::New {
            return Err(StorageError::Misuse("a log is recovered once".to_owned()));
        }
        self.phase = Phase::Failed;
        let recovered = self.recover_and_go_on()?;
        self.phase = Phase::Ready;
        Ok(recovered)
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.guarded(|log| {
            check_append(log.state.last, entries)?;
            if entries.len() > APPEND_BYTES_MAX {
                return Err(StorageError::Misuse(format!("{entries:?} is more than a segment can hold")));
            }
            log.make_room(split::room(entries), spares::KEPT)?;
            log.push_entries(entries);
            Ok(())
        })
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.guarded(|log| {
            check_truncate(&log.state.base, from)?;
            if from <= log.state.last.index {
                log.push_control(Kind::Truncate, &from.0.to_le_bytes())?;
                log.state.truncate(from);
            }
            Ok(())
        })
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.guarded(|log| {
            if check_purge(&log.state.base, log.state.last, base)? {
                log.push_control(Kind::Purge, &encode_base(base))?;
                log.state.purge(base);
            }
            Ok(())
        })
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.guarded(|log| {
            log.push_control(Kind::Reset, &encode_base(base))?;
            log.state.reset(base);
            log.state.release_withheld();
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.guarded(Self::flush_pending)
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.guarded(|log| {
            check_read(&log.state.base, log.state.last, first, last)?;
            log.read_range(first, last, bytes_max)
        })
    }
}

impl Wal {
    fn read_range(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        let mut found = Vec::new();
        let mut room = bytes_max;
        let mut next = first;
        while next <= last {
            let batches = self.read_run(next, last, room)?;
            for batch in batches {
                // What a truncation cut off or a purge is still in the record.
                let end = self.state.index.after(batch.first()).map_or(last, |index| index.prev().min(last));
                let Some(wanted) = batch.slice(next, end) else { continue };
                next = wanted.last().next();
                if !take_prefix(&mut found, &mut room, wanted) {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// The record that holds `first`, and those that lie right behind it on the disk, within `room`.
    fn read_run(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        room: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        let open = self.open.as_ref().expect("only a recovered log is ready");
        let mut run: Vec<Place> = Vec::new();
        for place in self.state.index.from(first).take_while(|place| place.first <= last) {
            if let Some(start) = run.first()
                && (place.segment != start.segment || place.offset() - start.offset() > room as u64)
            {
                break;
            }
            if open.active.holds_unwritten(place) {
                if run.is_empty() {
                    return open.active.unwritten(&self.folder, place).map(|batch| vec![batch]);
                }
                break;
            }
            run.push(*place);
        }
        self.reader.read(&self.folder, &self.owner, &run)
    }
}
