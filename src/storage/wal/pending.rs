//! The flush being collected: records that have their place in the active segment and are not
//! written yet. One vectored write puts them there.

use std::io::{self, IoSlice};

use bytes::Bytes;

use super::{
    record::{self, HEADER_BYTES, Kind},
    segment::SECTOR_BYTES,
};
use crate::{storage::vfs::VfsFile, types::LogIndex};

/// Zeros to write ahead, the same ones again and again.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Records for one flush, each with its offset and sequence number fixed.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Id of the segment they go to.
    segment: u64,
    start: u64,
    end: u64,
    first_sequence: u64,
    next_sequence: u64,
    /// Headers and small payloads, one behind the other.
    scratch: Vec<u8>,
    /// Payloads as they came, each with its offset in the segment.
    shared: Vec<(u64, Bytes)>,
    pieces: Vec<Piece>,
}

/// A run of bytes of the flush.
#[derive(Debug)]
enum Piece {
    /// A part of `scratch`, by its end.
    Scratch(usize),
    /// The next of `shared`.
    Shared,
}

impl Pending {
    /// Starts over at `offset` of a segment.
    pub(super) fn begin(&mut self, segment: u64, offset: u64, sequence: u64) {
        self.segment = segment;
        self.start = offset;
        self.end = offset;
        self.first_sequence = sequence;
        self.next_sequence = sequence;
        self.scratch.clear();
        self.shared.clear();
        self.pieces.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Where the flush begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Adds a record with a small payload, which is copied. Returns where it lies.
    pub(super) fn push(&mut self, kind: Kind, flags: u8, payload: &[u8]) -> u64 {
        let offset = self.push_header(kind, flags, LogIndex::ZERO, payload);
        self.scratch.extend_from_slice(payload);
        self.scratch.resize(self.scratch.len().next_multiple_of(record::ALIGN), 0);
        self.close_scratch();
        offset
    }

    /// Adds a record of entries without copying them. Returns where it lies.
    pub(super) fn push_entries(&mut self, flags: u8, first: LogIndex, payload: Bytes) -> u64 {
        let offset = self.push_header(Kind::Entries, flags, first, &payload);
        self.close_scratch();
        let padding = payload.len().next_multiple_of(record::ALIGN) - payload.len();
        self.shared.push((offset + HEADER_BYTES as u64, payload));
        self.pieces.push(Piece::Shared);
        self.scratch.resize(self.scratch.len() + padding, 0);
        self.close_scratch();
        offset
    }

    fn push_header(&mut self, kind: Kind, flags: u8, first: LogIndex, payload: &[u8]) -> u64 {
        let offset = self.end;
        let header = record::header(self.next_sequence, kind, flags, first, payload);
        self.scratch.extend_from_slice(&header.encode(self.segment, offset));
        self.end += record::len(payload.len()) as u64;
        self.next_sequence += 1;
        offset
    }

    fn close_scratch(&mut self) {
        let end = self.scratch.len();
        match self.pieces.last_mut() {
            Some(Piece::Scratch(last)) => *last = end,
            _ => self.pieces.push(Piece::Scratch(end)),
        }
    }

    /// Fills the last sector, so that the next flush touches none of this one's.
    pub(super) fn pad(&mut self) {
        let end = self.end.next_multiple_of(SECTOR_BYTES);
        self.scratch.resize(self.scratch.len() + (end - self.end) as usize, 0);
        self.end = end;
        self.close_scratch();
    }

    /// Writes everything, and `ahead` zeros behind it, in one call.
    pub(super) fn write(&self, file: &mut dyn VfsFile, ahead: u64) -> io::Result<()> {
        let mut slices = Vec::with_capacity(self.pieces.len() + (ahead / ZEROS.len() as u64) as usize + 1);
        let mut start = 0;
        let mut shared = self.shared.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Scratch(end) => {
                    slices.push(IoSlice::new(&self.scratch[start..*end]));
                    start = *end;
                }
                Piece::Shared => slices.extend(shared.next().map(|(_, bytes)| IoSlice::new(bytes))),
            }
        }
        let mut ahead = ahead as usize;
        while ahead > 0 {
            let zeros = &ZEROS[..ahead.min(ZEROS.len())];
            slices.push(IoSlice::new(zeros));
            ahead -= zeros.len();
        }
        file.write_at(self.start, &slices)
    }

    /// The payload of the entries record at `offset`, if it is one of these.
    pub(super) fn entries_at(&self, offset: u64) -> Option<Bytes> {
        let wanted = offset + HEADER_BYTES as u64;
        let at = self.shared.binary_search_by_key(&wanted, |(offset, _)| *offset).ok()?;
        Some(self.shared[at].1.clone())
    }
}
