//! The log as the protocol thread sees it: the only writer of the tail, the durable index, the commit
//! index, the hand-off cursor, the base and the membership history.
//!
//! It holds the newest entries in memory, encoded; the store behind it holds all of them. It decides
//! nothing about roles and sends nothing: the actors ask it and carry out what it answers. What a
//! leader does here passes through its [`Tenure`].

mod cache;
mod flush;
mod tenure;

pub use flush::Ticket;
pub use tenure::Tenure;

use cache::TailCache;
use flush::FlushLedger;

use crate::{
    known_bug::KnownBug,
    protocol::{MembershipHistory, TermRuns, Verdict, check_append},
    storage::{Recovered, snapshot::SnapshotDescription},
    types::{
        ClusterId, Entries, EntryBatch, EntryBuffer, LogBase, LogId, LogIndex, Membership, MembershipError,
        Term,
    },
};

/// A range of the log, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Slice {
    /// These entries.
    Entries(Entries),
    /// They are older than what memory holds: read them from the store.
    Stored {
        /// First index wanted.
        first: LogIndex,
        /// Last index that is only in the store.
        last: LogIndex,
    },
    /// Nothing lies there yet.
    Empty,
    /// It was compacted away.
    Compacted,
}

/// What became of an AppendEntries of the current leader.
#[derive(Debug)]
pub enum Appended {
    /// The log does not hold the entry before it.
    Conflict {
        /// Where it may agree.
        hint: LogId,
    },
    /// It would change a committed entry: a broken invariant.
    CommittedConflict {
        /// Where.
        at: LogIndex,
    },
    /// It fits.
    Accepted {
        /// From where on this node's log was removed first.
        truncated: Option<LogIndex>,
        /// What was new; it must go to the store.
        new: Entries,
        /// Everything up to here equals the leader's log.
        proven: LogIndex,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    runs: TermRuns,
    cache: TailCache,
    flushes: FlushLedger,
    commit: LogIndex,
    /// Everything up to here was handed to the state machine. `base <= handed <= commit`.
    handed: LogIndex,
    memberships: MembershipHistory,
}

impl Log {
    /// The log that a store recovered. Nothing of it is known to be committed yet, except its base.
    pub fn new(recovered: &Recovered, cache_bytes_max: usize) -> Self {
        let base = &recovered.base;
        let mut runs = TermRuns::new(base.last);
        runs.append(recovered.last.index, recovered.term_runs.iter().copied());
        let mut memberships = MembershipHistory::new(base.last.index, base.membership.clone());
        for (index, membership) in &recovered.memberships {
            memberships.appended(*index, membership.clone());
        }
        Self {
            runs,
            cache: TailCache::new(recovered.last.index.next(), cache_bytes_max),
            flushes: FlushLedger::new(recovered.last.index),
            commit: base.last.index,
            handed: base.last.index,
            memberships,
        }
    }

    /// The state machine begins with the snapshot that `description` is of: what it holds is committed, and is not
    /// handed off again.
    ///
    /// # Panics
    /// If the log does not hold the snapshot's last entry: a start completes what a crash left undone before.
    pub fn restored(&mut self, description: &SnapshotDescription) {
        let last = description.last;
        assert!(self.holds(last), "a log of {} does not hold {last}, which a snapshot ends with", self.runs);
        self.commit = self.commit.max(last.index);
        self.handed = self.handed.max(last.index);
    }

    /// Whether the entry at `id` is the one here, the last compacted one included.
    pub fn holds(&self, id: LogId) -> bool {
        self.runs.term_at(id.index) == Some(id.term)
    }

    /// Position of the last entry, flushed or not: what candidates are compared with (Raft §5.4.1).
    pub fn last(&self) -> LogId {
        self.runs.last()
    }

    /// Position of the last entry that was compacted away.
    pub fn base(&self) -> LogId {
        self.runs.base()
    }

    /// Everything up to here is on this node's medium.
    pub fn durable(&self) -> LogIndex {
        self.flushes.durable()
    }

    /// Everything up to here is committed, as far as this node knows.
    pub fn commit(&self) -> LogIndex {
        self.commit
    }

    /// Everything up to here went to the state machine.
    pub fn handed(&self) -> LogIndex {
        self.handed
    }

    /// The terms of the entries.
    pub fn runs(&self) -> &TermRuns {
        &self.runs
    }

    /// The membership in effect: the newest in the log, committed or not (Raft §6).
    pub fn membership(&self) -> &Membership {
        self.memberships.effective()
    }

    /// The membership as of the entry at `index`, which is not before the base.
    pub fn membership_at(&self, index: LogIndex) -> &Membership {
        self.memberships.committed(index)
    }

    /// Index of the effective membership's entry; that of the base if the entry is compacted.
    pub fn membership_index(&self) -> LogIndex {
        self.memberships.effective_index()
    }

    /// Whether the effective membership is committed: only then may another change begin (thesis §4.1).
    pub fn is_membership_settled(&self) -> bool {
        self.memberships.is_settled(self.commit)
    }

