//! What a node applied, in one number: the same entries in the same order give the same digest in every
//! system and in both languages (`go/driver/digest.go`).

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::sleeps;

/// Where an entry lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) index: u64,
    pub(crate) term: u64,
}

/// A sum over entries, each hashed with its index, its term, its length and its bytes. A sum, so that clients
/// may add what was acknowledged in any order; the index within makes it say the order all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl Digest {
    pub(crate) fn add(&mut self, at: Position, data: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash(at, data));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

fn hash(at: Position, data: &[u8]) -> u64 {
    let mut hash = xxh64(data, 0);
    hash ^= at.index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= at.term.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(31);
    hash ^= (data.len() as u64).wrapping_mul(0x1656_67b1_9e37_79f9).rotate_left(17);
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// The state machine of one node: the digest of what was applied, and whether it came in order and once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Index of the newest command.
    pub(crate) applied: u64,
    /// Every command.
    pub(crate) digest: Digest,
    /// Those up to [`upto`](Self::upto), to compare after a restart with what was known before it.
    pub(crate) prefix: Digest,
    /// Where the prefix ends.
    pub(crate) upto: u64,
    /// A command came twice, or before an earlier one.
    pub(crate) disordered: bool,
    /// How large the state is that a snapshot holds beside this, in MiB; without any there are no snapshots.
    pub(crate) state_mib: u64,
    /// Whether it began with a snapshot.
    pub(crate) restored: bool,
}

impl Machine {
    pub(crate) fn new(upto: u64, state_mib: u64) -> Self {
        Self { upto, state_mib, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, at: Position, data: &[u8]) {
        sleeps::apply();
        self.disordered |= at.index <= self.applied;
        self.applied = at.index;
        self.digest.add(at, data);
        if at.index <= self.upto {
            self.prefix.add(at, data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(index: u64, term: u64) -> Position {
        Position { index, term }
    }

    /// The same entries as in `go/driver/digest_test.go`, with the same sum.
    #[test]
    fn the_digest_is_the_same_in_both_languages() {
        let mut digest = Digest::default();
        digest.add(at(1, 1), b"");
        digest.add(at(2, 1), b"raft");
        digest.add(at(3, 7), &[0; 256]);
        assert_eq!(digest, Digest { count: 3, sum: 0x6d98_2367_e37d_80db });
    }

    #[test]
    fn two_entries_that_change_places_change_the_digest() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add(at(1, 1), b"a");
        one.add(at(2, 1), b"b");
        other.add(at(1, 1), b"b");
        other.add(at(2, 1), b"a");
        assert_ne!(one, other);
    }

    #[test]
    fn an_entry_applied_twice_is_seen() {
        let mut machine = Machine::new(1, 0);
        machine.apply(at(1, 1), b"a");
        assert!(!machine.disordered);
        machine.apply(at(1, 1), b"a");
        assert!(machine.disordered);
    }
}
