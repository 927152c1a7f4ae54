//! A history as text for other tools: one event a line, in the shape of Jepsen's.

use std::{collections::BTreeMap, fmt::Debug};

use serde::Serialize;
use serde_json::Value;

use super::{Action, Checkable, Event, History, Outcome};
use crate::{
    state_machine::{Answer, StateMachine},
    types::{LogId, LogIndex, NodeId},
};

impl<S: Checkable> History<S>
where
    S::Query: Serialize,
    Answer<S>: Serialize,
{
    /// The history as JSON lines: an `invoke` for each operation, and when it returned an `ok`, a `fail`
    /// (refused) or an `info` (unknown). `time` is the event's stamp.
    ///
    /// `f` is the variant of the command or query in lower case, its field `key` stands beside it, and what
    /// else it has is the `value`; that of an `ok` is the reply. What is no enum is `apply` or `query`, and
    /// what JSON cannot hold is text as by `Debug`.
    pub fn to_json_lines(&self) -> String {
        let calls: Vec<Call> =
            self.operations().iter().map(|operation| Call::of(&operation.action)).collect();
        let mut processes = Processes::default();
        let mut lines = String::new();
        for (index, (time, event)) in self.events().into_iter().enumerate() {
            let (Event::Invoked(operation) | Event::Returned(operation)) = event;
            let call = &calls[operation.id as usize];
            let told = Told::of(&event);
            let line = Line {
                index,
                time,
                process: processes.of(&event),
                r#type: kind(&event),
                f: &call.f,
                key: call.key.as_ref(),
                value: told.value.unwrap_or_else(|| call.value.clone()),
                operation: operation.id,
                client: operation.client,
                node: &operation.node,
                log_id: told.log_id,
                read_index: told.read_index,
            };
            lines += &serde_json::to_string(&line).expect("names, numbers and JSON values are JSON");
            lines.push('\n');
        }
        lines
    }
}

/// One event, its fields in the order of the line.
#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    time: u64,
    process: u64,
    r#type: &'static str,
    f: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Value>,
    value: Value,
    operation: u64,
    client: u64,
    node: &'a NodeId,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_id: Option<LogId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_index: Option<LogIndex>,
}

fn kind<S: StateMachine>(event: &Event<'_, S>) -> &'static str {
    let Event::Returned(operation) = event else { return "invoke" };
    match operation.outcome {
        Outcome::Applied { .. } | Outcome::Answered { .. } => "ok",
        Outcome::Refused => "fail",
        Outcome::Unknown => "info",
    }
}

/// What came back, if anything did, and where it stands in the log.
#[derive(Default)]
struct Told {
    value: Option<Value>,
    log_id: Option<LogId>,
    read_index: Option<LogIndex>,
}

impl Told {
    fn of<S: Checkable>(event: &Event<'_, S>) -> Self
    where
        Answer<S>: Serialize,
    {
        let Event::Returned(operation) = event else { return Self::default() };
        match &operation.outcome {
            Outcome::Applied { at, reply } => {
                Self { value: Some(json(reply)), log_id: Some(*at), read_index: None }
            }
            Outcome::Answered { at, answer } => {
                Self { value: Some(json(answer)), log_id: None, read_index: Some(*at) }
            }
            Outcome::Refused | Outcome::Unknown => Self::default(),
        }
    }
}

/// As JSON if it can be, and as its `Debug` text if not: commands must encode as MessagePack, which holds more.
fn json<T: Serialize + Debug>(thing: &T) -> Value {
    serde_json::to_value(thing).unwrap_or_else(|_| Value::String(format!("{thing:?}")))
}

/// An action taken apart.
struct Call {
    f: String,
    key: Option<Value>,
    value: Value,
}

impl Call {
    fn of<S: Checkable<Query: Serialize>>(action: &Action<S>) -> Self {
        let (kind, whole) = match action {
            Action::Apply(command) => ("apply", serde_json::to_value(command)),
            Action::Query(query) => ("query", serde_json::to_value(query)),
        };
        let text = format!("{action:?}");
        let (f, mut value) = match whole {
            Ok(whole) => by_variant(kind, whole, &text),
            Err(_) => (kind.to_owned(), Value::String(text)),
        };
        let key = value.as_object_mut().and_then(|fields| fields.remove("key"));
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            value = Value::Null;
        }
        Self { f, key, value }
    }
}

/// An enum's variant apart from what it holds: serde writes an object of one member, or the name alone. A struct
/// or a text may look like that too, but not as `Debug` writes it; it is left whole, under `kind`.
fn by_variant(kind: &str, mut value: Value, text: &str) -> (String, Value) {
    let name = match &value {
        Value::String(name) if text == name => Some(name),
        Value::Object(object) if object.len() == 1 => {
            object.keys().next().filter(|name| text.starts_with(*name))
        }
        _ => None,
    };
    match name.cloned() {
        Some(name) => {
            let held = value.as_object_mut().and_then(|object| object.remove(&name));
            (name.to_lowercase(), held.unwrap_or(Value::Null))
        }
        None => (kind.to_owned(), value),
    }
}

/// Jepsen's processes: each asks one thing after another, and none after an `info`, since what it asked may
/// still be going on. A client that asks more all the same is another process from then on.
#[derive(Default)]
struct Processes {
    count: u64,
    /// By client: those that may ask again.
    idle: BTreeMap<u64, Vec<u64>>,
    /// By operation: whose it is.
    busy: BTreeMap<u64, u64>,
}

impl Processes {
    /// Which process sees `event`; every event comes here once, in order.
    fn of<S: StateMachine>(&mut self, event: &Event<'_, S>) -> u64 {
        match event {
            Event::Invoked(operation) => {
                let idle = self.idle.entry(operation.client).or_default().pop();
                let process = idle.unwrap_or(self.count);
                self.count = self.count.max(process + 1);
                self.busy.insert(operation.id, process);
                process
            }
            Event::Returned(operation) => {
                let process = self.busy.remove(&operation.id).expect("what returns was invoked");
                if !matches!(operation.outcome, Outcome::Unknown) {
                    self.idle.entry(operation.client).or_default().push(process);
                }
                process
            }
        }
    }
}
