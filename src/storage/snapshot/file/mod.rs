//! Snapshots on a disk: one file for each, written beside its name and renamed when it is whole.
//!
//! [docs/snapshot.md](crate::docs::snapshot) describes the file by byte and what a crash leaves at each step. Memory
//! beyond the state machine's own: one block for each sink and each source.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{SnapshotDescription, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore, damaged};
use crate::{
    storage::{
        StorageError,
        data_dir::DataDir,
        io_error,
        vfs::{LockGuard, Vfs},
    },
    types::LogId,
};

mod layout;
mod sink;
mod source;

#[cfg(test)]
mod tests;

use layout::{Header, is_temporary, name_of, parse_name, temporary_name};
use sink::FileSink;
use source::FileSource;

/// Content bytes in a block: what is read to give one byte, and what a sink and a source hold.
const BLOCK_BYTES: u32 = 256 << 10;

/// A [`SnapshotStore`] in a directory.
pub struct FileSnapshotStore {
    shared: Arc<Shared>,
    block_bytes: u32,
    /// How many sinks there were: two of the same snapshot write to two files.
    attempts: u64,
}

/// What a sink needs that outlives a call.
struct Shared {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    /// Whoever may still write here keeps the directory from everybody else.
    _lock: Option<Arc<dyn LockGuard>>,
    /// A name was given and may be lost: what shows is not what is durable, until another process looks.
    broken: AtomicBool,
}

impl FileSnapshotStore {
    /// Keeps its snapshots in `dir`, which `recover` makes if it is missing.
    pub fn new(vfs: Arc<dyn Vfs>, dir: &Path) -> Self {
        Self::with(vfs, dir, None, BLOCK_BYTES)
    }

    /// Keeps its snapshots in a node's directory, which stays locked until the store and each of its sinks are dropped.
    pub fn of_directory(vfs: Arc<dyn Vfs>, directory: &DataDir) -> Self {
        Self::with(vfs, &directory.snapshots_dir(), Some(directory.lock()), BLOCK_BYTES)
    }

    fn with(vfs: Arc<dyn Vfs>, dir: &Path, lock: Option<Arc<dyn LockGuard>>, block_bytes: u32) -> Self {
        let shared = Shared { vfs, dir: dir.to_owned(), _lock: lock, broken: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), block_bytes, attempts: 0 }
    }

    /// Opens the newest whole one, and changes nothing: to copy the state out of the directory of a node, whether or not
    /// that runs. In front of the state stands what [`read_header`](super::content::read_header) reads.
    ///
    /// # Errors
    /// Of the file system.
    pub fn newest(&self) -> Result<Option<Box<dyn SnapshotSource>>, StorageError> {
        let found = self.names()?.into_iter().find_map(|last| self.look(last).ok());
        Ok(found.map(|source| Box::new(source) as Box<dyn SnapshotSource>))
    }

    /// Every published snapshot by its name, newest first.
    fn names(&self) -> Result<Vec<LogId>, StorageError> {
        let Shared { vfs, dir, .. } = &*self.shared;
        let names = vfs.list(dir).map_err(|error| io_error("list", dir, error))?;
        let mut found: Vec<LogId> = names.iter().filter_map(|name| parse_name(name)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// Reads the front and the end of a published snapshot.
    fn look(&self, last: LogId) -> Result<FileSource, StorageError> {
        let path = self.shared.dir.join(name_of(last));
        let file = self.shared.vfs.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StorageError::Misuse(format!("there is no snapshot up to {last}")),
            _ => io_error("open", &path, error),
        })?;
        let source = FileSource::open(file, &path)?;
        if source.meta().description.last != last {
            let what = format!("it is the snapshot up to {}", source.meta().description.last);
            return Err(damaged(path.display().to_string(), 0, what));
        }
        Ok(source)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.shared.dir.join(name);
        self.shared.vfs.remove(&path).map_err(|error| io_error("remove", &path, error))
    }

    /// Makes every name as durable as it shows.
    fn sync(&self) -> Result<(), StorageError> {
        let Shared { vfs, dir, broken, .. } = &*self.shared;
        vfs.sync_dir(dir).map_err(|error| {
            broken.store(true, Ordering::SeqCst);
            io_error("sync", dir, error)
        })
    }
}

impl SnapshotStore for FileSnapshotStore {
    /// One that cannot be read is left out as a damaged one is.
    fn recover(&mut self) -> Result<Vec<SnapshotMeta>, StorageError> {
        let Shared { vfs, dir, .. } = &*self.shared;
        vfs.create_dir_all(dir).map_err(|error| io_error("create", dir, error))?;
        let names = vfs.list(dir).map_err(|error| io_error("list", dir, error))?;
        for name in names.iter().filter(|name| is_temporary(name)) {
            self.remove(name)?;
        }
        let mut found = Vec::new();
        for last in self.names()? {
            match self.look(last) {
                Ok(source) => found.push(source.meta().clone()),
                Err(error) => tracing::warn!(%error, "left a snapshot out"),
            }
        }
        // A process that died may have left names that only the cache holds.
        self.sync()?;
        Ok(found)
    }

    fn create(&mut self, description: SnapshotDescription) -> Result<Box<dyn SnapshotSink>, StorageError> {
        self.shared.check()?;
        let beside = self.shared.dir.join(temporary_name(description.last, self.attempts));
        self.attempts += 1;
        let header = Header { description, block_bytes: self.block_bytes };
        Ok(Box::new(FileSink::create(self.shared.clone(), header, beside)?))
    }

    fn open(&mut self, last: LogId) -> Result<Box<dyn SnapshotSource>, StorageError> {
        Ok(Box::new(self.look(last)?))
    }

    /// Damaged ones do not count, so that they never take the place of a whole one; behind those that are kept they
    /// go as well.
    fn retain(&mut self, count: usize) -> Result<(), StorageError> {
        self.shared.check()?;
        let mut kept = 0;
        let mut removed = false;
        for last in self.names()? {
            if kept >= count.max(1) {
                self.remove(&name_of(last))?;
                removed = true;
            } else if self.look(last).is_ok() {
                kept += 1;
            }
        }
        if removed { self.sync() } else { Ok(()) }
    }
}

impl Shared {
    fn check(&self) -> Result<(), StorageError> {
        if self.broken.load(Ordering::SeqCst) {
            let before = io::Error::other("it failed before and must be read by a new process");
            return Err(io_error("sync", &self.dir, before));
        }
        Ok(())
    }
}

impl fmt::Debug for FileSnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSnapshotStore").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}
