//! What the storage step does with a store that has no room.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{Completion, Operation, StorageStep};
use crate::{
    log::Ticket,
    messages::{ReadEntries, Reader},
    sim::vfs::{Effect, Fault, Operation as FileOperation, SimVfs},
    storage::{
        LogStore, Recovered, StorageError, VoteStore, data_dir::DataDir, memory::MemoryStore, vfs::Vfs,
    },
    types::{
        ClusterId, EntryBatch, EntryBuffer, EntryKind, Incarnation, LogBase, LogId, LogIndex, Term, Vote,
    },
};

/// A store that may be full, for entries, truncations and resets alike, and for votes and purges.
struct Tight {
    store: MemoryStore,
    full: Arc<AtomicBool>,
    /// The reserve is used up.
    spent: Arc<AtomicBool>,
}

impl Tight {
    fn room(&self) -> Result<(), StorageError> {
        if self.full.load(Relaxed) { Err(StorageError::Full { file: "it".to_owned() }) } else { Ok(()) }
    }
}

impl VoteStore for Tight {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        if self.spent.load(Relaxed) {
            return Err(StorageError::Full { file: "it".to_owned() });
        }
        self.store.save_vote(vote)
    }
}

impl LogStore for Tight {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.store.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.room()?;
        self.store.append(entries)
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.room()?;
        self.store.truncate(from)
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        if self.spent.load(Relaxed) {
            return Err(StorageError::Full { file: "it".to_owned() });
        }
        self.store.purge(base)
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.room()?;
        self.store.reset(base)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.store.flush()
    }

    fn read(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<EntryBatch>, StorageError> {
        self.store.read(first, last, bytes_max)
    }
}

fn entry(index: u64, term: u64) -> EntryBatch {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"x");
    buffer.seal(LogIndex(index), Term(term))
}

fn perform(step: &mut StorageStep, operations: impl IntoIterator<Item = Operation>) -> Vec<String> {
    operations.into_iter().for_each(|operation| step.queue(operation));
    let mut done = Vec::new();
    step.run(&mut |completion| {
        done.push(match completion {
            Completion::Flushed(ticket) => format!("flushed {}", ticket.0),
            Completion::VoteSaved(vote) => format!("vote {}", vote.term),
            Completion::Room { full } => format!("full {full}"),
            Completion::Closed => "closed".to_owned(),
            other => format!("{other:?}"),
        });
    });
    done
}

fn tight() -> (StorageStep, Arc<AtomicBool>) {
    let (step, full, _) = tight_for_votes();
    (step, full)
}

