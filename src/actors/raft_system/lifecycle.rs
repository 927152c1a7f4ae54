//! The end of a node: in order, or at once with a reason.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::Handler;
use tokio::task::JoinHandle;

use super::{RaftSystem, batch::Refusal};
use crate::{
    error::{Fatal, ReadError},
    mailbox::{Park, Parked, ReplySender},
    messages::{Shutdown, StopActor, StorageClosed},
    state_machine::StateMachine,
};

/// How far a node is on its way out.
pub(crate) struct Lifecycle {
    stage: Stage,
    /// Why the node cannot go on, if so: everybody is answered with it.
    fatal: Option<Fatal>,
    ticking: JoinHandle<()>,
    callers: Rc<RefCell<Vec<ReplySender<()>>>>,
}

#[derive(Debug)]
enum Stage {
    Running,
    /// Nothing is admitted; what was admitted is being answered.
    Settling,
    /// Everybody is answered; the store finishes, at the latest by then.
    Closing(Duration),
    Stopped,
}

impl Lifecycle {
    pub(crate) fn new(ticking: JoinHandle<()>) -> Self {
        Self { stage: Stage::Running, fatal: None, ticking, callers: Rc::default() }
    }

    /// Why nothing is admitted, if so.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match (&self.fatal, &self.stage) {
            (Some(fatal), _) => Some(Refusal::Failed(fatal.clone())),
            (None, Stage::Running) => None,
            (None, Stage::Settling | Stage::Closing(_) | Stage::Stopped) => Some(Refusal::ShuttingDown),
        }
    }

    /// Notes why the node cannot go on; the first reason stays.
    pub(super) fn fail(&mut self, fatal: Fatal) {
        self.fatal.get_or_insert(fatal);
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl Park<()> for RefCell<Vec<ReplySender<()>>> {
    fn park(&self, sender: ReplySender<()>) {
        self.borrow_mut().push(sender);
    }
}

impl<S: StateMachine> RaftSystem<S> {
    pub(super) fn settle_all(&mut self) {
        let refusal = self.lifecycle.refusal().unwrap_or(Refusal::ShuttingDown);
        let error = match &refusal {
            Refusal::Failed(fatal) => ReadError::Failed(fatal.clone()),
            _ => ReadError::ShuttingDown,
        };
        self.settle_all_writes(&refusal);
        self.settle_all_reads(&error);
        self.settle_snapshots(&(&refusal).into());
    }

    fn is_settled(&self) -> bool {
        let waits = |batch: &super::Batch<S>| !batch.is_abandoned();
        !self.proposed.iter().any(waits) && self.forwarded.is_empty() && self.reads.is_empty()
    }

    /// The next step on the way out, once the present one is done.
    pub(super) fn go_on_stopping(&mut self) {
        match self.lifecycle.stage {
            Stage::Settling if self.is_settled() => {
                self.lifecycle.stage =
                    Stage::Closing(self.now.saturating_add(self.node.config.request_timeout));
                self.node.halt();
                self.node.ports().storage.close();
            }
            Stage::Closing(until) if self.now >= until => {
                tracing::error!(node = %self.node.id, "the store did not close in time");
                self.stopped();
            }
            _ => {}
        }
    }

    fn stopped(&mut self) {
        if matches!(self.lifecycle.stage, Stage::Stopped) {
            return;
        }
        self.lifecycle.stage = Stage::Stopped;
        self.settle_all();
        self.fsm.stop();
        self.node.ports().snapshotter.stop.send_now(StopActor);
        self.lifecycle.ticking.abort();
        self.node.board.set_stopped();
        for caller in self.lifecycle.callers.take() {
            // Whoever asked may have gone.
            let _ = caller.send(());
        }
    }
}

impl<S: StateMachine> Handler<Shutdown> for RaftSystem<S> {
    type Result = Parked<()>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        match self.lifecycle.stage {
            Stage::Stopped => return Parked::Now(()),
            Stage::Running => {
                tracing::info!(node = %self.node.id, "shutting down");
                self.lifecycle.stage = Stage::Settling;
                self.settle_intake(&Refusal::ShuttingDown);
                for batch in std::mem::take(&mut self.held) {
                    self.refuse(batch, &Refusal::ShuttingDown);
                }
                self.now = self.node.now();
                self.go_on_stopping();
            }
            Stage::Settling | Stage::Closing(_) => {}
        }
        Parked::Later(self.lifecycle.callers.clone())
    }
}

impl<S: StateMachine> Handler<StorageClosed> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, _: StorageClosed, _: &mut Self::Context) {
        if matches!(self.lifecycle.stage, Stage::Closing(_)) {
            self.stopped();
        }
    }
}
