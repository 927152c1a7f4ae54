//! A segment file: its name, its header page, and how one comes to be.
//!
//! ```text
//!  0  [u8; 8]  "raftix\0\x01"              8  u32  format version
//! 12  u32      crc32c of bytes 0 .. 12 and 16 .. 80
//! 16  u64      ordinal, as in the name    24  u64  unique id
//! 32  u64      group                      40  u128 incarnation of the directory
//! 56  u128     cluster, zero if it was not known     72  u64  zero
//! ```
//!
//! Records begin at byte 4096. A segment is prepared under a name that recovery ignores, synced, and
//! only then renamed: a file with a segment's name always has a whole header.

use std::{
    io::IoSlice,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    storage::{
        StorageError, io_error,
        vfs::{Vfs, VfsFile},
    },
    types::{ClusterId, GroupId, Incarnation},
};

/// Where records begin.
pub(super) const HEADER_PAGE_BYTES: u64 = 4096;
/// A flush begins on a multiple of this, so that no sector holds both what is acknowledged and what
/// is being written.
pub(super) const SECTOR_BYTES: u64 = 512;
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"raftix\0\x01";
const HEADER_BYTES: usize = 80;
/// Whose segments these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) cluster: ClusterId,
    pub(super) group: GroupId,
    pub(super) incarnation: Incarnation,
}

/// The directory of the log.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) dir: PathBuf,
}

/// A segment file and who it is.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) ordinal: u64,
    pub(super) id: u64,
    pub(super) size: u64,
    /// From here on its blocks were never written: the file system reads zeros there without looking.
    pub(super) blank_from: u64,
    pub(super) file: Box<dyn VfsFile>,
}

impl Folder {
    pub(super) fn path(&self, ordinal: u64) -> PathBuf {
        self.dir.join(name(ordinal))
    }

    /// The text by which errors name a segment.
    pub(super) fn text(&self, ordinal: u64) -> String {
        self.path(ordinal).display().to_string()
    }

    /// The ordinals of all segments, ascending. Removes what was being prepared when the process died.
    pub(super) fn scan(&self) -> Result<Vec<u64>, StorageError> {
        let names = self.vfs.list(&self.dir).map_err(|e| io_error("list", &self.dir, e))?;
        for unfinished in names.iter().filter(|name| name.ends_with(".tmp")) {
            let path = self.dir.join(unfinished);
            self.vfs.remove(&path).map_err(|e| io_error("remove", &path, e))?;
        }
        self.sync()?;
        let mut ordinals: Vec<u64> = names.iter().filter_map(|name| ordinal(name)).collect();
        ordinals.sort_unstable();
        Ok(ordinals)
    }

    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.vfs.sync_dir(&self.dir).map_err(|e| io_error("sync", &self.dir, e))
    }

    /// Opens a segment and checks that it is `owner`'s.
    pub(super) fn open(&self, ordinal: u64, owner: &Owner) -> Result<SegmentFile, StorageError> {
        let path = self.path(ordinal);
        let failed = |operation| move |error| io_error(operation, &self.path(ordinal), error);
        let mut file = self.vfs.open(&path).map_err(failed("open"))?;
        let size = file.size().map_err(failed("stat"))?;
        let mut bytes = [0; HEADER_BYTES];
        if size < HEADER_PAGE_BYTES {
            return Err(super::corrupt(self.text(ordinal), size, "the file is shorter than its header"));
        }
        file.read_at(0, &mut bytes).map_err(failed("read"))?;
        let (found, id) =
            decode(&bytes, ordinal).map_err(|what| super::corrupt(self.text(ordinal), 0, what))?;
        self.check_owner(ordinal, &found, owner)?;
        Ok(SegmentFile { ordinal, id, size, blank_from: size, file })
    }

    fn check_owner(&self, ordinal: u64, found: &Owner, wanted: &Owner) -> Result<(), StorageError> {
        let clusters = [found.cluster, wanted.cluster];
        let same_cluster = clusters[0] == clusters[1] || clusters.iter().any(|cluster| cluster.is_none());
        if same_cluster && (found.group, found.incarnation) == (wanted.group, wanted.incarnation) {
            return Ok(());
        }
        let text = |owner: &Owner| {
            format!("cluster {}, group {}, incarnation {}", owner.cluster, owner.group, owner.incarnation)
        };
        Err(StorageError::Foreign { path: self.text(ordinal), owner: text(found), wanted: text(wanted) })
    }

    /// Makes a new segment, `size` bytes long, and its name durable. Its blocks are allocated and not
    /// written: to write them once first took as much disk and processor as the log itself, and halved
    /// what a busy log sustained.
    pub(super) fn create(&self, ordinal: u64, owner: &Owner, size: u64) -> Result<SegmentFile, StorageError> {
        let beside = self.beside(ordinal);
        let made = self.vfs.create(&beside).and_then(|mut file| {
            file.allocate(size)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                let made = self.finish(&beside, ordinal, 0, owner, size, file)?;
                Ok(SegmentFile { blank_from: HEADER_PAGE_BYTES, ..made })
            }
            Err(error) => {
                let _ = self.vfs.remove(&beside);
                Err(io_error("allocate", &beside, error))
            }
        }
    }

    /// Turns a segment of which nothing is needed any more into a new one, its blocks kept. What it
    /// held is no record under the new id.
    pub(super) fn recycle(&self, old: u64, ordinal: u64, owner: &Owner) -> Result<SegmentFile, StorageError> {
        let withdrawn = self.withdraw(old, owner)?;
        self.finish(&self.beside(old), ordinal, withdrawn.id, owner, withdrawn.size, withdrawn.file)
    }

    /// Takes a segment's name away, durably, so that its header may be written over.
    pub(super) fn withdraw(&self, ordinal: u64, owner: &Owner) -> Result<SegmentFile, StorageError> {
        let mut segment = self.open(ordinal, owner)?;
        let path = self.path(ordinal);
        self.vfs.rename(&path, &self.beside(ordinal)).map_err(|e| io_error("rename", &path, e))?;
        self.sync()?;
        segment.size = segment.file.size().map_err(|e| io_error("stat", &path, e))?;
        Ok(segment)
    }

    /// Gives the prepared file at `beside` its header and then, both durable, its name.
    pub(super) fn finish(
        &self,
        beside: &Path,
        ordinal: u64,
        former_id: u64,
        owner: &Owner,
        size: u64,
        mut file: Box<dyn VfsFile>,
    ) -> Result<SegmentFile, StorageError> {
        let id = unique_id(ordinal, former_id, owner);
        let header = encode(ordinal, id, owner);
        file.write_at(0, &[IoSlice::new(&header)]).map_err(|e| io_error("write", beside, e))?;
        file.sync_all().map_err(|e| io_error("sync", beside, e))?;
        self.vfs.rename(beside, &self.path(ordinal)).map_err(|e| io_error("rename", beside, e))?;
        self.sync()?;
        Ok(SegmentFile { ordinal, id, size, blank_from: size, file })
    }

    /// Frees the blocks of a segment from byte `size` on. Durable when it returns.
    pub(super) fn shorten(&self, ordinal: u64, size: u64, owner: &Owner) -> Result<(), StorageError> {
        let mut segment = self.open(ordinal, owner)?;
        let path = self.path(ordinal);
        segment.file.set_len(size).map_err(|e| io_error("shorten", &path, e))?;
        segment.file.sync_all().map_err(|e| io_error("sync", &path, e))
    }

    /// Removes a segment. Durable with the next [`sync`](Self::sync).
    pub(super) fn remove(&self, ordinal: u64) -> Result<(), StorageError> {
        let path = self.path(ordinal);
        self.vfs.remove(&path).map_err(|e| io_error("remove", &path, e))
    }

    /// Where segment `ordinal` is prepared.
    pub(super) fn beside(&self, ordinal: u64) -> PathBuf {
        self.dir.join(format!("{}.tmp", name(ordinal)))
    }
}

