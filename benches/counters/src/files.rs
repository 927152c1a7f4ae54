//! The machine's files, with every write and flush counted on its way.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use raftix::storage::vfs::{Lock, RealVfs, Vfs, VfsFile};

pub(crate) static WRITES: AtomicU64 = AtomicU64::new(0);
pub(crate) static FLUSHES: AtomicU64 = AtomicU64::new(0);

/// [`RealVfs`], counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CountedVfs(RealVfs);

impl Vfs for CountedVfs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(CountedFile(self.0.open(file)?)))
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(CountedFile(self.0.create(file)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.0.remove(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn lock(&self, file: &Path) -> io::Result<Lock> {
        self.0.lock(file)
    }
}

#[derive(Debug)]
struct CountedFile(Box<dyn VfsFile>);

impl VfsFile for CountedFile {
    fn size(&mut self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, bytes)
    }

    fn write_at(&mut self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        WRITES.fetch_add(1, Relaxed);
        self.0.write_at(offset, slices)
    }

    fn allocate(&mut self, size: u64) -> io::Result<()> {
        self.0.allocate(size)
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        FLUSHES.fetch_add(1, Relaxed);
        self.0.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        FLUSHES.fetch_add(1, Relaxed);
        self.0.sync_all()
    }
}
