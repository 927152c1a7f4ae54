//! What the records so far add up to: built by recovery, kept up by the running log.

use super::{
    control::{Head, decode_base, decode_index, decode_vote},
    index::{Place, RecordIndex},
    record::{FLAG_COPIED, Kind},
    scan::Record,
    segment::Folder,
};
use crate::{
    known_bug::KnownBug,
    storage::{Recovered, StorageError, check_append, memory::memberships, term_runs::TermRuns},
    types::{EntryBatch, LogBase, LogId, LogIndex, Membership, Term, Vote},
};

/// The log as its records describe it.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) vote: Vote,
    pub(super) withheld: Option<LogId>,
    pub(super) base: LogBase,
    pub(super) last: LogId,
    pub(super) runs: TermRuns,
    pub(super) index: RecordIndex,
    /// Only during recovery.
    memberships: Vec<(LogIndex, Membership)>,
    /// Entries before this one were in segments that are gone.
    known_from: LogIndex,
}

impl State {
    /// The state at the head of the oldest segment.
    pub(super) fn start(head: &Head) -> Self {
        Self {
            vote: head.vote.clone(),
            withheld: head.withheld,
            base: head.base.clone(),
            last: head.last,
            known_from: head.last.index.next(),
            ..Self::default()
        }
    }

    /// Takes in entries that lie at `place`.
    pub(super) fn append(&mut self, batch: &EntryBatch, place: Place) {
        self.index.push(place);
        self.runs.append(batch);
        self.last = batch.last_id();
    }

    /// The node's own log has come as far as what it had lost.
    pub(super) fn release_withheld(&mut self) {
        if self.withheld.is_some_and(|promised| self.last >= promised) {
            self.withheld = None;
        }
    }

    pub(super) fn truncate(&mut self, from: LogIndex) {
        self.index.truncate(from);
        self.runs.truncate(from);
        self.memberships.retain(|(index, _)| *index < from);
        self.known_from = self.known_from.min(from);
        self.last = LogId::new(self.term_before(from), from.prev());
    }

    /// Zero if it is not known: then it was purged since, and nobody asks.
    fn term_before(&self, from: LogIndex) -> Term {
        if from.prev() == self.base.last.index {
            return self.base.last.term;
        }
        self.runs.term_at(from.prev()).unwrap_or(Term::ZERO)
    }

    pub(super) fn purge(&mut self, base: &LogBase) {
        let upto = base.last.index;
        self.index.purge(upto, self.last.index);
        self.runs.purge(upto, self.last.index);
        self.memberships.retain(|(index, _)| *index > upto);
        self.base.clone_from(base);
        if self.last.index == upto {
            self.last = base.last;
        }
    }

    pub(super) fn reset(&mut self, base: &LogBase) {
        self.index.clear();
        self.runs = TermRuns::default();
        self.memberships.clear();
        self.base.clone_from(base);
        self.last = base.last;
        self.known_from = base.last.index.next();
    }

    /// Takes in a record of `segment`; refused if it does not fit those before it.
    pub(super) fn take_in(
        &mut self,
        folder: &Folder,
        segment: u64,
        record: &Record,
    ) -> Result<(), StorageError> {
        self.apply(segment, record).map_err(|what| super::corrupt(folder.text(segment), record.offset, what))
    }

    /// Takes in a record of `segment`. Says what is wrong if it does not fit those before it.
    pub(super) fn apply(&mut self, segment: u64, record: &Record) -> Result<(), String> {
        const MALFORMED: &str = "the record's content is malformed";
        let payload = &record.payload;
        match record.header.kind {
            Kind::Head => self.check_head(&Head::decode(payload).ok_or(MALFORMED)?)?,
            Kind::Entries => self.apply_entries(segment, record)?,
            Kind::Vote => self.vote = decode_vote(payload).ok_or(MALFORMED)?,
            Kind::Truncate => {
                let from = decode_index(payload).ok_or(MALFORMED)?;
                if from <= self.base.last.index || from > self.last.index {
                    return Err(format!("truncation at {from} of a log that ends at {}", self.last));
                }
                self.truncate(from);
            }
            Kind::Purge => {
                let base = decode_base(payload).ok_or(MALFORMED)?;
                if base.last.index > self.last.index {
                    return Err(format!("purge up to {} of a log that ends at {}", base.last, self.last));
                }
                self.purge(&base);
            }
            Kind::Reset => {
                self.reset(&decode_base(payload).ok_or(MALFORMED)?);
                if record.header.flags & FLAG_COPIED == 0 {
                    self.release_withheld();
                }
            }
            Kind::Commit => self.check_commit(record)?,
        }
        Ok(())
    }

    fn apply_entries(&mut self, segment: u64, record: &Record) -> Result<(), String> {
        let batch = EntryBatch::verify(record.payload.clone()).map_err(|damage| damage.to_string())?;
        check_append(self.last, &batch).map_err(|error| error.to_string())?;
        self.memberships.extend(memberships(&batch).map_err(|error| error.to_string())?);
        let place = Place::new(batch.first(), segment, record.offset, record.header.payload_bytes);
        self.append(&batch, place);
        if record.header.flags & FLAG_COPIED == 0 {
            self.release_withheld();
        }
        Ok(())
    }

    /// A later segment's head repeats what came before it.
    fn check_head(&mut self, head: &Head) -> Result<(), String> {
        if !self.ends_at(head.last) || head.base.last != self.base.last {
            return Err(format!("the head names {}, the log before it ends at {}", head.last, self.last));
        }
        self.vote.clone_from(&head.vote);
        self.withheld = head.withheld;
        Ok(())
    }

    fn check_commit(&self, record: &Record) -> Result<(), String> {
        let commit = record.commit().ok_or("the commit record's content is malformed")?;
        if KnownBug::RecordBehindDamageTaken.is_back() {
            return Ok(());
        }
        if self.ends_at(commit.last) && commit.vote == self.vote && commit.withheld == self.withheld {
            return Ok(());
        }
        Err(format!("the commit record names {}, the log before it ends at {}", commit.last, self.last))
    }

    fn ends_at(&self, last: LogId) -> bool {
        let term_unknown = self.last.term == Term::ZERO && self.last.index < self.known_from;
        self.last == last || (term_unknown && self.last.index == last.index)
    }

    /// Holds the log against the end that a damaged flush had promised: what that flush had removed
    /// goes, and if anything is missing the log is withheld.
    pub(super) fn reconcile(&mut self, promised: LogId) {
        let base = self.base.last.index;
        if promised.index >= base {
            let within = self.runs.last_within(promised.term, self.last.index.min(promised.index));
            let keep = within.unwrap_or(base).max(base);
            if keep < self.last.index {
                self.truncate(keep.next());
            }
        }
        self.withheld = (self.last < promised).then_some(promised);
    }

    /// The first index behind the base that no segment holds.
    pub(super) fn missing(&self) -> Option<LogIndex> {
        let first = self.base.last.index.next();
        (self.known_from > first && first <= self.last.index).then_some(first)
    }

    /// The answer of [`recover`](crate::storage::LogStore::recover).
    pub(super) fn recovered(&self, repairs: Vec<String>) -> Recovered {
        Recovered {
            vote: self.vote.clone(),
            base: self.base.clone(),
            last: self.last,
            term_runs: self.runs.to_vec(),
            memberships: self.memberships.clone(),
            withheld: self.withheld,
            repairs,
        }
    }
}
