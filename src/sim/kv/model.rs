//! The rules of [`Kv`] for one key, told a second time and backwards: from reply to what must have been.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kv, KvCommand, KvQuery, KvReply};
use crate::sim::history::{Action, History, Operation, Outcome, linearizable::Model};

/// A register for each key: its state is the key's value.
///
/// It knows what the clients of one history saw, and so which operations of unknown outcome are worth
/// considering: most never took effect, and each one considered in vain doubles a search.
#[derive(Clone, Debug)]
pub struct KvModel {
    /// By key: every value that somebody saw, and every value that a swap of unknown outcome expected.
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl KvModel {
    /// The model for this history.
    pub fn of(history: &History<Kv>) -> Self {
        let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
        for operation in history.operations() {
            if let Some(value) = seen_by(operation) {
                seen.entry(key_of(&operation.action).to_owned()).or_default().insert(value.to_owned());
            }
        }
        Self { seen }
    }
}

impl Model<Kv> for KvModel {
    type Key = String;
    type State = Option<String>;

    fn key(&self, action: &Action<Kv>) -> String {
        key_of(action).to_owned()
    }

    fn initial(&self, _: &String) -> Option<String> {
        None
    }

    fn apply(
        &self,
        state: &Option<String>,
        command: &KvCommand,
        reply: Option<&KvReply>,
    ) -> Option<Option<String>> {
        use KvCommand::{Append, Cas, Put};
        use KvReply::{Appended, NotSwapped, Replaced, Swapped};
        match (command, reply) {
            (Put { value, .. }, None) => Some(Some(value.clone())),
            (Put { value, .. }, Some(Replaced(before))) => (before == state).then(|| Some(value.clone())),
            (Cas { expect, value, .. }, None | Some(Swapped)) => {
                (expect == state).then(|| Some(value.clone()))
            }
            (Cas { expect, .. }, Some(NotSwapped { seen })) => {
                (seen == state && expect != state).then(|| state.clone())
            }
            (Append { value, .. }, None) => Some(Some(state.clone().unwrap_or_default() + value)),
            (Append { value, .. }, Some(Appended(whole))) => {
                let before = whole.strip_suffix(value.as_str())?;
                (before == state.as_deref().unwrap_or_default()).then(|| Some(whole.clone()))
            }
            _ => None,
        }
    }

    fn answers(&self, state: &Option<String>, _: &KvQuery, answer: &Option<String>) -> bool {
        answer == state
    }

    /// A value that is the beginning of none that was seen was overwritten unseen, and what was appended to
    /// it too: the history is explained as well without the operation that wrote it.
    fn may_be_seen(&self, key: &String, state: &Option<String>) -> bool {
        let Some(value) = state else { return true };
        let later = self.seen.get(key).and_then(|seen| seen.range(value.clone()..).next());
        later.is_some_and(|seen| seen.starts_with(value.as_str()))
    }
}

fn key_of(action: &Action<Kv>) -> &str {
    match action {
        Action::Query(KvQuery::Get { key })
        | Action::Apply(
            KvCommand::Put { key, .. } | KvCommand::Cas { key, .. } | KvCommand::Append { key, .. },
        ) => key,
    }
}

/// The value that the operation found or, if its outcome is unknown, acts on. An append found the front part
/// of the one it told.
fn seen_by(operation: &Operation<Kv>) -> Option<&str> {
    match (&operation.action, &operation.outcome) {
        (_, Outcome::Answered { answer, .. }) => answer.as_deref(),
        (Action::Apply(command), Outcome::Applied { reply, .. }) => match (command, reply) {
            (_, KvReply::Replaced(value) | KvReply::NotSwapped { seen: value }) => value.as_deref(),
            (_, KvReply::Appended(value)) => Some(value),
            (KvCommand::Cas { expect, .. }, KvReply::Swapped) => expect.as_deref(),
            (_, KvReply::Swapped) => None,
        },
        (Action::Apply(KvCommand::Cas { expect, .. }), Outcome::Unknown) => expect.as_deref(),
        _ => None,
    }
}
