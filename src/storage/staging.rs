//! Where a snapshot of the user's is put together before it takes effect: on the leader as it was given, and on every
//! node as its pieces are applied.
//!
//! Nothing here is durable, on purpose: what was given is given again, and the pieces are applied again from the log.
//! A file goes with whoever has it; what a process that died left is removed by the next.

use std::{
    fmt, io,
    io::IoSlice,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    StorageError, io_error,
    vfs::{Vfs, VfsFile},
};

/// A place for them. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) enum StagingArea {
    /// For nodes that keep everything in memory.
    #[default]
    Memory,
    /// Files of a directory.
    Directory(Arc<StagingDirectory>),
}

/// See [`StagingArea`].
#[derive(Debug)]
pub(crate) struct StagingDirectory {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    /// How many files there were: no two have one name.
    files: AtomicU64,
}

impl StagingArea {
    /// Files in `dir`, which is made with the first. What is there now was left by a process that died.
    ///
    /// # Errors
    /// Of the file system.
    pub(crate) fn directory(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Self, StorageError> {
        let left = match vfs.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|error| io_error("list", dir, error))?,
        };
        for name in left {
            let file = dir.join(name);
            vfs.remove(&file).map_err(|error| io_error("remove", &file, error))?;
        }
        let directory = StagingDirectory { vfs, dir: dir.to_owned(), files: AtomicU64::new(0) };
        Ok(Self::Directory(Arc::new(directory)))
    }

    /// An empty snapshot to be put together.
    ///
    /// # Errors
    /// Of the file system; [`StorageError::Full`] if there is no room.
    pub(crate) fn create(&self) -> Result<StagedSnapshot, StorageError> {
        let content = match self {
            Self::Memory => Content::Memory(Vec::new()),
            Self::Directory(directory) => directory.create()?,
        };
        Ok(StagedSnapshot { content, length: 0, checksum: 0 })
    }
}

impl StagingDirectory {
    fn create(self: &Arc<Self>) -> Result<Content, StorageError> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        // Each time: the first may have found no room for it.
        self.vfs.create_dir_all(&self.dir).map_err(|error| io_error("create", &self.dir, error))?;
        let path = self.dir.join(format!("{number}.tmp"));
        let file = self.vfs.create(&path).map_err(|error| io_error("create", &path, error))?;
        Ok(Content::File(StagedFile { directory: self.clone(), path, file }))
    }
}

/// What is put together, from its front on. Dropping it removes it.
pub(crate) struct StagedSnapshot {
    content: Content,
    length: u64,
    checksum: u32,
}

enum Content {
    Memory(Vec<u8>),
    File(StagedFile),
}

struct StagedFile {
    directory: Arc<StagingDirectory>,
    path: PathBuf,
    file: Box<dyn VfsFile>,
}

impl StagedSnapshot {
    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// crc32c of what was put into it.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Adds `bytes` to its end.
    ///
    /// # Errors
    /// Of the file system; [`StorageError::Full`] if there is no room.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        match &mut self.content {
            Content::Memory(content) => content.extend_from_slice(bytes),
            Content::File(StagedFile { path, file, .. }) => {
                file.write_at(self.length, &[IoSlice::new(bytes)])
                    .map_err(|error| io_error("write", path, error))?;
            }
        }
        self.length += bytes.len() as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        Ok(())
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// Of the file system; `UnexpectedEof` beyond its end.
    pub(crate) fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.length);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        match &mut self.content {
            // Both lie within what memory holds.
            Content::Memory(content) => bytes.copy_from_slice(&content[offset as usize..end as usize]),
            Content::File(StagedFile { file, .. }) => file.read_at(offset, bytes)?,
        }
        Ok(())
    }

    /// Everything, from its front on.
    pub(crate) fn reader(&mut self) -> StagedReader<'_> {
        StagedReader { snapshot: self, position: 0 }
    }

    /// The error of a read of it.
    pub(crate) fn unreadable(&self, error: io::Error) -> StorageError {
        match &self.content {
            Content::Memory(_) => io_error("read", Path::new("a staged snapshot"), error),
            Content::File(StagedFile { path, .. }) => io_error("read", path, error),
        }
    }
}

/// See [`StagedSnapshot::reader`].
pub(crate) struct StagedReader<'a> {
    snapshot: &'a mut StagedSnapshot,
    position: u64,
}

impl io::Read for StagedReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = self.snapshot.length - self.position;
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        self.snapshot.read_at(self.position, &mut bytes[..wanted])?;
        self.position += wanted as u64;
        Ok(wanted)
    }
}

impl Drop for StagedFile {
    /// What cannot be removed now is removed by the next start.
    fn drop(&mut self) {
        if let Err(error) = self.directory.vfs.remove(&self.path) {
            tracing::debug!(file = %self.path.display(), %error, "left behind");
        }
    }
}

impl fmt::Debug for StagedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StagedSnapshot({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::sim::vfs::SimVfs;

    fn areas() -> (SimVfs, [StagingArea; 2]) {
        let disk = SimVfs::new();
        let files = StagingArea::directory(Arc::new(disk.clone()), Path::new("restore")).unwrap();
        (disk, [StagingArea::Memory, files])
    }

    #[test]
    fn what_was_put_together_is_read_and_nothing_beyond() {
        for area in areas().1 {
            let mut snapshot = area.create().unwrap();
            snapshot.append(b"some ").unwrap();
            snapshot.append(b"state").unwrap();
            assert_eq!((snapshot.length(), snapshot.checksum()), (10, crc32c::crc32c(b"some state")));
            let mut bytes = [0; 4];
            snapshot.read_at(5, &mut bytes).unwrap();
            assert_eq!(&bytes, b"stat");
            assert_eq!(snapshot.read_at(7, &mut bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            let mut all = Vec::new();
            snapshot.reader().read_to_end(&mut all).unwrap();
            assert_eq!(all, b"some state");
        }
    }

    #[test]
    fn a_file_goes_with_whoever_had_it_and_with_the_next_process_at_the_latest() {
        let (disk, [_, area]) = areas();
        let (first, second) = (area.create().unwrap(), area.create().unwrap());
        assert_eq!(disk.files().len(), 2);
        drop(first);
        assert_eq!(disk.files().len(), 1);
        std::mem::forget(second);
        StagingArea::directory(Arc::new(disk.clone()), Path::new("restore")).unwrap();
        assert!(disk.files().is_empty());
    }
}
