//! Messages to frames. Entries and large commands are shared with the queue, never copied.
//!
//! A message that is too large leaves the queue as it was.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::{
    FRAME_HEADER_BYTES, FrameError, FrameKind, FrameLimits, Outgoing,
    fields::put_id,
    forward,
    frame::{self},
    snapshot,
};
use crate::types::{AppendEntries, Request, Response};

/// Queues `request`, numbered `request_id`.
///
/// # Errors
/// [`FrameError::TooLarge`] if it is larger than the limits; nothing is queued then.
pub fn encode_request(
    out: &mut Outgoing,
    request_id: u64,
    request: &Request,
    limits: FrameLimits,
) -> Result<(), FrameError> {
    let frame = Frame { out, kind: FrameKind::of_request(request), request_id, limits };
    match request {
        Request::AppendEntries(append) => frame.append_entries(append),
        Request::Heartbeat(heartbeat) => frame.packed(heartbeat),
        Request::PreVote(vote) | Request::RequestVote(vote) => frame.packed(vote),
        Request::TimeoutNow(timeout) => frame.packed(timeout),
        Request::Greet(greet) => frame.packed(greet),
        Request::ForwardApply(apply) => frame.with_parts(
            |head| forward::put_request(head, apply),
            || apply.commands.iter().map(|command| &command.data),
        ),
        Request::ForwardReadIndex(read) => frame.packed(read),
        Request::ForwardChange(change) => frame.packed(change),
        Request::ForwardTransfer(transfer) => frame.packed(transfer),
        Request::InstallSnapshot(install) => {
            frame.with_parts(|head| snapshot::put(head, install), || std::iter::once(&install.data))
        }
    }
}

/// Queues `response` to the request numbered `request_id`.
///
/// # Errors
/// [`FrameError::TooLarge`] if it is larger than the limits; nothing is queued then.
pub fn encode_response(
    out: &mut Outgoing,
    request_id: u64,
    response: &Response,
    limits: FrameLimits,
) -> Result<(), FrameError> {
    let frame = Frame { out, kind: FrameKind::of_response(response), request_id, limits };
    match response {
        Response::AppendEntries(append) => frame.packed(append),
        Response::Heartbeat(heartbeat) => frame.packed(heartbeat),
        Response::PreVote(vote) | Response::RequestVote(vote) => frame.packed(vote),
        Response::TimeoutNow(timeout) => frame.packed(timeout),
        Response::Greet(greet) => frame.packed(greet),
        Response::ForwardApply(apply) => {
            frame.with_parts(|head| forward::put_response(head, apply), || forward::replies(apply))
        }
        Response::ForwardReadIndex(read) => frame.packed(read),
        Response::ForwardChange(change) => frame.packed(change),
        Response::ForwardTransfer(transfer) => frame.packed(transfer),
        Response::InstallSnapshot(install) => frame.packed(install),
    }
}

/// Queues the notice that the request numbered `request_id` gets no answer.
pub fn encode_dropped(out: &mut Outgoing, request_id: u64) {
    encode_empty(out, FrameKind::Dropped, request_id);
}

/// Queues a question whether the connection still lives.
pub fn encode_ping(out: &mut Outgoing) {
    encode_empty(out, FrameKind::Ping, 0);
}

/// Queues the answer to a ping.
pub fn encode_pong(out: &mut Outgoing) {
    encode_empty(out, FrameKind::Pong, 0);
}

fn encode_empty(out: &mut Outgoing, kind: FrameKind, request_id: u64) {
    let mut header = [0; FRAME_HEADER_BYTES];
    frame::seal(&mut header, kind, request_id, std::iter::empty(), 0);
    out.tail().extend_from_slice(&header);
}

/// One frame being queued.
struct Frame<'a> {
    out: &'a mut Outgoing,
    kind: FrameKind,
    request_id: u64,
    limits: FrameLimits,
}

impl Frame<'_> {
    /// A body in MessagePack.
    fn packed(self, message: &impl Serialize) -> Result<(), FrameError> {
        let kind = self.kind;
        self.with_parts(
            |head| {
                let mut packer = rmp_serde::Serializer::new(head.writer());
                message.serialize(&mut packer).map_err(|error| FrameError::malformed(kind, error))
            },
            std::iter::empty,
        )
    }

    /// A body that `put_head` begins and `parts` end, all of it under the frame's checksum.
    fn with_parts<'p, I: Iterator<Item = &'p Bytes> + Clone>(
        self,
        put_head: impl FnOnce(&mut BytesMut) -> Result<(), FrameError>,
        parts: impl Fn() -> I,
    ) -> Result<(), FrameError> {
        let Self { kind, request_id, .. } = self;
        let rest = parts().map(Bytes::len).sum();
        self.put(put_head, rest, |head| {
            frame::seal(head, kind, request_id, parts().map(|part| &part[..]), 0);
        })
        .map(|out| parts().for_each(|part| out.append(part)))
    }

    fn append_entries(self, append: &AppendEntries) -> Result<(), FrameError> {
        let Self { kind, request_id, .. } = self;
        let entries = append.entries.bytes_len();
        let out = self.put(
            |head| {
                for number in
                    [append.term.get(), append.prev.term.get(), append.prev.index.get(), append.commit.get()]
                {
                    head.put_u64_le(number);
                }
                put_id(head, kind, &append.leader)
            },
            entries,
            |head| frame::seal(head, kind, request_id, std::iter::empty(), entries),
        )?;
        append.entries.batches().iter().for_each(|batch| out.append(batch.bytes()));
        Ok(())
    }
}

impl<'a> Frame<'a> {
    /// Puts the header and the head of a body that `rest` more bytes will follow; nothing if it fails.
    fn put(
        self,
        put_head: impl FnOnce(&mut BytesMut) -> Result<(), FrameError>,
        rest: usize,
        seal: impl FnOnce(&mut [u8]),
    ) -> Result<&'a mut Outgoing, FrameError> {
        let Self { out, kind, limits, .. } = self;
        let tail = out.tail();
        let start = tail.len();
        tail.put_bytes(0, FRAME_HEADER_BYTES);
        let fits =
            put_head(tail).and_then(|()| limits.check(kind, tail.len() - start - FRAME_HEADER_BYTES + rest));
        if let Err(error) = fits {
            tail.truncate(start);
            return Err(error);
        }
        seal(&mut tail[start..]);
        Ok(out)
    }
}
