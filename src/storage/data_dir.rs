//! Who owns a data directory: its lock, and the identity that outlives every process.
//!
//! ```text
//! data/n1/
//!   LOCK        held while a process uses the directory; names its pid
//!   IDENTITY    node id, incarnation, cluster, and whether this is a member's
//!   wal/        segments of the log
//!   snapshots/  the state as of some index, a file each
//!   restore/    snapshots of a user's that are put together; nothing in it outlives its process
//!   RECOVERY    while a recovery of the cluster from this directory is not finished; empty
//! ```
//!
//! IDENTITY by byte, little-endian:
//!
//! ```text
//!  0  [u8; 8]  "raftix\0\x02"     8  u32  format version     12  u32  crc32c of bytes 0 .. 12 and 16 ..
//! 16  u128     incarnation       32  u128 cluster, or zero
//! 48  u8       1 for a member    49  [u8; 7]  zero           56  node id
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    StorageError, io_error,
    vfs::{Lock, LockGuard, Vfs, read_file, replace_file},
    wal::WalOptions,
};
use crate::types::{ClusterId, GroupId, Incarnation, NodeId};

const MAGIC: [u8; 8] = *b"raftix\0\x02";
const VERSION: u32 = 1;
const FIXED_BYTES: usize = 56;
const RECOVERY: &str = "RECOVERY";

/// Whose directory it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Drawn once, when the directory was made.
    pub incarnation: Incarnation,
    /// The cluster, [`ClusterId::NONE`] until it is known.
    pub cluster: ClusterId,
    /// Whether the node may have voted or acknowledged: then a directory without its log is damaged.
    pub member: bool,
}

/// A data directory that this process has for itself.
#[derive(Debug)]
pub struct DataDir {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    identity: Identity,
    failed: bool,
    lock: Arc<dyn LockGuard>,
}

impl DataDir {
    /// Locks `path` and reads who owns it; makes it, with a fresh incarnation from the system's random
    /// source, if it is not there.
    ///
    /// # Errors
    /// [`StorageError::Locked`], naming the holder; [`StorageError::Foreign`] if another node owns it;
    /// [`StorageError::Corrupt`] if the identity is damaged, or missing beside a log.
    pub fn open(vfs: Arc<dyn Vfs>, path: &Path, node: &NodeId) -> Result<Self, StorageError> {
        Self::open_with(vfs, path, node, || {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            Ok(Incarnation(u128::from_le_bytes(bytes)))
        })
    }

