//! Snapshots that clients ask for: who waits for which.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use actix::Handler;

use super::RaftSystem;
use crate::{
    error::SnapshotError,
    mailbox::{Context, Park, Parked, ReplySender},
    messages::{Snapshot, SnapshotAnswered, TakeSnapshot},
    state_machine::StateMachine,
    storage::snapshot::SnapshotMeta,
};

use super::batch::Refusal;

type Taken = Result<SnapshotMeta, SnapshotError>;

/// Clients that wait for a snapshot, by the number of their request. A clone is the same ones.
#[derive(Clone, Default)]
pub(super) struct Snapshots(Rc<RefCell<BTreeMap<u64, ReplySender<Taken>>>>);

/// Where the sender of the request in hand goes.
struct Place(Snapshots, u64);

impl Park<Taken> for Place {
    fn park(&self, sender: ReplySender<Taken>) {
        self.0.0.borrow_mut().insert(self.1, sender);
    }
}

impl<S: StateMachine> RaftSystem<S> {
    /// Nobody gets one any more.
    pub(super) fn settle_snapshots(&self, error: &SnapshotError) {
        for sender in std::mem::take(&mut *self.snapshots.0.borrow_mut()).into_values() {
            // Whoever asked may have gone.
            let _ = sender.send(Err(error.clone()));
        }
    }
}

impl From<&Refusal> for SnapshotError {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Failed(fatal) => Self::Failed(fatal.clone()),
            _ => Self::ShuttingDown,
        }
    }
}

impl<S: StateMachine> Handler<Snapshot> for RaftSystem<S> {
    type Result = Parked<Taken>;

    fn handle(&mut self, _: Snapshot, _: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Parked::Now(Err((&refusal).into()));
        }
        let request = self.next_request();
        self.node.ports().snapshotter.take.send_now(TakeSnapshot { request });
        Parked::Later(Rc::new(Place(self.snapshots.clone(), request)))
    }
}

impl<S: StateMachine> Handler<SnapshotAnswered> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, SnapshotAnswered { request, result }: SnapshotAnswered, _: &mut Context<Self>) {
        if let Some(sender) = self.snapshots.0.borrow_mut().remove(&request) {
            // Whoever asked may have gone.
            let _ = sender.send(result);
        }
    }
}
