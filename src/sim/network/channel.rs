//! One lane from an address to another: its connection, and the requests of it that are under way.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    connection::Connection,
    ends::{ChannelId, Ends, Ticket},
    queue::Event,
    window::Window,
};
use crate::{
    transport::{Identity, Responder, RpcError},
    types::{Request, Response},
};

/// How many requests of a lane may be without an answer, as over TCP; copies count. Beyond that, the
/// oldest is lost.
pub(super) const UNDER_WAY_MAX: usize = 4096;
/// How many requests of a way wait to come once more.
pub(super) const PAST_MAX: usize = 16;

pub(super) struct Channel {
    pub(super) ends: Arc<Ends>,
    /// Between two lives that run; none where there is no such connection.
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) exchanges: Window<Exchange>,
    /// Requests arrive in the order they were sent, and so do answers.
    pub(super) requests: Order,
    pub(super) answers: Order,
}

impl Channel {
    pub(super) fn new(channel: ChannelId, from: Arc<str>, to: Arc<str>) -> Self {
        Self {
            ends: Arc::new(Ends { channel, from, to }),
            connection: None,
            exchanges: Window::new(UNDER_WAY_MAX),
            requests: Order::default(),
            answers: Order::default(),
        }
    }

    /// Whether it goes over this connection now.
    pub(super) fn uses(&self, connection: &Arc<Connection>) -> bool {
        self.connection.as_ref().is_some_and(|own| Arc::ptr_eq(own, connection))
    }
}

/// When the last message in order arrives.
#[derive(Debug, Default)]
pub(super) struct Order(Option<Instant>);

impl Order {
    /// When a message that could arrive at `due` does, so as not to overtake.
    pub(super) fn keep(&mut self, due: Instant) -> Instant {
        let due = self.0.map_or(due, |last| last.max(due));
        self.0 = Some(due);
        due
    }
}

/// A request and, later, its answer. What happens next to it is planned in the queue.
pub(super) struct Exchange {
    /// Who waits for the answer: nobody if this is a copy, or if the asker is dead or has stopped.
    pub(super) asker: Option<Responder>,
    /// Whether this is a copy of a request.
    pub(super) is_copy: bool,
    /// How long the asker waits if something is lost on the way.
    pub(super) patience: Duration,
    pub(super) stage: Stage,
    /// What is planned for it. Any other event about it is out of date.
    pub(super) planned: Option<Event<Ticket>>,
    /// The planned event was due, and waits until its way is open again.
    pub(super) is_held: bool,
}

impl Exchange {
    pub(super) fn new(asker: Option<Responder>, patience: Duration, stage: Stage) -> Self {
        Self { asker, is_copy: false, patience, stage, planned: None, is_held: false }
    }

    /// What its asker hears if there is no room for it: what it would have heard if it had failed already.
    pub(super) fn overflow(&self) -> RpcError {
        match &self.stage {
            Stage::Failed(error) => error.clone(),
            _ => RpcError::Lost("too many requests are under way".into()),
        }
    }
}

/// Where an exchange is.
pub(super) enum Stage {
    /// The request is on its way; none if its frame came to be no frame.
    Asking { connection: Arc<Connection>, request: Option<Request> },
    /// The node that is asked has it.
    AtNode,
    /// The answer is on its way back; none if its frame came to be no frame. The only error is
    /// [`RpcError::Dropped`].
    Answering(Option<Result<Response, RpcError>>),
    /// It failed, and the asker will hear of it.
    Failed(RpcError),
}

/// A request that will come once more.
pub(super) struct Past {
    pub(super) ends: Arc<Ends>,
    pub(super) request: Request,
    /// Who sent it.
    pub(super) from: Identity,
    /// When.
    pub(super) planned: Event<Ticket>,
    pub(super) is_held: bool,
}
