//! What the snapshotter does to files, without actors or threads: the store's part, and the writing of a state.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    error::SnapshotError,
    state_machine::StateSnapshot,
    storage::{
        StorageError,
        snapshot::{SnapshotDescription, SnapshotMeta, SnapshotSink, SnapshotStore, content},
    },
};

/// How much of a state is collected for one write, in bytes: state machines write a few at a time.
const PERSIST_BYTES: usize = 256 << 10;

/// One thing to do with the store. Calls come one at a time, in order.
#[derive(Debug)]
pub(crate) enum FileWork {
    /// Begin a snapshot of this.
    Create(SnapshotDescription),
    /// Remove all but so many of the newest.
    Retain(usize),
}

/// One thing done.
#[derive(Debug)]
pub(crate) enum SnapshotCompletion {
    Begun(Result<Box<dyn SnapshotSink>, Arc<StorageError>>),
    Written(Result<SnapshotMeta, SnapshotError>),
}

/// The store's part.
pub(crate) struct FileStep {
    store: Box<dyn SnapshotStore>,
}

impl FileStep {
    pub(crate) fn new(store: Box<dyn SnapshotStore>) -> Self {
        Self { store }
    }

    pub(super) fn perform(&mut self, work: FileWork, emit: &mut dyn FnMut(SnapshotCompletion)) {
        match work {
            FileWork::Create(description) => {
                emit(SnapshotCompletion::Begun(self.store.create(description).map_err(Arc::new)));
            }
            FileWork::Retain(count) => {
                // They only take room, and go with the next one.
                if let Err(error) = self.store.retain(count) {
                    tracing::warn!(%error, "older snapshots cannot be removed");
                }
            }
        }
    }
}

/// A state and where it is to be written.
pub(crate) struct PersistWork {
    pub(super) sink: Box<dyn SnapshotSink>,
    pub(super) sessions: Vec<u8>,
    pub(super) state: Box<dyn StateSnapshot>,
    pub(super) cancelled: Cancelled,
}

/// Whether what is being written is not wanted any more. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes a state and publishes it. What goes wrong concerns this snapshot alone: the state that the node goes on
/// with was not touched, so not even a panic of the user's stops it.
pub(super) fn persist(work: PersistWork) -> Result<SnapshotMeta, SnapshotError> {
    let PersistWork { sink, sessions, state, cancelled } = work;
    let mut writer = Guarded { sink, cancelled };
    let written = catch_unwind(AssertUnwindSafe(|| {
        let mut buffered = io::BufWriter::with_capacity(PERSIST_BYTES, &mut writer);
        content::write_header(&mut buffered, &sessions)?;
        state.persist(&mut buffered)?;
        io::Write::flush(&mut buffered)
    }));
    match written {
        Ok(Ok(())) if writer.cancelled.is_set() => Err(SnapshotError::ShuttingDown),
        Ok(Ok(())) => writer.sink.publish(None).map_err(|error| SnapshotError::Storage(Arc::new(error))),
        Ok(Err(error)) => Err(SnapshotError::Persist(error.to_string())),
        Err(_) => Err(SnapshotError::Persist("the state machine's snapshot panicked".to_owned())),
    }
}

/// A sink that ends when it is not wanted any more, so that a long state does not outlive its node.
struct Guarded {
    sink: Box<dyn SnapshotSink>,
    cancelled: Cancelled,
}

impl io::Write for Guarded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancelled.is_set() {
            return Err(io::Error::other("the node is shutting down"));
        }
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
