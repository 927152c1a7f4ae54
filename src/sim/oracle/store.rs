//! Between a node and its log: every call is seen, and what a start finds is held against what was promised.

use xxhash_rust::xxh3::xxh3_64;

use super::{Oracle, State, Violation, shadow::Mark};
use crate::{
    storage::{LogStore, Recovered, StorageError, VoteStore},
    types::{EntryBatch, EntryRef, LogBase, LogId, LogIndex, Vote},
};

/// How much of the log is read at once when a start is checked, in bytes.
const READ_BYTES: usize = 1 << 20;

/// A log store that tells the oracle what passes.
pub(crate) struct WatchedStore {
    inner: Box<dyn LogStore>,
    node: usize,
    oracle: Oracle,
}

/// What is compared of an entry: everything but its position.
pub(super) fn content(entry: &EntryRef<'_>) -> u64 {
    xxh3_64(entry.data) ^ (entry.kind as u64)
}

fn mark(entry: EntryRef<'_>) -> Mark {
    Mark { term: entry.term, content: content(&entry) }
}

impl WatchedStore {
    pub(crate) fn new(inner: Box<dyn LogStore>, node: usize, oracle: Oracle) -> Self {
        Self { inner, node, oracle }
    }

    /// Every entry of the log, read back.
    fn read_all(&mut self, recovered: &Recovered) -> Result<Vec<Mark>, StorageError> {
        let mut marks = Vec::new();
        let last = recovered.last.index;
        let mut next = recovered.base.last.index.next();
        while next <= last {
            let batches = self.inner.read(next, last, READ_BYTES)?;
            let Some(end) = batches.last().map(EntryBatch::last) else { break };
            marks.extend(batches.iter().flat_map(EntryBatch::iter).map(mark));
            next = end.next();
        }
        Ok(marks)
    }
}

impl LogStore for WatchedStore {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        let recovered = self.inner.recover()?;
        let marks = self.read_all(&recovered)?;
        let about = [recovered.last.index.0, recovered.vote.term.0, u64::from(recovered.withheld.is_some())];
        self.oracle.note("recover", Some(self.node), about);
        self.oracle.check(|state| state.recovered(self.node, &recovered, marks));
        Ok(recovered)
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.inner.append(entries)?;
        let about = [entries.first().0, entries.last().0, entries.last_term().0];
        self.oracle.note("append", Some(self.node), about);
        self.oracle.check(|state| {
            let mut prev = state.nodes[self.node].shadow.term_before(entries.first());
            for entry in entries.iter() {
                state.ledger.saw_entry(entry.id(), prev, content(&entry))?;
                prev = entry.term;
            }
            state.nodes[self.node].shadow.append(entries.first(), entries.iter().map(mark));
            Ok(())
        });
        Ok(())
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.inner.truncate(from)?;
        self.oracle.note("truncate", Some(self.node), [from.0, 0, 0]);
        self.oracle.check(|state| {
            let shadow = &mut state.nodes[self.node].shadow;
            let durable = shadow.durable();
            shadow.truncate(from);
            state.check_quorum(from, durable)
        });
        Ok(())
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.inner.purge(base)?;
        self.oracle.note("purge", Some(self.node), [base.last.index.0, base.last.term.0, 0]);
        self.oracle.check(|state| state.purges(self.node, base));
        Ok(())
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.inner.reset(base)?;
        self.oracle.note("reset log", Some(self.node), [base.last.index.0, base.last.term.0, 0]);
        self.oracle.check(|state| state.resets(self.node, base));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.inner.flush()?;
        self.oracle.note("flush", Some(self.node), [0; 3]);
        self.oracle.check(|state| {
            // A record that a crash took back was never a vote.
            for vote in state.nodes[self.node].shadow.flushed() {
                state.has_voted(self.node, &vote)?;
            }
            Ok(())
        });
        Ok(())
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        let batches = self.inner.read(first, last, bytes_max)?;
        self.oracle.check(|state| {
            for entry in batches.iter().flat_map(EntryBatch::iter) {
                state.knows(self.node, entry.id(), content(&entry))?;
            }
            Ok(())
        });
        Ok(batches)
    }
}

impl VoteStore for WatchedStore {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.inner.save_vote(vote)?;
        self.oracle.note("vote", Some(self.node), [vote.term.0, u64::from(vote.voted_for.is_some()), 0]);
        self.oracle.check(|state| {
            state.nodes[self.node].shadow.save_vote(vote);
            Ok(())
        });
        Ok(())
    }
}

impl State {
    /// A vote record is durable.
    fn has_voted(&mut self, node: usize, vote: &Vote) -> Result<(), Violation> {
        let candidate = vote.voted_for.as_ref().map(|candidate| candidate.as_str());
        candidate.map_or(Ok(()), |candidate| self.ledger.voted(vote.term, node + 1, candidate))
    }

    fn knows(&self, node: usize, id: LogId, content: u64) -> Result<(), Violation> {
        if self.ledger.is_known(id, content) {
            return Ok(());
        }
        let what = format!("n{} reads an entry {id} that nobody made", node + 1);
        Err(Violation::new("what was written is read", what))
    }

    /// A start found this on its disk: no less than was promised, and nothing that was never there.
    fn recovered(&mut self, node: usize, found: &Recovered, marks: Vec<Mark>) -> Result<(), Violation> {
        let broken =
            |what: String| Err(Violation::new("durable means durable", format!("n{} {what}", node + 1)));
        let base = found.base.last;
        for (at, mark) in marks.iter().enumerate() {
            self.knows(node, LogId::new(mark.term, base.index.plus(at as u64 + 1)), mark.content)?;
        }
        let watched = &mut self.nodes[node];
        let (rotten, shadow) = (std::mem::take(&mut watched.rotten), &watched.shadow);
        let kept = shadow.may_recover_entries(base.index, &marks);
        let excused = rotten && found.withheld.is_some();
        if !(kept || excused) {
            let durable = shadow.durable();
            return broken(format!("recovers {} entries behind {base}, {durable} was durable", marks.len()));
        }
        if !shadow.may_recover(&found.vote) {
            let durable = shadow.durable_vote();
            return broken(format!("recovers the vote {:?}, {durable:?} was durable", found.vote));
        }
        let durable = shadow.durable();
        if !kept {
            self.nodes[node].shadow.lost();
        }
        self.nodes[node].shadow.recovered(base, marks, found.vote.clone());
        self.has_voted(node, &found.vote)?;
        self.check_quorum(LogIndex(1), durable)
    }
}
