//! A disk that loses power, fails and rots on command: [`SimVfs`].
//!
//! It keeps what a process sees and what is durable apart: for each file by sectors of 512 bytes, for
//! names by the directory's journal. Losing power lets an arbitrary part of what was not synced
//! survive. The same seeds and the same calls give the same disk.
//!
//! ```
//! use std::{io::IoSlice, path::Path};
//! use raftix::{sim::vfs::SimVfs, storage::vfs::Vfs};
//!
//! let disk = SimVfs::new();
//! disk.create_dir_all(Path::new("data")).unwrap();
//! let mut file = disk.create(Path::new("data/a")).unwrap();
//! file.write_at(0, &[IoSlice::new(b"synced")]).unwrap();
//! file.sync_all().unwrap();
//! disk.sync_dir(Path::new("data")).unwrap();
//! file.write_at(512, &[IoSlice::new(b"lost, or not, or half")]).unwrap();
//! disk.power_loss(42);
//! assert!(file.size().is_err(), "a handle from before is fenced");
//! assert_eq!(&disk.content(Path::new("data/a"))[..6], b"synced");
//! ```
//!
//! To try every point of a run: count its operations once with [`SimVfs::operations`], then run it
//! anew for each `k` with [`Fault::power_off_at`], [`SimVfs::power_loss`] and a look at what is left.

use std::{
    fmt, io,
    io::IoSlice,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::storage::vfs::{Lock, LockGuard, Vfs, VfsFile};

mod disk;
mod fault;

use disk::{Disk, Inode};
pub use fault::{Effect, Fault, Operation, StallHook, SyncFailure};

/// A simulated disk. A clone is another view of the same one; [`fork`](Self::fork) copies it.
#[derive(Clone, Default)]
pub struct SimVfs {
    disk: Arc<Mutex<Disk>>,
}

impl SimVfs {
    /// An empty disk without bounds.
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the disk as it is, with no handle to it and no fault planned.
    pub fn fork(&self) -> Self {
        let mut copy = self.disk().clone();
        copy.end_process();
        Self { disk: Arc::new(Mutex::new(copy)) }
    }

    /// The process dies and the machine lives: what was written stays, synced or not. Every open
    /// handle is fenced, every lock given back, every planned fault dropped.
    pub fn kill(&self) {
        self.disk().end_process();
    }

    /// The machine loses power, and has it again. Of what was not synced an arbitrary part, drawn from
    /// `seed`, is there: each sector as before, as written, as zeros or as garbage; each creation,
    /// renaming and removal or not. Otherwise like [`kill`](Self::kill).
    pub fn power_loss(&self, seed: u64) {
        let mut disk = self.disk();
        disk.lose_power(&mut fastrand::Rng::with_seed(seed));
        disk.end_process();
    }

    /// Plans a fault.
    pub fn inject(&self, fault: Fault) {
        self.disk().faults.push(fault);
    }

    /// Drops every planned fault that has not struck.
    pub fn clear_faults(&self) {
        self.disk().faults.clear();
    }

    /// How many changing operations there were since the disk was made: the range of
    /// [`Fault::power_off_at`].
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// How many operations of one kind there were since the disk was made.
    pub fn count(&self, operation: Operation) -> u64 {
        self.disk().counts.get(&operation).copied().unwrap_or(0)
    }

    /// Whether a planned power-off has struck: nothing works before [`power_loss`](Self::power_loss).
    pub fn is_off(&self) -> bool {
        self.disk().off
    }

    /// Bounds the sum of all file lengths, in bytes; `None` for no bound. What is there stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// The sum of all file lengths, in bytes.
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// Every file there is, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.disk().names.live.keys().cloned().collect()
    }

    /// What a process would read of a file; empty if there is none.
    pub fn content(&self, file: &Path) -> Vec<u8> {
        let disk = self.disk();
        let inode = disk.names.live.get(file).and_then(|inode| disk.inodes.get(inode));
        inode.map(|inode| inode.live.clone()).unwrap_or_default()
    }

    /// Rot: flips the bits of `mask` in one byte of a file, durably. Does nothing behind its end.
    pub fn flip(&self, file: &Path, offset: u64, mask: u8) {
        let mut disk = self.disk();
        let Some(inode) = disk.names.live.get(file).copied() else { return };
        if let Some(inode) = disk.inodes.get_mut(&inode) {
            inode.flip(offset as usize, mask);
        }
    }

    /// Whether anything was written, made, renamed or removed that a loss of power could still undo.
    pub fn has_unsynced(&self) -> bool {
        self.disk().has_unsynced()
    }

    /// How often a file was synced again by the process that had seen a sync of it fail.
    pub fn syncs_after_failure(&self) -> u64 {
        self.disk().syncs_after_failure
    }

    fn handle(&self, disk: &Disk, inode: u64, path: &Path) -> Box<dyn VfsFile> {
        Box::new(SimFile { vfs: self.clone(), inode, path: path.to_owned(), process: disk.process })
    }
}

