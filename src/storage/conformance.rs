//! The contract of [`LogStore`] as tests that any store can run, each named by the number it checks.
//!
//! ```
//! use raftix::storage::{conformance::{self, Medium}, memory::MemoryStore};
//!
//! struct InMemory;
//! impl Medium for InMemory {
//!     type Store = MemoryStore;
//!     const DURABLE: bool = false;
//!     fn open(&mut self) -> MemoryStore {
//!         MemoryStore::new()
//!     }
//! }
//! conformance::run(|| InMemory);
//! ```
//!
//! It kills no power: see the simulated disk (feature `sim`) for that.

use super::{LogStore, Recovered, StorageError, VoteStore};
use crate::types::{
    EntryBatch, EntryBuffer, EntryKind, Incarnation, LogBase, LogId, LogIndex, Membership, Server, Suffrage,
    Term, Vote,
};

/// Where a store lives: a directory, a database, nothing.
pub trait Medium {
    /// The store under test.
    type Store: LogStore;

    /// Whether a store that is opened again shows what an earlier one flushed.
    const DURABLE: bool = true;

    /// Opens the store on this medium, after an earlier one was dropped. Does not call
    /// [`recover`](LogStore::recover).
    fn open(&mut self) -> Self::Store;
}

/// Checks everything; `make` gives a new, empty medium each time.
///
/// # Panics
/// Where the store breaks the contract, saying which number of it.
pub fn run<M: Medium>(mut make: impl FnMut() -> M) {
    a_new_store_is_empty(&mut make());
    appends_continue_the_log(&mut make());
    reading_shows_what_was_appended(&mut make());
    truncation_removes_the_end(&mut make());
    purging_removes_the_front(&mut make());
    a_reset_removes_everything_but_the_vote(&mut make());
    memberships_and_terms_are_recovered(&mut make());
    many_small_flushes_and_large_batches_survive(&mut make());
}

/// A store with what it recovered checked.
struct Opened<M: Medium> {
    store: M::Store,
}

impl<M: Medium> Opened<M> {
    fn new(medium: &mut M) -> Self {
        let mut store = medium.open();
        let recovered = store.recover().expect("8: an empty medium recovers");
        assert_eq!(recovered, Recovered::default(), "8: an empty medium holds nothing");
        Self { store }
    }

    /// Flushes, and if the medium is durable goes on with another store on it.
    fn reopen(mut self, medium: &mut M) -> (Self, Recovered) {
        self.store.flush().expect("2: flush");
        if M::DURABLE {
            drop(self.store);
            self.store = medium.open();
        }
        let recovered = self.store.recover();
        (self, recovered.expect("8: what was flushed recovers"))
    }

    /// Checks that exactly these entries are there.
    fn shows(&mut self, expected: &[EntryBatch], what: &str) {
        let expected: Vec<(LogId, Vec<u8>)> = entries(expected);
        let (Some(first), Some(last)) = (expected.first(), expected.last()) else { return };
        let read = self.store.read(first.0.index, last.0.index, usize::MAX).expect(what);
        assert_eq!(entries(&read), expected, "{what}");
        let behind = last.0.index.next();
        assert!(is_misuse(&self.store.read(behind, behind, 1).map(|_| ())), "{what}: nothing behind the end");
    }
}

fn entries(batches: &[EntryBatch]) -> Vec<(LogId, Vec<u8>)> {
    batches.iter().flat_map(|batch| batch.iter().map(|entry| (entry.id(), entry.data.to_vec()))).collect()
}

fn batch(first: u64, term: u64, count: u64, size: usize) -> EntryBatch {
    let mut buffer = EntryBuffer::default();
    for index in first..first + count {
        let mut command = format!("{index}@{term}").into_bytes();
        command.resize(command.len().max(size), 0x5a);
        buffer.push(EntryKind::Command, &command);
    }
    buffer.seal(LogIndex(first), Term(term))
}

