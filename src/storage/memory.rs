//! A log in memory: for tests, simulations and services that may lose everything when they stop.
//!
//! Keeps clones of the batches it is given, which are slices of the buffers they came in; copies
//! nothing. A flush is free and proves nothing.

use std::collections::VecDeque;

use super::{LogStore, Recovered, StorageError, VoteStore, term_runs::TermRuns};
use crate::types::{EntryBatch, LogBase, LogId, LogIndex, Membership, Vote};

/// A [`LogStore`] that lives as long as its process. A clone is a copy of its present state.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    vote: Vote,
    base: LogBase,
    last: LogId,
    /// Consecutive; the first may start at or before the base, never shown.
    batches: VecDeque<EntryBatch>,
    runs: TermRuns,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first batch that reaches `index`.
    fn position(&self, index: LogIndex) -> usize {
        self.batches.partition_point(|batch| batch.last() < index)
    }
}

impl VoteStore for MemoryStore {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.vote.clone_from(vote);
        Ok(())
    }
}

impl LogStore for MemoryStore {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        let first = self.base.last.index.next();
        let shown = self.batches.iter().filter_map(|batch| batch.slice(first, self.last.index));
        let memberships = shown.map(|batch| memberships(&batch)).collect::<Result<Vec<_>, _>>()?.concat();
        Ok(Recovered {
            vote: self.vote.clone(),
            base: self.base.clone(),
            last: self.last,
            term_runs: self.runs.to_vec(),
            memberships,
            withheld: None,
            repairs: Vec::new(),
        })
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        super::check_append(self.last, entries)?;
        self.runs.append(entries);
        self.last = entries.last_id();
        self.batches.push_back(entries.clone());
        Ok(())
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        super::check_truncate(&self.base, from)?;
        if from > self.last.index {
            return Ok(());
        }
        let keep = self.position(from);
        let cut = self.batches.get(keep).and_then(|batch| batch.slice(batch.first(), from.prev()));
        self.batches.truncate(keep);
        self.batches.extend(cut);
        self.runs.truncate(from);
        let term = self.runs.term_at(from.prev()).unwrap_or(self.base.last.term);
        self.last = LogId::new(term, from.prev());
        Ok(())
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        if !super::check_purge(&self.base, self.last, base)? {
            return Ok(());
        }
        let upto = base.last.index;
        let gone = self.position(upto.next());
        self.batches.drain(..gone);
        self.runs.purge(upto, self.last.index);
        self.base.clone_from(base);
        Ok(())
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.batches.clear();
        self.runs = TermRuns::default();
        self.base.clone_from(base);
        self.last = base.last;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        super::check_read(&self.base, self.last, first, last)?;
        let mut found = Vec::new();
        let mut room = bytes_max;
        for batch in self.batches.range(self.position(first)..) {
            let Some(wanted) = batch.slice(first, last) else { break };
            if !super::take_prefix(&mut found, &mut room, wanted) {
                break;
            }
        }
        Ok(found)
    }
}

/// The membership entries of a batch.
pub(super) fn memberships(batch: &EntryBatch) -> Result<Vec<(LogIndex, Membership)>, StorageError> {
    let decode = |entry: crate::types::EntryRef<'_>| {
        let membership = Membership::decode(entry.data).map_err(|error| {
            StorageError::Misuse(format!("entry {} is no membership: {error}", entry.index))
        })?;
        Ok((entry.index, membership))
    };
    batch.configurations().map(decode).collect()
}