impl fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk();
        f.debug_struct("SimVfs").field("files", &disk.names.live.len()).field("off", &disk.off).finish()
    }
}

impl Vfs for SimVfs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.check()?;
        disk.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        disk.check()?;
        if !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let files = disk.names.live.keys().filter(|path| path.parent() == Some(dir));
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(files.filter_map(name).collect())
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.run_hooks(Operation::Open, file);
        let mut disk = self.disk();
        disk.check()?;
        disk.strike(Operation::Open, file)?;
        let inode = *disk.names.live.get(file).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(&disk, inode, file))
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.run_hooks(Operation::Create, file);
        let mut disk = self.disk();
        disk.check()?;
        if file.parent().is_none_or(|dir| !disk.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = disk.change(Operation::Create, file, |disk| disk.create(file))?;
        Ok(self.handle(&disk, inode, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run_hooks(Operation::Rename, from);
        let mut disk = self.disk();
        disk.check()?;
        disk.change(Operation::Rename, from, |disk| disk.names.rename(from, to))?
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.run_hooks(Operation::Remove, file);
        let mut disk = self.disk();
        disk.check()?;
        disk.change(Operation::Remove, file, |disk| disk.names.remove(file))?
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.run_hooks(Operation::SyncDir, dir);
        let mut disk = self.disk();
        disk.check()?;
        disk.strike(Operation::SyncDir, dir)?;
        disk.names.sync(dir);
        Ok(())
    }

    fn lock(&self, file: &Path) -> io::Result<Lock> {
        let mut disk = self.disk();
        disk.check()?;
        if let Some(holder) = disk.locks.get(file) {
            return Ok(Lock::Busy(format!("simulated process {holder}")));
        }
        let process = disk.process;
        disk.locks.insert(file.to_owned(), process);
        Ok(Lock::Held(Box::new(SimLock { vfs: self.clone(), file: file.to_owned(), process })))
    }
}

impl SimVfs {
    /// Runs the hooks of planned stalls without the disk's lock, so that a hook may use the disk.
    fn run_hooks(&self, operation: Operation, file: &Path) {
        let hooks = self.disk().take_stalls(operation, file);
        hooks.iter().for_each(|hook| hook.run(file));
    }
}

#[derive(Debug)]
struct SimLock {
    vfs: SimVfs,
    file: PathBuf,
    process: u64,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.vfs.disk();
        if disk.locks.get(&self.file) == Some(&self.process) {
            disk.locks.remove(&self.file);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    vfs: SimVfs,
    inode: u64,
    path: PathBuf,
    process: u64,
}

impl SimFile {
    /// Runs a change of the file, unless this handle is fenced or a fault strikes.
    fn change(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Inode) -> io::Result<()>,
    ) -> io::Result<()> {
        self.vfs.run_hooks(operation, &self.path);
        let mut disk = self.vfs.disk();
        disk.check_handle(self.process)?;
        disk.change(operation, &self.path, |disk| work(disk.inode(self.inode)?))?
    }

    /// Refuses to grow the file beyond the disk's capacity.
    fn check_room(&self, size: u64) -> io::Result<()> {
        let mut disk = self.vfs.disk();
        disk.check_handle(self.process)?;
        let more = size.saturating_sub(disk.inode(self.inode)?.live.len() as u64);
        let used = disk.used();
        match disk.capacity {
            Some(capacity) if more > 0 && used + more > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl VfsFile for SimFile {
    fn size(&mut self) -> io::Result<u64> {
        let mut disk = self.vfs.disk();
        disk.check_handle(self.process)?;
        Ok(disk.inode(self.inode)?.live.len() as u64)
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.vfs.run_hooks(Operation::Read, &self.path);
        let mut disk = self.vfs.disk();
        disk.check_handle(self.process)?;
        disk.strike(Operation::Read, &self.path)?;
        let live = &disk.inode(self.inode)?.live;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.saturating_add(bytes.len());
        bytes.copy_from_slice(live.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        self.check_room(offset + total as u64)?;
        self.change(Operation::Write, |inode| {
            inode.write(offset as usize, slices);
            Ok(())
        })
    }

    fn allocate(&mut self, size: u64) -> io::Result<()> {
        self.check_room(size)?;
        self.change(Operation::Allocate, |inode| {
            let size = inode.live.len().max(size as usize);
            inode.set_len(size);
            Ok(())
        })
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.check_room(size)?;
        self.change(Operation::SetLen, |inode| {
            inode.set_len(size as usize);
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.vfs.run_hooks(Operation::Sync, &self.path);
        let mut disk = self.vfs.disk();
        disk.check_handle(self.process)?;
        disk.sync(self.inode, &self.path)
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests;
