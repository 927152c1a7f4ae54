//! What a node says of itself, to operators and to load balancers. Nothing here waits for a quorum.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use serde_json::json;

use super::{error::Failure, request::no_query};
use crate::node::Node;

/// How long a node may take to apply what was committed when it was asked whether it is ready: on a busy
/// one something is always on its way, and that alone does not make it unready.
const READY_TIMEOUT: Duration = Duration::from_millis(500);
const READY_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// `GET /status`
pub(crate) async fn status(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    Ok(HttpResponse::Ok().json(raft.status()))
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

/// `GET /ready`: the node knows a leader and has applied what it knows to be committed.
pub(crate) async fn ready(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let status = raft.status();
    if let Some(fatal) = status.fatal {
        return Err(Failure::unavailable("failed", fatal));
    }
    if status.leader.is_none() {
        return Err(Failure::unavailable("no_leader", format!("no leader is known; {}", status.standing)));
    }
    let caught_up = async {
        while raft.status().applied_index < status.commit_index {
            tokio::time::sleep(READY_POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(READY_TIMEOUT, caught_up)
        .await
        .map_err(|_| Failure::unavailable("catching_up", "not everything committed is applied here yet"))?;
    Ok(HttpResponse::Ok().json(json!({ "ready": true })))
}
