//! The cluster itself: who belongs to it, who leads it, when it writes its state down.
//!
//! Every node takes these, too. A change may be repeated: one that is made already is answered with its index.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use percent_encoding::percent_decode_str;
use raftix::{
    AddNonvoter, AddVoter, ChangeError, DemoteVoter, GetConfiguration, RemoveServer, Snapshot, SnapshotError,
    TransferError, TransferLeadership,
    types::{LogIndex, NodeId, Suffrage},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    error::Failure,
    request::{body, no_query},
};
use crate::node::Node;

/// The largest body, in bytes: a name and an address.
const BODY_BYTES_MAX: usize = 4096;

/// Who is to belong to the cluster.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    id: String,
    /// Where it listens for other nodes.
    address: String,
    #[serde(default = "voter")]
    suffrage: Suffrage,
}

fn voter() -> Suffrage {
    Suffrage::Voter
}

/// `GET /cluster/members`
pub(crate) async fn members(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let configuration = raft.send(GetConfiguration).await.map_err(Failure::unanswered_read)?;
    let leader = raft.status().leader;
    let members: Vec<_> = configuration
        .membership
        .servers()
        .iter()
        .map(|server| {
            json!({
                "id": server.id,
                "address": server.address,
                "suffrage": server.suffrage,
                "leader": Some(&server.id) == leader.as_ref(),
            })
        })
        .collect();
    let (index, committed) = (configuration.index, configuration.committed);
    Ok(HttpResponse::Ok().json(json!({ "index": index, "committed": committed, "members": members })))
}

/// `POST /cluster/members`
///
/// A voter that is to be none any more is demoted first; raft's own `AddNonvoter` would leave it its vote.
pub(crate) async fn add(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let body = body(payload, "the request", BODY_BYTES_MAX).await?;
    let NewMember { id, address, suffrage } =
        serde_json::from_slice(&body).map_err(|error| Failure::bad_input(error.to_string()))?;
    let id = checked_name("id", id)?;
    let address = checked_address(address)?;
    let index = match suffrage {
        Suffrage::Voter => raft.send(AddVoter::new(id.as_str(), address)).await,
        Suffrage::Nonvoter => {
            let present = raft.send(GetConfiguration).await.map_err(Failure::unanswered_read)?;
            if present.membership.is_voter(&NodeId::from(id.as_str())) {
                raft.send(DemoteVoter::new(id.as_str())).await.map_err(Failure::unanswered_write)??;
            }
            raft.send(AddNonvoter::new(id.as_str(), address)).await
        }
    };
    done(index.map_err(Failure::unanswered_write)??)
}

/// `DELETE /cluster/members/{id}`
pub(crate) async fn remove(raft: Data<Node>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let segment = request.uri().path().rsplit('/').next().unwrap_or_default();
    let id =
        percent_decode_str(segment).decode_utf8().map_err(|error| Failure::bad_input(error.to_string()))?;
    let id = checked_name("id", id.into_owned())?;
    let index = raft.send(RemoveServer::new(id)).await.map_err(Failure::unanswered_write)??;
    done(index)
}

/// Who is to lead.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Successor {
    /// If nobody is named, whoever is furthest.
    #[serde(default)]
    to: Option<String>,
}

/// `POST /cluster/transfer`
pub(crate) async fn transfer(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let body = body(payload, "the request", BODY_BYTES_MAX).await?;
    let Successor { to } = if body.is_empty() {
        Successor::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Failure::bad_input(error.to_string()))?
    };
    let to = to.map(|to| checked_name("to", to)).transpose()?.map(NodeId::from);
    let leader = raft.send(TransferLeadership { to }).await.map_err(Failure::unanswered_write)??;
    Ok(HttpResponse::Ok().json(json!({ "index": raft.status().last_index, "leader": leader })))
}

/// `POST /cluster/snapshot`: of this node's state, on this node. If nothing was applied since the last one, that is
/// the answer.
pub(crate) async fn snapshot(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    if !body(payload, "the request", BODY_BYTES_MAX).await?.is_empty() {
        return Err(Failure::bad_input("this path takes no body"));
    }
    match raft.send(Snapshot).await.map_err(Failure::unanswered_read)? {
        Ok(taken) => done(taken.description.last.index),
        Err(SnapshotError::NothingNew) if raft.status().snapshot_index > LogIndex::ZERO => {
            done(raft.status().snapshot_index)
        }
        Err(error) => Err(error.into()),
    }
}

fn done(index: LogIndex) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().json(json!({ "index": index })))
}

fn checked_name(what: &str, name: String) -> Result<String, Failure> {
    if (1..=NodeId::BYTES_MAX).contains(&name.len()) {
        Ok(name)
    } else {
        Err(Failure::bad_input(format!("{what} has 1 to {} bytes", NodeId::BYTES_MAX)))
    }
}

fn checked_address(address: String) -> Result<String, Failure> {
    let address = checked_name("address", address)?;
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(address),
        _ => Err(Failure::bad_input("an address is host:port")),
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let message = error.to_string();
        match error {
            ChangeError::NotLeader { .. } => Self::unavailable("no_leader", message),
            ChangeError::Overloaded => Self::unavailable("overloaded", message),
            ChangeError::ShuttingDown => Self::unavailable("shutting_down", message),
            ChangeError::Failed(_) => Self::unavailable("failed", message),
            ChangeError::Timeout | ChangeError::NotCaughtUp { .. } => Self::unavailable("timeout", message),
            ChangeError::Invalid { .. } => Self::bad_input(message),
            ChangeError::OutcomeUnknown { .. } => Self::outcome_unknown(message),
            _ => Self::refused(message),
        }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let message = error.to_string();
        match error {
            TransferError::NotLeader { .. } => Self::unavailable("no_leader", message),
            TransferError::Overloaded => Self::unavailable("overloaded", message),
            TransferError::ShuttingDown => Self::unavailable("shutting_down", message),
            TransferError::Failed(_) => Self::unavailable("failed", message),
            TransferError::TimedOut => Self::unavailable("timeout", message),
            TransferError::UnknownServer(_) => Self::bad_input(message),
            TransferError::OutcomeUnknown(_) => Self::outcome_unknown(message),
            _ => Self::refused(message),
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        let message = error.to_string();
        match error {
            SnapshotError::ShuttingDown => Self::unavailable("shutting_down", message),
            SnapshotError::NothingNew | SnapshotError::InProgress | SnapshotError::Restoring => {
                Self::refused(message)
            }
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "failed", message),
        }
    }
}
