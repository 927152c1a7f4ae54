//! How requests fail, and what that tells a client: above all whether a write may have taken effect.
//!
//! | status | code | meaning |
//! |---|---|---|
//! | 400 | `bad_input` | the request makes no sense; nothing was applied |
//! | 404 | `not_found`, `unknown_route`, `inspection_disabled` | |
//! | 405 | `method_not_allowed` | |
//! | 409 | `refused` | the cluster is not in a state for that; nothing was changed |
//! | 413 | `too_large` | a value is over its limit; not applied |
//! | 503 | `no_leader`, `overloaded`, `shutting_down`, `failed` | not applied, now or ever: try again, or elsewhere |
//! | 503 | `timeout`, `catching_up` | a read was not confirmed in time, a change not begun or not finished; the node is not ready yet |
//! | 504 | `outcome_unknown` | a write may have been applied, may still be, or never will |

use std::fmt;

use actix::MailboxError;
use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use raftix::prelude::*;
use serde::Serialize;

/// A failed request, ready to be answered.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    status: StatusCode,
    error: &'static str,
    message: String,
    /// For `/load`: how many lines from the first on are known applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<u64>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), applied: None }
    }

    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_input", message)
    }

    pub(crate) fn too_large(what: &str, bytes_max: usize) -> Self {
        Self::body_too_large(format!("{what} is larger than {bytes_max} bytes"))
    }

    pub(crate) fn body_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such key")
    }

    pub(crate) fn unavailable(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error, message)
    }

    /// A write that the node dropped: it answers whatever it has taken up, also when it stops or fails, so
    /// this one was never taken up, or its front door itself has crashed. Nothing tells which.
    pub(crate) fn unanswered_write(_: MailboxError) -> Self {
        Self::outcome_unknown("the node has ended without an answer")
    }

    /// A read that the node dropped.
    pub(crate) fn unanswered_read(_: MailboxError) -> Self {
        Self::unavailable("failed", "the node has ended without an answer")
    }

    /// A write with a key whose key could not be noted in time: the write itself was not begun.
    pub(crate) fn not_begun(error: impl fmt::Display) -> Self {
        Self::unavailable("timeout", format!("the key was not noted, and nothing was applied: {error}"))
    }

    /// Something that the cluster will not do as it is.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "refused", message)
    }

    pub(crate) fn outcome_unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", message)
    }

    /// The same failure, of the line numbered `line` of a load.
    pub(crate) fn at_line(self, line: u64) -> Self {
        Self { message: format!("line {line} of the body: {}", self.message), ..self }
    }

    /// The same failure, after `applied` lines of a load.
    pub(crate) fn after(self, applied: u64) -> Self {
        Self { applied: Some(applied), ..self }
    }
}

impl<C: fmt::Debug> From<ApplyError<C>> for Failure {
    fn from(error: ApplyError<C>) -> Self {
        let message = error.to_string();
        match error {
            ApplyError::NotLeader { .. } => Self::unavailable("no_leader", message),
            ApplyError::Overloaded { .. } => Self::unavailable("overloaded", message),
            ApplyError::ShuttingDown { .. } => Self::unavailable("shutting_down", message),
            ApplyError::Failed { .. } => Self::unavailable("failed", message),
            ApplyError::EntryTooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            }
            // An earlier attempt may have been applied, and nobody remembers it.
            ApplyError::SessionExpired { .. } => Self::outcome_unknown(message),
            refused if refused.is_refused() => Self::unavailable("failed", message),
            _ => Self::outcome_unknown(message),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let code = match error {
            ReadError::NotLeader { .. } => "no_leader",
            ReadError::Timeout => "timeout",
            ReadError::Overloaded => "overloaded",
            ReadError::ShuttingDown => "shutting_down",
            _ => "failed",
        };
        Self::unavailable(code, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(self)
    }
}

/// Answers what no route matches.
pub(crate) async fn unknown_route() -> HttpResponse {
    Failure::new(StatusCode::NOT_FOUND, "unknown_route", "there is nothing at this path").error_response()
}

/// Answers a method that the path does not have.
pub(crate) async fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let message = format!("this path takes {allowed}");
    let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    HttpResponse::build(failure.status).insert_header((header::ALLOW, allowed)).json(&failure)
}
