//! A log in memory whose flush takes as long as a slow disk's, and the time that a slow state machine takes, the same
//! for every system: what a system then reaches says how it arranges them, on any machine. How long they really took
//! is measured within. `go/driver/slow.go` is its counterpart.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use raftix::{
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    types::{EntryBatch, LogBase, LogIndex, Vote},
};

use crate::args::Job;

/// Sleeps of one kind.
#[derive(Debug)]
pub(crate) struct Sleeps {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Flushes of the fastest disks.
pub(crate) static FLUSHES: Sleeps = Sleeps::none();
/// Commands applied by slow state machines.
pub(crate) static APPLIES: Sleeps = Sleeps::none();
/// How long an apply takes, in microseconds; none if it is not slowed down.
static APPLY_US: AtomicU64 = AtomicU64::new(0);

impl Sleeps {
    const fn none() -> Self {
        Self { count: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) }
    }

    fn sleep(&self, time: Duration) {
        let began = Instant::now();
        thread::sleep(time);
        self.nanoseconds.fetch_add(began.elapsed().as_nanos() as u64, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// How long one took, in microseconds; 0 if there was none.
    pub(crate) fn mean_us(&self) -> f64 {
        self.nanoseconds.load(Relaxed) as f64 / 1e3 / self.count.load(Relaxed).max(1) as f64
    }
}

/// Makes every state machine of this process as slow as the job says.
pub(crate) fn slow_down(job: &Job) {
    APPLY_US.store(job.apply_us, Relaxed);
}

/// Takes the time of one command.
pub(crate) fn apply() {
    let microseconds = APPLY_US.load(Relaxed);
    if microseconds > 0 {
        APPLIES.sleep(Duration::from_micros(microseconds));
    }
}

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
