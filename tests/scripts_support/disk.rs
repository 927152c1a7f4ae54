//! A disk: what is on it survives a crash of its node. Says at each flush what became durable.
//!
//! A flush is immediate. For a slow one the script closes the node's `FlushGate`: then nothing gets here until the
//! gate opens, and a crash loses it.

use std::sync::{Arc, Mutex};

use raftix::{
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    types::{EntryBatch, EntryBuffer, EntryKind, LogBase, LogIndex, Membership, Term, Vote},
};

use super::{
    register::{Set, describe_entry},
    trace::Trace,
};

/// Clones are handles to the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    node: String,
    trace: Trace,
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    store: MemoryStore,
    /// What was done since the last flush.
    unflushed: Vec<String>,
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new(node: &str, trace: Trace) -> Self {
        Self { node: node.to_owned(), trace, content: Arc::default() }
    }

    /// Writes a log by hand: entry 1 is `membership`, the others are commands, with the terms given.
    pub(crate) fn write(&self, membership: &Membership, terms: &[u64], vote_term: u64) {
        let store = &mut self.content.lock().unwrap().store;
        let mut index = LogIndex(1);
        for terms in terms.chunk_by(|one, next| one == next) {
            let (first, mut buffer) = (index, EntryBuffer::default());
            for term in terms {
                let command = Set { name: format!("v{index}"), value: format!("t{term}") };
                match index {
                    LogIndex(1) => buffer.push(EntryKind::Configuration, &membership.encode()),
                    _ => buffer.push(EntryKind::Command, &command.encode()),
                }
                index = index.next();
            }
            store.append(&buffer.seal(first, Term(terms[0]))).unwrap();
        }
        store.save_vote(&Vote { term: Term(vote_term), voted_for: None }).unwrap();
        store.flush().unwrap();
    }

    /// Every entry on it, in words.
    pub(crate) fn entries(&self) -> Vec<String> {
        let store = &mut self.content.lock().unwrap().store;
        let last = store.recover().unwrap().last.index;
        if last == LogIndex::ZERO {
            return Vec::new();
        }
        let batches = store.read(LogIndex(1), last, usize::MAX).unwrap();
        batches
            .iter()
            .flat_map(|batch| batch.iter().map(|entry| describe_entry(&entry)).collect::<Vec<_>>())
            .collect()
    }

    /// Does `change` and notes it for the next flush.
    fn change(
        &self,
        note: String,
        change: impl FnOnce(&mut MemoryStore) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut content = self.content.lock().unwrap();
        change(&mut content.store)?;
        content.unflushed.push(note);
        Ok(())
    }
}

impl VoteStore for Disk {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let voted = vote.voted_for.as_ref().map_or("nobody".to_owned(), ToString::to_string);
        self.change(format!("vote t{} for {voted}", vote.term), |store| store.save_vote(vote))
    }
}

impl LogStore for Disk {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.content.lock().unwrap().store.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        let words: Vec<String> = entries.iter().map(|entry| describe_entry(&entry)).collect();
        self.change(format!("append {}", words.join(", ")), |store| store.append(entries))
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.change(format!("truncate from {from}"), |store| store.truncate(from))
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.change(format!("purge to {}", base.last), |store| store.purge(base))
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.change(format!("reset to {}", base.last), |store| store.reset(base))
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let mut content = self.content.lock().unwrap();
        content.store.flush()?;
        let done = std::mem::take(&mut content.unflushed).join("; ");
        self.trace.line(format!("{} flushes {done}", self.node));
        Ok(())
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.content.lock().unwrap().store.read(first, last, bytes_max)
    }
}
