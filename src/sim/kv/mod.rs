//! The simulator's own state machine: a few keys, and commands whose replies tell enough to be checked.
//!
//! Every reply names the value that was there or the one that is, so nearly every order of operations but the
//! true one contradicts a reply. [`KvClient`] makes operations whose values are unique, so that what was
//! lost, doubled or reordered shows. [`KvModel`] says the same rules a second time, for the checker that
//! takes nobody's word.

use std::{collections::BTreeMap, io};

use actix::Message;
use serde::{Deserialize, Serialize};

use crate::{
    state_machine::{StateMachine, StateSnapshot},
    types::LogId,
};

mod model;
mod workload;

pub use model::KvModel;
pub use workload::{KvClient, KvWorkload};

/// Changes the value of one key.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "KvReply")]
pub enum KvCommand {
    /// The key has this value from now on.
    Put {
        /// Which key.
        key: String,
        /// Its value.
        value: String,
    },
    /// The key has this value from now on, if it has the expected one now.
    Cas {
        /// Which key.
        key: String,
        /// The value it must have; `None` for none.
        expect: Option<String>,
        /// The value it gets.
        value: String,
    },
    /// The value is longer by this from now on; a key without a value counts as empty. A write that was lost,
    /// doubled or out of its order stays visible in it.
    Append {
        /// Which key.
        key: String,
        /// What is added.
        value: String,
    },
}

/// How a command found the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvReply {
    /// [`Put`](KvCommand::Put): the value before.
    Replaced(Option<String>),
    /// [`Cas`](KvCommand::Cas): the key had the expected value.
    Swapped,
    /// [`Cas`](KvCommand::Cas): it had this one, and keeps it.
    NotSwapped {
        /// Which it has.
        seen: Option<String>,
    },
    /// [`Append`](KvCommand::Append): the whole value now.
    Appended(String),
}

/// Asks for the value of one key.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "Option<String>")]
pub enum KvQuery {
    /// The value; `None` if it never got one.
    Get {
        /// Which key.
        key: String,
    },
}

/// Keys and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kv {
    values: BTreeMap<String, String>,
}

impl StateMachine for Kv {
    type Command = KvCommand;
    type Query = KvQuery;

    fn apply(&mut self, _: LogId, command: KvCommand) -> KvReply {
        match command {
            KvCommand::Put { key, value } => KvReply::Replaced(self.values.insert(key, value)),
            KvCommand::Cas { key, expect, value } => {
                let seen = self.values.get(&key);
                if seen != expect.as_ref() {
                    return KvReply::NotSwapped { seen: seen.cloned() };
                }
                self.values.insert(key, value);
                KvReply::Swapped
            }
            KvCommand::Append { key, value } => {
                let whole = self.values.entry(key).or_default();
                whole.push_str(&value);
                KvReply::Appended(whole.clone())
            }
        }
    }

    fn query(&self, KvQuery::Get { key }: KvQuery) -> Option<String> {
        self.values.get(&key).cloned()
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(Values(self.values.clone())))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        self.values = rmp_serde::from_read(reader).map_err(io::Error::other)?;
        Ok(())
    }
}

/// The values as of one moment.
struct Values(BTreeMap<String, String>);

impl StateSnapshot for Values {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        rmp_serde::encode::write(&mut &mut *writer, &self.0).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: &str) -> KvCommand {
        KvCommand::Put { key: "a".into(), value: value.into() }
    }

    fn cas(expect: Option<&str>, value: &str) -> KvCommand {
        KvCommand::Cas { key: "a".into(), expect: expect.map(str::to_owned), value: value.into() }
    }

    fn append(value: &str) -> KvCommand {
        KvCommand::Append { key: "a".into(), value: value.into() }
    }

    fn replies(commands: impl IntoIterator<Item = KvCommand>) -> (Vec<KvReply>, Option<String>) {
        let mut kv = Kv::default();
        let replies = commands.into_iter().map(|command| kv.apply(LogId::ZERO, command)).collect();
        (replies, kv.query(KvQuery::Get { key: "a".into() }))
    }

    #[test]
    fn a_put_tells_the_value_before() {
        let (told, value) = replies([put("1"), put("2")]);
        assert_eq!(told, [KvReply::Replaced(None), KvReply::Replaced(Some("1".into()))]);
        assert_eq!(value.as_deref(), Some("2"));
    }

    #[test]
    fn a_swap_that_expected_another_value_changes_nothing_and_tells_the_one_it_saw() {
        let (told, value) =
            replies([cas(Some("1"), "2"), cas(None, "3"), cas(None, "4"), cas(Some("3"), "5")]);
        let seen = |seen: Option<&str>| KvReply::NotSwapped { seen: seen.map(str::to_owned) };
        assert_eq!(told, [seen(None), KvReply::Swapped, seen(Some("3")), KvReply::Swapped]);
        assert_eq!(value.as_deref(), Some("5"));
    }

    #[test]
    fn an_append_tells_everything_appended_so_far() {
        let (told, value) = replies([append("1;"), append("2;")]);
        assert_eq!(told, [KvReply::Appended("1;".into()), KvReply::Appended("1;2;".into())]);
        assert_eq!(value.as_deref(), Some("1;2;"));
    }

    #[test]
    fn a_snapshot_is_the_state_as_of_then() {
        let mut kv = Kv::default();
        kv.apply(LogId::ZERO, put("1"));
        let then = kv.clone();
        let snapshot = kv.snapshot().unwrap();
        kv.apply(LogId::ZERO, put("2"));
        let mut content = Vec::new();
        snapshot.persist(&mut content).unwrap();
        kv.restore(&mut content.as_slice()).unwrap();
        assert_eq!(kv, then);
    }

    #[test]
    fn a_key_that_nobody_wrote_has_no_value() {
        assert_eq!(replies([]), (vec![], None));
    }
}