fn tight_for_votes() -> (StorageStep, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (full, spent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let store = Tight { store: MemoryStore::new(), full: full.clone(), spent: spent.clone() };
    let mut step = StorageStep::new(Box::new(store), None);
    let append = Operation::Append { ticket: Ticket(1), entries: entry(1, 1) };
    assert_eq!(perform(&mut step, [append]), ["flushed 1"]);
    (step, full, spent)
}

#[test]
fn a_vote_without_room_waits_and_everything_of_its_term_behind_it() {
    let (mut step, _, spent) = tight_for_votes();
    spent.store(true, Relaxed);
    let vote = |term| Operation::SaveVote(Vote { term: Term(term), voted_for: None });
    let append = Operation::Append { ticket: Ticket(2), entries: entry(2, 2) };
    assert_eq!(perform(&mut step, [vote(2), append, vote(3)]), ["full true"]);
    assert!(step.is_blocked());
    assert!(perform(&mut step, [Operation::Retry]).is_empty(), "told once");
    spent.store(false, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false", "vote 2", "vote 3", "flushed 2"]);
    assert!(!step.is_blocked());
}

#[test]
fn a_node_is_told_of_room_when_nothing_but_a_vote_waited() {
    let (mut step, _, spent) = tight_for_votes();
    spent.store(true, Relaxed);
    let vote = Vote { term: Term(2), voted_for: None };
    assert_eq!(perform(&mut step, [Operation::SaveVote(vote)]), ["full true"]);
    spent.store(false, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false", "vote 2"]);
}

#[test]
fn a_truncation_waits_for_room_and_what_follows_it_waits_behind_it() {
    let (mut step, full) = tight();
    full.store(true, Relaxed);
    let vote = Vote { term: Term(2), voted_for: None };
    let operations = [
        Operation::Truncate { ticket: Ticket(2), from: LogIndex(1) },
        Operation::Append { ticket: Ticket(3), entries: entry(1, 2) },
        Operation::SaveVote(vote),
    ];
    assert_eq!(perform(&mut step, operations), ["full true", "vote 2"], "a vote waits for nothing");
    assert!(step.is_blocked());
    full.store(false, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false", "flushed 3"]);
}

#[test]
fn an_identity_waits_for_room_and_what_follows_it_waits_behind_it() {
    let disk = SimVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let directory = DataDir::open_with(vfs, "n1".as_ref(), &"n1".into(), || Ok(Incarnation(1))).unwrap();
    let mut step = StorageStep::new(Box::new(MemoryStore::new()), Some(directory));
    disk.inject(Fault::at(FileOperation::Write, Effect::Fail(io::ErrorKind::StorageFull)));
    let identity = Operation::SaveIdentity { cluster: ClusterId(7), member: true };
    let append = Operation::Append { ticket: Ticket(1), entries: entry(1, 1) };
    assert_eq!(perform(&mut step, [identity, append]), ["full true"]);
    assert!(step.is_blocked());
    let saved = "IdentitySaved { cluster: 00000000, member: true }";
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false", saved, "flushed 1"]);
}

#[test]
fn a_close_does_not_wait_for_room() {
    let (mut step, full) = tight();
    full.store(true, Relaxed);
    let blocked = Operation::Append { ticket: Ticket(2), entries: entry(2, 1) };
    assert_eq!(perform(&mut step, [blocked, Operation::Close]), ["full true", "closed"]);
}

fn base(index: u64, term: u64) -> LogBase {
    LogBase { last: LogId::new(Term(term), LogIndex(index)), ..LogBase::default() }
}

fn read(first: u64, last: u64) -> Operation {
    let (first, last) = (LogIndex(first), LogIndex(last));
    Operation::Read(ReadEntries { reader: Reader::HandOff, first, last, bytes_max: 1 << 20 })
}

#[test]
fn regress_f8_a_purge_goes_ahead_of_what_waits_for_room() {
    let (mut step, full) = tight();
    full.store(true, Relaxed);
    let blocked = Operation::Append { ticket: Ticket(2), entries: entry(2, 1) };
    assert_eq!(perform(&mut step, [blocked]), ["full true"]);
    assert!(perform(&mut step, [Operation::Purge(base(1, 1))]).is_empty());
    let gone = perform(&mut step, [read(1, 1)]);
    assert_eq!(gone, ["Read { reader: HandOff, batches: [] }"], "although the append waits still");
    full.store(false, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false", "flushed 2"]);
}

#[test]
fn a_purge_without_room_for_its_record_is_tried_again() {
    let (mut step, _, spent) = tight_for_votes();
    spent.store(true, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Purge(base(1, 1))]), ["full true"]);
    assert!(step.is_blocked());
    spent.store(false, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false"]);
    assert_eq!(perform(&mut step, [read(1, 1)]), ["Read { reader: HandOff, batches: [] }"]);
}

#[test]
fn a_reset_keeps_its_place_and_waits_for_room() {
    let (mut step, full) = tight();
    full.store(true, Relaxed);
    let operations = [
        Operation::Append { ticket: Ticket(2), entries: entry(2, 1) },
        Operation::Reset { ticket: Ticket(3), base: base(9, 2) },
        Operation::Append { ticket: Ticket(4), entries: entry(10, 2) },
    ];
    assert_eq!(perform(&mut step, operations), ["full true"]);
    full.store(false, Relaxed);
    assert_eq!(perform(&mut step, [Operation::Retry]), ["full false", "flushed 4"]);
    assert_eq!(perform(&mut step, [read(2, 2)]), ["Read { reader: HandOff, batches: [] }"]);
    assert_ne!(perform(&mut step, [read(10, 10)]), ["Read { reader: HandOff, batches: [] }"]);
}
