//! What clients see of `kv`: a register for each key. The state machine for the checker that has the log, and the same
//! rules once more for the one that takes nobody's word.

use std::collections::{BTreeMap, BTreeSet};

use actix::Message;
use raftix::{
    prelude::*,
    sim::history::{Action, History, Outcome, linearizable::Model},
};
use serde::{Deserialize, Serialize};

/// The key has this value from now on; no two commands of one run have the same.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub(crate) struct Set {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Asks for the value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "Option<String>")]
pub(crate) struct Get {
    pub(crate) key: String,
}

/// Every key's value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers(BTreeMap<String, String>);

impl StateMachine for Registers {
    type Command = Set;
    type Query = Get;

    fn apply(&mut self, _: LogId, Set { key, value }: Set) {
        self.0.insert(key, value);
    }

    fn query(&self, Get { key }: Get) -> Option<String> {
        self.0.get(&key).cloned()
    }
}

/// The rules for one key.
#[derive(Debug)]
pub(crate) struct Register {
    /// What keys held before the run.
    before: BTreeMap<String, String>,
    /// By key, every value that a client read: only writes of these are worth a thought if their outcome is unknown.
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl Register {
    /// The rules for this history, which began with these values.
    pub(crate) fn of(history: &History<Registers>, before: BTreeMap<String, String>) -> Self {
        let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
        for operation in history.operations() {
            if let (Action::Query(Get { key }), Outcome::Answered { answer: Some(value), .. }) =
                (&operation.action, &operation.outcome)
            {
                seen.entry(key.clone()).or_default().insert(value.clone());
            }
        }
        Self { before, seen }
    }
}

impl Model<Registers> for Register {
    type Key = String;
    type State = Option<String>;

    fn key(&self, action: &Action<Registers>) -> String {
        match action {
            Action::Apply(Set { key, .. }) | Action::Query(Get { key }) => key.clone(),
        }
    }

    fn initial(&self, key: &String) -> Option<String> {
        self.before.get(key).cloned()
    }

    fn apply(&self, _: &Option<String>, Set { value, .. }: &Set, _: Option<&()>) -> Option<Option<String>> {
        Some(Some(value.clone()))
    }

    fn answers(&self, state: &Option<String>, _: &Get, answer: &Option<String>) -> bool {
        state == answer
    }

    fn may_be_seen(&self, key: &String, state: &Option<String>) -> bool {
        let Some(value) = state else { return true };
        self.seen.get(key).is_some_and(|seen| seen.contains(value))
    }
}