    /// Like [`open`](Self::open) with another source of incarnations, for the simulator.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        node: &NodeId,
        draw: impl FnOnce() -> io::Result<Incarnation>,
    ) -> Result<Self, StorageError> {
        vfs.create_dir_all(path).map_err(|e| io_error("create", path, e))?;
        let lock = lock(vfs.as_ref(), path)?;
        let mark = path.join(RECOVERY);
        match vfs.open(&mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("open", &mark, error)),
            Ok(_) => {
                let what =
                    "a recovery of the cluster from this directory was begun and not finished".to_owned();
                let remedy = "Run the recovery again, with the same servers".to_owned();
                return Err(StorageError::Corrupt { file: text(&mark), offset: 0, what, remedy });
            }
        }
        let identity = match read_identity(vfs.as_ref(), path)? {
            Some(identity) => identity,
            None => create(vfs.as_ref(), path, node, draw)?,
        };
        Self::owned(vfs, path, identity, node, lock)
    }

    /// Locks `path` if a node's state is there, for a recovery of its cluster: also when one was begun before.
    /// `None`, and nothing is made, if there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_existing(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        node: &NodeId,
    ) -> Result<Option<Self>, StorageError> {
        if read_identity(vfs.as_ref(), path)?.is_none() {
            return check_blank(vfs.as_ref(), path).map(|()| None);
        }
        let lock = lock(vfs.as_ref(), path)?;
        let identity = read_identity(vfs.as_ref(), path)?;
        identity.map(|identity| Self::owned(vfs, path, identity, node, lock)).transpose()
    }

    fn owned(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        identity: Identity,
        node: &NodeId,
        lock: Box<dyn LockGuard>,
    ) -> Result<Self, StorageError> {
        if identity.node != *node {
            let (owner, wanted) = (identity.node.to_string(), node.to_string());
            return Err(StorageError::Foreign { path: text(path), owner, wanted });
        }
        Ok(Self { vfs, path: path.to_owned(), identity, failed: false, lock: lock.into() })
    }

    /// Whose it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the directory from everybody else as long as it is held, also when this is dropped.
    pub fn lock(&self) -> Arc<dyn LockGuard> {
        self.lock.clone()
    }

    /// Where the log is.
    pub fn wal_dir(&self) -> PathBuf {
        self.path.join("wal")
    }

    /// Where the snapshots are.
    pub fn snapshots_dir(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Where the snapshots of a user's are put together.
    pub fn staging_dir(&self) -> PathBuf {
        self.path.join("restore")
    }

    /// How to open the log of `group` in this directory, with everything else at its default.
    pub fn wal_options(&self, group: GroupId) -> WalOptions {
        WalOptions {
            group,
            incarnation: self.identity.incarnation,
            cluster: self.identity.cluster,
            must_exist: self.identity.member,
            ..WalOptions::default()
        }
    }

    /// Notes the cluster, for good. Durable when it returns; does nothing if it is noted already.
    ///
    /// # Errors
    /// [`StorageError::Foreign`] if the directory belongs to another cluster; [`StorageError::Full`] if there is no
    /// room, then it may be tried again; or of the medium.
    pub fn set_cluster(&mut self, cluster: ClusterId) -> Result<(), StorageError> {
        if self.identity.cluster == cluster {
            return Ok(());
        }
        if !self.identity.cluster.is_none() {
            return Err(StorageError::Foreign {
                path: text(&self.path),
                owner: format!("cluster {}", self.identity.cluster),
                wanted: format!("cluster {cluster}"),
            });
        }
        self.replace(Identity { cluster, ..self.identity.clone() })
    }

    /// Marks the directory as a member's: to be done after the log was recovered and before the first
    /// vote or acknowledgement. Durable when it returns; does nothing if it is marked already.
    ///
    /// # Errors
    /// [`StorageError::Full`] if there is no room, then it may be tried again; or of the medium.
    pub fn mark_member(&mut self) -> Result<(), StorageError> {
        if self.identity.member {
            return Ok(());
        }
        self.replace(Identity { member: true, ..self.identity.clone() })
    }

    /// From here on until [`finish_recovery`](Self::finish_recovery) no node starts from this directory: what it
    /// holds is neither the old cluster's nor the new one's. Durable when it returns.
    ///
    /// # Errors
    /// Of the medium.
    pub fn begin_recovery(&mut self) -> Result<(), StorageError> {
        let mark = self.path.join(RECOVERY);
        replace_file(self.vfs.as_ref(), &mark, b"").map_err(|e| io_error("create", &mark, e))
    }

    /// The directory is a member's of the recovered cluster. Durable when it returns.
    ///
    /// # Errors
    /// Of the medium.
    pub fn join_recovered(&mut self, cluster: ClusterId) -> Result<(), StorageError> {
        let identity = Identity { cluster, member: true, ..self.identity.clone() };
        if self.identity == identity { Ok(()) } else { self.replace(identity) }
    }

    /// What the directory holds is whole again. Durable when it returns.
    ///
    /// # Errors
    /// Of the medium.
    pub fn finish_recovery(&mut self) -> Result<(), StorageError> {
        let mark = self.path.join(RECOVERY);
        self.vfs.remove(&mark).map_err(|e| io_error("remove", &mark, e))?;
        self.vfs.sync_dir(&self.path).map_err(|e| io_error("sync", &self.path, e))
    }

    fn replace(&mut self, identity: Identity) -> Result<(), StorageError> {
        let file = self.path.join("IDENTITY");
        if self.failed {
            let before = io::Error::other("it failed before and must be read by a new process");
            return Err(io_error("replace", &file, before));
        }
        let replaced = replace_file(self.vfs.as_ref(), &file, &encode(&identity));
        let replaced = replaced.map_err(|e| io_error("replace", &file, e));
        self.failed = matches!(replaced, Err(ref error) if !matches!(error, StorageError::Full { .. }));
        replaced?;
        self.identity = identity;
        Ok(())
    }
}

