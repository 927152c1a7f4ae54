//! The state machine of the bench: touches every byte and remembers the order.

use actix::Message;
use bytes::Bytes;
use raftix::{DecodeError, prelude::*};
use serde::{Deserialize, Serialize};

/// A command of the wanted size.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(crate) struct Blob(pub(crate) Bytes);

/// Asks for the number of commands and their digest.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "(u64, u64)")]
pub(crate) struct GetDigest;

/// How many commands came, and a hash over their positions and bytes.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    count: u64,
    hash: u64,
}

impl Digest {
    fn add(&mut self, at: LogId, data: &[u8]) -> u64 {
        self.count += 1;
        let data = xxhash_rust::xxh3::xxh3_64(data);
        self.hash = (self.hash ^ at.index.get()).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) ^ data;
        self.count
    }
}

impl StateMachine for Digest {
    type Command = Blob;
    type Query = GetDigest;

    fn apply(&mut self, at: LogId, Blob(data): Blob) -> u64 {
        self.add(at, &data)
    }

    /// A blob is read where it lies.
    fn apply_encoded(&mut self, at: LogId, command: &[u8]) -> Result<u64, DecodeError> {
        Ok(self.add(at, rmp_serde::from_slice(command)?))
    }

    fn query(&self, _: GetDigest) -> (u64, u64) {
        (self.count, self.hash)
    }
}
