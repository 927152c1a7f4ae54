//! A log in memory whose flush takes as long as a slow disk's, the same for every system: what a system then reaches
//! says how it arranges its flushes, on any machine. `go/driver/slow.go` is its counterpart.

use std::{thread, time::Duration};

use raftix::{
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    types::{EntryBatch, LogBase, LogIndex, Vote},
};

use crate::{job::Job, sleeps::FLUSHES};

/// One flush at a time, for all that was appended before it.
#[derive(Debug)]
pub(crate) struct SlowStore {
    store: MemoryStore,
    flush: Duration,
    /// Whether no other node's disk is faster.
    fastest: bool,
}

impl SlowStore {
    /// The log of node `number`.
    pub(crate) fn new(job: &Job, number: usize) -> Self {
        let flush = job.flush_us[number];
        let fastest = job.flush_us.iter().all(|other| *other >= flush);
        Self { store: MemoryStore::new(), flush: Duration::from_micros(flush), fastest }
    }
}

impl VoteStore for SlowStore {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.store.save_vote(vote)
    }
}

impl LogStore for SlowStore {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.store.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.store.append(entries)
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.store.truncate(from)
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.store.purge(base)
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.store.reset(base)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        if self.fastest {
            FLUSHES.sleep(self.flush);
        } else {
            thread::sleep(self.flush);
        }
        self.store.flush()
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.store.read(first, last, bytes_max)
    }
}
