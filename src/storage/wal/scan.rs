//! Reads one segment and says what records it holds, damaged or not in between.
//!
//! Where no record is, the scan goes on in steps of 8 bytes, so that a damaged length hides nothing
//! behind it. Whether a gap matters is for [`recovery`](super::recovery) to judge.

use bytes::Bytes;

use super::{
    control::{Commit, HEAD_BYTES_MAX, Head},
    record::{ALIGN, FLAG_COPIED, HEADER_BYTES, Header, Kind, len},
    segment::{Folder, HEADER_PAGE_BYTES, SegmentFile},
    window::{BLANK, WINDOW_BYTES, Window},
};
use crate::storage::{StorageError, io_error};

/// A whole record and where it lies.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) header: Header,
    /// A slice of the segment's bytes.
    pub(super) payload: Bytes,
}

impl Record {
    /// The first byte behind it.
    pub(super) fn end(&self) -> u64 {
        self.offset + len(self.payload.len()) as u64
    }

    pub(super) fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// Whether it is about the entries, not about the stream or a vote.
    pub(super) fn changes_log(&self) -> bool {
        !matches!(self.header.kind, Kind::Head | Kind::Vote | Kind::Commit)
    }

    pub(super) fn commit(&self) -> Option<Commit> {
        (self.header.kind == Kind::Commit).then(|| Commit::decode(&self.payload)).flatten()
    }
}

/// How a segment begins: the whole records of its first flush. If that is damaged, all of the segment.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    pub(super) records: Vec<Record>,
    /// Whether one of them does not follow the one before.
    has_gap: bool,
}

impl Beginning {
    /// Reads as much of a segment as it takes to tell.
    pub(super) fn read(folder: &Folder, segment: &mut SegmentFile) -> Result<Self, StorageError> {
        let mut beginning = Self::default();
        let end = segment.size;
        walk(folder, segment, end, |record| {
            let last = beginning.records.last();
            beginning.has_gap |= last.is_some_and(|last| last.sequence() + 1 != record.sequence());
            beginning.records.push(record);
            Ok(beginning.head().is_none())
        })?;
        Ok(beginning)
    }

    /// The head and its sequence number, if it is whole. Not that of a recovery that was interrupted in its first
    /// flush: then the tail that it was to write anew is still whole where it was, and nobody was ever told anything
    /// of what lies here.
    pub(super) fn head(&self) -> Option<(Head, u64)> {
        let first = self.records.first()?;
        let ends = self.records.last().is_some_and(|last| last.header.kind == Kind::Commit);
        if first.header.flags & FLAG_COPIED != 0 && (self.has_gap || !ends) {
            return None;
        }
        Some((head_of(first)?, first.sequence()))
    }
}

fn head_of(record: &Record) -> Option<Head> {
    if record.offset != HEADER_PAGE_BYTES || record.header.kind != Kind::Head {
        return None;
    }
    Head::decode(&record.payload)
}

/// Gives every whole record before byte `end` to `take`, in order, until that says that it wants no more.
/// What is not kept of a segment takes no more memory than a window.
pub(super) fn walk(
    folder: &Folder,
    segment: &mut SegmentFile,
    end: u64,
    take: impl FnMut(Record) -> Result<bool, StorageError>,
) -> Result<(), StorageError> {
    walk_by(WINDOW_BYTES, folder, segment, end, take)
}

fn walk_by(
    window_bytes: usize,
    folder: &Folder,
    segment: &mut SegmentFile,
    end: u64,
    mut take: impl FnMut(Record) -> Result<bool, StorageError>,
) -> Result<(), StorageError> {
    let end = end.min(segment.size);
    let mut window = Window::default();
    let mut at = HEADER_PAGE_BYTES;
    while at < end {
        if window.is_blank_page(at) {
            at += BLANK.len() as u64;
            continue;
        }
        let (bytes, inside) = window.at(at);
        match look(bytes, segment.id, inside, at) {
            Found::Record(record) => {
                at = record.end();
                if !take(record)? {
                    break;
                }
            }
            Found::Beyond(length) if window.end() < end && at + length as u64 <= end => {
                let path = folder.path(segment.ordinal);
                let length = length.max(window_bytes);
                window.read(segment, at, length, end).map_err(|e| io_error("read", &path, e))?;
            }
            Found::Beyond(_) | Found::Nothing => at += ALIGN as u64,
        }
    }
    Ok(())
}

/// What is to be seen at a place.
enum Found {
    Record(Record),
    /// Nothing yet: it takes so many bytes to tell.
    Beyond(usize),
    Nothing,
}