fn lock(vfs: &dyn Vfs, path: &Path) -> Result<Box<dyn LockGuard>, StorageError> {
    match vfs.lock(&path.join("LOCK")).map_err(|e| io_error("lock", path, e))? {
        Lock::Held(guard) => Ok(guard),
        Lock::Busy(holder) => Err(StorageError::Locked { path: text(path), holder }),
    }
}

/// `None` if there is no such file.
fn read_identity(vfs: &dyn Vfs, path: &Path) -> Result<Option<Identity>, StorageError> {
    let file = path.join("IDENTITY");
    match read_file(vfs, &file) {
        Ok(bytes) => decode(&bytes).map(Some).map_err(|what| damaged(&file, what)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", &file, error)),
    }
}

/// A directory without an identity is new, unless there is a log or a snapshot in it.
fn check_blank(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    let file = path.join("IDENTITY");
    for (folder, end, what) in [
        ("wal", ".wal", "it is missing beside a log"),
        ("snapshots", ".snapshot", "it is missing beside a snapshot"),
    ] {
        match vfs.list(&path.join(folder)) {
            Ok(names) if names.iter().any(|name| name.ends_with(end)) => return Err(damaged(&file, what)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("list", path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the identity of a new directory.
fn create(
    vfs: &dyn Vfs,
    path: &Path,
    node: &NodeId,
    draw: impl FnOnce() -> io::Result<Incarnation>,
) -> Result<Identity, StorageError> {
    check_blank(vfs, path)?;
    if !(1..=NodeId::BYTES_MAX).contains(&node.as_str().len()) {
        return Err(StorageError::Misuse("a node's name has 1 to 255 bytes".to_owned()));
    }
    let incarnation = draw().map_err(|e| io_error("draw an incarnation for", path, e))?;
    let identity = Identity { node: node.clone(), incarnation, cluster: ClusterId::NONE, member: false };
    let file = path.join("IDENTITY");
    replace_file(vfs, &file, &encode(&identity)).map_err(|e| io_error("create", &file, e))?;
    Ok(identity)
}

fn encode(identity: &Identity) -> Vec<u8> {
    let mut bytes = vec![0; FIXED_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(&identity.incarnation.0.to_le_bytes());
    bytes[32..48].copy_from_slice(&identity.cluster.0.to_le_bytes());
    bytes[48] = u8::from(identity.member);
    bytes.extend_from_slice(identity.node.as_str().as_bytes());
    let sum = checksum(&bytes);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn decode(bytes: &[u8]) -> Result<Identity, &'static str> {
    let Some((fixed, name)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Err("it is too short");
    };
    if fixed[..8] != MAGIC {
        return Err("it is no identity of a raftix node");
    }
    if fixed[12..16] != checksum(bytes).to_le_bytes() {
        return Err("its checksum does not match");
    }
    if fixed[8..12] != VERSION.to_le_bytes() {
        return Err("its format version is not one this build reads");
    }
    let u128_at = |at: usize| u128::from_le_bytes(std::array::from_fn(|i| fixed[at + i]));
    let node = std::str::from_utf8(name).map_err(|_| "the node id is no text")?.into();
    Ok(Identity {
        node,
        incarnation: Incarnation(u128_at(16)),
        cluster: ClusterId(u128_at(32)),
        member: fixed[48] != 0,
    })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn damaged(file: &Path, what: &str) -> StorageError {
    super::corrupt(text(file), 0, what)
}

#[cfg(test)]
mod tests;
