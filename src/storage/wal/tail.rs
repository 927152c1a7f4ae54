//! The newest segment: taken in record by record up to its last flush, which may be torn and is to be written anew.
//!
//! Nothing is kept of what the state has taken in: a whole segment in fresh memory costs as much as to check it.

use super::{
    control::Commit,
    record::Kind,
    scan::{self, Record},
    segment::{Folder, HEADER_PAGE_BYTES, SegmentFile},
    state::State,
};
use crate::{known_bug::KnownBug, storage::StorageError};

/// What the newest segment holds.
pub(super) struct Tail {
    ordinal: u64,
    /// The log before the last flush, and before the first record the log of the segments before.
    pub(super) state: State,
    /// The last flush, as far as its records follow those before: it may be in the page cache alone. If it is still
    /// incomplete, the one before it was durable before it began.
    pub(super) records: Vec<Record>,
    /// The last record that `state` has taken in here.
    pub(super) before: Option<Passed>,
    behind: Behind,
}

/// Where records end that are not kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// The first byte behind the last of them.
    pub(super) end: u64,
    /// Its number.
    pub(super) sequence: u64,
    /// Whether one of them is about the entries.
    pub(super) changes_log: bool,
}

/// What lies behind a gap.
#[derive(Default)]
struct Behind {
    commit: Option<Commit>,
    last: Option<Record>,
}

impl Tail {
    /// Reads a segment that begins with a whole head and takes it in behind `state`.
    pub(super) fn read(
        folder: &Folder,
        segment: &mut SegmentFile,
        state: State,
    ) -> Result<Self, StorageError> {
        let (ordinal, end) = (segment.ordinal, segment.size);
        let mut tail = Self { ordinal, state, records: Vec::new(), before: None, behind: Behind::default() };
        scan::walk(folder, segment, end, |record| tail.take(folder, record).map(|()| true))?;
        if tail.records.is_empty() {
            // It was whole a moment ago.
            return Err(tail.rot(folder));
        }
        Ok(tail)
    }

    fn take(&mut self, folder: &Folder, record: Record) -> Result<(), StorageError> {
        if self.behind.last.is_some() || !self.is_next(&record) {
            return self.take_behind(folder, record);
        }
        if self.records.last().is_some_and(|last| last.header.kind == Kind::Commit) {
            self.pass(folder)?;
        }
        self.records.push(record);
        Ok(())
    }

    fn is_next(&self, record: &Record) -> bool {
        let Some(last) = self.records.last() else {
            return record.offset == HEADER_PAGE_BYTES && record.header.kind == Kind::Head;
        };
        last.sequence() + 1 == record.sequence() || KnownBug::RecordBehindDamageTaken.is_back()
    }

    /// Takes in a flush with another one behind it.
    fn pass(&mut self, folder: &Folder) -> Result<(), StorageError> {
        let mut changes_log = self.before.is_some_and(|before| before.changes_log);
        for record in self.records.drain(..) {
            self.state.take_in(folder, self.ordinal, &record)?;
            changes_log |= record.changes_log();
            self.before = Some(Passed { end: record.end(), sequence: record.sequence(), changes_log });
        }
        Ok(())
    }

    fn take_behind(&mut self, folder: &Folder, record: Record) -> Result<(), StorageError> {
        if let Some(commit) = record.commit() {
            if self.behind.commit.is_some() {
                return Err(self.rot(folder));
            }
            self.behind.commit = Some(commit);
        }
        self.behind.last = Some(record);
        Ok(())
    }

    /// What the last flush had promised, if it is damaged. Refused if more than the last one is.
    pub(super) fn judge(
        &mut self,
        folder: &Folder,
        repairs: &mut Vec<String>,
    ) -> Result<Option<Commit>, StorageError> {
        let whole = self.records.last().expect("checked when it was read");
        let (damage, file) = (whole.end(), folder.text(self.ordinal));
        match (self.behind.commit.take(), &self.behind.last) {
            (None, Some(last)) => {
                repairs.push(format!("{file}: unfinished flush cut at bytes {damage} to {}", last.end()));
                Ok(None)
            }
            (None, None) => {
                if whole.header.kind != Kind::Commit {
                    repairs.push(format!("{file}: unfinished flush kept up to byte {damage}"));
                }
                Ok(None)
            }
            (Some(commit), Some(last))
                if last.header.kind == Kind::Commit && commit.first_sequence <= whole.sequence() + 1 =>
            {
                repairs.push(format!(
                    "{file}: last flush damaged at bytes {damage} to {}, it had ended at {}",
                    last.offset, commit.last
                ));
                Ok(Some(commit))
            }
            (Some(_), _) => Err(self.rot(folder)),
        }
    }

    fn rot(&self, folder: &Folder) -> StorageError {
        let damage = self.records.last().map_or(HEADER_PAGE_BYTES, Record::end);
        let what = "a record is damaged and whole flushes lie behind it";
        super::corrupt(folder.text(self.ordinal), damage, what)
    }
}
