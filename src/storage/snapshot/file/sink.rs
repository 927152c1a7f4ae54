//! A snapshot file while it is written: under a name of its own, block by block, until it is whole.

use std::{
    io::{self, IoSlice},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Shared,
    layout::{Footer, Header, Layout, name_of},
};
use crate::storage::{
    StorageError, io_error,
    snapshot::{SnapshotMeta, SnapshotSink, damaged, unexpected},
    vfs::VfsFile,
};

/// After so much content what is written goes to the disk, so that a barrier of the log beside it never waits for
/// all of a large snapshot.
pub(super) const SYNC_BYTES: u64 = 8 << 20;

/// See [`SnapshotSink`].
pub(super) struct FileSink {
    shared: Arc<Shared>,
    beside: PathBuf,
    file: Box<dyn VfsFile>,
    header: Header,
    layout: Layout,
    /// The content of the block that is being filled.
    block: Vec<u8>,
    /// Content of the blocks that are written, and its checksum.
    written: Footer,
    synced: u64,
    /// What a write failed with: nothing can be made of the file then.
    failed: Option<io::ErrorKind>,
    published: bool,
}

impl FileSink {
    pub(super) fn create(shared: Arc<Shared>, header: Header, beside: PathBuf) -> Result<Self, StorageError> {
        let encoded = header.encode();
        if Header::decode(&encoded).as_ref() != Ok(&header) {
            return Err(StorageError::Misuse(format!("{:?} describes no snapshot", header.description)));
        }
        let layout = Layout::new(&encoded, header.block_bytes);
        let file = shared.vfs.create(&beside).map_err(|error| io_error("create", &beside, error))?;
        let block = Vec::with_capacity(layout.block_bytes());
        let written = Footer { bytes: 0, checksum: 0 };
        let (failed, published) = (None, false);
        let mut sink =
            Self { shared, beside, file, header, layout, block, written, synced: 0, failed, published };
        let begun = sink.file.write_at(0, &[IoSlice::new(&encoded)]);
        begun.map_err(|error| io_error("write", &sink.beside, error))?;
        Ok(sink)
    }

    /// Writes the block as it is.
    fn write_block(&mut self) -> io::Result<()> {
        let (number, _) = self.layout.locate(self.written.bytes);
        let content = crc32c::crc32c(&self.block);
        let checksum = self.layout.block_checksum(number, content).to_le_bytes();
        let slices = [IoSlice::new(&self.block), IoSlice::new(&checksum)];
        self.file.write_at(self.layout.block_at(number), &slices)?;
        self.written.checksum = crc32c::crc32c_append(self.written.checksum, &self.block);
        self.written.bytes += self.block.len() as u64;
        self.block.clear();
        if self.written.bytes - self.synced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.written.bytes;
        }
        Ok(())
    }

    /// Remembers that nothing can be made of the file any more.
    fn noting<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| self.failed = Some(error.kind()))
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        if !self.block.is_empty() {
            self.write_block()?;
        }
        let at = self.layout.footer_at(self.written.bytes).ok_or(io::ErrorKind::FileTooLarge)?;
        let footer = self.layout.encode_footer(self.written);
        self.file.write_at(at, &[IoSlice::new(&footer)])?;
        self.file.sync_all()
    }

    /// Gives the whole file its name, for good.
    fn show(&mut self) -> Result<(), StorageError> {
        let path = self.shared.dir.join(name_of(self.header.description.last));
        let vfs = &self.shared.vfs;
        vfs.rename(&self.beside, &path).map_err(|error| io_error("rename", &self.beside, error))?;
        self.published = true;
        vfs.sync_dir(&self.shared.dir).map_err(|error| {
            // Its name is there, and nothing says for how long: it must not count as what may be relied on.
            self.shared.broken.store(true, Ordering::SeqCst);
            io_error("sync", &self.shared.dir, error)
        })
    }
}

impl io::Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        let room = self.layout.block_bytes() - self.block.len();
        let taken = room.min(bytes.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if taken == room {
            let done = self.write_block();
            self.noting(done)?;
        }
        Ok(taken)
    }

    /// Does nothing: what counts is `publish`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SnapshotSink for FileSink {
    fn bytes(&self) -> u64 {
        self.written.bytes + self.block.len() as u64
    }

    fn publish(mut self: Box<Self>, expected: Option<(u64, u32)>) -> Result<SnapshotMeta, StorageError> {
        self.shared.check()?;
        let done = self.finish();
        self.noting(done).map_err(|error| io_error("write", &self.beside, error))?;
        let Footer { bytes, checksum } = self.written;
        let meta = SnapshotMeta { description: self.header.description.clone(), bytes, checksum };
        if let Some(what) = unexpected(&meta, expected) {
            return Err(damaged(self.beside.display().to_string(), bytes, what));
        }
        self.show()?;
        Ok(meta)
    }
}

impl Drop for FileSink {
    /// What cannot be removed now is removed by the next `recover`.
    fn drop(&mut self) {
        if !self.published {
            let removed = self.shared.vfs.remove(&self.beside);
            removed.unwrap_or_else(
                |error| tracing::debug!(file = %self.beside.display(), %error, "left behind"),
            );
        }
    }
}
