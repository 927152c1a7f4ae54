//! What the handlers read of a request: its key, its query, its body. Nothing is taken unchecked, and no
//! body is held beyond its limit.

use actix_web::{
    HttpRequest,
    web::{Bytes, Payload, Query},
};
use percent_encoding::percent_decode_str;
use raftix::types::LogIndex;
use serde::Deserialize;

use super::error::Failure;
use crate::store::KEY_BYTES_MAX;

/// How a value is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReadMode {
    /// It reflects every write that was answered before.
    #[default]
    Linearizable,
    /// The same without a word to other nodes where the leader's lease allows it.
    Lease,
    /// As this node has it, however far behind it may be.
    Stale,
}

/// How a request wants to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadOptions {
    pub(crate) mode: ReadMode,
    /// A stale read waits until this node has applied this much.
    pub(crate) min_index: Option<LogIndex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadQuery {
    #[serde(default)]
    read: ReadMode,
    min_index: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

/// The key in `/kv/{key}` and `/kv/{key}/…`.
///
/// Taken from the path as it was sent: what the framework extracts is decoded already, and neither `%2F`
/// nor bytes that are not UTF-8 survive that.
pub(crate) fn key(request: &HttpRequest) -> Result<Bytes, Failure> {
    let segment = request.uri().path().split('/').nth(2).unwrap_or_default();
    if !is_well_escaped(segment) {
        return Err(Failure::bad_input("in a key, % stands before two hexadecimal digits"));
    }
    let key: Vec<u8> = percent_decode_str(segment).collect();
    checked_key(key.into())
}

/// `key`, if its length is one a key may have.
pub(crate) fn checked_key(key: Bytes) -> Result<Bytes, Failure> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        Ok(key)
    } else {
        Err(Failure::bad_input(format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {}", key.len())))
    }
}

/// How the request wants to read.
pub(crate) fn read_options(request: &HttpRequest) -> Result<ReadOptions, Failure> {
    let query = Query::<ReadQuery>::from_query(request.query_string());
    let query = query.map_err(|error| Failure::bad_input(error.to_string()))?;
    if query.min_index.is_some() && query.read != ReadMode::Stale {
        return Err(Failure::bad_input(
            "min_index goes with read=stale; any other read is as fresh as can be",
        ));
    }
    Ok(ReadOptions { mode: query.read, min_index: query.min_index.map(LogIndex) })
}

/// Refuses a query: a parameter that is not understood must not look as if it were.
pub(crate) fn no_query(request: &HttpRequest) -> Result<(), Failure> {
    let query = Query::<NoQuery>::from_query(request.query_string());
    query.map(|_| ()).map_err(|error| Failure::bad_input(error.to_string()))
}

/// The whole body, if it is not over `bytes_max`; `what` names it otherwise.
pub(crate) async fn body(payload: Payload, what: &str, bytes_max: usize) -> Result<Bytes, Failure> {
    match payload.to_bytes_limited(bytes_max).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(Failure::bad_input(format!("the body did not arrive: {error}"))),
        Err(_) => Err(Failure::too_large(what, bytes_max)),
    }
}

fn is_well_escaped(segment: &str) -> bool {
    let mut parts = segment.split('%');
    parts.next();
    parts.all(|part| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}
