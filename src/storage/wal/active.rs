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

/// A flush of at most this many bytes that reaches blocks which were never written writes zeros ahead of it.
const SMALL_FLUSH_BYTES: u64 = 128 << 10;
/// How many flushes like it find their blocks written then.
const FLUSHES_AHEAD: u64 = 8;
/// The fewest and the most zeros.
const AHEAD_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=512 << 10;

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
        let ahead = self.ahead();
        let file = self.segment.file.as_mut();
        self.pending.write(file, ahead).map_err(failed("write"))?;
        self.segment.blank_from = self.segment.blank_from.max(self.pending.end() + ahead);
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

impl Active {
    /// How many zeros go behind the flush that waits. That a block is written for the first time is a change of the
    /// file, and making it durable takes a small flush longer than its own bytes do: one in several bears that for
    /// the others. A large one would only write twice as much.
    fn ahead(&self) -> u64 {
        let (start, end) = (self.pending.start(), self.pending.end());
        if end <= self.segment.blank_from || end - start > SMALL_FLUSH_BYTES {
            return 0;
        }
        let wanted = ((end - start) * FLUSHES_AHEAD).clamp(*AHEAD_BYTES.start(), *AHEAD_BYTES.end());
        wanted.min(self.segment.size.saturating_sub(end))
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

#[cfg(test)]
mod tests {
    use std::{
        io::{self, IoSlice},
        path::PathBuf,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::{
        sim::vfs::SimVfs,
        storage::vfs::VfsFile,
        types::{LogBase, LogId, LogIndex, Vote},
    };

    const MIB: u64 = 1 << 20;

    /// Remembers where each write began and how long it was.
    #[derive(Debug, Default)]
    struct Written(Arc<Mutex<Vec<(u64, u64)>>>);

    impl VfsFile for Written {
        fn size(&mut self) -> io::Result<u64> {
            Ok(MIB)
        }

        fn read_at(&mut self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }

        fn write_at(&mut self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
            let length: usize = slices.iter().map(|slice| slice.len()).sum();
            self.0.lock().unwrap().push((offset, length as u64));
            Ok(())
        }

        fn allocate(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn set_len(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn sync_data(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn sync_all(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The writes of as many flushes with so many bytes of entries each, to a segment that is blank from there on.
    fn writes(blank_from: u64, flushes: usize, bytes: usize) -> Vec<(u64, u64)> {
        let written = Written::default();
        let seen = written.0.clone();
        let segment = SegmentFile { ordinal: 1, id: 7, size: MIB, blank_from, file: Box::new(written) };
        let (vote, last) = (Vote::default(), LogId::ZERO);
        let base = LogBase::default();
        let head = Head { previous: None, vote: vote.clone(), withheld: None, last, base };
        let mut active = Active::begin(segment, &head, 0, 0);
        let folder = Folder { vfs: Arc::new(SimVfs::new()), dir: PathBuf::new() };
        for _ in 0..flushes {
            active.pending.push_entries(0, LogIndex(1), vec![1; bytes].into());
            let commit = Commit { first_sequence: 0, vote: vote.clone(), withheld: None, last };
            active.flush(&folder, &commit).unwrap();
        }
        let writes = seen.lock().unwrap().clone();
        assert!(writes.iter().all(|(offset, length)| offset + length <= MIB), "{writes:?}");
        writes
    }

    #[test]
    fn one_in_several_small_flushes_writes_zeros_ahead_for_the_others() {
        let writes = writes(HEADER_PAGE_BYTES, 64, 10_000);
        let ahead: Vec<usize> = (0..64).filter(|at| writes[*at].1 > 20_000).collect();
        assert_eq!(ahead, [0, 9, 18, 27, 36, 45, 54, 63], "{writes:?}");
        assert!(writes[0].1 > 80_000 && writes[1].1 < 12_000, "{writes:?}");
    }

    #[test]
    fn a_large_flush_and_one_over_blocks_of_a_former_life_write_themselves_alone() {
        let large = SMALL_FLUSH_BYTES as usize;
        assert!(writes(HEADER_PAGE_BYTES, 5, large).iter().all(|write| write.1 < SMALL_FLUSH_BYTES + 4096));
        assert!(writes(MIB, 20, 10_000).iter().all(|write| write.1 < 12_000));
    }

    #[test]
    fn nothing_is_written_behind_the_end_of_a_segment() {
        let last = writes(HEADER_PAGE_BYTES, 96, 10_000);
        assert!(last.last().is_some_and(|(offset, _)| *offset > MIB - 80_000), "it was nearly full");
    }
}
