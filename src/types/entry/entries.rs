//! Several batches that follow each other, as they are sent and applied together.

use std::fmt;

use super::{EntryBatch, EntryRef};
use crate::types::{LogId, LogIndex};

/// Consecutive batches: what one AppendEntries carries, or one hand-off to the state machine.
#[derive(Clone, Default)]
pub struct Entries {
    batches: Batches,
}

/// One batch is what a quiet log sends, stores and applies: it needs no list.
#[derive(Clone, Default)]
enum Batches {
    #[default]
    None,
    One(EntryBatch),
    Several(Vec<EntryBatch>),
}

impl Entries {
    /// No entries.
    pub const fn none() -> Self {
        Self { batches: Batches::None }
    }

    /// Adds a batch behind the others.
    ///
    /// # Panics
    /// If it does not continue them: a broken invariant.
    pub fn push(&mut self, batch: EntryBatch) {
        assert!(
            self.last().is_none_or(|last| last.next() == batch.first()),
            "batch {batch:?} does not continue {self:?}"
        );
        self.batches = match std::mem::take(&mut self.batches) {
            Batches::None => Batches::One(batch),
            Batches::One(first) => Batches::Several(vec![first, batch]),
            Batches::Several(mut batches) => {
                batches.push(batch);
                Batches::Several(batches)
            }
        };
    }

    /// The batches in order.
    pub fn batches(&self) -> &[EntryBatch] {
        match &self.batches {
            Batches::None => &[],
            Batches::One(batch) => std::slice::from_ref(batch),
            Batches::Several(batches) => batches,
        }
    }

    /// The same, given away.
    pub fn into_batches(self) -> impl Iterator<Item = EntryBatch> {
        let (one, several) = match self.batches {
            Batches::None => (None, Vec::new()),
            Batches::One(batch) => (Some(batch), Vec::new()),
            Batches::Several(batches) => (None, batches),
        };
        one.into_iter().chain(several)
    }

    /// The entries from `first` on, as slices of the same buffers.
    pub fn starting_at(&self, first: LogIndex) -> Self {
        let mut entries = Self::none();
        for part in self.batches().iter().filter_map(|batch| batch.slice(first, batch.last())) {
            entries.push(part);
        }
        entries
    }

    /// Every entry in order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.batches().iter().flat_map(EntryBatch::iter)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.batches().is_empty()
    }

    /// How many entries.
    pub fn count(&self) -> u64 {
        self.batches().iter().map(EntryBatch::count).sum()
    }

    /// How many bytes.
    pub fn bytes_len(&self) -> usize {
        self.batches().iter().map(EntryBatch::len).sum()
    }

    /// Index of the first entry.
    pub fn first(&self) -> Option<LogIndex> {
        self.batches().first().map(EntryBatch::first)
    }

    /// Index of the last entry.
    pub fn last(&self) -> Option<LogIndex> {
        self.batches().last().map(EntryBatch::last)
    }

    /// Position of the last entry.
    pub fn last_id(&self) -> Option<LogId> {
        self.batches().last().map(EntryBatch::last_id)
    }
}

impl From<EntryBatch> for Entries {
    fn from(batch: EntryBatch) -> Self {
        Self { batches: Batches::One(batch) }
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.batches() == other.batches()
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.batches()).finish()
    }
}