    /// The newest membership that is committed.
    pub fn committed_membership(&self) -> &Membership {
        self.memberships.committed(self.commit)
    }

    /// The newest membership that is certain to be committed, also where the commit index is not known.
    pub fn settled_membership(&self) -> &Membership {
        self.memberships.settled(self.commit)
    }

    /// The membership that the cluster began with, as long as entry 1 is here.
    pub fn first_membership(&self) -> Option<&Membership> {
        (self.base().index == LogIndex::ZERO && self.last().index > LogIndex::ZERO)
            .then(|| self.memberships.committed(LogIndex(1)))
            .filter(|membership| !membership.is_empty())
    }

    /// Adds a leader's new entries. `None` if the tenure is over: then nothing happened.
    ///
    /// # Errors
    /// If a configuration entry among them does not decode; nothing was added.
    pub fn append_own(
        &mut self,
        tenure: &Tenure,
        buffer: EntryBuffer,
    ) -> Result<Option<(EntryBatch, Ticket)>, MembershipError> {
        if !tenure.is_live() || buffer.is_empty() {
            return Ok(None);
        }
        if KnownBug::EntryHandedTwice.is_back() && tenure.term() > self.last().term {
            self.handed = self.handed.prev().max(self.base().index);
        }
        let batch = buffer.seal(self.last().index.next(), tenure.term());
        for (index, membership) in decode_memberships(std::slice::from_ref(&batch))? {
            self.memberships.appended(index, membership);
        }
        self.runs.extend_same_term(batch.last(), tenure.term());
        self.cache.push(batch.clone());
        let ticket = self.issue(batch.last(), batch.len());
        Ok(Some((batch, ticket)))
    }

    /// Follows the current leader: checks an AppendEntries against the log, removes what conflicts and
    /// adds what is new (Raft §5.3).
    ///
    /// # Errors
    /// If a configuration entry does not decode; nothing was changed.
    pub fn follow(&mut self, prev: LogId, entries: Entries) -> Result<Appended, MembershipError> {
        let last = entries.last().unwrap_or(prev.index);
        let verdict = check_append(&self.runs, self.commit, prev, term_runs(&entries), last);
        let (truncate_from, append_from, proven) = match verdict {
            Verdict::Conflict { hint } => return Ok(Appended::Conflict { hint }),
            Verdict::CommittedConflict { at } => return Ok(Appended::CommittedConflict { at }),
            Verdict::Accept { truncate_from, append_from, proven } => (truncate_from, append_from, proven),
        };
        let new = match append_from {
            Some(from) if entries.first() == Some(from) => entries,
            Some(from) => entries.starting_at(from),
            None => Entries::none(),
        };
        let memberships = decode_memberships(new.batches())?;
        if let Some(from) = truncate_from {
            self.truncate(from);
        }
        for (index, membership) in memberships {
            self.memberships.appended(index, membership);
        }
        for batch in new.batches() {
            self.runs.append(batch.last(), batch_runs(batch));
            self.cache.push(batch.clone());
        }
        Ok(Appended::Accepted { truncated: truncate_from, new, proven })
    }

    fn truncate(&mut self, from: LogIndex) {
        assert!(
            from > self.commit,
            "truncation from {from} would lose entries committed up to {}",
            self.commit
        );
        self.runs.truncate(from);
        self.cache.truncate(from);
        self.memberships.truncated(from);
        self.flushes.truncated(from);
    }

    /// A ticket for one operation given to the store, after which the log on the medium ends at `last`;
    /// [`flushed`](Self::flushed) takes it back. Each operation of a request has an end of its own, since
    /// the store may flush between any two of them.
    pub fn issue(&mut self, last: LogIndex, bytes: usize) -> Ticket {
        assert!(last <= self.last().index, "an operation that reaches {last} in a log up to {}", self.last());
        self.flushes.issue(last, bytes)
    }

    /// The store has made everything up to `ticket` durable. Whether the durable index rose.
    pub fn flushed(&mut self, ticket: Ticket) -> bool {
        let rose = self.flushes.flushed(ticket);
        // What the store has it can give back, also to a state machine that is far behind.
        self.cache.evict(self.durable());
        rose
    }

    /// How many bytes of entries the store has not made durable.
    pub fn unflushed_bytes(&self) -> usize {
        self.flushes.bytes()
    }

    /// How many operations the store has not finished.
    pub fn unflushed(&self) -> usize {
        self.flushes.outstanding()
    }

    /// Raises the commit index to `index`, never past the last entry. Whether it rose.
    pub fn commit_to(&mut self, index: LogIndex) -> bool {
        let index = index.min(self.last().index);
        let rose = index > self.commit;
        if rose {
            self.commit = index;
        }
        rose
    }

    /// The next committed entries for the state machine, at most about `bytes_max`. Each goes out once:
    /// taking them moves the cursor.
    #[inline]
    pub fn hand_off(&mut self, bytes_max: usize) -> Slice {
        let slice = self.slice(self.handed.next(), self.commit, u64::MAX, bytes_max);
        if let Slice::Entries(entries) = &slice {
            self.handed = entries.last().unwrap_or(self.handed);
        }
        slice
    }

