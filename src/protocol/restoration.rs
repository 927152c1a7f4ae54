//! A restore, as every node finds it in its log: which pieces make up a snapshot that takes effect.
//!
//! ```text
//! piece at offset 0                                  begins a restore; an unfinished one is dropped
//! piece of the unfinished one, where that has come   extends it, and completes it at its end
//! another piece of the unfinished one                is void, and ends it: a piece of it is missing for good
//! piece of any other                                 is void
//! any entry of another term                          ends the unfinished one: its leader is gone
//! ```
//!
//! What comes out depends on the log alone, so it is the same on every node, and the same again after a restart. A leader
//! appends the pieces of one restore in order, and the last one only as long as it leads in the term of the first.

use crate::types::{RestorePiece, Term};

/// What an entry with a piece of a snapshot comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStep {
    /// It is the first of a restore.
    Begun,
    /// It continues one.
    Extended,
    /// It is the last, and the first if there is but one: the snapshot is whole, and takes effect here.
    Complete,
    /// It changes nothing: it continues no restore.
    Unconnected,
    /// It was the last of a restore, and the whole is not what was sent: nothing takes effect.
    Damaged,
}

impl RestoreStep {
    /// Whether the bytes of the piece belong to the snapshot.
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Begun | Self::Extended | Self::Complete)
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restoration {
    unfinished: Option<Unfinished>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unfinished {
    term: Term,
    restore: u64,
    length: u64,
    checksum: u32,
    /// Invariant: at most `length`.
    reached: u64,
    /// crc32c of everything up to `reached`.
    sum: u32,
}

impl Restoration {
    /// Whether pieces are here of a snapshot that is not whole. No snapshot of the state may be taken meanwhile: it
    /// would stand for entries that it does not hold.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// An entry of this term is applied, whatever it is.
    pub fn pass(&mut self, term: Term) {
        self.unfinished = self.unfinished.filter(|unfinished| unfinished.term == term);
    }

    /// A piece is applied.
    pub fn fold(&mut self, term: Term, piece: &RestorePiece<'_>) -> RestoreStep {
        self.pass(term);
        let begins = piece.offset == 0;
        let RestorePiece { restore, length, checksum, .. } = *piece;
        let from = match self.unfinished {
            _ if begins => Unfinished { term, restore, length, checksum, reached: 0, sum: 0 },
            Some(unfinished) if unfinished.restore == restore => unfinished,
            _ => return RestoreStep::Unconnected,
        };
        self.unfinished = None;
        let end = piece.end().filter(|end| {
            piece.offset == from.reached
                && *end <= from.length
                && (length, checksum) == (from.length, from.checksum)
        });
        let Some(reached) = end else { return RestoreStep::Unconnected };
        let sum = crc32c::crc32c_append(from.sum, piece.bytes);
        if reached < length {
            self.unfinished = Some(Unfinished { reached, sum, ..from });
            return if begins { RestoreStep::Begun } else { RestoreStep::Extended };
        }
        if sum == checksum { RestoreStep::Complete } else { RestoreStep::Damaged }
    }
}

#[cfg(test)]
mod tests;
