//! The file system as a store sees it: the seam through which the simulated disk loses power.
//!
//! Everything in this room that touches a file goes through [`Vfs`]; nothing else names `std::fs`.
//! Nothing here is durable until it is synced: a file's bytes by [`VfsFile::sync_data`], its name by
//! [`Vfs::sync_dir`].

use std::{
    fmt, io,
    io::IoSlice,
    path::{Path, PathBuf},
};

mod real;

pub use real::RealVfs;

/// What [`VfsFile::read_past_cache`] wants offset, length and memory to be multiples of.
pub const DIRECT_ALIGN_BYTES: usize = 4096;

/// A file system.
pub trait Vfs: fmt::Debug + Send + Sync {
    /// Makes `dir` and what is missing above it, for the owner alone. Durable when it returns.
    ///
    /// # Errors
    /// Of the file system.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names of the files in `dir`, sorted.
    ///
    /// # Errors
    /// Of the file system; `NotFound` if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens a file that exists, to read and write.
    ///
    /// # Errors
    /// Of the file system; `NotFound` if there is no such file.
    fn open(&self, file: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Makes an empty file for the owner alone, or empties the one that is there.
    ///
    /// # Errors
    /// Of the file system.
    fn create(&self, file: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Gives a file another name, taking it from whichever file had it. Durable after
    /// [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// Of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// Of the file system.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// Makes every creation, renaming and removal in `dir` durable.
    ///
    /// # Errors
    /// Of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes `file` for this process alone until the lock is dropped, without waiting.
    ///
    /// # Errors
    /// Of the file system. That another process has it is no error but [`Lock::Busy`].
    fn lock(&self, file: &Path) -> io::Result<Lock>;
}

/// An open file.
pub trait VfsFile: fmt::Debug + Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Of the file system.
    fn size(&mut self) -> io::Result<u64>;

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// Of the file system; `UnexpectedEof` if the file is too short.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Fills `bytes` from `offset` on as [`read_at`](Self::read_at) does, with the same bytes, for a part of a file that
    /// was most likely never written and is not read again soon. A file system that keeps a cache may pass it where offset,
    /// length and address of `bytes` are multiples of [`DIRECT_ALIGN_BYTES`].
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn read_past_cache(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, bytes)
    }

    /// Writes all slices, one behind the other, from `offset` on.
    ///
    /// # Errors
    /// Of the file system; any part may have been written then.
    fn write_at(&mut self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()>;

    /// Takes the room for `size` bytes, so that a write within them does not fail for want of it. What
    /// was not written reads as zero. Never shortens.
    ///
    /// # Errors
    /// `StorageFull` if there is no room.
    fn allocate(&mut self, size: u64) -> io::Result<()>;

    /// Sets the length.
    ///
    /// # Errors
    /// Of the file system.
    fn set_len(&mut self, size: u64) -> io::Result<()>;

    /// Makes the content durable, and the length as far as reading the content needs it.
    ///
    /// # Errors
    /// Of the file system. Nothing is known about the content then, and trying again proves nothing.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// As [`sync_data`](Self::sync_data).
    fn sync_all(&mut self) -> io::Result<()>;
}

/// What came of [`Vfs::lock`].
#[derive(Debug)]
pub enum Lock {
    /// Held until the guard is dropped.
    Held(Box<dyn LockGuard>),
    /// Somebody else has it: who, as far as can be told.
    Busy(String),
}

/// Gives the lock back when it is dropped.
pub trait LockGuard: fmt::Debug + Send + Sync {}

/// Reads a whole file.
///
/// # Errors
/// Of the file system; `NotFound` if there is no such file.
pub fn read_file(vfs: &dyn Vfs, file: &Path) -> io::Result<Vec<u8>> {
    let mut handle = vfs.open(file)?;
    let mut bytes = vec![0; usize::try_from(handle.size()?).map_err(io::Error::other)?];
    handle.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Puts `bytes` in the place of `file` in one step: a crash leaves the old content or the new one.
///
/// Written beside it, synced, renamed, and the directory synced. Durable when it returns.
///
/// # Errors
/// Of the file system; the old content is still there, or the new one.
pub fn replace_file(vfs: &dyn Vfs, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = temporary(file);
    let mut handle = vfs.create(&beside)?;
    handle.write_at(0, &[IoSlice::new(bytes)])?;
    handle.sync_all()?;
    vfs.rename(&beside, file)?;
    vfs.sync_dir(file.parent().unwrap_or(Path::new(".")))
}

/// The name under which `file` is prepared.
fn temporary(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
