//! Encoded frames on their way to a socket: small parts gathered in one buffer, large ones shared.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A part from this size on is shared instead of copied: below it, a copy is cheaper than a piece.
const SHARE_BYTES_MIN: usize = 1024;

/// Frames queued for one connection, as pieces for a vectored write.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes in `pieces`.
    shared: usize,
}

impl Outgoing {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes are queued.
    pub fn len(&self) -> usize {
        self.shared + self.tail.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Moves everything queued behind `pieces`.
    pub fn drain_into(&mut self, pieces: &mut VecDeque<Bytes>) {
        self.freeze_tail();
        self.shared = 0;
        pieces.append(&mut self.pieces);
    }

    /// The buffer of small parts, to encode a head into. Only appended to, or cut back to where it was.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds a part behind everything queued.
    pub(super) fn append(&mut self, part: &Bytes) {
        if part.len() < SHARE_BYTES_MIN {
            self.tail.extend_from_slice(part);
        } else {
            self.freeze_tail();
            self.shared += part.len();
            self.pieces.push_back(part.clone());
        }
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            self.shared += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
    }
}
