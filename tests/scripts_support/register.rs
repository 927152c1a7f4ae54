//! The state machine: variables that are set and read. A write is answered with its position in the log, so that
//! the trace shows where it went.

use std::collections::BTreeMap;

use actix::Message;
use raftix::{
    StateMachine,
    types::{EntryKind, EntryRef, LogId, SessionCommand},
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
    format!("{} {}", entry.id(), describe_data(entry.kind, entry.data))
}

/// What an entry brings, in words.
pub(crate) fn describe_data(kind: EntryKind, data: &[u8]) -> String {
    match kind {
        EntryKind::Command => Set::describe(data),
        EntryKind::Noop => "noop".to_owned(),
        EntryKind::Barrier => "barrier".to_owned(),
        EntryKind::Configuration => "membership".to_owned(),
        EntryKind::OpenSession => "opens a session".to_owned(),
        EntryKind::CloseSession => "closes a session".to_owned(),
        EntryKind::RestorePiece => "a piece of a snapshot".to_owned(),
        EntryKind::SessionCommand => match SessionCommand::decode(data) {
            Some(SessionCommand { session, sequence, command }) => {
                format!("{session}/{sequence} {}", Set::describe(command))
            }
            None => "undecodable".to_owned(),
        },
    }
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
