//! What the tests of histories share: a way to tell one as a table, a run that cannot lie, and the definition.

mod definition;
mod execution;

pub(super) use definition::{is_linearizable, keeps_real_time};
pub(super) use execution::{Execution, Shape, execute};

use crate::{
    sim::{
        history::{Action, History, Operation, Outcome, linearizable},
        kv::{Kv, KvCommand, KvModel, KvQuery, KvReply},
    },
    types::{LogId, LogIndex, Term},
};

pub(super) type Verdict = linearizable::Verdict<String, Option<String>>;

/// Client, when invoked, when returned, what was asked, what was told.
pub(super) type Line = (u64, u64, Option<u64>, Action<Kv>, Outcome<Kv>);

/// A history as a table: client, invoked, returned, action, outcome. Ids are the places in it.
pub(super) fn history<const N: usize>(lines: [Line; N]) -> History<Kv> {
    let operation = |(id, (client, invoked, returned, action, outcome))| {
        let node = "n1".into();
        Operation { id: id as u64, client, node, invoked, returned, action, outcome }
    };
    History::of(lines.into_iter().enumerate().map(operation).collect())
}

pub(super) fn put(value: &str) -> Action<Kv> {
    Action::Apply(KvCommand::Put { key: "a".into(), value: value.into() })
}

pub(super) fn cas(expect: Option<&str>, value: &str) -> Action<Kv> {
    let expect = expect.map(str::to_owned);
    Action::Apply(KvCommand::Cas { key: "a".into(), expect, value: value.into() })
}

pub(super) fn append(value: &str) -> Action<Kv> {
    Action::Apply(KvCommand::Append { key: "a".into(), value: value.into() })
}

pub(super) fn get() -> Action<Kv> {
    Action::Query(KvQuery::Get { key: "a".into() })
}

pub(super) fn at(index: u64) -> LogId {
    LogId::new(Term(1), LogIndex(index))
}

/// Applied at `index`, with this reply.
pub(super) fn applied(index: u64, reply: KvReply) -> Outcome<Kv> {
    Outcome::Applied { at: at(index), reply }
}

/// A put's: it replaced this.
pub(super) fn replaced(index: u64, before: Option<&str>) -> Outcome<Kv> {
    applied(index, KvReply::Replaced(before.map(str::to_owned)))
}

/// A read's: it saw this as of `index`.
pub(super) fn saw(index: u64, value: Option<&str>) -> Outcome<Kv> {
    Outcome::Answered { at: LogIndex(index), answer: value.map(str::to_owned) }
}

pub(super) fn verdict(history: &History<Kv>) -> Verdict {
    linearizable::check(&KvModel::of(history), history, linearizable::STEPS_MAX)
}
