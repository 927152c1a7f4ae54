//! The end of a node: in order, or at once with a reason.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::Handler;
use tokio::task::JoinHandle;

use super::{RaftSystem, batch::Refusal};
use crate::{
    error::{Fatal, ReadError, TransferError},
    mailbox::{Park, Parked, ReplySender},
    messages::{RemovedFromCluster, Shutdown, SnapshotsClosed, StopActor, StorageClosed},
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
    /// Nothing is admitted; somebody else is to lead, and gets what nobody has taken. At the latest until then.
    HandingOver(Duration),
    /// Nothing is admitted; what was admitted is being answered.
    Settling,
    /// Everybody is answered; whoever writes to the directory finishes, at the latest by then.
    Closing {
        until: Duration,
        log_open: bool,
        snapshots_open: bool,
    },
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
            (None, _) => Some(Refusal::ShuttingDown),
        }
    }

    /// Ticks at the pace of the settings in force now.
    pub(super) fn tick_anew(&mut self, ticking: JoinHandle<()>) {
        std::mem::replace(&mut self.ticking, ticking).abort();
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
        self.end_all_transfers(&refusal.clone().into_transfer_error());
        self.settle_all_changes();
        self.settle_restore(&refusal);
        self.settle_all_writes(&refusal);
        self.settle_all_reads(&error);
        self.settle_snapshots(&(&refusal).into());
    }

    fn is_settled(&self) -> bool {
        let waits = |batch: &super::Batch<S>| !batch.is_abandoned();
        !self.proposed.iter().any(waits)
            && self.forwarded.is_empty()
            && self.reads.is_empty()
            && self.changes.is_empty()
    }

    fn begin_stopping(&mut self) {
        tracing::info!(node = %self.node.id, "shutting down");
        self.settle_intake(&Refusal::ShuttingDown);
        self.refuse_held();
        self.call_off_changes();
        self.call_off_restore();
        self.now = self.node.now();
        self.lifecycle.stage = if self.hand_over() {
            Stage::HandingOver(self.now.saturating_add(self.node.reloadable().election_timeout))
        } else {
            Stage::Settling
        };
        self.go_on_stopping();
    }

    /// Whether somebody else leads, or nobody will because of this node.
    fn is_handed_over(&self) -> bool {
        let elsewhere = self.leadership.here.is_none() && self.leadership.leader.is_some();
        elsewhere || self.transfers.is_empty() || self.lifecycle.fatal.is_some()
    }

    fn refuse_held(&mut self) {
        for batch in std::mem::take(&mut self.held) {
            self.refuse(batch, &Refusal::ShuttingDown);
        }
    }

    /// The next step on the way out, once the present one is done.
    pub(super) fn go_on_stopping(&mut self) {
        match self.lifecycle.stage {
            Stage::HandingOver(until) if self.is_handed_over() || self.now >= until => {
                self.lifecycle.stage = Stage::Settling;
                self.end_all_transfers(&TransferError::ShuttingDown);
                self.refuse_held();
                self.go_on_stopping();
            }
            Stage::Settling if self.is_settled() => {
                let until = self.now.saturating_add(self.node.config.request_timeout);
                self.lifecycle.stage = Stage::Closing { until, log_open: true, snapshots_open: true };
                self.node.halt();
                self.node.ports().snapshotter.stop.send_now(StopActor);
                self.node.ports().storage.close();
            }
            Stage::Closing { log_open: false, snapshots_open: false, .. } => self.stopped(),
            Stage::Closing { until, log_open, snapshots_open } if self.now >= until => {
                tracing::error!(node = %self.node.id, log_open, snapshots_open, "the store did not close in time");
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
        self.node.metrics.ended();
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
            Stage::Running => self.begin_stopping(),
            Stage::HandingOver(_) | Stage::Settling | Stage::Closing { .. } => {}
        }
        Parked::Later(self.lifecycle.callers.clone())
    }
}

impl<S: StateMachine> Handler<RemovedFromCluster> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, _: RemovedFromCluster, _: &mut Self::Context) {
        if matches!(self.lifecycle.stage, Stage::Running) {
            tracing::warn!(node = %self.node.id, "this node was removed from its cluster");
            self.begin_stopping();
        }
    }
}

impl<S: StateMachine> Handler<StorageClosed> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, _: StorageClosed, _: &mut Self::Context) {
        if let Stage::Closing { log_open, .. } = &mut self.lifecycle.stage {
            *log_open = false;
            self.go_on_stopping();
        }
    }
}

impl<S: StateMachine> Handler<SnapshotsClosed> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, _: SnapshotsClosed, _: &mut Self::Context) {
        if let Stage::Closing { snapshots_open, .. } = &mut self.lifecycle.stage {
            *snapshots_open = false;
            self.go_on_stopping();
        }
    }
}
