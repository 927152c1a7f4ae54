//! The checks that every store of ours makes before it changes anything, and the words for what goes wrong.

use std::{io, path::Path};

use super::StorageError;
use crate::types::{EntryBatch, LogBase, LogId, LogIndex};

/// Whether `entries` continue a log that ends at `last` (contract 3).
pub(super) fn check_append(last: LogId, entries: &EntryBatch) -> Result<(), StorageError> {
    let continues = entries.first() == last.index.next() && entries.first_term() >= last.term;
    if continues && !entries.is_empty() {
        return Ok(());
    }
    Err(StorageError::Misuse(format!("{entries:?} does not continue a log that ends at {last}")))
}

/// Whether the log may be cut at `from`.
pub(super) fn check_truncate(base: &LogBase, from: LogIndex) -> Result<(), StorageError> {
    if from > base.last.index {
        return Ok(());
    }
    Err(StorageError::Misuse(format!("cannot truncate from {from} on behind base {}", base.last)))
}

/// Whether a purge up to `wanted` removes anything.
pub(super) fn check_purge(base: &LogBase, last: LogId, wanted: &LogBase) -> Result<bool, StorageError> {
    if wanted.last.index > last.index {
        return Err(StorageError::Misuse(format!(
            "cannot purge up to {} a log that ends at {last}",
            wanted.last
        )));
    }
    Ok(wanted.last.index > base.last.index)
}

/// Whether the log holds `[first, last]`.
pub(super) fn check_read(
    base: &LogBase,
    end: LogId,
    first: LogIndex,
    last: LogIndex,
) -> Result<(), StorageError> {
    if base.last.index < first && first <= last && last <= end.index {
        return Ok(());
    }
    Err(StorageError::Misuse(format!(
        "cannot read {first}..={last} of a log behind {} up to {end}",
        base.last
    )))
}

/// Adds as much of `batch` as `room` allows, at least one entry in all. Whether there is room for more.
pub(super) fn take_prefix(found: &mut Vec<EntryBatch>, room: &mut usize, batch: EntryBatch) -> bool {
    if batch.len() <= *room {
        *room -= batch.len();
        found.push(batch);
        return *room > 0;
    }
    let front = batch.prefix(*room);
    if found.is_empty() || front.len() <= *room {
        found.push(front);
    }
    *room = 0;
    false
}

/// An error of the file system, told apart by whether it only lacks room.
pub(super) fn io_error(operation: &'static str, path: &Path, source: io::Error) -> StorageError {
    let file = path.display().to_string();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full { file },
        _ => StorageError::Io { operation, file, source },
    }
}

/// Damage that no crash explains.
pub(super) fn corrupt(file: String, offset: u64, what: impl Into<String>) -> StorageError {
    StorageError::Corrupt {
        file,
        offset,
        what: what.into(),
        remedy: "Restore the data directory from a copy, or remove this node from the cluster and add it \
                 again with an empty directory"
            .to_owned(),
    }
}
