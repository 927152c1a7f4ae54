//! The user's state machine, wrapped: commands carry the operation they belong to, replies where they stand in the
//! log, and the oracle is told of each.

use std::{fmt, io};

use actix::Message;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::oracle::Oracle;
use crate::{
    state_machine::{Answer, Reply, StateMachine, StateSnapshot},
    types::{LogId, LogIndex},
};

/// A command with the operation it belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tagged<C> {
    /// Which operation of which client, unique in a run.
    pub(crate) operation: u64,
    /// What is asked.
    pub(crate) command: C,
}

/// A reply with the position of what it replies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed<R> {
    /// Where the command stands in the log.
    pub(crate) at: LogId,
    /// The reply.
    pub(crate) reply: R,
}

/// A query, answered with how far the state was.
#[derive(Clone, Debug)]
pub(crate) struct Asked<Q>(pub(crate) Q);

/// An answer with the state it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen<A> {
    /// The last command that the state contains.
    pub(crate) at: LogIndex,
    /// The answer.
    pub(crate) answer: A,
}

impl<C: Message> Message for Tagged<C> {
    type Result = Placed<C::Result>;
}

impl<Q: Message> Message for Asked<Q> {
    type Result = Seen<Q::Result>;
}

/// See the module.
pub(crate) struct Observed<S> {
    machine: S,
    last: LogIndex,
    /// The number of the last restore of a user's that the state has seen.
    restored: u64,
    node: usize,
    oracle: Oracle,
}

impl<S: StateMachine> Observed<S> {
    /// The machine of the node with this number.
    pub(crate) fn new(machine: S, node: usize, oracle: Oracle) -> Self {
        Self { machine, last: LogIndex::ZERO, restored: 0, node, oracle }
    }
}

impl<S: StateMachine> StateMachine for Observed<S> {
    type Command = Tagged<S::Command>;
    type Query = Asked<S::Query>;

    fn apply(&mut self, at: LogId, Tagged { operation, command }: Self::Command) -> Placed<Reply<S>> {
        let encoded = rmp_serde::to_vec(&command).expect("it came here encoded");
        self.oracle.applied(self.node, at, operation, xxh3_64(&encoded));
        self.oracle.holds_restores(self.node, at.index, self.restored);
        self.last = at.index;
        let reply = self.machine.apply_encoded(at, &encoded);
        Placed { at, reply: reply.unwrap_or_else(|error| panic!("a command that was sent: {error}")) }
    }

    fn query(&self, Asked(query): Self::Query) -> Seen<Answer<S>> {
        Seen { at: self.last, answer: self.machine.query(query) }
    }

    /// The state is written twice: at once, for the oracle to know it, and later, as the node wants it.
    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        let mut digest = Xxh3::new();
        let known =
            self.machine.snapshot()?.persist(&mut Digesting { inner: io::sink(), digest: &mut digest });
        if known.is_ok() {
            self.oracle.captured(self.node, self.last, digest.digest());
        }
        Some(Box::new(ObservedState {
            state: self.machine.snapshot()?,
            last: self.last,
            restored: self.restored,
        }))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        let (last, restored) = (read_u64(reader)?, read_u64(reader)?);
        if last == RENUMBERED {
            self.oracle.restores(self.node, self.last, self.restored, restored);
            self.restored = restored;
            return io::copy(reader, &mut io::sink()).map(drop);
        }
        let last = LogIndex(last);
        let mut digest = Xxh3::new();
        let mut content = Digesting { inner: reader, digest: &mut digest };
        self.machine.restore(&mut content)?;
        io::copy(&mut content, &mut io::sink())?;
        self.last = last;
        self.restored = restored;
        self.oracle.restored(self.node, last, digest.digest());
        self.oracle.holds_restores(self.node, last, restored);
        Ok(())
    }

    fn check_snapshot(reader: &mut dyn io::Read) -> io::Result<()> {
        match read_u64(reader)? {
            RENUMBERED => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Stands for the last command of a state that is whatever state there is, under another number.
const RENUMBERED: u64 = u64::MAX;

/// A snapshot of `bytes` or a few more that leaves the state as it is and gives it this number.
pub(crate) fn renumbered(number: u64, bytes: usize) -> Vec<u8> {
    let mut snapshot = [RENUMBERED.to_le_bytes(), number.to_le_bytes()].concat();
    snapshot.resize(snapshot.len() + bytes, number as u8);
    snapshot
}

fn read_u64(reader: &mut dyn io::Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// A state with the last command and the last restore that it contains.
struct ObservedState {
    state: Box<dyn StateSnapshot>,
    last: LogIndex,
    restored: u64,
}

impl StateSnapshot for ObservedState {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        writer.write_all(&self.last.0.to_le_bytes())?;
        writer.write_all(&self.restored.to_le_bytes())?;
        self.state.persist(writer)
    }
}

/// Takes note of what passes.
struct Digesting<'a, T> {
    inner: T,
    digest: &'a mut Xxh3,
}

impl<T: io::Read> io::Read for Digesting<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.digest.update(&bytes[..read]);
        Ok(read)
    }
}

impl<T: io::Write> io::Write for Digesting<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<S> fmt::Debug for Observed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observed(n{}, up to {})", self.node + 1, self.last)
    }
}
