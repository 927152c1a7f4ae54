//! Where each record of entries lies: 24 bytes a record, whatever the number of entries in it.

use std::collections::VecDeque;

use super::record::ALIGN;
use crate::types::LogIndex;

/// Where a record of entries lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of its first entry.
    pub(super) first: LogIndex,
    /// Ordinal of its segment.
    pub(super) segment: u64,
    offset_units: u32,
    pub(super) payload_bytes: u32,
}

impl Place {
    pub(super) fn new(first: LogIndex, segment: u64, offset: u64, payload_bytes: u32) -> Self {
        let offset_units = u32::try_from(offset / ALIGN as u64).expect("a segment is smaller than 32 GiB");
        Self { first, segment, offset_units, payload_bytes }
    }

    /// Where the record's header starts in its segment.
    pub(super) fn offset(&self) -> u64 {
        u64::from(self.offset_units) * ALIGN as u64
    }
}

/// All of them, ascending. A record ends where the next begins: what a truncation cut off its end or a
/// purge off its start is still in its bytes and never shown.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordIndex(VecDeque<Place>);

impl RecordIndex {
    pub(super) fn push(&mut self, place: Place) {
        self.0.push_back(place);
    }

    /// Forgets records that start at `from` or behind it.
    pub(super) fn truncate(&mut self, from: LogIndex) {
        while self.0.back().is_some_and(|place| place.first >= from) {
            self.0.pop_back();
        }
    }

    /// Forgets records that end at `upto` or before it; `last` is the end of the log.
    pub(super) fn purge(&mut self, upto: LogIndex, last: LogIndex) {
        while !self.0.is_empty() {
            let end = self.0.get(1).map_or(last, |next| next.first.prev());
            if end > upto {
                break;
            }
            self.0.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The oldest segment in which anything is left.
    pub(super) fn oldest_segment(&self) -> Option<u64> {
        Some(self.0.front()?.segment)
    }

    /// Where the record ends that begins at `first`: the index behind it, if there is a next record.
    pub(super) fn after(&self, first: LogIndex) -> Option<LogIndex> {
        let behind = self.0.partition_point(|place| place.first <= first);
        Some(self.0.get(behind)?.first)
    }

    /// The records from the one that holds `index` on.
    pub(super) fn from(&self, index: LogIndex) -> impl Iterator<Item = &Place> {
        let behind = self.0.partition_point(|place| place.first <= index);
        self.0.range(behind.saturating_sub(1)..)
    }
}