const ORDINAL_DIGITS: usize = 16;

fn name(ordinal: u64) -> String {
    format!("{ordinal:0ORDINAL_DIGITS$}.wal")
}

fn ordinal(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == ORDINAL_DIGITS)?;
    let ordinal = digits.parse().ok()?;
    (self::name(ordinal) == name).then_some(ordinal)
}

/// An id that no earlier life of the file had: ordinals rise, and an ordinal that is given again to
/// the same blocks comes with another former id.
fn unique_id(ordinal: u64, former_id: u64, owner: &Owner) -> u64 {
    let mut from = [0; 40];
    from[..8].copy_from_slice(&ordinal.to_le_bytes());
    from[8..16].copy_from_slice(&former_id.to_le_bytes());
    from[16..24].copy_from_slice(&owner.group.0.to_le_bytes());
    from[24..].copy_from_slice(&owner.incarnation.0.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&from)
}

fn encode(ordinal: u64, id: u64, owner: &Owner) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&ordinal.to_le_bytes());
    bytes[24..32].copy_from_slice(&id.to_le_bytes());
    bytes[32..40].copy_from_slice(&owner.group.0.to_le_bytes());
    bytes[40..56].copy_from_slice(&owner.incarnation.0.to_le_bytes());
    bytes[56..72].copy_from_slice(&owner.cluster.0.to_le_bytes());
    let checksum = header_checksum(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn header_checksum(bytes: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn decode(bytes: &[u8; HEADER_BYTES], ordinal: u64) -> Result<(Owner, u64), &'static str> {
    let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    let u128_at = |at: usize| u128::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    if bytes[..8] != MAGIC {
        return Err("this is no segment of a raftix log");
    }
    if bytes[12..16] != header_checksum(bytes).to_le_bytes() {
        return Err("the header's checksum does not match");
    }
    if bytes[8..12] != VERSION.to_le_bytes() {
        return Err("the format version is not one this build reads");
    }
    if u64_at(16) != ordinal {
        return Err("the header names another segment than the file name");
    }
    let owner = Owner {
        group: GroupId(u64_at(32)),
        incarnation: Incarnation(u128_at(40)),
        cluster: ClusterId(u128_at(56)),
    };
    Ok((owner, u64_at(24)))
}
