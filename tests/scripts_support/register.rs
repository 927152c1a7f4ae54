//! The state machine: variables that are set and read. A write is answered with its position in the log, so that
//! the trace shows where it went.

use std::collections::BTreeMap;

use actix::Message;
use raftix::{
    StateMachine,
    types::{EntryKind, EntryRef, LogId},
};
use serde::{Deserialize, Serialize};

/// `name=value`.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "LogId")]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The value of a variable.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<String>")]
pub(crate) struct Get(pub(crate) String);

#[derive(Debug, Default)]
pub(crate) struct Register {
    values: BTreeMap<String, String>,
}

impl Set {
    pub(crate) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).unwrap()
    }

    /// The command in words.
    pub(crate) fn describe(data: &[u8]) -> String {
        match rmp_serde::from_slice::<Self>(data) {
            Ok(Self { name, value }) => format!("{name}={value}"),
            Err(error) => format!("undecodable: {error}"),
        }
    }
}

/// An entry in words.
pub(crate) fn describe_entry(entry: &EntryRef<'_>) -> String {
    let what = match entry.kind {
        EntryKind::Command => Set::describe(entry.data),
        EntryKind::Noop => "noop".to_owned(),
        EntryKind::Barrier => "barrier".to_owned(),
        EntryKind::Configuration => "membership".to_owned(),
    };
    format!("{} {what}", entry.id())
}

impl StateMachine for Register {
    type Command = Set;
    type Query = Get;

    fn apply(&mut self, at: LogId, Set { name, value }: Set) -> LogId {
        self.values.insert(name, value);
        at
    }

    fn query(&self, Get(name): Get) -> Option<String> {
        self.values.get(&name).cloned()
    }
}
