//! The requests of one connection that wait for an answer. Plain data; answers nobody itself.

use std::collections::BTreeMap;

use crate::{transport::Responder, wire::FrameKind};

/// Waiting requests by number. Numbers are never used twice.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next_id: u64,
    asked: BTreeMap<u64, Asked>,
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
    pub(super) fn count(&self) -> usize {
        self.asked.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The number the next request gets.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Adds the request numbered [`next_id`](Self::next_id).
    pub(super) fn push(&mut self, asked: Asked) {
        self.asked.insert(self.next_id, asked);
        self.next_id += 1;
    }

    /// Takes out the request that an answer of `kind` numbered `id` belongs to. `None` if there is none:
    /// the peer does not keep to the protocol.
    pub(super) fn take(&mut self, id: u64, kind: FrameKind) -> Option<Asked> {
        let asked = self.asked.get(&id)?;
        let fits = kind == FrameKind::Dropped || kind.answers(asked.kind);
        if fits { self.asked.remove(&id) } else { None }
    }

    /// Takes out every request, in the order they were sent.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Asked> + use<> {
        std::mem::take(&mut self.asked).into_values()
    }
}
