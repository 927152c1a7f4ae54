//! What one simulated client asks for.

use std::collections::BTreeMap;

use super::{Kv, KvCommand, KvModel, KvQuery, KvReply};
use crate::sim::{
    Client, Violation, Workload,
    history::{Action, History, Operation, Outcome, linearizable},
};

/// A value longer than this is put anew, not appended to: long values make nothing clearer.
const APPEND_BYTES_MAX: usize = 48;

/// Clients of the simulator's own state machine, over a few keys.
#[derive(Clone, Debug)]
pub struct KvWorkload {
    /// How many keys there are. More make each history shorter, and contention rarer.
    pub keys: usize,
    /// How far the search for an order may go before a history counts as undecided.
    pub steps_max: u64,
}

impl Default for KvWorkload {
    fn default() -> Self {
        Self { keys: 5, steps_max: linearizable::STEPS_MAX }
    }
}

impl Workload for KvWorkload {
    type Machine = Kv;
    type Client = KvClient;

    fn machine(&self) -> Kv {
        Kv::default()
    }

    fn client(&self, number: u64, seed: u64) -> KvClient {
        KvClient::new(seed, number, self.keys)
    }

    fn check(&self, history: &History<Kv>) -> Result<(), Violation> {
        let verdict = linearizable::check(&KvModel::of(history), history, self.steps_max);
        match verdict {
            linearizable::Verdict::Linearizable => Ok(()),
            other => Err(Violation::new("linearizability, by search", format!("{other:?}"))),
        }
    }
}

impl Client<Kv> for KvClient {
    fn next_action(&mut self) -> Action<Kv> {
        KvClient::next_action(self)
    }

    fn saw(&mut self, operation: &Operation<Kv>) {
        KvClient::saw(self, operation);
    }
}

/// The operations of one client: reads, puts, swaps and appends over a few keys. The same seed and the same
/// outcomes give the same operations.
///
/// Each value it writes is unique, also among the clients of a run, and ends in `;`, so that what was
/// appended can be told apart.
#[derive(Clone, Debug)]
pub struct KvClient {
    rng: fastrand::Rng,
    client: u64,
    keys: usize,
    /// How many values it has made.
    values: u64,
    /// By key: the value it saw last.
    seen: BTreeMap<String, Option<String>>,
}

impl KvClient {
    /// The operations of `client`, over keys `k0`, `k1` and so on.
    ///
    /// # Panics
    /// If there are no keys.
    pub fn new(seed: u64, client: u64, keys: usize) -> Self {
        assert!(keys > 0, "nothing to ask about");
        Self { rng: fastrand::Rng::with_seed(seed), client, keys, values: 0, seen: BTreeMap::new() }
    }

    /// What the client asks next.
    pub fn next_action(&mut self) -> Action<Kv> {
        let key = format!("k{}", self.rng.usize(..self.keys));
        let seen = self.seen.get(&key).cloned().flatten();
        match self.rng.u8(..10) {
            0..4 => Action::Query(KvQuery::Get { key }),
            4..6 => Action::Apply(KvCommand::Put { value: self.next_value(), key }),
            6..8 => Action::Apply(KvCommand::Cas { expect: seen, value: self.next_value(), key }),
            _ if seen.is_some_and(|seen| seen.len() > APPEND_BYTES_MAX) => {
                Action::Apply(KvCommand::Put { value: self.next_value(), key })
            }
            _ => Action::Apply(KvCommand::Append { value: self.next_value(), key }),
        }
    }

    /// The client is told how an operation ended: its next swaps expect what it saw.
    pub fn saw(&mut self, operation: &Operation<Kv>) {
        if let Some((key, value)) = value_after(operation) {
            self.seen.insert(key.to_owned(), value);
        }
    }

    fn next_value(&mut self) -> String {
        self.values += 1;
        format!("{}.{};", self.client, self.values)
    }
}

/// Which value the key had when the operation was done, if the client can tell.
fn value_after(operation: &Operation<Kv>) -> Option<(&str, Option<String>)> {
    match (&operation.action, &operation.outcome) {
        (Action::Query(KvQuery::Get { key }), Outcome::Answered { answer, .. }) => {
            Some((key, answer.clone()))
        }
        (Action::Apply(command), Outcome::Applied { reply, .. }) => {
            let (KvCommand::Put { key, value }
            | KvCommand::Cas { key, value, .. }
            | KvCommand::Append { key, value }) = command;
            let value = match reply {
                KvReply::Replaced(_) | KvReply::Swapped => Some(value.clone()),
                KvReply::NotSwapped { seen } => seen.clone(),
                KvReply::Appended(whole) => Some(whole.clone()),
            };
            Some((key, value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn actions(seed: u64, client: u64) -> Vec<String> {
        let mut workload = KvClient::new(seed, client, 3);
        (0..200).map(|_| format!("{:?}", workload.next_action())).collect()
    }

    #[test]
    fn the_same_seed_asks_for_the_same_and_another_for_something_else() {
        assert_eq!(actions(7, 1), actions(7, 1));
        assert_ne!(actions(7, 1), actions(8, 1));
    }

    #[test]
    fn every_kind_of_operation_and_every_key_occurs() {
        let actions = actions(7, 1);
        for part in ["Get", "Put", "Cas", "Append", "\"k0\"", "\"k1\"", "\"k2\""] {
            assert!(actions.iter().any(|action| action.contains(part)), "no {part}");
        }
    }

    #[test]
    fn no_value_is_written_twice() {
        let mut values = BTreeSet::new();
        for client in 0..3 {
            let mut workload = KvClient::new(7, client, 3);
            for _ in 0..200 {
                let Action::Apply(command) = workload.next_action() else { continue };
                let (KvCommand::Put { value, .. }
                | KvCommand::Cas { value, .. }
                | KvCommand::Append { value, .. }) = command;
                assert!(values.insert(value.clone()), "{value} again");
            }
        }
    }

    #[test]
    fn a_swap_expects_what_its_client_saw_last() {
        let mut workload = KvClient::new(7, 1, 1);
        workload.saw(&Operation {
            id: 0,
            client: 1,
            node: "n1".into(),
            invoked: 1,
            returned: Some(2),
            action: Action::Query(KvQuery::Get { key: "k0".into() }),
            outcome: Outcome::Answered { at: crate::types::LogIndex(1), answer: Some("9.9;".into()) },
        });
        let is_cas = |action: &Action<Kv>| format!("{action:?}").contains("Cas");
        let cas = (0..100).map(|_| workload.next_action()).find(is_cas);
        assert!(format!("{cas:?}").contains("expect: Some(\"9.9;\")"), "{cas:?}");
    }
}
