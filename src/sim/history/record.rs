//! The recording: operations in the order they were invoked, and their events in the order they happened.

use std::fmt;

use super::{Action, Checkable, Operation, Outcome};
use crate::{state_machine::StateMachine, types::NodeId};

/// Everything the clients of one run asked and were told.
///
/// It is written in the order of the run, each event with its stamp. A client may have several operations
/// under way.
pub struct History<S: StateMachine> {
    /// Ascending in `invoked`; the place of each is its id.
    operations: Vec<Operation<S>>,
    /// The stamp of the last event.
    now: Option<u64>,
}

/// Something a client saw happen.
pub enum Event<'a, S: StateMachine> {
    /// It asked.
    Invoked(&'a Operation<S>),
    /// It was told.
    Returned(&'a Operation<S>),
}

impl<S: StateMachine> History<S> {
    /// Nothing has been asked.
    pub fn new() -> Self {
        Self { operations: Vec::new(), now: None }
    }

    /// `client` asks `node` at `stamp`. The id of the new operation; as long as nobody says how it returned
    /// its outcome is unknown.
    ///
    /// # Panics
    /// If an event at or after `stamp` is here already.
    pub fn invoked(&mut self, stamp: u64, client: u64, node: NodeId, action: Action<S>) -> u64 {
        self.advance(stamp);
        let id = self.operations.len() as u64;
        let (returned, outcome) = (None, Outcome::Unknown);
        self.operations.push(Operation { id, client, node, invoked: stamp, returned, action, outcome });
        id
    }

    /// The client that invoked operation `id` is told its outcome at `stamp`.
    ///
    /// # Panics
    /// If an event at or after `stamp` is here already, if there is no such operation or it has returned, or
    /// if a query is said to be applied or a command answered.
    pub fn returned(&mut self, stamp: u64, id: u64, outcome: Outcome<S>) {
        self.advance(stamp);
        let operation = usize::try_from(id).ok().and_then(|id| self.operations.get_mut(id));
        let operation = operation.unwrap_or_else(|| panic!("operation {id} was never invoked"));
        assert!(operation.returned.is_none(), "operation {id} returned before {stamp}");
        assert!(outcome.fits(&operation.action), "operation {id} cannot end like that");
        operation.returned = Some(stamp);
        operation.outcome = outcome;
    }

    fn advance(&mut self, stamp: u64) {
        assert!(self.now.is_none_or(|now| now < stamp), "an event at {stamp} after {:?}", self.now);
        self.now = Some(stamp);
    }

    /// Every operation, in the order they were invoked: the place of each is its id.
    pub fn operations(&self) -> &[Operation<S>] {
        &self.operations
    }

    /// The operation with this id.
    pub fn get(&self, id: u64) -> Option<&Operation<S>> {
        self.operations.get(usize::try_from(id).ok()?)
    }

    /// Every event with its stamp, in the order they happened.
    pub fn events(&self) -> Vec<(u64, Event<'_, S>)> {
        let of = |operation| {
            let &Operation { invoked, returned, .. } = operation;
            let returned = returned.map(|stamp| (stamp, Event::Returned(operation)));
            std::iter::once((invoked, Event::Invoked(operation))).chain(returned)
        };
        let mut events: Vec<_> = self.operations.iter().flat_map(of).collect();
        events.sort_by_key(|event| event.0);
        events
    }

    /// A recording of these operations, for tests that tell one as a table.
    #[cfg(test)]
    pub(super) fn of(operations: Vec<Operation<S>>) -> Self {
        let mut stamps = std::collections::BTreeSet::new();
        for (place, operation) in operations.iter().enumerate() {
            assert!(operation.id == place as u64 && operation.outcome.fits(&operation.action));
            assert!(place == 0 || operations[place - 1].invoked < operation.invoked);
            assert!(operation.returned.is_none_or(|returned| returned > operation.invoked));
            let new = [Some(operation.invoked), operation.returned].into_iter().flatten();
            new.for_each(|stamp| assert!(stamps.insert(stamp), "two events at {stamp}"));
        }
        Self { operations, now: stamps.last().copied() }
    }

    /// The operations back.
    #[cfg(test)]
    pub(super) fn into_operations(self) -> Vec<Operation<S>> {
        self.operations
    }
}

impl<S: StateMachine> Default for History<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// One operation a line under `{:#?}`.
impl<S: Checkable> fmt::Debug for History<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.operations).finish()
    }
}

impl<S: Checkable> fmt::Debug for Event<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invoked(operation) => write!(f, "{operation} begins"),
            Self::Returned(operation) => write!(f, "{operation}: {:?}", operation.outcome),
        }
    }
}
