//! The nodes of a run as clients know them: who there is, and how to reach those that run.

use std::{cell::RefCell, time::Duration};

use super::observed::Observed;
use crate::{state_machine::StateMachine, system::Raft, types::NodeId};

/// How long a client gives a request.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
/// When it does not believe any more that its node will answer: a node that was stopped may be for long.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// See the module.
pub(super) struct Doors<S: StateMachine>(RefCell<Vec<Door<S>>>);

type Door<S> = (NodeId, Option<Raft<Observed<S>>>);

impl<S: StateMachine> Doors<S> {
    /// All of them closed.
    pub(super) fn new(nodes: Vec<NodeId>) -> Self {
        Self(RefCell::new(nodes.into_iter().map(|id| (id, None)).collect()))
    }

    /// Node `n` can be reached by this from now on, or not at all.
    pub(super) fn set(&self, n: usize, raft: Option<Raft<Observed<S>>>) {
        self.0.borrow_mut()[n].1 = raft;
    }

    /// The id of node `n`, and how to reach it if it runs.
    pub(super) fn at(&self, n: usize) -> Door<S> {
        self.0.borrow()[n].clone()
    }

    /// The number of some node, whether it runs or not.
    pub(super) fn any(&self, rng: &mut fastrand::Rng) -> usize {
        rng.usize(..self.0.borrow().len())
    }
}
