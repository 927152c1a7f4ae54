//! What is over in a network, to be settled where nothing is locked.

use std::sync::Arc;

use super::{
    channel::{Exchange, Stage},
    connection::Connection,
};
use crate::transport::{Inbound, Responder, RpcError};

/// What is over, and how it ends.
pub(super) enum Remains {
    /// The asker hears of a failure.
    Failed(Responder, RpcError),
    /// The asker is dead and hears nothing.
    Abandoned(Responder),
    /// Nobody waits any more.
    #[expect(dead_code, reason = "held to be dropped outside the lock")]
    Dropped(Rest),
}

/// What may hold a part of a node.
#[expect(dead_code, reason = "held to be dropped outside the lock")]
pub(super) enum Rest {
    Exchange(Exchange),
    Stage(Stage),
    Connection(Arc<Connection>),
    Inbound(Arc<dyn Inbound>),
}

impl Remains {
    /// Tells whoever waits, and lets the rest go.
    pub(super) fn settle(self) {
        match self {
            Self::Failed(responder, error) => responder.respond(Err(error)),
            Self::Abandoned(responder) => responder.abandon(),
            Self::Dropped(_) => {}
        }
    }
}
