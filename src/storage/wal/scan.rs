//! Reads one segment and says what records it holds, damaged or not in between.
//!
//! Where no record is, the scan goes on in steps of 8 bytes, so that a damaged length hides nothing
//! behind it. Whether a gap matters is for [`recovery`](super::recovery) to judge.

use bytes::Bytes;

use super::{
    control::{Commit, HEAD_BYTES_MAX, Head},
    record::{ALIGN, Header, Kind, len},
    segment::{Folder, HEADER_PAGE_BYTES, SegmentFile},
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

    pub(super) fn commit(&self) -> Option<Commit> {
        (self.header.kind == Kind::Commit).then(|| Commit::decode(&self.payload)).flatten()
    }
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) ordinal: u64,
    /// Every whole record, by offset.
    pub(super) records: Vec<Record>,
}

impl Scan {
    /// The head, if the segment's first record is whole.
    pub(super) fn head(&self) -> Option<Head> {
        self.records.first().and_then(head_of)
    }

    /// How many records from the first on follow each other without a gap.
    pub(super) fn gapless(&self) -> usize {
        let gap = self.records.windows(2).position(|pair| pair[0].sequence() + 1 != pair[1].sequence());
        gap.map_or(self.records.len(), |at| at + 1)
    }
}

fn head_of(record: &Record) -> Option<Head> {
    if record.offset != HEADER_PAGE_BYTES || record.header.kind != Kind::Head {
        return None;
    }
    Head::decode(&record.payload)
}

/// Reads a segment whole and finds its records.
pub(super) fn scan(folder: &Folder, segment: &mut SegmentFile) -> Result<Scan, StorageError> {
    let path = || folder.path(segment.ordinal);
    let size = usize::try_from(segment.size).map_err(|_| {
        super::corrupt(path().display().to_string(), segment.size, "the file is longer than memory")
    })?;
    let mut bytes = vec![0; size];
    segment.file.read_at(0, &mut bytes).map_err(|e| io_error("read", &path(), e))?;
    let bytes = Bytes::from(bytes);
    Ok(Scan { ordinal: segment.ordinal, records: records(&bytes, segment.id) })
}

fn records(bytes: &Bytes, id: u64) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = HEADER_PAGE_BYTES as usize;
    while at < bytes.len() {
        if let Some(record) = record_at(bytes, id, at, at as u64) {
            at = record.end() as usize;
            records.push(record);
        } else {
            at = next_candidate(bytes, at + ALIGN);
        }
    }
    records
}

/// The record at byte `at` of `bytes`, which is at `offset` of the segment, if there is a whole one.
pub(super) fn record_at(bytes: &Bytes, id: u64, at: usize, offset: u64) -> Option<Record> {
    let rest = bytes.get(at..)?;
    let header = Header::decode(rest, id, offset)?;
    let payload = header.payload(rest)?;
    Some(Record { offset, header, payload: bytes.slice(at + payload.start..at + payload.end) })
}

/// Passes blank pages quickly: most of a young segment is blank.
fn next_candidate(bytes: &[u8], mut at: usize) -> usize {
    const BLANK: [u8; 4096] = [0; 4096];
    while at.is_multiple_of(BLANK.len()) && bytes.get(at..at + BLANK.len()) == Some(&BLANK[..]) {
        at += BLANK.len();
    }
    at
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