/// What is at byte `at` of `bytes`, which is at `offset` of the segment.
fn look(bytes: &Bytes, id: u64, at: usize, offset: u64) -> Found {
    let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_BYTES) else {
        return Found::Beyond(HEADER_BYTES);
    };
    let Some(header) = Header::decode(rest, id, offset) else { return Found::Nothing };
    let length = HEADER_BYTES + header.payload_bytes as usize;
    if length > rest.len() {
        return Found::Beyond(length);
    }
    let Some(payload) = header.payload(rest) else { return Found::Nothing };
    let payload = bytes.slice(at + payload.start..at + payload.end);
    Found::Record(Record { offset, header, payload })
}

/// The record at byte `at` of `bytes`, which is at `offset` of the segment, if there is a whole one.
pub(super) fn record_at(bytes: &Bytes, id: u64, at: usize, offset: u64) -> Option<Record> {
    match look(bytes, id, at, offset) {
        Found::Record(record) => Some(record),
        Found::Beyond(_) | Found::Nothing => None,
    }
}

/// Reads no more than the head of a segment and its sequence number; `None` if it is not whole.
pub(super) fn read_head(
    folder: &Folder,
    segment: &mut SegmentFile,
) -> Result<Option<(Head, u64)>, StorageError> {
    let room = (segment.size - HEADER_PAGE_BYTES).min(HEAD_BYTES_MAX);
    let mut bytes = vec![0; room as usize];
    let failed = |e| io_error("read", &folder.path(segment.ordinal), e);
    segment.file.read_at(HEADER_PAGE_BYTES, &mut bytes).map_err(failed)?;
    let Some(header) = Header::decode(&bytes, segment.id, HEADER_PAGE_BYTES) else { return Ok(None) };
    let Some(payload) = header.payload(&bytes) else { return Ok(None) };
    let head = (header.kind == Kind::Head).then(|| Head::decode(&bytes[payload])).flatten();
    Ok(head.map(|head| (head, header.sequence)))
}

#[cfg(test)]
mod tests {
    use std::{io::IoSlice, sync::Arc};

    use proptest::prelude::*;

    use super::{super::record, *};
    use crate::{sim::vfs::SimVfs, storage::vfs::Vfs, types::LogIndex};

    const ID: u64 = 9;

    /// A segment of `bytes` behind its header page, and a folder that it lies in.
    fn segment(bytes: &[u8]) -> (Folder, SegmentFile) {
        let vfs = SimVfs::new();
        vfs.create_dir_all("wal".as_ref()).unwrap();
        let mut file = vfs.create("wal/1".as_ref()).unwrap();
        file.write_at(HEADER_PAGE_BYTES, &[IoSlice::new(bytes)]).unwrap();
        let size = HEADER_PAGE_BYTES + bytes.len() as u64;
        (
            Folder { vfs: Arc::new(vfs), dir: "wal".into() },
            SegmentFile { ordinal: 1, id: ID, size, blank_from: size, file },
        )
    }

    /// Records with payloads and gaps before them of these lengths.
    fn records(lengths: &[(usize, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (sequence, (gap, payload)) in lengths.iter().enumerate() {
            bytes.resize(bytes.len() + gap * ALIGN, 0);
            let offset = HEADER_PAGE_BYTES + bytes.len() as u64;
            let payload = vec![sequence as u8 + 1; *payload];
            let header = record::header(sequence as u64, Kind::Entries, 0, LogIndex(1), &payload);
            bytes.extend_from_slice(&header.encode(ID, offset));
            bytes.extend_from_slice(&payload);
            bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        }
        bytes
    }

    fn found(window_bytes: usize, bytes: &[u8]) -> Vec<(u64, u64, Bytes)> {
        let (folder, mut segment) = segment(bytes);
        let mut found = Vec::new();
        let end = segment.size;
        walk_by(window_bytes, &folder, &mut segment, end, |record| {
            found.push((record.offset, record.sequence(), record.payload));
            Ok(true)
        })
        .unwrap();
        found
    }

    proptest! {
        /// Whatever part of a segment is in memory at once, and whatever is damaged in it.
        #[test]
        fn the_records_of_a_segment_do_not_depend_on_the_window(
            lengths in prop::collection::vec((prop_oneof![0..4_usize, 500..1100_usize], 0..9000_usize), 1..12),
            window_bytes in 1..6000_usize,
            damage in prop::option::of((any::<prop::sample::Index>(), 1..=255_u8)),
        ) {
            let mut bytes = records(&lengths);
            match damage {
                None => prop_assert_eq!(found(window_bytes, &bytes).len(), lengths.len()),
                Some((at, flip)) => {
                    let at = at.index(bytes.len());
                    bytes[at] ^= flip;
                }
            }
            prop_assert_eq!(found(window_bytes, &bytes), found(bytes.len(), &bytes));
        }
    }
}
