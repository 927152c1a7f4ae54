//! The newest entries, in memory: what followers a little behind and the state machine read.

use std::collections::VecDeque;

use crate::types::{Entries, EntryBatch, LogIndex};

/// How many batches from the end are tried before the whole cache is searched.
const NEAR: usize = 8;
/// What a batch takes beside its bytes.
const BATCH_OVERHEAD_BYTES: usize = 96;

/// Consecutive batches up to the end of the log.
#[derive(Debug)]
pub(super) struct TailCache {
    batches: VecDeque<EntryBatch>,
    /// First index held, or the next one to come if none is.
    first: LogIndex,
    bytes: usize,
    bytes_max: usize,
}

impl TailCache {
    pub(super) fn new(first: LogIndex, bytes_max: usize) -> Self {
        Self { batches: VecDeque::new(), first, bytes: 0, bytes_max }
    }

    pub(super) fn first(&self) -> LogIndex {
        self.first
    }

    pub(super) fn push(&mut self, batch: EntryBatch) {
        if self.batches.is_empty() {
            self.first = batch.first();
        }
        self.bytes += cost(&batch);
        self.batches.push_back(batch);
    }

    /// Forgets everything from `from` on.
    pub(super) fn truncate(&mut self, from: LogIndex) {
        while let Some(batch) = self.batches.pop_back_if(|batch| batch.last() >= from) {
            self.bytes -= cost(&batch);
            if let Some(kept) = batch.slice(batch.first(), from.prev()) {
                self.bytes += cost(&kept);
                self.batches.push_back(kept);
                break;
            }
        }
        if self.batches.is_empty() {
            self.first = self.first.min(from);
        }
    }

    /// Forgets every batch that ends at or before `through`.
    pub(super) fn purge(&mut self, through: LogIndex) {
        while let Some(batch) = self.batches.pop_front_if(|batch| batch.last() <= through) {
            self.bytes -= cost(&batch);
            self.first = batch.last().next();
        }
    }

    /// Forgets everything; the next entry to come is at `first`.
    pub(super) fn reset(&mut self, first: LogIndex) {
        *self = Self::new(first, self.bytes_max);
    }

    /// Forgets the oldest batches that end at or before `through` while there are too many bytes.
    pub(super) fn evict(&mut self, through: LogIndex) {
        while self.bytes > self.bytes_max {
            let Some(batch) = self.batches.pop_front_if(|batch| batch.last() <= through) else { return };
            self.bytes -= cost(&batch);
            self.first = batch.last().next();
        }
    }

    /// The first batch that reaches `index`. The usual question is for one of the last few.
    fn position(&self, index: LogIndex) -> usize {
        let far = self.batches.len().saturating_sub(NEAR);
        let mut at = self.batches.len();
        while at > far && self.batches[at - 1].last() >= index {
            at -= 1;
        }
        if at > far || far == 0 { at } else { self.batches.partition_point(|batch| batch.last() < index) }
    }

    /// Entries of `[first, last]`, whole batches as long as they fit, but at least one entry.
    pub(super) fn read(&self, first: LogIndex, last: LogIndex, count_max: u64, bytes_max: usize) -> Entries {
        let at = self.position(first);
        if let Some(batch) = self.batches.get(at)
            && batch.last() == last
            && batch.first() == first
            && batch.count() <= count_max
            && batch.len() <= bytes_max
        {
            // What a log that nobody is behind is asked for.
            return batch.clone().into();
        }
        let mut entries = Entries::none();
        let (mut count, mut bytes) = (0, 0);
        for batch in self.batches.range(at..) {
            let room = count_max.saturating_sub(count);
            if room == 0 || (bytes > 0 && bytes + batch.len() > bytes_max) {
                break;
            }
            let until = last.min(LogIndex(first.max(batch.first()).0.saturating_add(room - 1)));
            let Some(part) = batch.slice(first, until) else { break };
            let room = bytes_max.saturating_sub(bytes);
            let part = if part.len() > room { part.prefix(room) } else { part };
            let whole = part.last() == batch.last();
            count += part.count();
            bytes += part.len();
            entries.push(part);
            if !whole {
                break;
            }
        }
        entries
    }
}

fn cost(batch: &EntryBatch) -> usize {
    batch.len() + BATCH_OVERHEAD_BYTES
}
