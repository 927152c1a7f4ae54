//! The state out of one cluster and into another, or back into its own: `GET /cluster/snapshot` and
//! `POST /cluster/restore`.
//!
//! Neither holds more of a state than a few pieces. What is exported lacks the noted `Idempotency-Key`s: the sessions
//! they stand for are those of one cluster.

use std::{
    io::{self, Read},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Bytes, Data, Payload},
};
use futures::{Stream, StreamExt, stream};
use raftix::{Restore, RestoreError, Snapshot, SnapshotError};
use serde_json::json;
use tokio::sync::mpsc;

use super::{error::Failure, request::no_query};
use crate::{
    node::{Node, SnapshotFiles},
    store::exported,
};

/// How long a restore may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// How many parts of a body wait to be read, beside the one that waits to be queued.
const PARTS_MAX: usize = 4;

/// How much of a state is read at once, in bytes.
const READ_BYTES: usize = 256 << 10;

/// `POST /cluster/restore`: the state of the whole cluster is replaced by the body. Asked of the leader.
pub(crate) async fn restore(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    let (parts, body) = mpsc::channel(PARTS_MAX);
    let body = Body { parts: body, part: Bytes::new(), ended: false };
    let restoring = raft.send(Restore::new(body, TIMEOUT));
    // A restore that is over reads no further, and then nothing is sent any more.
    let (restored, ()) = tokio::join!(restoring, send_on(payload, parts));
    let index = restored.map_err(Failure::unanswered_write)??;
    Ok(HttpResponse::Ok().json(json!({ "index": index })))
}

/// Gives every part of `payload` to whoever reads the body, and says when that was all.
async fn send_on(mut payload: Payload, parts: mpsc::Sender<Part>) {
    loop {
        let part = match payload.next().await {
            Some(Ok(bytes)) => Part::Bytes(bytes),
            Some(Err(error)) => Part::Failed(error.to_string()),
            None => Part::End,
        };
        let last = !matches!(part, Part::Bytes(_));
        if parts.send(part).await.is_err() || last {
            return;
        }
    }
}

/// What comes of a body.
enum Part {
    Bytes(Bytes),
    /// It is whole. A sender that just goes away leaves a part of one.
    End,
    Failed(String),
}

/// A body, to be read on another thread.
struct Body {
    parts: mpsc::Receiver<Part>,
    part: Bytes,
    ended: bool,
}

impl Read for Body {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Bytes(part)) => self.part = part,
                Some(Part::End) => self.ended = true,
                Some(Part::Failed(why)) => return Err(io::Error::other(why)),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body was cut off")),
            }
        }
        let taken = self.part.split_to(self.part.len().min(bytes.len()));
        bytes[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// `GET /cluster/snapshot`: this node's state as of now, or of its newest snapshot if that is the same.
pub(crate) async fn export(
    raft: Data<Node>,
    snapshots: Data<SnapshotFiles>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    match raft.send(Snapshot).await.map_err(Failure::unanswered_write)? {
        Ok(_) | Err(SnapshotError::NothingNew) => {}
        Err(error) => return Err(error.into()),
    }
    let opened = web::block(move || exported(snapshots.newest()?)).await;
    let state = opened.map_err(io::Error::other).flatten().map_err(unreadable)?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").streaming(pieces(state)))
}

fn unreadable(error: io::Error) -> Failure {
    Failure::unavailable("failed", format!("the snapshot cannot be read: {error}"))
}

/// What is left of `state`; one that cannot be read to its end breaks off, and the client sees it.
fn pieces<R: Read + Send + 'static>(state: R) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(state, |mut state| async move {
        let read = web::block(move || {
            let mut piece = Vec::with_capacity(READ_BYTES);
            state.by_ref().take(READ_BYTES as u64).read_to_end(&mut piece)?;
            Ok((piece, state))
        });
        let (piece, state) = read.await.map_err(io::Error::other).flatten()?;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), state)))
    })
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let message = error.to_string();
        match error {
            RestoreError::NotLeader { .. } | RestoreError::LeadershipLost => {
                Self::unavailable("no_leader", message)
            }
            RestoreError::Overloaded => Self::unavailable("overloaded", message),
            RestoreError::ShuttingDown => Self::unavailable("shutting_down", message),
            RestoreError::Timeout => Self::unavailable("timeout", message),
            RestoreError::InProgress | RestoreError::Unsupported(_) => Self::refused(message),
            RestoreError::Invalid(_) | RestoreError::Unreadable(_) => Self::bad_input(message),
            RestoreError::TooLarge { .. } => Self::body_too_large(message),
            refused if refused.is_refused() => Self::unavailable("failed", message),
            _ => Self::outcome_unknown(message),
        }
    }
}
