//! The contract of [`SnapshotStore`] as tests that any store can run, each named by the number it checks.
//!
//! ```
//! use raftix::storage::snapshot::{conformance::{self, Medium}, memory::MemorySnapshotStore};
//!
//! struct InMemory;
//! impl Medium for InMemory {
//!     type Store = MemorySnapshotStore;
//!     const DURABLE: bool = false;
//!     fn open(&mut self) -> MemorySnapshotStore {
//!         MemorySnapshotStore::new()
//!     }
//! }
//! conformance::run(|| InMemory);
//! ```
//!
//! It kills no power and damages nothing: see the simulated disk (feature `sim`) for that.

use super::{SnapshotDescription, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore};
use crate::{
    storage::StorageError,
    types::{ClusterId, Incarnation, LogId, LogIndex, Membership, NodeId, Server, Suffrage, Term},
};

/// Where a store lives: a directory, a database, nothing.
pub trait Medium {
    /// The store under test.
    type Store: SnapshotStore;

    /// Whether a store that is opened again shows what an earlier one published.
    const DURABLE: bool = true;

    /// Opens the store on this medium, after an earlier one was dropped. Does not call
    /// [`recover`](SnapshotStore::recover).
    fn open(&mut self) -> Self::Store;
}

/// Checks everything; `make` gives a new, empty medium each time.
///
/// # Panics
/// Where the store breaks the contract, saying which number of it.
pub fn run<M: Medium>(mut make: impl FnMut() -> M) {
    a_new_store_is_empty(&mut make());
    what_is_published_shows_with_its_description(&mut make());
    what_is_not_published_never_shows(&mut make());
    content_that_was_not_expected_is_given_up(&mut make());
    the_later_of_two_remains(&mut make());
    the_newest_are_retained(&mut make());
    content_is_read_from_anywhere(&mut make());
    any_membership_fits(&mut make());
}

/// A store, and what it must show.
struct Opened<M: Medium> {
    store: M::Store,
    expected: Vec<SnapshotMeta>,
}

impl<M: Medium> Opened<M> {
    fn new(medium: &mut M) -> Self {
        let mut opened = Self { store: medium.open(), expected: Vec::new() };
        opened.recovers("3: an empty medium");
        opened
    }

    fn recovers(&mut self, what: &str) {
        self.expected.sort_by_key(|meta| std::cmp::Reverse(meta.description.last));
        let found = self.store.recover().expect(what);
        if M::DURABLE {
            assert_eq!(found, self.expected, "{what}");
        }
    }

    /// If the medium is durable, goes on with another store on it.
    fn reopen(mut self, medium: &mut M, what: &str) -> Self {
        if M::DURABLE {
            drop(self.store);
            self.store = medium.open();
            self.recovers(what);
        }
        self
    }

    /// Publishes `content` in pieces of uneven length.
    fn publish(&mut self, description: &SnapshotDescription, content: &[u8]) -> SnapshotMeta {
        let sink = self.written(description, content);
        let published = sink.publish(None).expect("2: published");
        let (bytes, checksum) = (content.len() as u64, crc32c::crc32c(content));
        assert_eq!(published, SnapshotMeta { description: description.clone(), bytes, checksum }, "2");
        self.expected.retain(|meta| meta.description.last != description.last);
        self.expected.push(published.clone());
        published
    }

    fn written(&mut self, description: &SnapshotDescription, content: &[u8]) -> Box<dyn SnapshotSink> {
        let mut sink = self.store.create(description.clone()).expect("2: created");
        let (mut rest, mut piece) = (content, 1);
        while !rest.is_empty() {
            let (front, behind) = rest.split_at(piece.min(rest.len()));
            sink.write_all(front).expect("2: written");
            (rest, piece) = (behind, piece * 7 % 9973 + 1);
        }
        sink.flush().expect("2: written");
        assert_eq!(sink.bytes(), content.len() as u64, "2: how much was written");
        sink
    }

    fn holds(&mut self, last: LogId, content: &[u8], what: &str) {
        let mut source = self.store.open(last).expect(what);
        let meta = self.expected.iter().find(|meta| meta.description.last == last);
        assert_eq!(Some(source.meta()), meta, "{what}");
        assert_eq!(all_of(&mut source), content, "{what}");
    }

    fn lacks(&mut self, last: LogId, what: &str) {
        assert!(matches!(self.store.open(last), Err(StorageError::Misuse(_))), "{what}: {last} shows");
    }
}

