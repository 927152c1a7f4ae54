//! A store in memory that finds nothing where it is read, while the test says so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use raftix::{
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    types::{EntryBatch, LogBase, LogIndex, Vote},
};

/// What a [`ForgetfulStore`] does. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forgetfulness {
    on: Arc<AtomicBool>,
    reads: Arc<AtomicU32>,
}

impl Forgetfulness {
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// How often the store was read.
    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ForgetfulStore {
    inner: MemoryStore,
    forgetfulness: Forgetfulness,
}

impl ForgetfulStore {
    pub(crate) fn new(forgetfulness: &Forgetfulness) -> Self {
        Self { inner: MemoryStore::new(), forgetfulness: forgetfulness.clone() }
    }
}

impl VoteStore for ForgetfulStore {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.inner.save_vote(vote)
    }
}

impl LogStore for ForgetfulStore {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.inner.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.inner.append(entries)
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.inner.truncate(from)
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.inner.purge(base)
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.inner.reset(base)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.inner.flush()
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.forgetfulness.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.inner.read(first, last, bytes_max)?;
        Ok(if self.forgetfulness.on.load(Ordering::SeqCst) { Vec::new() } else { found })
    }
}
