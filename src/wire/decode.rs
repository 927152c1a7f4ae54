//! Frames to messages. Entries and commands are slices of what was read, never copies.

use bytes::{Buf, Bytes, BytesMut};
use serde::de::DeserializeOwned;

use super::{
    FRAME_HEADER_BYTES, FrameError, FrameKind, FrameLimits, Message, fields::take_id, forward,
    frame::FrameHeader, plausible, snapshot,
};
use crate::types::{
    AppendEntries, Entries, EntryBatch, GreetResponse, LogId, LogIndex, Membership, Request, Response, Term,
};

/// How deep a packed message may nest. The deepest of ours, a greeting's membership, takes seven.
const DEPTH_MAX: usize = 16;

/// Takes the first whole frame out of `bytes`: its request id, its kind, and what it says. `None` if it
/// has not all arrived.
///
/// # Errors
/// The frame is larger than the limits (known from its header alone), damaged or malformed. What is in
/// `bytes` is of no use then.
pub fn decode(
    bytes: &mut BytesMut,
    limits: FrameLimits,
) -> Result<Option<(u64, FrameKind, Message)>, FrameError> {
    let Some(header) = FrameHeader::read(bytes, limits)? else { return Ok(None) };
    let frame_bytes = FRAME_HEADER_BYTES + header.body;
    if bytes.len() < frame_bytes {
        return Ok(None);
    }
    header.verify(bytes)?;
    let kind = header.kind;
    let message = match kind {
        FrameKind::AppendEntries
        | FrameKind::ForwardApply
        | FrameKind::ForwardApplyResponse
        | FrameKind::InstallSnapshot => {
            let mut body = bytes.split_to(frame_bytes).freeze();
            body.advance(FRAME_HEADER_BYTES);
            read_shared(&header, body)?
        }
        _ => {
            let message = read_packed(kind, &bytes[FRAME_HEADER_BYTES..frame_bytes])?;
            bytes.advance(frame_bytes);
            message
        }
    };
    if !plausible::is_plausible(&message) {
        return Err(FrameError::malformed(kind, "a term or an index out of range"));
    }
    Ok(Some((header.request_id, kind, message)))
}

/// Messages that keep slices of the body.
fn read_shared(header: &FrameHeader, body: Bytes) -> Result<Message, FrameError> {
    let malformed = || FrameError::malformed(header.kind, "lengths do not fit");
    Ok(match header.kind {
        FrameKind::ForwardApply => {
            Message::Request(Request::ForwardApply(forward::read_request(body).ok_or_else(malformed)?))
        }
        FrameKind::ForwardApplyResponse => {
            Message::Response(Response::ForwardApply(forward::read_response(body).ok_or_else(malformed)?))
        }
        FrameKind::InstallSnapshot => Message::Request(Request::InstallSnapshot(snapshot::read(body)?)),
        _ => Message::Request(Request::AppendEntries(read_append(header.covered, body, malformed)?)),
    })
}

/// `u64 term | u64 prev term | u64 prev index | u64 commit | u8 length, leader | entries`.
fn read_append(
    covered: usize,
    mut body: Bytes,
    malformed: impl Fn() -> FrameError,
) -> Result<AppendEntries, FrameError> {
    let mut head = body.split_to(covered);
    let mut number = || head.try_get_u64_le().map_err(|_| malformed());
    let (term, prev_term, prev_index, commit) = (number()?, number()?, number()?, number()?);
    let leader = take_id(&mut head).ok_or_else(&malformed)?;
    if !head.is_empty() {
        return Err(malformed());
    }
    let entries = if body.is_empty() { Entries::none() } else { EntryBatch::verify(body)?.into() };
    Ok(AppendEntries {
        term: Term(term),
        leader,
        prev: LogId::new(Term(prev_term), LogIndex(prev_index)),
        commit: LogIndex(commit),
        entries,
    })
}

/// Messages in MessagePack, and those without a body.
fn read_packed(kind: FrameKind, body: &[u8]) -> Result<Message, FrameError> {
    use FrameKind as K;
    Ok(match kind {
        K::Ping => Message::Ping,
        K::Pong => Message::Pong,
        K::Heartbeat => Message::Request(Request::Heartbeat(unpack(kind, body)?)),
        K::PreVote => Message::Request(Request::PreVote(unpack(kind, body)?)),
        K::RequestVote => Message::Request(Request::RequestVote(unpack(kind, body)?)),
        K::TimeoutNow => Message::Request(Request::TimeoutNow(unpack(kind, body)?)),
        K::Greet => Message::Request(Request::Greet(unpack(kind, body)?)),
        K::ForwardReadIndex => Message::Request(Request::ForwardReadIndex(unpack(kind, body)?)),
        K::ForwardTransfer => Message::Request(Request::ForwardTransfer(unpack(kind, body)?)),
        K::ForwardChange => Message::Request(Request::ForwardChange(unpack(kind, body)?)),
        K::AppendEntriesResponse => Message::Response(Response::AppendEntries(unpack(kind, body)?)),
        K::HeartbeatResponse => Message::Response(Response::Heartbeat(unpack(kind, body)?)),
        K::PreVoteResponse => Message::Response(Response::PreVote(unpack(kind, body)?)),
        K::RequestVoteResponse => Message::Response(Response::RequestVote(unpack(kind, body)?)),
        K::TimeoutNowResponse => Message::Response(Response::TimeoutNow(unpack(kind, body)?)),
        K::GreetResponse => Message::Response(Response::Greet(checked(unpack(kind, body)?)?)),
        K::ForwardReadIndexResponse => Message::Response(Response::ForwardReadIndex(unpack(kind, body)?)),
        K::ForwardTransferResponse => Message::Response(Response::ForwardTransfer(unpack(kind, body)?)),
        K::ForwardChangeResponse => Message::Response(Response::ForwardChange(unpack(kind, body)?)),
        K::InstallSnapshotResponse => Message::Response(Response::InstallSnapshot(unpack(kind, body)?)),
        K::Dropped | K::AppendEntries | K::ForwardApply | K::ForwardApplyResponse | K::InstallSnapshot => {
            Message::Dropped
        }
    })
}

fn unpack<T: DeserializeOwned>(kind: FrameKind, mut body: &[u8]) -> Result<T, FrameError> {
    let mut unpacker = rmp_serde::Deserializer::new(&mut body);
    unpacker.set_max_depth(DEPTH_MAX);
    let message = T::deserialize(&mut unpacker).map_err(|error| FrameError::malformed(kind, error))?;
    if body.is_empty() { Ok(message) } else { Err(FrameError::malformed(kind, "bytes behind it")) }
}

/// A membership keeps its invariants wherever it comes from.
fn checked(mut response: GreetResponse) -> Result<GreetResponse, FrameError> {
    if let Some(first) = response.state.as_mut().and_then(|state| state.first.as_mut()) {
        *first = Membership::new(first.servers().iter().cloned())
            .map_err(|error| FrameError::malformed(FrameKind::GreetResponse, error))?;
    }
    Ok(response)
}
