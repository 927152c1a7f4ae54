//! The one trait a service implements.

use actix::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::types::LogId;

/// What applying a command of `S` answers.
pub type Reply<S> = <<S as StateMachine>::Command as Message>::Result;

/// What a query of `S` answers.
pub type Answer<S> = <<S as StateMachine>::Query as Message>::Result;

/// The service's state: the same commands in the same order give the same state on every node.
///
/// Commands and queries are actix messages: what they are answered with is their `rtype`.
///
/// # Contract
/// 1. `apply` depends on nothing but the state, its arguments and their order: no clock, no randomness,
///    no iteration over hashed maps.
/// 2. Commands come in log order, each exactly once in the life of one value; after a restart of the node
///    a fresh value gets them from the beginning.
/// 3. A command is read back from its encoding as it was written: no serde attribute that skips what it
///    wrote, since a committed command that does not decode stops every node.
/// 4. The calls run on one thread at a time, apart from the protocol's unless placed inline: a slow one
///    delays replies and reads, and no heartbeat, vote or append.
/// 5. A panic stops the node: after it the state cannot be trusted.
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

    /// Answers a question from the present state.
    fn query(&self, query: Self::Query) -> Answer<Self>
    where
        Self: Sized;
}
