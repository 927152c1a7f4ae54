//! One simulated node: its disk, its address, and the process that runs on it, if one does.
//!
//! A process is a `LocalSet` of its own, so that it can be stopped for a while, and ended as a whole. What it holds
//! of disk and network is fenced *before* anything of it is dropped: actix runs `stopped` when an actor is
//! dropped, and a process that was killed must not get to do anything then.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinHandle, LocalSet},
};

use super::{observed::Observed, oracle::Oracle, pace::NodePace, vfs::SimVfs};
use crate::{actors::node::Node, state_machine::StateMachine, system::Raft, types::NodeId};

/// A place for a process.
pub(super) struct SimNode<S: StateMachine> {
    pub(super) id: NodeId,
    pub(super) address: String,
    pub(super) disk: SimVfs,
    pub(super) pace: NodePace,
    pub(super) lives: u64,
    /// Never starts again: its log was damaged and it said so.
    pub(super) refuses: bool,
    /// A bit of its log has turned, once.
    pub(super) rotted: bool,
    /// A fault of the disk is planned for the process that runs, so that it may fail.
    pub(super) disk_faulty: bool,
    /// What it means that its disk is off.
    pub(super) cut_off: CutOff,
    pub(super) process: Option<Process<S>>,
}

/// What ends a process in the middle of a change of its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutOff {
    /// The machine loses power.
    Power,
    /// The process is killed; how long after its next start the machine loses power, if it does.
    Process(Option<Duration>),
}

/// A running process.
pub(super) struct Process<S: StateMachine> {
    pub(super) raft: Raft<Observed<S>>,
    pub(super) shared: Weak<Node>,
    gate: Rc<Gate>,
    task: JoinHandle<()>,
}

impl<S: StateMachine> Process<S> {
    /// Goes on with what `set` holds, and has the oracle look after every turn.
    pub(super) fn run(
        set: LocalSet,
        (raft, shared): (Raft<Observed<S>>, Weak<Node>),
        number: usize,
        oracle: Oracle,
        attention: Rc<Notify>,
    ) -> Self {
        let gate = Rc::<Gate>::default();
        let (set, shown) = (Box::pin(set), shared.clone());
        let host = Host { set, gate: gate.clone(), shared: shown, number, oracle, attention };
        Self { raft, shared, gate, task: tokio::task::spawn_local(host) }
    }

    /// Stops the process where it is: it handles nothing, and its timers pass unseen.
    pub(super) fn pause(&self) {
        self.gate.closed.set(true);
    }

    pub(super) fn resume(&self) {
        self.gate.closed.set(false);
        if let Some(waker) = self.gate.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.gate.closed.get()
    }

    /// Drops everything of it. It was fenced before.
    pub(super) async fn drop_all(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

#[derive(Default)]
struct Gate {
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Polls a process unless it is stopped.
struct Host {
    set: Pin<Box<LocalSet>>,
    gate: Rc<Gate>,
    shared: Weak<Node>,
    number: usize,
    oracle: Oracle,
    /// Raised when the node has stopped by itself.
    attention: Rc<Notify>,
}

impl Future for Host {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.gate.closed.get() {
            self.gate.waker.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let turn = self.set.as_mut().poll(cx);
        if let Some(node) = self.shared.upgrade() {
            self.oracle.look(self.number, &node);
            if node.board.is_over() {
                self.attention.notify_one();
            }
        }
        turn
    }
}