fn id(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

fn membership(name: &str) -> Membership {
    let server = Server {
        id: name.into(),
        address: format!("{name}:7001"),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(9),
    };
    Membership::new([server]).expect("one voter")
}

fn is_misuse(done: &Result<(), StorageError>) -> bool {
    matches!(done, Err(StorageError::Misuse(_)))
}

fn a_new_store_is_empty<M: Medium>(medium: &mut M) {
    let opened = Opened::new(medium);
    let (_, recovered) = opened.reopen(medium);
    assert_eq!(recovered, Recovered::default(), "8: nothing was written");
}

fn appends_continue_the_log<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let store = &mut opened.store;
    assert!(is_misuse(&store.append(&batch(2, 1, 1, 0))), "3: the first index is 1");
    store.append(&batch(1, 3, 2, 0)).expect("3");
    assert!(is_misuse(&store.append(&batch(2, 3, 1, 0))), "3: no index twice");
    assert!(is_misuse(&store.append(&batch(4, 3, 1, 0))), "3: no gap");
    assert!(is_misuse(&store.append(&batch(3, 2, 1, 0))), "3: terms never fall");
    store.append(&batch(3, 3, 1, 0)).expect("7: misuse harms nothing");
    opened.shows(&[batch(1, 3, 3, 0)], "3");
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!(recovered.last, id(3, 3), "2: what was flushed is there");
    opened.shows(&[batch(1, 3, 3, 0)], "2");
}

fn reading_shows_what_was_appended<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    opened.store.append(&batch(1, 1, 5, 50)).expect("3");
    opened.store.flush().expect("2");
    opened.store.append(&batch(6, 2, 5, 50)).expect("3");
    opened.shows(&[batch(1, 1, 5, 50), batch(6, 2, 5, 50)], "6: flushed or not");
    let store = &mut opened.store;
    let part = store.read(LogIndex(3), LogIndex(7), usize::MAX).expect("6");
    assert_eq!(entries(&part).iter().map(|(id, _)| id.index.0).collect::<Vec<_>>(), [3, 4, 5, 6, 7], "6");
    let one = store.read(LogIndex(3), LogIndex(7), 0).expect("6");
    assert_eq!(entries(&one).len(), 1, "6: at least one");
    let some = store.read(LogIndex(1), LogIndex(10), 200).expect("6");
    assert!(entries(&some).len() < 10 && some[0].first() == LogIndex(1), "6: about as much as asked");
    for (first, last) in [(0, 1), (11, 11), (5, 4), (10, 11)] {
        let read = store.read(LogIndex(first), LogIndex(last), 10).map(|_| ());
        assert!(is_misuse(&read), "6: {first}..={last} is not there");
    }
}

fn truncation_removes_the_end<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    opened.store.append(&batch(1, 1, 10, 10)).expect("3");
    opened.store.flush().expect("2");
    opened.store.truncate(LogIndex(20)).expect("4: nothing to remove");
    opened.store.truncate(LogIndex(6)).expect("4");
    let front = batch(1, 1, 5, 10);
    opened.shows(std::slice::from_ref(&front), "4");
    opened.store.append(&batch(6, 2, 2, 10)).expect("4: the log goes on where it was cut");
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!(recovered.last, id(7, 2), "4: what was removed does not come back");
    assert_eq!(recovered.term_runs, [(LogIndex(1), Term(1)), (LogIndex(6), Term(2))], "4");
    opened.shows(&[front, batch(6, 2, 2, 10)], "4");
    opened.store.truncate(LogIndex(1)).expect("4: down to nothing");
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!(recovered.last, LogId::ZERO, "4");
    opened.store.append(&batch(1, 3, 1, 10)).expect("4");
}

fn purging_removes_the_front<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let vote = Vote { term: Term(4), voted_for: Some("n2".into()) };
    opened.store.save_vote(&vote).expect("2");
    opened.store.append(&batch(1, 1, 10, 10)).expect("3");
    let base = LogBase { last: id(6, 1), membership: membership("n1") };
    opened.store.purge(&base).expect("5");
    opened.store.purge(&LogBase { last: id(3, 1), ..LogBase::default() }).expect("5: not backwards");
    assert!(is_misuse(&opened.store.purge(&LogBase { last: id(11, 1), ..LogBase::default() })), "5");
    assert!(is_misuse(&opened.store.truncate(LogIndex(6))), "4: not into what was purged");
    assert!(opened.store.read(LogIndex(6), LogIndex(7), 1).is_err(), "5: never shown");
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!((recovered.base, recovered.last, recovered.vote), (base, id(10, 1), vote), "5");
    assert_eq!(recovered.term_runs, [(LogIndex(7), Term(1))], "5: runs begin behind the base");
    opened.shows(&[batch(7, 1, 4, 10)], "5");
    opened.store.purge(&LogBase { last: id(10, 1), ..LogBase::default() }).expect("5: all of it");
    opened.store.append(&batch(11, 2, 1, 10)).expect("5: the log goes on behind the base");
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!((recovered.base.last, recovered.last), (id(10, 1), id(11, 2)), "5");
    opened.shows(&[batch(11, 2, 1, 10)], "5");
}

