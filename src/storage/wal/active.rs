//! The segment being written. Knows nothing of the log around it.

use bytes::Bytes;

use super::{
    control::{COMMIT_BYTES_MAX, Commit, Cut, Head},
    index::Place,
    pending::Pending,
    record::{self, Kind},
    segment::{Folder, HEADER_PAGE_BYTES, SECTOR_BYTES, SegmentFile},
};
use crate::{known_bug::KnownBug, storage::StorageError, types::EntryBatch};

/// What ends every flush: a commit record, and the rest of its sector.
const FLUSH_END_BYTES: u64 = record::len(COMMIT_BYTES_MAX) as u64 + SECTOR_BYTES;

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: SegmentFile,
    /// What the next flush writes there.
    pub(super) pending: Pending,
    /// How many flushes it has seen.
    pub(super) flushes: u64,
}

impl Active {
    /// Begins a segment with `head`, whose record has `sequence` and `flags`.
    pub(super) fn begin(segment: SegmentFile, head: &Head, sequence: u64, flags: u8) -> Self {
        let mut pending = Pending::default();
        pending.begin(segment.id, HEADER_PAGE_BYTES, sequence);
        pending.push(Kind::Head, flags, &head.encode());
        Self { segment, pending, flushes: 0 }
    }

    pub(super) fn ordinal(&self) -> u64 {
        self.segment.ordinal
    }

    /// Where the stream leaves this segment if it goes on in another one now.
    pub(super) fn cut(&self) -> Cut {
        Cut { ordinal: self.segment.ordinal, offset: self.pending.end() }
    }

    /// Whether records of `bytes` in all fit beside what waits already.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.pending.end() + bytes + FLUSH_END_BYTES <= self.segment.size
    }

    pub(super) fn holds_unwritten(&self, place: &Place) -> bool {
        place.segment == self.segment.ordinal && place.offset() >= self.pending.start()
    }

    /// Entries that wait for the next flush.
    pub(super) fn unwritten(&self, folder: &Folder, place: &Place) -> Result<EntryBatch, StorageError> {
        let bytes: Bytes = self.pending.entries_at(place.offset()).unwrap_or_default();
        EntryBatch::verify(bytes)
            .map_err(|damage| super::corrupt(folder.text(place.segment), place.offset(), damage.to_string()))
    }

    /// Writes what waits and makes it durable: one write, one barrier.
    pub(super) fn flush(&mut self, folder: &Folder, commit: &Commit) -> Result<(), StorageError> {
        self.pending.push(Kind::Commit, 0, &commit.encode());
        self.pending.pad();
        let ordinal = self.segment.ordinal;
        let failed = |operation| move |source| fatal(operation, folder, ordinal, source);
        let file = self.segment.file.as_mut();
        self.pending.write(file).map_err(failed("write"))?;
        let mut synced = file.sync_data();
        if synced.is_err() && KnownBug::FailedSyncTriedAgain.is_back() {
            synced = file.sync_data();
        }
        synced.map_err(failed("sync"))?;
        self.pending.begin(self.segment.id, self.pending.end(), self.pending.next_sequence());
        self.flushes += 1;
        Ok(())
    }
}

/// Records were admitted and cannot be written: no error that the log could go on after.
fn fatal(operation: &'static str, folder: &Folder, ordinal: u64, source: std::io::Error) -> StorageError {
    StorageError::Io { operation, file: folder.text(ordinal), source }
}

/// The size of a segment that begins with `head` and has room for `bytes` of records behind it.
pub(super) fn size_for(head: &Head, bytes: u64) -> u64 {
    let size = HEADER_PAGE_BYTES + record::len(head.encode().len()) as u64 + bytes + FLUSH_END_BYTES;
    size.next_multiple_of(HEADER_PAGE_BYTES)
}