    /// The same with entries that were read from the store at [`Slice::Stored`]'s request. Those that
    /// were handed off meanwhile, or are beyond the commit index, are left out.
    pub fn hand_off_stored(&mut self, batches: &[EntryBatch]) -> Entries {
        let mut entries = Entries::none();
        for batch in batches {
            if let Some(part) = batch.slice(self.handed.next(), self.commit)
                && part.first() == self.handed.next()
            {
                self.handed = part.last();
                entries.push(part);
            }
        }
        entries
    }

    /// Entries to send, from `first` on.
    #[inline]
    pub fn read(&self, first: LogIndex, count_max: u64, bytes_max: usize) -> Slice {
        self.slice(first, self.last().index, count_max, bytes_max)
    }

    /// Mostly there is nothing: whoever was given something asks again, and every answer is followed by a question.
    #[inline]
    fn slice(&self, first: LogIndex, last: LogIndex, count_max: u64, bytes_max: usize) -> Slice {
        if first > last { Slice::Empty } else { self.slice_of_some(first, last, count_max, bytes_max) }
    }

    #[inline(never)]
    fn slice_of_some(&self, first: LogIndex, last: LogIndex, count_max: u64, bytes_max: usize) -> Slice {
        if first <= self.base().index {
            Slice::Compacted
        } else if first < self.cache.first() {
            Slice::Stored { first, last: last.min(self.cache.first().prev()) }
        } else {
            Slice::Entries(self.cache.read(first, last, count_max, bytes_max))
        }
    }

    /// Removes the entries up to `upto`, which a durable snapshot stands for. What is now to go from the store; `None` if
    /// nothing is.
    ///
    /// # Panics
    /// If what goes is not durable or was not handed off: a broken invariant.
    pub fn compact(&mut self, upto: LogIndex) -> Option<LogBase> {
        if upto <= self.base().index {
            return None;
        }
        assert!(
            upto <= self.durable() && upto <= self.handed,
            "compaction up to {upto} of a log durable up to {} and handed off up to {}",
            self.durable(),
            self.handed
        );
        let term = self.runs.term_at(upto).expect("what is durable is in the log");
        self.runs.compact(LogId::new(term, upto));
        self.memberships.compacted(upto);
        self.cache.purge(upto);
        Some(self.log_base())
    }

    /// Swaps what is in memory for a snapshot from elsewhere that is published. Nothing moves backwards: one at or
    /// before the commit index changes nothing. If the log holds the snapshot's last entry, everything stays, and the
    /// entry is committed; if not, every entry goes, and the store must have been reset to the same base, durably,
    /// before. Whether the entries went.
    pub fn install(&mut self, description: &SnapshotDescription) -> bool {
        let last = description.last;
        if last.index <= self.commit {
            return false;
        }
        let stale = KnownBug::StaleSuffixKeptUnderSnapshot.is_back() && last.index <= self.last().index;
        let goes = !self.holds(last) && !stale;
        if goes {
            self.runs.reset(last);
            self.cache.reset(last.index.next());
            self.flushes.reset(last.index);
            self.memberships.reset(last.index, description.membership.clone());
        }
        self.commit = last.index;
        self.handed = last.index;
        goes
    }

    /// What a snapshot of `cluster` with everything up to `at` is to be called; `None` if the log has gone on from a
    /// later one meanwhile.
    pub fn describe(&self, at: LogId, cluster: ClusterId) -> Option<SnapshotDescription> {
        let (membership_index, membership) = self.memberships.committed_entry(at.index);
        (at.index > self.base().index && self.holds(at)).then(|| SnapshotDescription {
            last: at,
            membership: membership.clone(),
            membership_index,
            cluster,
        })
    }

    /// What lies before the first entry, as the store keeps it.
    pub fn log_base(&self) -> LogBase {
        LogBase { last: self.base(), membership: self.memberships.committed(self.base().index).clone() }
    }
}

fn decode_memberships(batches: &[EntryBatch]) -> Result<Vec<(LogIndex, Membership)>, MembershipError> {
    let mut memberships = Vec::new();
    for entry in batches.iter().flat_map(EntryBatch::configurations) {
        memberships.push((entry.index, Membership::decode(entry.data)?));
    }
    Ok(memberships)
}

fn term_runs(entries: &Entries) -> impl Iterator<Item = (LogIndex, Term)> {
    entries.batches().iter().flat_map(batch_runs)
}

/// First index and term of each run of equal terms; without looking at the entries when there is one.
fn batch_runs(batch: &EntryBatch) -> impl Iterator<Item = (LogIndex, Term)> {
    let uniform = batch.first_term() == batch.last_term();
    let one = uniform.then_some((batch.first(), batch.first_term()));
    let mut before = None;
    let several = (!uniform).then(|| {
        batch.iter().filter_map(move |entry| {
            let starts = before != Some(entry.term);
            before = Some(entry.term);
            starts.then_some((entry.index, entry.term))
        })
    });
    one.into_iter().chain(several.into_iter().flatten())
}

#[cfg(test)]
mod tests;
