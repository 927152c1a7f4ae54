//! A command that counts how often it is encoded and decoded, and the state machine that it is applied to.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use actix::Message;
use bytes::Bytes;
use raftix::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) static ENCODES: AtomicU64 = AtomicU64::new(0);
pub(crate) static DECODES: AtomicU64 = AtomicU64::new(0);

/// A command of some bytes; its answer is how many came before.
#[derive(Clone, Debug, Message)]
#[rtype(result = "u64")]
pub(crate) struct Blob(pub(crate) Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODES.fetch_add(1, Relaxed);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODES.fetch_add(1, Relaxed);
        Bytes::deserialize(deserializer).map(Self)
    }
}

/// Asks for the number of commands and a digest of them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "(u64, u64)")]
pub(crate) struct GetDigest;

/// How many commands came, and a hash over their positions and bytes.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    count: u64,
    hash: u64,
}

impl StateMachine for Digest {
    type Command = Blob;
    type Query = GetDigest;

    fn apply(&mut self, at: LogId, Blob(data): Blob) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.hash);
        hasher.write_u64(at.index.get());
        hasher.write(&data);
        self.hash = hasher.finish();
        self.count += 1;
        self.count
    }

    fn query(&self, _: GetDigest) -> (u64, u64) {
        (self.count, self.hash)
    }
}
