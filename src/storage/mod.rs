//! Stores: what must survive a crash, behind traits with a numbered contract.
//!
//! This room knows types and nothing of actors or messages. Every call may block; the Storage actor
//! runs them on an I/O thread when the store is durable.

//!
//! | file | holds |
//! |---|---|
//! | [`wal`] | the durable default: a segmented write-ahead log |
//! | [`memory`] | the same contract without a disk |
//! | [`snapshot`] | the state as of one index, in place of the log up to there |
//! | [`data_dir`] | who owns a directory: its lock and its identity |
//! | [`vfs`] | the file system behind a seam |
//! | [`conformance`] | the contract as a test that any store can run |

use thiserror::Error;

use crate::types::{EntryBatch, LogBase, LogId, LogIndex, Membership, Term, Vote};

pub mod conformance;
pub mod data_dir;
pub mod memory;
pub mod snapshot;
pub(crate) mod staging;
pub mod vfs;
pub mod wal;

mod contract;
mod term_runs;

use contract::{check_append, check_purge, check_read, check_truncate, corrupt, io_error, take_prefix};

/// What a store held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The newest vote record.
    pub vote: Vote,
    /// What lies before the first entry.
    pub base: LogBase,
    /// Position of the last entry; `base.last` if there is none.
    pub last: LogId,
    /// First index of each run of entries with the same term, ascending.
    pub term_runs: Vec<(LogIndex, Term)>,
    /// Every membership entry behind the base, ascending.
    pub memberships: Vec<(LogIndex, Membership)>,
    /// The log end that a damaged last flush had promised: the node must not stand for election, and
    /// compares candidates with this position, until its own log is at least as up to date.
    pub withheld: Option<LogId>,
    /// What recovery cut or repaired, in words for the operator; empty after a clean stop.
    pub repairs: Vec<String>,
}

/// Why a store failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// An operation of the file system failed. The store is unusable from then on.
    #[error("{operation} {file}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no room. Nothing of the refused call was kept; the store goes on when there is room.
    #[error("no space left for {file}")]
    Full {
        /// Which file could not grow.
        file: String,
    },
    /// The file holds something that no crash explains.
    #[error("{file} is damaged at byte {offset}: {what}. {remedy}")]
    Corrupt {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// What was found.
        what: String,
        /// What the operator can do.
        remedy: String,
    },
    /// Another process holds the directory.
    #[error("{path} is in use by {holder}")]
    Locked {
        /// The directory.
        path: String,
        /// Who holds it, as far as can be told.
        holder: String,
    },
    /// The directory belongs to another node or cluster.
    #[error("{path} belongs to {owner}, not to {wanted}")]
    Foreign {
        /// The directory.
        path: String,
        /// Whose it is.
        owner: String,
        /// Who tried to open it.
        wanted: String,
    },
    /// The call breaks the contract of [`LogStore`].
    #[error("the store was misused: {0}")]
    Misuse(String),
}

/// Where the term and the vote are kept.
pub trait VoteStore {
    /// Replaces the vote record. Durable, as one, after the next [`LogStore::flush`].
    ///
    /// # Errors
    /// [`StorageError::Full`] only when what is kept in reserve for it is used up as well: nothing was kept then.
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError>;
}

/// The replicated log on its medium.
///
/// # Contract
/// 1. Calls come from one thread at a time, in the order of the protocol; each may block.
/// 2. What a mutating call did is durable when the next `flush` returns `Ok`, and not to be relied on
///    before. After a crash the store holds, of the calls behind the last `flush`, the effects of some
///    front part of them, in order; a vote record is whole or absent, never mixed.
/// 3. `append` continues the log: `first = last + 1`, terms never fall. Anything else is `Misuse`.
/// 4. `truncate` removes everything from an index on. A later `append` at that index never lets
///    what was removed come back, whenever the power fails.
/// 5. `purge` removes a front part and makes `base` what [`Recovered::base`] says; it may keep more than
///    asked on its medium, but never shows it. `reset` removes every entry and starts behind `base`.
///    Neither touches the vote.
/// 6. `read` returns what was appended, flushed or not.
/// 7. After any error but `Full` and `Misuse` every further call fails; the file that failed to flush
///    is never flushed again by this process.
/// 8. `recover` is called once, first. What it returns is durable: a tail that only the page cache
///    held is flushed before it returns.
pub trait LogStore: VoteStore + Send + 'static {
    /// Reads what is there and makes the store ready.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] for damage that no crash explains; it names the file and the remedy.
    fn recover(&mut self) -> Result<Recovered, StorageError>;

    /// Adds entries behind the last one.
    ///
    /// # Errors
    /// [`StorageError::Full`] if there is no room: nothing of the batch is kept.
    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError>;

    /// Removes every entry from `from` on; nothing if the log ends before it.
    ///
    /// # Errors
    /// Of the medium; [`StorageError::Misuse`] if `from` is not behind the base.
    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError>;

    /// Removes every entry up to `base.last.index`; nothing if the base is there or further already.
    ///
    /// # Errors
    /// Of the medium; [`StorageError::Misuse`] if the log ends before it.
    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError>;

    /// Removes every entry and starts anew behind `base`.
    ///
    /// # Errors
    /// Of the medium.
    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError>;

    /// Makes everything so far durable: one barrier for all of it.
    ///
    /// # Errors
    /// Of the medium; fatal.
    fn flush(&mut self) -> Result<(), StorageError>;

    /// The entries from `first` on, up to `last`, about `bytes_max` in all but at least one.
    ///
    /// # Errors
    /// Of the medium, or [`StorageError::Misuse`] for a range that is not there.
    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError>;
}
