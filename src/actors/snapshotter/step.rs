//! What the snapshotter does to files, without actors or threads: the store's part, and the writing of a state.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Bytes, BytesMut};

use crate::{
    error::SnapshotError,
    messages::{
        PieceRead, ReadPiece, ReadStaged, ReceiveSnapshot, Reception, RestoreFeeder, SnapshotOpened,
        SnapshotPart, SnapshotReader, SnapshotReceived, SnapshotStaged, StagedRead,
    },
    state_machine::StateSnapshot,
    storage::{
        StorageError,
        snapshot::{SnapshotDescription, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore, content},
        staging::StagedSnapshot,
    },
    types::LogId,
};

/// How much of a state is collected for one write, in bytes: state machines write a few at a time.
pub(super) const PERSIST_BYTES: usize = 256 << 10;

/// One thing to do with the store. Calls come one at a time, in order.
#[derive(Debug)]
pub(crate) enum FileWork {
    /// Begin a snapshot of this.
    Create(SnapshotDescription),
    /// Remove all but so many of the newest.
    Retain(usize),
    /// Open the one that ends here, to be sent.
    Open { last: LogId, reader: Arc<dyn SnapshotReader> },
    /// Read a piece of an open one.
    Read(ReadPiece),
    /// Keep what a leader sends.
    Receive(ReceiveSnapshot),
    /// Read a piece of what a user restores.
    ReadStaged(ReadStaged),
    /// Let the store go, and what a leader was sending.
    Close,
}

/// One thing done.
#[derive(Debug)]
pub(crate) enum SnapshotCompletion {
    Begun(Result<Box<dyn SnapshotSink>, Arc<StorageError>>),
    Written(Result<SnapshotMeta, SnapshotError>),
    Opened { reader: Arc<dyn SnapshotReader>, message: SnapshotOpened },
    Read { reader: Arc<dyn SnapshotReader>, message: PieceRead },
    Received(SnapshotReceived),
    Staged { feeder: Arc<dyn RestoreFeeder>, message: SnapshotStaged },
    StagedRead { feeder: Arc<dyn RestoreFeeder>, message: StagedRead },
    Closed,
}

/// Who waits for a piece of work, so that it can be told if that is never done.
pub(super) enum Waiting {
    Nobody,
    Begun,
    Opened(Arc<dyn SnapshotReader>),
    Read(Arc<dyn SnapshotReader>),
    Received(u64),
    StagedRead(Arc<dyn RestoreFeeder>),
    Closed,
}

impl FileWork {
    pub(super) fn waiting(&self) -> Waiting {
        match self {
            Self::Create(_) => Waiting::Begun,
            Self::Retain(_) => Waiting::Nobody,
            Self::Open { reader, .. } => Waiting::Opened(reader.clone()),
            Self::Read(read) => Waiting::Read(read.reader.clone()),
            Self::Receive(receive) => Waiting::Received(receive.session),
            Self::ReadStaged(read) => Waiting::StagedRead(read.feeder.clone()),
            Self::Close => Waiting::Closed,
        }
    }
}

impl Waiting {
    /// It is never done, for this reason.
    pub(super) fn failed(self, error: Arc<StorageError>) -> Option<SnapshotCompletion> {
        match self {
            Self::Nobody => None,
            Self::Begun => Some(SnapshotCompletion::Begun(Err(error))),
            Self::Opened(reader) => {
                let message = SnapshotOpened { result: Err(error) };
                Some(SnapshotCompletion::Opened { reader, message })
            }
            Self::Read(reader) => {
                let message = PieceRead { offset: 0, result: Err(error) };
                Some(SnapshotCompletion::Read { reader, message })
            }
            Self::Received(session) => {
                let step = Reception::Failed(error);
                Some(SnapshotCompletion::Received(SnapshotReceived { session, step }))
            }
            Self::StagedRead(feeder) => {
                let message = StagedRead { offset: 0, result: Err(error) };
                Some(SnapshotCompletion::StagedRead { feeder, message })
            }
            // Whoever does nothing any more has let everything go.
            Self::Closed => Some(SnapshotCompletion::Closed),
        }
    }
}

/// The store's part.
pub(crate) struct FileStep {
    /// None once it is closed.
    store: Option<Box<dyn SnapshotStore>>,
    /// What a leader sends.
    incoming: Option<Incoming>,
}

/// A snapshot that a leader sends, in the session of that number.
struct Incoming {
    session: u64,
    meta: SnapshotMeta,
    sink: Box<dyn SnapshotSink>,
}

impl FileStep {
    pub(crate) fn new(store: Box<dyn SnapshotStore>) -> Self {
        Self { store: Some(store), incoming: None }
    }

    fn store(&mut self) -> Result<&mut dyn SnapshotStore, StorageError> {
        let closed = || StorageError::Misuse("the store of the snapshots is closed".to_owned());
        Ok(self.store.as_mut().ok_or_else(closed)?.as_mut())
    }

