//! Snapshots in memory: for tests, simulations and services that may lose everything when they stop.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{SnapshotDescription, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore, unexpected};
use crate::{storage::StorageError, types::LogId};

/// A [`SnapshotStore`] that lives as long as its process. A clone is another handle to the same snapshots.
#[derive(Clone, Default)]
pub struct MemorySnapshotStore {
    published: Arc<Mutex<BTreeMap<LogId, Published>>>,
}

#[derive(Clone)]
struct Published {
    meta: SnapshotMeta,
    content: Bytes,
}

impl MemorySnapshotStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn published(&self) -> MutexGuard<'_, BTreeMap<LogId, Published>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemorySnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.published().keys()).finish()
    }
}

impl SnapshotStore for MemorySnapshotStore {
    fn recover(&mut self) -> Result<Vec<SnapshotMeta>, StorageError> {
        Ok(self.published().values().rev().map(|published| published.meta.clone()).collect())
    }

    fn create(&mut self, description: SnapshotDescription) -> Result<Box<dyn SnapshotSink>, StorageError> {
        Ok(Box::new(MemorySink { store: self.clone(), description, content: Vec::new() }))
    }

    fn open(&mut self, last: LogId) -> Result<Box<dyn SnapshotSource>, StorageError> {
        let published = self.published().get(&last).cloned();
        let Published { meta, content } =
            published.ok_or_else(|| StorageError::Misuse(format!("there is no snapshot up to {last}")))?;
        Ok(Box::new(MemorySource { meta, content, position: 0 }))
    }

    fn retain(&mut self, count: usize) -> Result<(), StorageError> {
        let mut published = self.published();
        while published.len() > count.max(1) {
            published.pop_first();
        }
        Ok(())
    }
}

struct MemorySink {
    store: MemorySnapshotStore,
    description: SnapshotDescription,
    content: Vec<u8>,
}

impl io::Write for MemorySink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SnapshotSink for MemorySink {
    fn bytes(&self) -> u64 {
        self.content.len() as u64
    }

    fn publish(mut self: Box<Self>, expected: Option<(u64, u32)>) -> Result<SnapshotMeta, StorageError> {
        self.content.shrink_to_fit();
        let last = self.description.last;
        let meta = SnapshotMeta {
            bytes: self.bytes(),
            checksum: crc32c::crc32c(&self.content),
            description: self.description,
        };
        if let Some(what) = unexpected(&meta, expected) {
            return Err(super::damaged(format!("snapshot {last}"), meta.bytes, what));
        }
        let published = Published { meta: meta.clone(), content: self.content.into() };
        self.store.published().insert(last, published);
        Ok(meta)
    }
}

struct MemorySource {
    meta: SnapshotMeta,
    content: Bytes,
    position: u64,
}

impl io::Read for MemorySource {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(self.position, bytes)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl SnapshotSource for MemorySource {
    fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let rest = &self.content[from..];
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}
