//! The requests of one connection that wait for an answer. Plain data; answers nobody itself.

use std::collections::VecDeque;

use crate::{transport::Responder, wire::FrameKind};

/// Waiting requests, numbered without a gap, so that an answer finds its own by subtraction.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The number of the front of `ring`.
    first_id: u64,
    /// `None` where the answer has come. The front is never `None`.
    ring: VecDeque<Option<Asked>>,
    /// How many are `Some`.
    count: usize,
}

/// One request that was sent.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) kind: FrameKind,
    /// Where in the stream its frame starts.
    pub(super) start: u64,
    pub(super) responder: Responder,
}

impl Waiting {
    /// How many numbers are in use. It bounds memory, also where one early answer is late.
    pub(super) fn span(&self) -> usize {
        self.ring.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number the next request gets.
    pub(super) fn next_id(&self) -> u64 {
        self.first_id + self.ring.len() as u64
    }

    /// Adds the request numbered [`next_id`](Self::next_id).
    pub(super) fn push(&mut self, asked: Asked) {
        self.ring.push_back(Some(asked));
        self.count += 1;
    }

    /// Takes out the request that an answer of `kind` numbered `id` belongs to. `None` if there is none:
    /// the peer does not keep to the protocol.
    pub(super) fn take(&mut self, id: u64, kind: FrameKind) -> Option<Asked> {
        let place = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        let slot = self.ring.get_mut(place)?;
        let asked = slot.take_if(|asked| kind == FrameKind::Dropped || kind.answers(asked.kind))?;
        self.count -= 1;
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first_id += 1;
        }
        Some(asked)
    }

    /// Takes out every request, in order.
    pub(super) fn drain(&mut self) -> Vec<Asked> {
        self.first_id = self.next_id();
        self.count = 0;
        self.ring.drain(..).flatten().collect()
    }
}
