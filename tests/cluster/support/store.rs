//! A store in memory that is slow, full or stuck when the test says so.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use raftix::{
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    types::{EntryBatch, LogBase, LogIndex, Vote},
};

/// What is wrong with a [`FaultyStore`]. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreFaults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    full: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    flush_takes: Option<Duration>,
    stuck: bool,
    flushes: u32,
    in_flushes: Duration,
}

impl StoreFaults {
    /// Refuses appends for want of room.
    pub(crate) fn set_full(&self, full: bool) {
        self.0.full.store(full, Ordering::SeqCst);
    }

    /// Every flush takes at least this long. For stores on a thread of their own.
    pub(crate) fn set_flush_takes(&self, duration: Duration) {
        self.state().flush_takes = Some(duration);
    }

    /// No flush ends while it is stuck. For stores on a thread of their own.
    pub(crate) fn set_stuck(&self, stuck: bool) {
        self.state().stuck = stuck;
        self.0.changed.notify_all();
    }

    /// Forgets the flushes so far.
    pub(crate) fn measure(&self) {
        let mut state = self.state();
        (state.flushes, state.in_flushes) = (0, Duration::ZERO);
    }

    /// How many flushes there were, and how long one took, measured where it is delayed.
    pub(crate) fn measured(&self) -> (u32, Duration) {
        let state = self.state();
        (state.flushes, state.in_flushes / state.flushes.max(1))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::disallowed_methods, reason = "an injected fault takes real time, and is measured in it")]
    fn flush(&self) {
        let began = std::time::Instant::now();
        let takes = self.state().flush_takes;
        if let Some(takes) = takes {
            std::thread::sleep(takes);
        }
        let mut state = self.state();
        while state.stuck {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.flushes += 1;
        state.in_flushes += began.elapsed();
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FaultyStore {
    inner: MemoryStore,
    faults: StoreFaults,
}

impl FaultyStore {
    pub(crate) fn new(faults: &StoreFaults) -> Self {
        Self { inner: MemoryStore::new(), faults: faults.clone() }
    }
}

impl VoteStore for FaultyStore {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.inner.save_vote(vote)
    }
}

impl LogStore for FaultyStore {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.inner.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        if self.faults.0.full.load(Ordering::SeqCst) {
            return Err(StorageError::Full { file: "the faulty store".to_owned() });
        }
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
        self.faults.flush();
        self.inner.flush()
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.inner.read(first, last, bytes_max)
    }
}
