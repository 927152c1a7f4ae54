//! Moves frames between one socket and one [`Handler`]: everything queued in as few writes as possible,
//! everything read delivered before the next read. Owns the read buffer; knows no peer and no request.
//!
//! Whatever wakes it, it does all that can be done before it sleeps, in one poll: two system calls for a request
//! and its answer, a write and a read.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{Closed, outbox::Outbox};
use crate::wire::{self, FrameKind, FrameLimits, Message};

/// How many pieces one write takes.
const PIECES_MAX: usize = 64;
/// The first buffer that is read into.
const READ_BYTES_MIN: usize = 4 * 1024;
/// The largest, where many are used up: several frames of a busy leader, since a frame that begins in one buffer and
/// does not end in it is copied to the next. Nothing that a peer only announces takes more.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// A buffer is used up when less than this part of it is left: entries keep the buffer they came in, so what is
/// left unused is lost as long as they are kept.
const READ_ROOM_MIN: usize = 16;

/// One side of a connection.
pub(super) trait Handler {
    /// A frame arrived that is no ping and no pong.
    fn message(&mut self, request_id: u64, kind: FrameKind, message: Message) -> Result<(), Closed>;

    /// Whether there is room for what a read may bring. Asked again after each answer.
    fn may_read(&self) -> bool;

    /// Called once a beat; for `quiet` whole beats nothing has arrived.
    fn beat(&mut self, quiet: u32) -> Result<(), Closed>;
}

/// Runs a connection until it ends, and says why it did.
pub(super) async fn pump(
    stream: TcpStream,
    outbox: &Outbox,
    limits: FrameLimits,
    beat: Duration,
    handler: &mut impl Handler,
) -> Closed {
    let mut beats = interval_at(Instant::now() + beat, beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let inbox = Inbox { bytes: BytesMut::new(), chunk: READ_BYTES_MIN, limits };
    let mut pump = Pump { stream, outbox, handler, inbox, pieces: VecDeque::new(), beats, quiet: 0 };
    match poll_fn(|context| pump.poll(context)).await {
        Ok(never) => match never {},
        Err(closed) => closed,
    }
}

struct Pump<'a, H> {
    stream: TcpStream,
    outbox: &'a Outbox,
    handler: &'a mut H,
    inbox: Inbox,
    /// Taken from the outbox and not written.
    pieces: VecDeque<Bytes>,
    beats: Interval,
    /// Beats since something arrived.
    quiet: u32,
}

impl<H: Handler> Pump<'_, H> {
    /// Beats, writes and reads until nothing of it can be done at once.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Infallible, Closed>> {
        while self.beats.poll_tick(context).is_ready() {
            self.handler.beat(self.quiet)?;
            self.quiet += 1;
        }
        loop {
            if !self.outbox.take(&mut self.pieces, context.waker()) {
                return Poll::Ready(Err(Closed::Stopped));
            }
            let wrote = self.poll_write(context)?.is_ready();
            let read = self.poll_read(context)?.is_ready();
            if !wrote && !read {
                return Poll::Pending;
            }
        }
    }

    /// One write of what was taken; pending if there is nothing or the socket is full.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if self.pieces.is_empty() {
            return Poll::Pending;
        }
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let count = self.pieces.len().min(PIECES_MAX);
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
        }
        self.outbox.wrote(written);
        advance(&mut self.pieces, written);
        Poll::Ready(Ok(()))
    }

    /// One read, and all that it completes; pending if nothing came or the handler has no room.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if !self.handler.may_read() {
            return Poll::Pending;
        }
        self.inbox.make_room()?;
        let read = pin!(self.stream.read_buf(&mut self.inbox.bytes));
        if ready!(read.poll(context))? == 0 {
            return Poll::Ready(Err(Closed::ByPeer));
        }
        self.quiet = 0;
        Poll::Ready(self.inbox.deliver(self.outbox, self.handler))
    }
}

/// What was read and is not yet a whole frame.
struct Inbox {
    bytes: BytesMut,
    /// How much room the next buffer gets: grows with each that is used up.
    chunk: usize,
    limits: FrameLimits,
}