fn a_reset_removes_everything_but_the_vote<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let vote = Vote { term: Term(7), voted_for: None };
    opened.store.append(&batch(1, 1, 10, 10)).expect("3");
    opened.store.save_vote(&vote).expect("2");
    let base = LogBase { last: id(100, 6), membership: membership("n3") };
    opened.store.reset(&base).expect("5");
    assert!(opened.store.read(LogIndex(1), LogIndex(10), 1).is_err(), "5: gone");
    opened.store.append(&batch(101, 7, 2, 10)).expect("5: the log goes on behind the base");
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!((recovered.base, recovered.last, recovered.vote), (base, id(102, 7), vote), "5");
    assert_eq!(recovered.term_runs, [(LogIndex(101), Term(7))], "5");
    opened.shows(&[batch(101, 7, 2, 10)], "5");
}

fn memberships_and_terms_are_recovered<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    for (index, name) in [(1, "n1"), (2, "n2"), (3, "n3"), (4, "n4")] {
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Configuration, &membership(name).encode());
        opened.store.append(&buffer.seal(LogIndex(index), Term(index))).expect("3");
    }
    let base = LogBase { last: id(1, 1), membership: membership("n1") };
    opened.store.purge(&base).expect("5");
    opened.store.truncate(LogIndex(4)).expect("4");
    let (_, recovered) = opened.reopen(medium);
    let expected = [(LogIndex(2), membership("n2")), (LogIndex(3), membership("n3"))];
    assert_eq!(recovered.memberships, expected, "4, 5: those behind the base that are left");
    assert_eq!(recovered.term_runs, [(LogIndex(2), Term(2)), (LogIndex(3), Term(3))]);
}

fn many_small_flushes_and_large_batches_survive<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let mut expected = Vec::new();
    for next in 1..100 {
        expected.push(batch(next, next / 20 + 1, 1, (next as usize * 37) % 400));
    }
    expected.push(batch(100, 9, 500, 300));
    expected.push(batch(600, 9, 1, 200_000));
    for (at, batch) in expected.iter().enumerate() {
        opened.store.append(batch).expect("3");
        let vote = Vote { term: Term(at as u64), voted_for: Some("n1".into()) };
        opened.store.save_vote(&vote).expect("2");
        opened.store.flush().expect("2");
    }
    let (mut opened, recovered) = opened.reopen(medium);
    assert_eq!((recovered.last, recovered.vote.term), (id(600, 9), Term(expected.len() as u64 - 1)), "2");
    opened.shows(&expected, "2");
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        sim::vfs::SimVfs,
        storage::{
            memory::MemoryStore,
            vfs::RealVfs,
            wal::{Wal, WalOptions},
        },
    };

    struct InMemory;

    impl Medium for InMemory {
        type Store = MemoryStore;
        const DURABLE: bool = false;

        fn open(&mut self) -> MemoryStore {
            MemoryStore::new()
        }
    }

    impl Medium for SimVfs {
        type Store = Wal;

        fn open(&mut self) -> Wal {
            let options = WalOptions { segment_bytes: 16 << 10, background: false, ..WalOptions::default() };
            Wal::open(Arc::new(self.clone()), Path::new("wal"), options)
        }
    }

    impl Medium for tempfile::TempDir {
        type Store = Wal;

        fn open(&mut self) -> Wal {
            let options = WalOptions { segment_bytes: 1 << 20, ..WalOptions::default() };
            Wal::open(Arc::new(RealVfs), &self.path().join("wal"), options)
        }
    }

    #[test]
    fn the_memory_store_keeps_the_contract() {
        run(|| InMemory);
    }

    #[test]
    fn the_write_ahead_log_keeps_the_contract_on_the_simulated_disk() {
        run(SimVfs::new);
    }

    #[test]
    fn the_write_ahead_log_keeps_the_contract_on_the_real_disk() {
        run(|| tempfile::tempdir().unwrap());
    }
}
