//! Snapshots: the state as of one index, which stands for the log up to there (Raft §7, thesis §5).
//!
//! A snapshot is a description and a content. The content is a stream that this room does not look into; the
//! description names the last entry whose effect it holds and the membership that was in force there.
//!
//! | file | holds |
//! |---|---|
//! | [`file`](mod@file) | the durable default: one file for each snapshot |
//! | [`memory`] | the same contract without a disk |
//! | [`content`] | what stands in front of a state machine's own bytes |
//! | [`conformance`] | the contract as a test that any store can run |

use std::{fmt, io};

pub mod conformance;
pub mod content;
pub mod file;
pub mod memory;

use super::StorageError;
use crate::types::LogId;

pub use crate::types::{SnapshotDescription, SnapshotMeta};

/// Where snapshots are kept.
///
/// # Contract
/// 1. Calls come from one thread at a time; each may block. Sinks and sources live on while others are made, and
///    may be used on other threads.
/// 2. A snapshot is there whole, with its description, or not at all, whenever the power fails: it shows from
///    [`SnapshotSink::publish`] on, and is durable when that returns.
/// 3. What a crash or a dropped sink left behind is removed by the next `recover`, and never shown.
/// 4. Of two snapshots with the same `last` the one published later remains.
/// 5. Content is checked as it is read: what was damaged on the medium is an error, never a wrong byte. `open`
///    needs not read all of it.
pub trait SnapshotStore: Send + 'static {
    /// What is there, newest first (by term, then index of `last`). Called once, first. One whose description is damaged
    /// is left out, with a warning.
    ///
    /// # Errors
    /// Of the medium.
    fn recover(&mut self) -> Result<Vec<SnapshotMeta>, StorageError>;

    /// Begins a snapshot.
    ///
    /// # Errors
    /// Of the medium; [`StorageError::Full`] if there is no room.
    fn create(&mut self, description: SnapshotDescription) -> Result<Box<dyn SnapshotSink>, StorageError>;

    /// Opens the published snapshot that ends at `last`.
    ///
    /// # Errors
    /// Of the medium; [`StorageError::Misuse`] if there is none; [`StorageError::Corrupt`] if its description is
    /// damaged.
    fn open(&mut self, last: LogId) -> Result<Box<dyn SnapshotSource>, StorageError>;

    /// Removes all but the `count` newest, at least one. What is open stays readable.
    ///
    /// # Errors
    /// Of the medium.
    fn retain(&mut self, count: usize) -> Result<(), StorageError>;
}

/// A snapshot that is being written, front to back. Dropping it gives it up.
pub trait SnapshotSink: io::Write + Send {
    /// How many bytes of content were written.
    fn bytes(&self) -> u64;

    /// Makes it durable and shows it. `expected` is the length and the checksum that its content must have, if it
    /// came from elsewhere.
    ///
    /// # Errors
    /// Of the medium; [`StorageError::Corrupt`] if the content is not what was expected: then it is given up.
    fn publish(self: Box<Self>, expected: Option<(u64, u32)>) -> Result<SnapshotMeta, StorageError>;
}

/// A published snapshot that is being read, front to back by [`io::Read`] or anywhere by `read_at`.
pub trait SnapshotSource: io::Read + Send {
    /// What it is.
    fn meta(&self) -> &SnapshotMeta;

    /// Fills `bytes` from `offset` of the content on, or as much of it as there is. Returns how much.
    ///
    /// # Errors
    /// Of the medium; `InvalidData` where it is damaged.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
}

/// How the content differs from what was expected of it, in words.
fn unexpected(meta: &SnapshotMeta, expected: Option<(u64, u32)>) -> Option<String> {
    let (bytes, checksum) = expected.filter(|expected| *expected != (meta.bytes, meta.checksum))?;
    Some(format!(
        "its content is {} bytes with checksum {:08x}, not {bytes} with {checksum:08x}",
        meta.bytes, meta.checksum
    ))
}

/// Damage of one snapshot.
fn damaged(file: String, offset: u64, what: impl Into<String>) -> StorageError {
    StorageError::Corrupt {
        file,
        offset,
        what: what.into(),
        remedy: "An older snapshot with the log behind it, or one that the leader sends, can stand for it"
            .to_owned(),
    }
}

impl fmt::Debug for dyn SnapshotSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotSink({} bytes)", self.bytes())
    }
}

impl fmt::Debug for dyn SnapshotSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotSource({})", self.meta().description.last)
    }
}