fn all_of(source: &mut Box<dyn SnapshotSource>) -> Vec<u8> {
    let mut content = Vec::new();
    source.read_to_end(&mut content).expect("5: read");
    content
}

fn id(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

fn members(count: usize, name_bytes: usize) -> Membership {
    let name = |prefix: &str, at: usize| format!("{prefix}{at:0>width$}", width = name_bytes - prefix.len());
    let server = |at| Server {
        id: NodeId::from(name("n", at)),
        address: name("a", at),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(u128::MAX - at as u128),
    };
    Membership::new((0..count).map(server)).expect("a membership")
}

fn upto(index: u64, term: u64) -> SnapshotDescription {
    let membership_index = LogIndex(index / 2);
    let cluster = ClusterId(u128::MAX - u128::from(term));
    SnapshotDescription { last: id(index, term), membership: members(3, 5), membership_index, cluster }
}

/// Bytes that tell where they stand.
fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at >> 8) as u8 ^ seed).collect()
}

fn a_new_store_is_empty<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    opened.lacks(id(1, 1), "2");
    opened.store.retain(1).expect("nothing to remove");
    opened.reopen(medium, "3: nothing yet");
}

fn what_is_published_shows_with_its_description<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let mut contents = Vec::new();
    for (index, length) in [(5, 0), (6, 1), (7, 4096), (8, 300_000), (9, 262_144), (10, 1_048_577)] {
        let content = content(length, index as u8);
        opened.publish(&upto(index, 2), &content);
        opened.holds(id(index, 2), &content, "2: it shows when publish returns");
        contents.push((id(index, 2), content));
    }
    let mut opened = opened.reopen(medium, "2: it is durable when publish returns");
    for (last, content) in &contents {
        opened.holds(*last, content, "2");
    }
}

fn what_is_not_published_never_shows<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    opened.publish(&upto(3, 1), b"three");
    drop(opened.written(&upto(4, 1), &content(400_000, 1)));
    let pending = opened.written(&upto(5, 1), &content(400_000, 2));
    opened.lacks(id(4, 1), "3: given up");
    opened.lacks(id(5, 1), "2: not published");
    opened.store.retain(1).expect("of the published");
    opened.holds(id(3, 1), b"three", "2: what is being written does not count");
    drop(pending);
    let mut opened = opened.reopen(medium, "3: what was left behind is gone");
    opened.publish(&upto(4, 1), b"four");
    opened.holds(id(4, 1), b"four", "3: nothing of an earlier attempt is left");
}

fn content_that_was_not_expected_is_given_up<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let (right, checksum) = (content(1000, 3), crc32c::crc32c(&content(1000, 3)));
    for (bytes, checksum) in [(1001, checksum), (1000, checksum ^ 1)] {
        let sink = opened.written(&upto(3, 1), &right);
        let refused = sink.publish(Some((bytes, checksum)));
        assert!(matches!(refused, Err(StorageError::Corrupt { .. })), "publish: not what was expected");
        opened.lacks(id(3, 1), "publish: given up");
    }
    let sink = opened.written(&upto(3, 1), &right);
    let published = sink.publish(Some((1000, checksum))).expect("publish: as expected");
    opened.expected.push(published);
    opened.holds(id(3, 1), &right, "2");
    opened.reopen(medium, "2");
}

fn the_later_of_two_remains<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    opened.publish(&upto(3, 1), b"the first one");
    let mut open = opened.store.open(id(3, 1)).expect("2");
    let one = opened.written(&upto(3, 1), b"one");
    let two = opened.written(&upto(3, 1), b"two");
    two.publish(None).expect("4");
    opened.expected.clear();
    opened.expected.push(one.publish(None).expect("4"));
    opened.holds(id(3, 1), b"one", "4: the one published later");
    assert_eq!(all_of(&mut open), b"the first one", "1: what is open stays as it was");
    let mut opened = opened.reopen(medium, "4");
    opened.holds(id(3, 1), b"one", "4");
}

