//! The handle of a running node.

use std::{fmt, future::Future, sync::Arc};

use actix::{Actor, Addr, Handler, MailboxError, Message};

use crate::{
    actors::raft_system::RaftSystem,
    board::{Board, LeadershipWatch, Statistics, Status},
    error::Fatal,
    inspect::{InspectionDisabled, MailboxReport},
    mailbox::{Context, Inspector, Port},
    state_machine::StateMachine,
    types::NodeId,
};

/// A running node: sends messages to its [`RaftSystem`] and tells what it publishes. Cheap to clone, and
/// usable from any thread.
pub struct Raft<S: StateMachine> {
    port: Port<RaftSystem<S>>,
    board: Arc<Board>,
    inspector: Inspector,
}

impl<S: StateMachine> Raft<S> {
    pub(crate) fn new(port: Port<RaftSystem<S>>, board: Arc<Board>, inspector: Inspector) -> Self {
        Self { port, board, inspector }
    }

    /// Sends a message; it is queued at once, whether or not the future is awaited.
    ///
    /// # Errors
    /// `MailboxError::Closed` if the node has been shut down.
    pub fn send<M>(&self, message: M) -> impl Future<Output = Result<M::Result, MailboxError>> + use<M, S>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        RaftSystem<S>: Handler<M> + Actor<Context = Context<RaftSystem<S>>>,
    {
        self.port.request(message)
    }

    /// The actor's address, for code that works with actix alone.
    pub fn addr(&self) -> Addr<RaftSystem<S>> {
        self.port.addr().clone()
    }

    /// What the node knows of itself; read without queueing.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// What the node has done since it started; read without queueing.
    pub fn statistics(&self) -> Statistics {
        self.board.statistics()
    }

    /// Follows who leads: the latest counts.
    pub fn leadership(&self) -> LeadershipWatch {
        LeadershipWatch::new(self.board.clone())
    }

    /// What every actor's mailbox holds; read without queueing behind any of them.
    ///
    /// # Errors
    /// [`InspectionDisabled`] in a release build without the feature `inspect`.
    pub fn mailboxes(&self) -> Result<MailboxReport, InspectionDisabled> {
        self.inspector.report()
    }

    /// Waits until the node knows a leader. `None` if it stops before.
    pub async fn leader_elected(&self) -> Option<NodeId> {
        self.board.leader_elected().await
    }

    /// Why the node has failed, if it has.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.board.fatal()
    }

    /// Waits until the node has stopped; the reason, if it did not stop in order.
    pub async fn stopped(&self) -> Option<Fatal> {
        self.board.stopped().await
    }
}

impl<S: StateMachine> Clone for Raft<S> {
    fn clone(&self) -> Self {
        Self { port: self.port.clone(), board: self.board.clone(), inspector: self.inspector.clone() }
    }
}

impl<S: StateMachine> fmt::Debug for Raft<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raft").field("status", &self.status()).finish_non_exhaustive()
    }
}
