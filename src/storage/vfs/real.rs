//! The operating system's files: directories 0700, files 0600.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    io::{IoSlice, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use fs4::{FileExt, TryLockError};

use super::{Lock, LockGuard, Vfs, VfsFile};

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealVfs;

impl Vfs for RealVfs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
        for made in missing.into_iter().rev() {
            make_dir(made)?;
            self.sync_dir(parent(made))?;
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(RealFile { file: OpenOptions::new().read(true).write(true).open(file)? }))
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(RealFile { file: owned().truncate(true).open(file)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Elsewhere a directory cannot be opened to be synced; the file system journals names by itself.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut file = owned().truncate(false).open(path)?;
        match FileExt::try_lock(&file) {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(format!("pid {}\n", std::process::id()).as_bytes())?;
                Ok(Lock::Held(Box::new(RealLock { _file: file, path: path.to_owned() })))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = file.take(64).read_to_string(&mut holder);
                let known = read.is_ok() && !holder.trim().is_empty();
                Ok(Lock::Busy(if known { holder.trim().to_owned() } else { "another process".to_owned() }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    }
}

fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn owned() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The lock lives as long as the open file.
#[derive(Debug)]
struct RealLock {
    _file: File,
    #[allow(dead_code, reason = "shown by Debug")]
    path: PathBuf,
}

impl LockGuard for RealLock {}

/// Reads past the page cache.
#[cfg(target_os = "linux")]
mod direct {
    use std::{fs::File, io, os::unix::fs::FileExt};

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    /// Reads from `offset` on what can be read past the cache, and says how much that is. Not every file system can,
    /// and each wants `offset` and `bytes` aligned in its own way: what it refuses is nothing read, whatever the reason.
    ///
    /// # Errors
    /// If the file cannot be written to as before: then it must not be used any more.
    pub(super) fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let Ok(flags) = fcntl_getfl(file) else { return Ok(0) };
        if fcntl_setfl(file, flags | OFlags::DIRECT).is_err() {
            return Ok(0);
        }
        let read = file.read_at(bytes, offset).unwrap_or(0);
        fcntl_setfl(file, flags)?;
        Ok(read)
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl VfsFile for RealFile {
    fn size(&mut self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(bytes)
    }

    /// The kernel writes dirty pages of the range back before it reads below them, so the bytes are those that an
    /// ordinary read shows, or those on the disk where writing back had failed. Blocks that were never written are zeroed
    /// in `bytes`, without a page of the cache for each.
    #[cfg(target_os = "linux")]
    fn read_past_cache(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let aligned = bytes.len() - bytes.len() % super::DIRECT_ALIGN_BYTES;
        let read = direct::read_at(&self.file, offset, &mut bytes[..aligned])?;
        self.read_at(offset + read as u64, &mut bytes[read..])
    }

    fn write_at(&mut self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut slices = slices.to_vec();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match self.file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn allocate(&mut self, size: u64) -> io::Result<()> {
        FileExt::allocate(&self.file, size)
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::vfs::{DIRECT_ALIGN_BYTES, read_file, replace_file};

    #[test]
    fn slices_land_one_behind_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut file = RealVfs.create(&path).unwrap();
        file.allocate(4096).unwrap();
        let many: Vec<[u8; 1]> = (0..2000u32).map(|i| [i as u8]).collect();
        let slices: Vec<IoSlice<'_>> = many.iter().map(|one| IoSlice::new(one)).collect();
        file.write_at(10, &slices).unwrap();
        file.sync_data().unwrap();
        let mut read = vec![0; 2000];
        RealVfs.open(&path).unwrap().read_at(10, &mut read).unwrap();
        assert_eq!(read, many.concat());
        assert_eq!(file.size().unwrap(), 4096);
    }

    /// Room for so many bytes, and where in it an address is that many behind an aligned one.
    fn memory(length: usize, shift: usize) -> (Vec<u8>, usize) {
        let memory = vec![9; length + 2 * DIRECT_ALIGN_BYTES];
        let front = memory.as_ptr().align_offset(DIRECT_ALIGN_BYTES) + shift;
        (memory, front)
    }

    /// Allocated, written here and there, the last of it in the cache alone, and not a whole number of blocks long.
    fn file_with_blanks(dir: &Path) -> (Box<dyn VfsFile>, usize) {
        let mut file = RealVfs.create(&dir.join("a")).unwrap();
        let size = (40 << 10) + 700;
        file.allocate(size).unwrap();
        file.write_at(4090, &[IoSlice::new(&[1; 20])]).unwrap();
        file.sync_data().unwrap();
        file.write_at(20_000, &[IoSlice::new(&[2; 9000])]).unwrap();
        file.write_at(size - 3, &[IoSlice::new(&[3; 3])]).unwrap();
        (file, size as usize)
    }

    #[test]
    fn what_is_read_past_the_cache_is_what_was_written_however_it_is_aligned() {
        let mut dirs = vec![tempfile::tempdir().unwrap()];
        // A file system that is a cache itself, where there is one.
        dirs.extend(tempfile::tempdir_in("/dev/shm"));
        for dir in &dirs {
            let (mut file, size) = file_with_blanks(dir.path());
            let mut whole = vec![0; size];
            file.read_at(0, &mut whole).unwrap();
            for shift in [0, 1, 512] {
                for (offset, length) in [
                    (0, size),
                    (0, 32 << 10),
                    (4096, 4096),
                    (8192, 20),
                    (5, 4096),
                    (512, 1024),
                    (36 << 10, 4796),
                ] {
                    let (mut memory, front) = memory(length, shift);
                    let read = &mut memory[front..front + length];
                    file.read_past_cache(offset as u64, read).unwrap();
                    assert!(*read == whole[offset..offset + length], "{offset} {length} {shift}");
                    // Like any other file again.
                    file.write_at(1, &[IoSlice::new(&whole[1..4])]).unwrap();
                }
            }
            for (offset, length) in [(0, size + 1), (40 << 10, 4096), (48 << 10, 4096)] {
                let (mut memory, front) = memory(length, 0);
                let short = file.read_past_cache(offset, &mut memory[front..front + length]);
                assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }

    #[test]
    fn a_second_lock_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let held = RealVfs.lock(&path).unwrap();
        assert!(matches!(held, Lock::Held(_)));
        let Lock::Busy(holder) = RealVfs.lock(&path).unwrap() else { panic!("locked twice") };
        assert_eq!(holder, format!("pid {}", std::process::id()));
        drop(held);
        assert!(matches!(RealVfs.lock(&path).unwrap(), Lock::Held(_)));
    }

    #[cfg(unix)]
    #[test]
    fn files_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x/y");
        RealVfs.create_dir_all(&deep).unwrap();
        replace_file(&RealVfs, &deep.join("f"), b"content").unwrap();
        assert_eq!(read_file(&RealVfs, &deep.join("f")).unwrap(), b"content");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&deep), mode(&deep.join("f"))), (0o700, 0o600));
        assert_eq!(RealVfs.list(&deep).unwrap(), ["f"]);
    }
}