impl Inbox {
    /// Makes room for a read. However much a frame announces, no more is reserved than has arrived of it,
    /// or [`READ_BYTES_MAX`].
    fn make_room(&mut self) -> Result<(), Closed> {
        let spare = self.bytes.capacity() - self.bytes.len();
        let missing = wire::bytes_missing(&self.bytes, self.limits)?;
        let needed = missing.clamp(self.chunk / READ_ROOM_MIN, self.bytes.len().max(READ_BYTES_MAX));
        // Where nothing read is kept, as on a lane of answers, the same buffer serves for ever.
        if spare < needed && !self.bytes.try_reclaim(needed) {
            self.bytes.reserve(needed.max(self.chunk));
            self.chunk = (self.chunk * 2).min(READ_BYTES_MAX);
        }
        Ok(())
    }

    fn deliver(&mut self, outbox: &Outbox, handler: &mut impl Handler) -> Result<(), Closed> {
        while let Some((request_id, kind, message)) = wire::decode(&mut self.bytes, self.limits)? {
            match message {
                Message::Ping => queue_pong(outbox),
                Message::Pong => {}
                message => handler.message(request_id, kind, message)?,
            }
        }
        Ok(())
    }
}

/// A pong may be left out where much else waits: that is sign of life enough.
fn queue_pong(outbox: &Outbox) {
    let _ = outbox.push(READ_BYTES_MAX, |out| {
        wire::encode_pong(out);
        Ok(())
    });
}

fn advance(pieces: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(piece) = pieces.front_mut() {
        if piece.len() > written {
            piece.advance(written);
            return;
        }
        written -= piece.len();
        pieces.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_announced_gets_no_room() {
        let limits = FrameLimits::default();
        let mut inbox = Inbox { bytes: BytesMut::new(), chunk: READ_BYTES_MAX, limits };
        let mut header = [0; wire::FRAME_HEADER_BYTES];
        header[..4].copy_from_slice(&(limits.frame_bytes_max as u32).to_le_bytes());
        header[4] = FrameKind::AppendEntries as u8;
        inbox.bytes.extend_from_slice(&header);
        while inbox.bytes.len() < limits.frame_bytes_max {
            inbox.make_room().unwrap();
            let (arrived, room) = (inbox.bytes.len(), inbox.bytes.capacity());
            assert!(room > arrived && room <= 3 * arrived + 2 * READ_BYTES_MAX, "{room} for {arrived}");
            inbox.bytes.resize((arrived * 2).min(room), 0);
        }
        header[3] = 0xff;
        inbox.bytes = header[..].into();
        assert!(matches!(inbox.make_room(), Err(Closed::Frame(_))));
    }

    /// How often an inbox takes a buffer for 5000 frames that come one by one, and how large the next would be.
    fn buffers_for_single_frames(are_kept: bool) -> (usize, usize) {
        let limits = FrameLimits::default();
        let mut inbox = Inbox { bytes: BytesMut::new(), chunk: READ_BYTES_MIN, limits };
        let (mut kept, mut buffers) = (Vec::new(), 0);
        for _ in 0..5000 {
            let end = inbox.bytes.as_ptr_range().end;
            inbox.make_room().unwrap();
            buffers += usize::from(inbox.bytes.as_ptr_range().end != end);
            inbox.bytes.extend_from_slice(&[0; 300]);
            let frame = inbox.bytes.split().freeze();
            if are_kept {
                kept.push(frame);
            }
        }
        (buffers, inbox.chunk)
    }

    #[test]
    fn entries_that_are_kept_fill_the_buffers_they_came_in() {
        let (buffers, next) = buffers_for_single_frames(true);
        assert!(buffers < 10 && next == READ_BYTES_MAX, "{buffers} buffers, then one of {next}");
    }

    #[test]
    fn answers_that_are_dropped_leave_the_first_buffer_as_it_is() {
        let (_, next) = buffers_for_single_frames(false);
        assert_eq!(next, 2 * READ_BYTES_MIN, "one was taken");
    }

    #[test]
    fn a_partial_write_leaves_just_what_was_not_written() {
        for written in 0..=6 {
            let mut pieces = VecDeque::from(["ab", "", "cde", "f"].map(Bytes::from));
            advance(&mut pieces, written);
            assert_eq!(pieces.into_iter().flatten().collect::<Vec<_>>(), b"abcdef"[written..]);
        }
    }
}
