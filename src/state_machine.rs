//! The one trait a service implements.

use std::{error::Error, io};

use actix::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::types::LogId;

/// What applying a command of `S` answers.
pub type Reply<S> = <<S as StateMachine>::Command as Message>::Result;

/// What a query of `S` answers.
pub type Answer<S> = <<S as StateMachine>::Query as Message>::Result;

/// Why the encoding of a command is not what the state machine reads.
pub type DecodeError = Box<dyn Error + Send + Sync>;

/// The state as of one moment, to be written while commands go on being applied: a copy, a reference-counted version,
/// or a read transaction of the database that the state machine keeps its state in.
pub trait StateSnapshot: Send {
    /// Writes the state; [`StateMachine::restore`] gets the same bytes. Runs on a thread of its own.
    ///
    /// # Errors
    /// What `writer` says, or why the state cannot be written; the snapshot is given up then, and the node goes on.
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()>;
}

/// The service's state: the same commands in the same order give the same state on every node.
///
/// Commands and queries are actix messages: what they are answered with is their `rtype`.
///
/// # Contract
/// 1. `apply` depends on nothing but the state, its arguments and their order: no clock, no randomness,
///    no iteration over hashed maps.
/// 2. Commands come in log order, each exactly once in the life of one value; after a restart of the node
///    a fresh value gets the newest snapshot and the commands behind it, or all of them from the beginning.
/// 3. A command is read back from its encoding as it was written: no serde attribute that skips what it
///    wrote, since a committed command that does not decode stops every node.
/// 4. The calls run on one thread at a time, apart from the protocol's unless placed inline: a slow one
///    delays replies and reads, and no heartbeat, vote or append.
/// 5. A panic stops the node: after it the state cannot be trusted.
/// 6. `restore` replaces the whole state by the one that was written, at any time in the life of a value; an error
///    stops the node. With [`snapshot`](Self::snapshot) implemented, `restore` is too.
pub trait StateMachine: Send + 'static {
    /// What changes the state. Encoded with MessagePack, at most
    /// [`entry_bytes_max`](crate::Config::entry_bytes_max) bytes; its result is encoded when the request
    /// was forwarded.
    type Command: Message<Result: Serialize + DeserializeOwned + Send> + Serialize + DeserializeOwned + Send;
    /// What asks about the state without changing it. Never leaves the node.
    type Query: Message<Result: Send> + Send;

    /// Applies the committed command at position `at`.
    fn apply(&mut self, at: LogId, command: Self::Command) -> Reply<Self>
    where
        Self: Sized;

    /// Applies the committed command whose encoding is `command`: what every node calls for each. The default decodes it
    /// and calls [`apply`](Self::apply).
    ///
    /// One of your own spares the memory of the decoded command where that borrows from its encoding: a blob as
    /// `rmp_serde::from_slice::<&[u8]>`, or a struct with a lifetime that reads what `Command` wrote. State, reply and
    /// whether it can be read at all must be those of the default, since nodes of different versions apply the same log;
    /// the simulator compares the replies of both.
    ///
    /// # Errors
    /// If the bytes cannot be read. The node stops then: a committed command may not be left out.
    fn apply_encoded(&mut self, at: LogId, command: &[u8]) -> Result<Reply<Self>, DecodeError>
    where
        Self: Sized,
    {
        Ok(self.apply(at, rmp_serde::from_slice(command)?))
    }

    /// Answers a question from the present state.
    fn query(&self, query: Self::Query) -> Answer<Self>
    where
        Self: Sized;

    /// The state as of now. Called between two commands, so it should be quick: the writing comes later, beside the
    /// commands that follow. `None`, the default, means that this state machine has no snapshots: its log grows for
    /// ever, and a restart applies it from the beginning.
    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        None
    }

    /// Replaces the state by what [`StateSnapshot::persist`] wrote, here or on another node.
    ///
    /// # Errors
    /// If it cannot be read; the node stops then.
    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        let _ = reader;
        Err(io::Error::new(io::ErrorKind::Unsupported, "this state machine has no snapshots"))
    }

    /// Whether these bytes are a state that [`restore`](Self::restore) can read. The leader asks this of a snapshot that
    /// a user gives to [`Restore`](crate::Restore) *before* any of it goes to the other nodes: what passes here and fails
    /// there stops every node of the cluster, and again at each start. Depends on the bytes alone, and runs beside the
    /// state machine. The default finds no fault.
    ///
    /// # Errors
    /// What is wrong with them; the restore is refused then, and the state stays.
    fn check_snapshot(reader: &mut dyn io::Read) -> io::Result<()>
    where
        Self: Sized,
    {
        let _ = reader;
        Ok(())
    }
}

/// [`StateMachine::check_snapshot`] of some state machine.
pub(crate) type SnapshotCheck = fn(&mut dyn io::Read) -> io::Result<()>;
