//! Many keys in one request: `POST /load` with a line of JSON each, as long as the client likes.
//!
//! Holds one batch and the line being read, never the body. Applies the batches one after the other and
//! stops at the first failure, so that the lines applied are always known to be a front part of the body.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, BytesMut, Data, Payload},
};
use bytes::Buf;
use futures::StreamExt;
use raftix::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::{
    error::Failure,
    idempotency::no_key,
    kv::checked_value,
    request::{checked_key, no_query},
};
use crate::{
    node::Node,
    store::{Command, KEY_BYTES_MAX, VALUE_BYTES_MAX},
};

/// A batch is applied when it has this many lines,
const BATCH_LINES_MAX: usize = 1024;
/// or this many bytes of lines.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// The longest line, in bytes: JSON writes a byte in up to six.
const LINE_BYTES_MAX: usize = 6 * (KEY_BYTES_MAX + VALUE_BYTES_MAX) + 1024;

/// `POST /load`
pub(crate) async fn load(
    raft: Data<Node>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure> {
    no_query(&request)?;
    no_key(&request)?;
    let mut lines = Lines::new(payload);
    let mut applied = 0;
    loop {
        let (batch, next) = read_batch(&mut lines).await;
        if !batch.is_empty() {
            apply_batch(&raft, batch, &mut applied).await.map_err(|failure| failure.after(applied))?;
        }
        match next {
            Next::More => {}
            Next::End => return Ok(HttpResponse::Ok().json(json!({ "applied": applied }))),
            Next::Failed(failure) => return Err(failure.after(applied)),
        }
    }
}

/// Applies `batch` and counts into `applied` how many of its commands from the first on are known applied.
async fn apply_batch(raft: &Node, batch: Vec<Command>, applied: &mut u64) -> Result<(), Failure> {
    for outcome in raft.send(ApplyBatch(batch)).await.map_err(Failure::unanswered_write)? {
        outcome?;
        *applied += 1;
    }
    Ok(())
}

/// What comes behind a batch.
enum Next {
    More,
    End,
    Failed(Failure),
}

/// Reads lines until a batch is full, the body ends, or a line is refused; what was read before that still counts.
async fn read_batch(lines: &mut Lines) -> (Vec<Command>, Next) {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < BATCH_LINES_MAX && bytes < BATCH_BYTES_MAX {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return (batch, Next::End),
            Err(failure) => return (batch, Next::Failed(failure)),
        };
        bytes += line.len();
        match parse(&line) {
            Ok(command) => batch.push(command),
            Err(failure) => return (batch, Next::Failed(failure.at_line(lines.count))),
        }
    }
    (batch, Next::More)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    value: String,
}

fn parse(line: &[u8]) -> Result<Command, Failure> {
    let Line { key, value } =
        serde_json::from_slice(line).map_err(|error| Failure::bad_input(error.to_string()))?;
    Ok(Command::Set { key: checked_key(key.into())?, value: checked_value(value)? })
}

/// The lines of a body, as they arrive.
struct Lines {
    payload: Payload,
    /// What has arrived and was not handed out.
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end, so that a long line is searched once.
    searched: usize,
    /// How many lines were handed out.
    count: u64,
}

impl Lines {
    fn new(payload: Payload) -> Self {
        Self { payload, buffer: BytesMut::new(), searched: 0, count: 0 }
    }

    /// The next line without its end; none behind the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + found);
                self.buffer.advance(1);
                self.searched = 0;
                self.count += 1;
                return Ok(Some(line.freeze()));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(Failure::too_large("a line", LINE_BYTES_MAX));
            }
            match self.payload.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(Failure::bad_input(format!("the body broke off: {error}"))),
                None => return Ok(self.rest()),
            }
        }
    }

    /// What is left when the body has ended: a last line need not have an end.
    fn rest(&mut self) -> Option<Bytes> {
        self.searched = 0;
        self.count += 1;
        let rest = self.buffer.split().freeze();
        (!rest.is_empty()).then_some(rest)
    }
}
