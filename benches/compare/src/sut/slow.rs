//! A log in memory whose flush takes as long as a slow disk's, the same for every system: what a system then
//! reaches says how it arranges its flushes, on any machine. `go/driver/slow.go` is its counterpart.

use std::{thread, time::Duration};

use raftix::{
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    types::{EntryBatch, LogBase, LogIndex, Vote},
};

/// How long a flush takes.
pub(crate) const FLUSH: Duration = Duration::from_millis(5);

/// One flush at a time, for all that was appended before it.
#[derive(Debug, Default)]
pub(crate) struct SlowStore(MemoryStore);

impl VoteStore for SlowStore {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.0.save_vote(vote)
    }
}

impl LogStore for SlowStore {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.0.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.0.append(entries)
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.0.truncate(from)
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.0.purge(base)
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.0.reset(base)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        thread::sleep(FLUSH);
        self.0.flush()
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.0.read(first, last, bytes_max)
    }
}
