//! What an onlooker is told of what travels.

use crate::{
    transport::RpcError,
    types::{Lane, Request, Response},
};

/// From where to where a message goes, and on which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// The address of the sender: of an answer, of the node that answers.
    pub from: &'a str,
    /// The address of the receiver.
    pub to: &'a str,
    /// The lane of the request, which its answer takes too.
    pub lane: Lane,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub enum Cargo<'a> {
    /// A request.
    Request(&'a Request),
    /// An answer, or the notice that there is none.
    Answer(Result<&'a Response, &'a RpcError>),
}

/// Sees every message twice: when it leaves and when it arrives. For oracles.
///
/// Called at the instant itself, before the receiver acts; it may use the network.
pub trait Watch: Send + Sync + 'static {
    /// The node lets go of a message. What becomes of it is not known yet.
    fn leaves(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        let _ = (passage, cargo);
    }

    /// A message is delivered. Copies are too; an answer nobody waits for is not.
    fn arrives(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        let _ = (passage, cargo);
    }
}