fn the_newest_are_retained<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    for (index, term) in [(30, 1), (4, 3), (20, 2), (5, 3)] {
        opened.publish(&upto(index, term), &content(300_000, index as u8));
    }
    let mut opened = opened.reopen(medium, "recover: by term, then index");
    let mut open = opened.store.open(id(30, 1)).expect("2");
    let mut pending = opened.written(&upto(6, 3), b"six");
    opened.store.retain(2).expect("retain");
    opened.expected.retain(|meta| meta.description.last.term == Term(3));
    opened.lacks(id(30, 1), "retain: older by its term");
    opened.lacks(id(20, 2), "retain");
    assert_eq!(all_of(&mut open), content(300_000, 30), "retain: what is open stays readable");
    opened.holds(id(4, 3), &content(300_000, 4), "retain");
    pending.write_all(b" and more").expect("1: a sink lives on");
    drop(pending);
    let mut opened = opened.reopen(medium, "retain: for good");
    opened.store.retain(0).expect("retain: at least one");
    opened.expected.retain(|meta| meta.description.last == id(5, 3));
    opened.holds(id(5, 3), &content(300_000, 5), "retain: at least one");
    opened.reopen(medium, "retain: for good");
}

fn content_is_read_from_anywhere<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let whole = content(700_001, 9);
    opened.publish(&upto(3, 1), &whole);
    let mut source = opened.store.open(id(3, 1)).expect("2");
    let mut other = opened.store.open(id(3, 1)).expect("1: another one beside it");
    let mut buffer = vec![0; 300_000];
    for offset in [0, 1, 262_143, 262_144, 262_145, 400_001, 524_288, 699_999, 700_000, 5] {
        for length in [0, 1, 2, 1000, 262_144, 300_000] {
            let read = source.read_at(offset as u64, &mut buffer[..length]).expect("5: read");
            let wanted = length.min(whole.len() - offset);
            assert_eq!(read, wanted, "read_at: as much as there is at {offset}");
            assert_eq!(buffer[..read], whole[offset..offset + read], "read_at: from {offset} on");
        }
    }
    for offset in [700_001, 700_002, u64::MAX] {
        assert_eq!(
            source.read_at(offset, &mut buffer).expect("5: read"),
            0,
            "read_at: nothing behind the end"
        );
    }
    let mut piece = [0; 1000];
    source.read_exact(&mut piece).expect("5: read");
    assert_eq!(piece, whole[..1000], "read: from the front, wherever read_at was");
    assert_eq!(all_of(&mut other), whole, "1: each has a place of its own");
    assert_eq!(all_of(&mut source), whole[1000..], "read: goes on where it was");
    assert_eq!(source.read(&mut piece).expect("5: read"), 0, "read: the end");
}

fn any_membership_fits<M: Medium>(medium: &mut M) {
    let mut opened = Opened::new(medium);
    let largest = members(Membership::SERVERS_MAX, NodeId::BYTES_MAX);
    for (index, membership) in [(8, largest), (9, Membership::default())] {
        let last = id(index, 1);
        let (membership_index, cluster) = (LogIndex(index), ClusterId::NONE);
        let description = SnapshotDescription { last, membership, membership_index, cluster };
        opened.publish(&description, b"content");
        assert_eq!(description.log_base().last, last);
    }
    let mut opened = opened.reopen(medium, "2: the largest and the smallest membership");
    opened.holds(id(8, 1), b"content", "2");
    opened.holds(id(9, 1), b"content", "2");
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        sim::vfs::SimVfs,
        storage::{
            snapshot::{file::FileSnapshotStore, memory::MemorySnapshotStore},
            vfs::RealVfs,
        },
    };

    /// A clone of a memory store shows the same snapshots.
    impl Medium for MemorySnapshotStore {
        type Store = Self;

        fn open(&mut self) -> Self {
            self.clone()
        }
    }

    impl Medium for SimVfs {
        type Store = FileSnapshotStore;

        fn open(&mut self) -> FileSnapshotStore {
            FileSnapshotStore::new(Arc::new(self.clone()), Path::new("n1/snapshots"))
        }
    }

    impl Medium for tempfile::TempDir {
        type Store = FileSnapshotStore;

        fn open(&mut self) -> FileSnapshotStore {
            FileSnapshotStore::new(Arc::new(RealVfs), &self.path().join("snapshots"))
        }
    }

    #[test]
    fn the_memory_store_keeps_the_contract() {
        run(MemorySnapshotStore::new);
    }

    #[test]
    fn files_keep_the_contract_on_the_simulated_disk() {
        run(SimVfs::new);
    }

    #[test]
    fn files_keep_the_contract_on_the_real_disk() {
        run(|| tempfile::tempdir().unwrap());
    }
}
