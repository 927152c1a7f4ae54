//! A command that counts how often it is encoded and decoded, and the state machine that it is applied to.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use actix::Message;
use raftix::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::cells::PAYLOAD;

pub(crate) static ENCODES: AtomicU64 = AtomicU64::new(0);
pub(crate) static DECODES: AtomicU64 = AtomicU64::new(0);

/// A command; its answer is how many came before. Its bytes lie within it: what is allocated is not the service's
/// own.
#[derive(Clone, Debug, Message)]
#[rtype(result = "u64")]
pub(crate) struct Blob(pub(crate) [u8; PAYLOAD]);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODES.fetch_add(1, Relaxed);
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODES.fetch_add(1, Relaxed);
        deserializer.deserialize_bytes(BlobVisitor)
    }
}

struct BlobVisitor;

impl de::Visitor<'_> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PAYLOAD} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        bytes.try_into().map(Blob).map_err(|_| E::invalid_length(bytes.len(), &self))
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
        for word in data.as_chunks().0 {
            self.hash = (self.hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        self.hash = self.hash.rotate_left(23) ^ at.index.get();
        self.count += 1;
        self.count
    }

    fn query(&self, _: GetDigest) -> (u64, u64) {
        (self.count, self.hash)
    }
}