    pub(super) fn perform(&mut self, work: FileWork, emit: &mut dyn FnMut(SnapshotCompletion)) {
        match work {
            FileWork::Create(description) => {
                let result = self.store().and_then(|store| store.create(description));
                emit(SnapshotCompletion::Begun(result.map_err(Arc::new)));
            }
            FileWork::Retain(count) => {
                // They only take room, and go with the next one.
                if let Err(error) = self.store().and_then(|store| store.retain(count)) {
                    tracing::warn!(%error, "older snapshots cannot be removed");
                }
            }
            FileWork::Open { last, reader } => {
                let result = self.store().and_then(|store| store.open(last));
                let message = SnapshotOpened { result: result.map_err(Arc::new) };
                emit(SnapshotCompletion::Opened { reader, message });
            }
            FileWork::Read(ReadPiece { source, offset, length, reader }) => {
                let result = read_piece(source, offset, length).map_err(Arc::new);
                emit(SnapshotCompletion::Read { reader, message: PieceRead { offset, result } });
            }
            FileWork::ReadStaged(read) => {
                let ReadStaged { snapshot, offset, length, feeder } = read;
                let result = read_staged(snapshot, offset, length).map_err(Arc::new);
                emit(SnapshotCompletion::StagedRead { feeder, message: StagedRead { offset, result } });
            }
            FileWork::Receive(ReceiveSnapshot { session, part }) => {
                let step = match self.receive(session, part) {
                    Ok(Some(step)) => step,
                    Ok(None) => return,
                    Err(error) => {
                        // What was written is removed with its sink.
                        self.incoming = None;
                        Reception::Failed(Arc::new(error))
                    }
                };
                emit(SnapshotCompletion::Received(SnapshotReceived { session, step }));
            }
            FileWork::Close => {
                self.incoming = None;
                self.store = None;
                emit(SnapshotCompletion::Closed);
            }
        }
    }

    /// Does one thing to what a leader sends; nothing if it has failed before.
    fn receive(&mut self, session: u64, part: SnapshotPart) -> Result<Option<Reception>, StorageError> {
        if let SnapshotPart::Begin(meta) = part {
            self.incoming = None;
            let sink = self.store()?.create(meta.description.clone())?;
            self.incoming = Some(Incoming { session, meta, sink });
            return Ok(Some(Reception::Written(0)));
        }
        let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.session == session) else {
            return Ok(None);
        };
        match part {
            SnapshotPart::Begin(_) => Ok(None),
            SnapshotPart::GiveUp => {
                self.incoming = None;
                Ok(None)
            }
            SnapshotPart::Piece(data) => {
                let last = incoming.meta.description.last;
                let written = io::Write::write_all(&mut incoming.sink, &data);
                written.map_err(|error| failed("write", last, error))?;
                Ok(Some(Reception::Written(incoming.sink.bytes())))
            }
            SnapshotPart::Publish => {
                let Some(Incoming { meta, sink, .. }) = self.incoming.take() else { return Ok(None) };
                let published = sink.publish(Some((meta.bytes, meta.checksum)))?;
                Ok(Some(Reception::Published(self.store()?.open(published.description.last)?)))
            }
        }
    }
}

fn failed(operation: &'static str, last: LogId, source: io::Error) -> StorageError {
    let file = format!("the snapshot up to {last}");
    match source.kind() {
        io::ErrorKind::StorageFull => StorageError::Full { file },
        _ => StorageError::Io { operation, file, source },
    }
}

/// Reads `length` bytes: a snapshot is as long as its description says.
fn read_piece(
    mut source: Box<dyn SnapshotSource>,
    offset: u64,
    length: usize,
) -> Result<(Box<dyn SnapshotSource>, Bytes), StorageError> {
    let last = source.meta().description.last;
    let mut data = BytesMut::zeroed(length);
    let read = source.read_at(offset, &mut data).map_err(|error| failed("read", last, error))?;
    if read < length {
        return Err(failed("read", last, io::ErrorKind::UnexpectedEof.into()));
    }
    Ok((source, data.freeze()))
}

/// Reads `length` bytes of a copy of a user's snapshot.
pub(super) fn read_staged(
    mut copied: StagedSnapshot,
    offset: u64,
    length: usize,
) -> Result<(StagedSnapshot, Bytes), StorageError> {
    let mut piece = BytesMut::zeroed(length);
    match copied.read_at(offset, &mut piece) {
        Ok(()) => Ok((copied, piece.freeze())),
        Err(error) => Err(copied.unreadable(error)),
    }
}

/// A state and where it is to be written.
pub(crate) struct PersistWork {
    pub(crate) sink: Box<dyn SnapshotSink>,
    pub(crate) sessions: Vec<u8>,
    pub(crate) state: Box<dyn StateSnapshot>,
    pub(crate) cancelled: Cancelled,
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
pub(crate) fn persist(work: PersistWork) -> Result<SnapshotMeta, SnapshotError> {
    let PersistWork { sink, sessions, state, cancelled } = work;
    let mut writer = Guarded { sink, cancelled };
    let written = catch_unwind(AssertUnwindSafe(|| {
        let mut buffered = io::BufWriter::with_capacity(PERSIST_BYTES, &mut writer);
        content::write_header(&mut buffered, &sessions)?;
        state.persist(&mut buffered)?;
        io::Write::flush(&mut buffered)
    }));
    match written {
        // Whether or not the state machine has noticed.
        Ok(_) if writer.cancelled.is_set() => Err(SnapshotError::ShuttingDown),
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
