//! Writes that may be repeated: with the header `Idempotency-Key` a request is applied once, however often and on
//! whichever nodes it is sent, and each attempt gets the answer of the first (thesis §6.3).
//!
//! The first attempt opens a session of Raft and notes it for the key; the first note counts, so that attempts
//! which race use the same session. A key is remembered for an hour and as long as few enough newer ones came.

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use bytes::Bytes;
use raftix::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::error::Failure;
use crate::{
    node::Node,
    requests::Noted,
    store::{Command, Outcome},
};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in bytes.
const BYTES_MAX: usize = 255;

/// Each key has a session of its own, and this is all that is sent in it.
const SEQUENCE: u64 = 1;

/// Applies what the request asks for: once, if it has a key.
pub(crate) async fn apply(raft: &Node, request: &HttpRequest, command: Command) -> Result<Outcome, Failure> {
    let applied = match key(request)? {
        None => raft.send(Apply(command)).await,
        Some(key) => {
            let session = session_of(raft, key, &command).await?;
            raft.send(Apply(command).in_session(session, SEQUENCE)).await
        }
    };
    Ok(applied.map_err(Failure::unanswered_write)??)
}

/// Refuses a key where none is obeyed: it must not look as if it were.
pub(crate) fn no_key(request: &HttpRequest) -> Result<(), Failure> {
    match key(request)? {
        None => Ok(()),
        Some(_) => Err(Failure::bad_input("this path takes no Idempotency-Key")),
    }
}

fn key(request: &HttpRequest) -> Result<Option<Bytes>, Failure> {
    let mut values = request.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let fits = |value: &HeaderValue| (1..=BYTES_MAX).contains(&value.len()) && value.to_str().is_ok();
    if values.next().is_some() || !fits(value) {
        return Err(Failure::bad_input(format!(
            "one Idempotency-Key of 1 to {BYTES_MAX} visible characters"
        )));
    }
    Ok(Some(Bytes::copy_from_slice(value.as_bytes())))
}

/// The session that this key stands for.
async fn session_of(raft: &Node, key: Bytes, command: &Command) -> Result<SessionId, Failure> {
    let digest =
        xxh3_128(&rmp_serde::to_vec(command).map_err(|error| Failure::bad_input(error.to_string()))?);
    let session = raft.send(OpenSession).await.map_err(Failure::not_begun)?.map_err(Failure::not_begun)?;
    let note = Command::Note { key, request: Noted { session, digest } };
    let outcome = raft.send(Apply(note)).await.map_err(Failure::not_begun)?.map_err(Failure::not_begun)?;
    let noted = outcome.noted.ok_or_else(|| Failure::not_begun("the key was not noted"))?;
    if noted.session != session {
        // Not needed any more; if this is lost it expires.
        drop(raft.send(CloseSession(session)));
    }
    if noted.digest == digest {
        Ok(noted.session)
    } else {
        Err(Failure::bad_input("this Idempotency-Key was used for another request"))
    }
}
