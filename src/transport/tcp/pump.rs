//! Moves frames between one socket and one [`Handler`]: everything queued in as few writes as possible,
//! everything read delivered before the next read. Owns the read buffer; knows no peer and no request.

use std::{collections::VecDeque, io::IoSlice, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{Closed, outbox::Outbox};
use crate::wire::{self, FrameKind, FrameLimits, Message};

/// How many pieces one write takes.
const PIECES_MAX: usize = 64;
/// The room a read is given at least.
const READ_BYTES_MIN: usize = 4 * 1024;
/// The room a read is given where reads keep filling it. Nothing that a peer only announces takes more.
const READ_BYTES_MAX: usize = 256 * 1024;

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
    mut stream: TcpStream,
    outbox: &Outbox,
    limits: FrameLimits,
    beat: Duration,
    handler: &mut impl Handler,
) -> Closed {
    match run(&mut stream, outbox, limits, beat, handler).await {
        Ok(never) => match never {},
        Err(closed) => closed,
    }
}

async fn run(
    stream: &mut TcpStream,
    outbox: &Outbox,
    limits: FrameLimits,
    beat: Duration,
    handler: &mut impl Handler,
) -> Result<std::convert::Infallible, Closed> {
    let (mut reader, mut writer) = stream.split();
    let mut inbox = Inbox { bytes: BytesMut::new(), chunk: READ_BYTES_MIN, limits };
    let mut pieces = VecDeque::new();
    let mut quiet = 0;
    let mut beats = interval_at(Instant::now() + beat, beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // What waits is taken only when all before it is written, so that the outbox knows how full it is.
        let open = if pieces.is_empty() { outbox.take(&mut pieces) } else { outbox.is_open() };
        if !open {
            return Err(Closed::Stopped);
        }
        let may_read = handler.may_read();
        if may_read {
            inbox.make_room()?;
        }
        tokio::select! {
            biased;
            _ = beats.tick() => {
                handler.beat(quiet)?;
                quiet += 1;
            }
            written = write_some(&mut writer, &pieces), if !pieces.is_empty() => {
                let written = written?;
                outbox.wrote(written);
                advance(&mut pieces, written);
            }
            read = reader.read_buf(&mut inbox.bytes), if may_read => {
                if read? == 0 {
                    return Err(Closed::ByPeer);
                }
                quiet = 0;
                inbox.deliver(outbox, handler)?;
            }
            () = outbox.changed() => {}
        }
    }
}

/// What was read and is not yet a whole frame.
struct Inbox {
    bytes: BytesMut,
    /// How much room the next buffer gets: grows while reads fill it.
    chunk: usize,
    limits: FrameLimits,
}

impl Inbox {
    /// Makes room for a read. However much a frame announces, no more is reserved than has arrived of it,
    /// or [`READ_BYTES_MAX`].
    fn make_room(&mut self) -> Result<(), Closed> {
        let spare = self.bytes.capacity() - self.bytes.len();
        let missing = wire::bytes_missing(&self.bytes, self.limits)?;
        let needed = missing.clamp(READ_BYTES_MIN, self.bytes.len().max(READ_BYTES_MAX));
        if spare < needed {
            self.bytes.reserve(needed.max(self.chunk));
        }
        Ok(())
    }

    fn deliver(&mut self, outbox: &Outbox, handler: &mut impl Handler) -> Result<(), Closed> {
        if self.bytes.len() == self.bytes.capacity() {
            self.chunk = (self.chunk * 2).min(READ_BYTES_MAX);
        }
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

async fn write_some(
    writer: &mut (impl AsyncWrite + Unpin),
    pieces: &VecDeque<Bytes>,
) -> std::io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PIECES_MAX];
    let count = pieces.len().min(PIECES_MAX);
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
    }
    match writer.write_vectored(&slices[..count]).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
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

    #[test]
    fn a_partial_write_leaves_just_what_was_not_written() {
        for written in 0..=6 {
            let mut pieces = VecDeque::from(["ab", "", "cde", "f"].map(Bytes::from));
            advance(&mut pieces, written);
            assert_eq!(pieces.into_iter().flatten().collect::<Vec<_>>(), b"abcdef"[written..]);
        }
    }
}
