//! One key: read it, set it, delete it, swap it.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Payload},
};
use raftix::prelude::*;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{
    error::Failure,
    idempotency::apply,
    request::{ReadMode, ReadOptions, body, key, no_query, read_options},
};
use crate::{
    node::Node,
    store::{Command, Get, Outcome, VALUE_BYTES_MAX},
};

/// The largest body of a swap, in bytes: two values, each up to six times as long as JSON writes it.
const CAS_BODY_BYTES_MAX: usize = 13 * VALUE_BYTES_MAX;

/// `GET /kv/{key}`
pub(crate) async fn get(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let query = Get(key(&request)?);
    let ReadOptions { mode, min_index } = read_options(&request)?;
    let answer = match (mode, min_index) {
        (ReadMode::Linearizable, _) => raft.send(Read(query)).await,
        (ReadMode::Lease, _) => raft.send(Read(query).lease()).await,
        (ReadMode::Stale, None) => raft.send(StaleRead(query)).await,
        (ReadMode::Stale, Some(index)) => raft.send(StaleRead(query).min_index(index)).await,
    };
    let value = answer.map_err(Failure::unanswered_read)??.ok_or_else(Failure::not_found)?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(value))
}

/// `PUT /kv/{key}`
pub(crate) async fn put(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let key = key(&request)?;
    let value = body(payload, "the value", VALUE_BYTES_MAX).await?;
    let Outcome { at, .. } = apply(&raft, &request, Command::Set { key, value }).await?;
    Ok(HttpResponse::Ok().json(json!({ "index": at.index, "term": at.term })))
}

/// `DELETE /kv/{key}`
pub(crate) async fn delete(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let key = key(&request)?;
    let Outcome { at, took_effect, .. } = apply(&raft, &request, Command::Delete { key }).await?;
    Ok(HttpResponse::Ok().json(json!({ "index": at.index, "term": at.term, "deleted": took_effect })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Swap {
    /// Must be there, if only as null: forgotten, it would mean "only if there is no such key".
    #[serde(deserialize_with = "present")]
    expect: Option<String>,
    value: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// `POST /kv/{key}/cas`
pub(crate) async fn cas(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let key = key(&request)?;
    let body = body(payload, "the request", CAS_BODY_BYTES_MAX).await?;
    let swap: Swap = serde_json::from_slice(&body).map_err(|error| Failure::bad_input(error.to_string()))?;
    let value = checked_value(swap.value)?;
    let expect = swap.expect.map(checked_value).transpose()?;
    let Outcome { took_effect, .. } = apply(&raft, &request, Command::Cas { key, expect, value }).await?;
    Ok(HttpResponse::Ok().json(json!({ "swapped": took_effect })))
}

/// `value` as bytes, if it is not over its limit.
pub(crate) fn checked_value(value: String) -> Result<Bytes, Failure> {
    if value.len() <= VALUE_BYTES_MAX {
        Ok(value.into())
    } else {
        Err(Failure::too_large("a value", VALUE_BYTES_MAX))
    }
}
