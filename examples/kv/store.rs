//! The replicated state: a sorted map from bytes to bytes, and the commands that change it.
//!
//! Every node applies the same commands in the same order, so nothing here may depend on anything else:
//! no clock, no randomness, no hashed map.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use actix::Message;
use bytes::Bytes;
use raftix::{prelude::*, storage::snapshot::content};
use serde::{Deserialize, Serialize};

use crate::requests::{Noted, Requests};

/// The longest key, in bytes; the shortest is one byte.
pub(crate) const KEY_BYTES_MAX: usize = 4096;

/// The largest value, in bytes; zero bytes are a value too.
pub(crate) const VALUE_BYTES_MAX: usize = 1 << 20;

/// The largest part of a snapshot: a value, or all noted requests, each with a key of 255 bytes.
const PART_BYTES_MAX: u64 = 8 << 20;

/// What changes the state. Each is one log entry.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Outcome")]
pub(crate) enum Command {
    /// Give `key` this value, whatever it had. Doing it twice is doing it once.
    Set { key: Bytes, value: Bytes },
    /// Forget `key`.
    Delete { key: Bytes },
    /// Compare and swap: give `key` the value `value` if it now has `expect`; `None` expects no key.
    /// The comparison happens where the order is decided, so of two that race one wins.
    Cas { key: Bytes, expect: Option<Bytes>, value: Bytes },
    /// Note which session a request with this `Idempotency-Key` is applied in; the first note counts.
    Note { key: Bytes, request: Noted },
}

/// What a command did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Where in the log it stands.
    pub(crate) at: LogId,
    /// Whether it found what it needed: the key to delete, the value to swap. A `Set` always does.
    pub(crate) took_effect: bool,
    /// For a `Note`: what is noted.
    pub(crate) noted: Option<Noted>,
}

/// Ask for the value of a key. Queries are not logged and never leave the node.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Bytes>")]
pub(crate) struct Get(pub(crate) Bytes);

/// The state machine.
#[derive(Debug, Default)]
pub(crate) struct KvStore {
    values: BTreeMap<Bytes, Bytes>,
    requests: Requests,
}

impl StateMachine for KvStore {
    type Command = Command;
    type Query = Get;

    fn apply(&mut self, at: LogId, command: Command) -> Outcome {
        let mut noted = None;
        let took_effect = match command {
            Command::Set { key, value } => {
                self.values.insert(key, value);
                true
            }
            Command::Delete { key } => self.values.remove(&key).is_some(),
            Command::Cas { key, expect, value } => {
                let as_expected = self.values.get(&key) == expect.as_ref();
                if as_expected {
                    self.values.insert(key, value);
                }
                as_expected
            }
            Command::Note { key, request } => {
                noted = Some(self.requests.note(at.index, key, request));
                noted == Some(request)
            }
        };
        Outcome { at, took_effect, noted }
    }

    fn query(&self, Get(key): Get) -> Option<Bytes> {
        // A `Bytes` is cloned by reference: a large value is not copied.
        self.values.get(&key).cloned()
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        // The map is copied, keys and values are shared with it.
        Some(Box::new(State { values: self.values.clone(), requests: self.requests.clone() }))
    }

    fn restore(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        self.values.clear();
        self.requests = rmp_serde::from_slice(&read_bytes(reader)?).map_err(io::Error::other)?;
        for _ in 0..read_length(reader)? {
            let (key, value) = (read_bytes(reader)?, read_bytes(reader)?);
            self.values.insert(key, value);
        }
        Ok(())
    }

    fn check_snapshot(reader: &mut dyn Read) -> io::Result<()> {
        let refused = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let requests: Requests = rmp_serde::from_slice(&read_bytes(reader)?).map_err(io::Error::other)?;
        if !requests.is_empty() {
            // Here they may be anybody's.
            return refused("it names sessions of the cluster that it was taken from; export it instead");
        }
        for _ in 0..read_length(reader)? {
            let (key, value) = (read_bytes(reader)?, read_bytes(reader)?);
            if !(1..=KEY_BYTES_MAX).contains(&key.len()) || value.len() > VALUE_BYTES_MAX {
                return refused("a key or a value is over its limit");
            }
        }
        if reader.read(&mut [0])? > 0 {
            return refused("something comes behind the last value");
        }
        Ok(())
    }
}

/// The state in the content of a snapshot, without the noted requests.
pub(crate) fn exported(mut content: impl Read) -> io::Result<impl Read> {
    content::read_header(&mut content)?;
    read_bytes(&mut content)?;
    let mut front = Vec::new();
    write_bytes(&mut front, &rmp_serde::to_vec(&Requests::default()).map_err(io::Error::other)?)?;
    Ok(io::Cursor::new(front).chain(content))
}

/// The state as of one moment: the noted requests behind their length, the count of the values, then each key and
/// each value behind its length.
struct State {
    values: BTreeMap<Bytes, Bytes>,
    requests: Requests,
}

impl StateSnapshot for State {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        write_bytes(writer, &rmp_serde::to_vec(&self.requests).map_err(io::Error::other)?)?;
        write_length(writer, self.values.len())?;
        for (key, value) in &self.values {
            write_bytes(writer, key)?;
            write_bytes(writer, value)?;
        }
        Ok(())
    }
}

fn write_length(writer: &mut dyn io::Write, length: usize) -> io::Result<()> {
    writer.write_all(&(length as u64).to_le_bytes())
}

fn write_bytes(writer: &mut dyn io::Write, bytes: &[u8]) -> io::Result<()> {
    write_length(writer, bytes.len())?;
    writer.write_all(bytes)
}

fn read_length(reader: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_bytes(reader: &mut dyn Read) -> io::Result<Bytes> {
    let length = read_length(reader)?;
    if length > PART_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a value of {length} bytes")));
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes.into())
}
