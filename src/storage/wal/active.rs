//! The segment being written, and how the log goes on in the next one.

use bytes::Bytes;

use super::{
    Open, Sealed, Wal,
    control::{COMMIT_BYTES_MAX, Commit, Cut, Head},
    index::Place,
    pending::Pending,
    record::{self, Kind},
    segment::{Folder, HEADER_PAGE_BYTES, SECTOR_BYTES, SegmentFile},
};
use crate::{storage::StorageError, types::EntryBatch};

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
    fn cut(&self) -> Cut {
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
    fn flush(&mut self, folder: &Folder, commit: &Commit) -> Result<(), StorageError> {
        self.pending.push(Kind::Commit, 0, &commit.encode());
        self.pending.pad();
        let ordinal = self.segment.ordinal;
        let failed = |operation| move |source| fatal(operation, folder, ordinal, source);
        let file = self.segment.file.as_mut();
        self.pending.write(file).map_err(failed("write"))?;
        file.sync_data().map_err(failed("sync"))?;
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

impl Wal {
    /// Makes sure that records of `bytes` in all can be added, and that after that one segment less
    /// than `spares` is in reserve.
    pub(super) fn make_room(&mut self, bytes: u64, spares: usize) -> Result<(), StorageError> {
        let fits = self.opened().active.fits(bytes);
        let wanted = if fits { spares - 1 } else { spares };
        self.ensure_spares(wanted)?;
        if self.opened().active.fits(bytes) {
            return Ok(());
        }
        self.flush_pending()?;
        self.go_on_in_next_segment(bytes)
    }

    /// Waits for spare segments. If there is no room for one, what was purged is given up at once.
    fn ensure_spares(&mut self, count: usize) -> Result<(), StorageError> {
        if self.opened().spares.ready() >= count {
            return Ok(());
        }
        match self.opened().spares.ensure(count) {
            Err(StorageError::Full { .. }) if self.opened().has_superfluous() => {
                self.flush_records()?;
                self.opened().spares.ensure(count)
            }
            done => done,
        }
    }

    fn go_on_in_next_segment(&mut self, bytes: u64) -> Result<(), StorageError> {
        let open = self.open.as_mut().expect("only a recovered log is ready");
        let head = Head {
            previous: Some(open.active.cut()),
            vote: self.state.vote.clone(),
            withheld: self.state.withheld,
            last: self.state.last,
            base: self.state.base.clone(),
        };
        let sequence = open.active.pending.next_sequence();
        let segment = open.spares.take(size_for(&head, bytes))?;
        let next = Active::begin(segment, &head, sequence, 0);
        let sealed = std::mem::replace(&mut open.active, next).segment;
        open.sealed.push_back(Sealed { ordinal: sealed.ordinal, size: sealed.size });
        Ok(())
    }

    /// Makes what waits durable, if anything does.
    pub(super) fn flush_pending(&mut self) -> Result<(), StorageError> {
        if self.opened().active.pending.is_empty() {
            return Ok(());
        }
        self.flush_records()
    }

    /// Makes what waits durable, then gives up what is no longer needed.
    pub(super) fn flush_records(&mut self) -> Result<(), StorageError> {
        let open = self.open.as_mut().expect("only a recovered log is ready");
        let commit = Commit {
            first_sequence: open.active.pending.first_sequence(),
            vote: self.state.vote.clone(),
            withheld: self.state.withheld,
            last: self.state.last,
        };
        open.active.flush(&self.folder, &commit)?;
        let needed = self.state.index.oldest_segment().unwrap_or(open.active.ordinal());
        for gone in open.give_up(needed) {
            self.reader.forget(gone.ordinal);
            open.spares.retire(gone.ordinal, gone.size);
        }
        open.spares.top_up()
    }
}

impl Open {
    /// Whether a further flush would free a segment.
    fn has_superfluous(&self) -> bool {
        self.sealed.front().is_some_and(|oldest| oldest.ordinal < self.floor)
    }

    /// After a flush: the segments that may go. `needed` is the oldest that the log still needs.
    ///
    /// The head of the segment that becomes the oldest is not in the last flush then, where damage could
    /// leave nothing to begin from: the floor of the flush before was no higher than its active segment.
    fn give_up(&mut self, needed: u64) -> Vec<Sealed> {
        let mut gone = Vec::new();
        while let Some(oldest) = self.sealed.front()
            && oldest.ordinal < self.floor
        {
            gone.extend(self.sealed.pop_front());
        }
        self.floor = needed;
        gone
    }
}
