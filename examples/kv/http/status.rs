//! What a node says of itself, to operators and to load balancers. Only `/ready` asks a quorum, and not for long.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data},
};
use metrics_exporter_prometheus::PrometheusHandle;
use raftix::prelude::*;
use serde_json::json;

use super::{error::Failure, request::no_query};
use crate::{node::Node, store::Get};

/// How long a node may take to show that it can serve.
const READY_TIMEOUT: Duration = Duration::from_millis(500);

/// What Prometheus wants to be told of the format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /status`
pub(crate) async fn status(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    Ok(HttpResponse::Ok().json(raft.status()))
}

/// `GET /statistics`: what the node has done since it started.
pub(crate) async fn statistics(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    Ok(HttpResponse::Ok().json(raft.statistics()))
}

/// `GET /metrics`: the text that Prometheus scrapes, at most a second old.
pub(crate) async fn metrics(
    metrics: Data<PrometheusHandle>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    Ok(HttpResponse::Ok().content_type(PROMETHEUS_TEXT).body(metrics.render()))
}

/// `GET /mailboxes`: what every actor's mailbox holds, read without queueing in any of them.
pub(crate) async fn mailboxes(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let report = raft.mailboxes().map_err(|disabled| {
        Failure::new(StatusCode::NOT_FOUND, "inspection_disabled", disabled.to_string())
    })?;
    Ok(HttpResponse::Ok().json(report))
}

/// `GET /health`: the process answers, which is all it says.
pub(crate) async fn health(request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    Ok(HttpResponse::Ok().json(json!({ "healthy": true })))
}

/// `GET /ready`: a read that reflects every write answered before would be answered now, so a load balancer
/// may send clients here.
pub(crate) async fn ready(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    // No key is empty: this reads nothing, but takes the whole way.
    let read = Read(Get(Bytes::new())).timeout(READY_TIMEOUT);
    match raft.send(read).await.map_err(Failure::unanswered_read)? {
        Ok(_) => Ok(HttpResponse::Ok().json(json!({ "ready": true }))),
        Err(ReadError::Timeout) => Err(not_ready(&raft.status())),
        Err(error) => Err(error.into()),
    }
}

fn not_ready(Status { leader, standing, .. }: &Status) -> Failure {
    match leader {
        None => Failure::unavailable("no_leader", format!("no leader is known; {standing}")),
        Some(leader) => {
            let message =
                format!("what leader {leader} has committed is not confirmed or not applied here yet");
            Failure::unavailable("catching_up", message)
        }
    }
}
