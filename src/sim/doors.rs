//! The nodes of a run as clients know them: who there is, and how to reach those that run.

use std::{cell::RefCell, time::Duration};

use super::observed::Observed;
use crate::{board::ServerRole, state_machine::StateMachine, system::Raft, types::NodeId};

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

    /// The node that leads, in the newest term of those that say so.
    pub(super) fn leader(&self) -> Option<(usize, Raft<Observed<S>>)> {
        let leads = |(n, (_, raft)): (usize, &Door<S>)| {
            let raft = raft.as_ref()?;
            let status = raft.status();
            (status.role == ServerRole::Leader).then(|| (status.term, n, raft.clone()))
        };
        let leaders =
            self.0.borrow().iter().enumerate().filter_map(leads).max_by_key(|(term, n, _)| (*term, *n));
        leaders.map(|(_, n, raft)| (n, raft))
    }

    /// The number of some node, whether it runs or not.
    pub(super) fn any(&self, rng: &mut fastrand::Rng) -> usize {
        rng.usize(..self.0.borrow().len())
    }
}
