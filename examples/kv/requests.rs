//! Which session of Raft stands for which `Idempotency-Key`: a part of the replicated state, so that a request
//! finds it on whatever node it is repeated. Bounded: the keys noted longest ago are forgotten first.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftix::types::{LogIndex, SessionId};
use serde::{Deserialize, Serialize};

/// How many keys are remembered.
const KEYS_MAX: usize = 4096;

/// What was noted for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// The session that the request is applied in, once.
    pub(crate) session: SessionId,
    /// What the request asks for, hashed: the same key must not come with another one.
    pub(crate) digest: u128,
}

/// The keys and what was noted for each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    noted: BTreeMap<Bytes, (LogIndex, Noted)>,
    /// The same keys by when they were noted.
    by_age: BTreeMap<LogIndex, Bytes>,
}

impl Requests {
    /// Whether nothing is noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// What is noted for `key`: what was noted first, or this.
    pub(crate) fn note(&mut self, at: LogIndex, key: Bytes, noted: Noted) -> Noted {
        if let Some((_, first)) = self.noted.get(&key) {
            return *first;
        }
        if self.noted.len() == KEYS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.noted.remove(&oldest);
        }
        self.by_age.insert(at, key.clone());
        self.noted.insert(key, (at, noted));
        noted
    }
}
