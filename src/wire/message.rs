//! What a frame says once it is read.

use crate::types::{Request, Response};

/// What one frame says.
#[derive(Debug)]
pub enum Message {
    /// Asks.
    Request(Request),
    /// Answers.
    Response(Response),
    /// The request was dropped without an answer.
    Dropped,
    /// Asks whether the connection lives.
    Ping,
    /// It does.
    Pong,
}
