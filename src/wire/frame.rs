//! The frame header: what is coming, how much of it, and whether that is allowed at all.
//!
//! ```text
//!  0  u32  body: bytes behind this header
//!  4  u8   kind
//!  5  u8   flags, zero               6  u16  zero
//!  8  u64  request id, chosen by the asking side and repeated in the answer
//! 16  u32  covered: how many bytes of the body the checksum covers
//! 20  u32  checksum: crc32c of bytes 0 .. 20 and of the covered part of the body
//! ```
//!
//! Little-endian. Everything but entries is covered; entries have a checksum each.

use thiserror::Error;

use crate::types::{EntryDamage, Request, Response};

/// Bytes before a frame's body.
pub const FRAME_HEADER_BYTES: usize = 24;
/// Where the checksum lies; it covers what is before.
const CHECKSUM_AT: usize = 20;
/// The largest body of a small message: a vote, a heartbeat, an acknowledgement.
const SMALL_BYTES_MAX: usize = 1024;
/// The largest limit that can be set: lengths have 32 bits, and memory has an end.
const FRAME_BYTES_CEILING: usize = 1 << 30;
/// The largest answer to a greeting: a membership of 255 servers.
const GREETING_BYTES_MAX: usize = 256 * 1024;
/// The largest piece of a snapshot, with its description: a membership of 255 servers.
const SNAPSHOT_BYTES_MAX: usize = (4 << 20) + (256 << 10);

/// What a frame carries. Answers have the number of their request with the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the message of the same name")]
pub enum FrameKind {
    Ping = 0x00,
    AppendEntries = 0x01,
    Heartbeat = 0x02,
    PreVote = 0x03,
    RequestVote = 0x04,
    TimeoutNow = 0x05,
    Greet = 0x06,
    ForwardApply = 0x07,
    ForwardReadIndex = 0x08,
    ForwardChange = 0x09,
    ForwardTransfer = 0x0b,
    InstallSnapshot = 0x0a,
    Pong = 0x80,
    AppendEntriesResponse = 0x81,
    HeartbeatResponse = 0x82,
    PreVoteResponse = 0x83,
    RequestVoteResponse = 0x84,
    TimeoutNowResponse = 0x85,
    GreetResponse = 0x86,
    ForwardApplyResponse = 0x87,
    ForwardReadIndexResponse = 0x88,
    ForwardChangeResponse = 0x89,
    ForwardTransferResponse = 0x8b,
    InstallSnapshotResponse = 0x8a,
    Dropped = 0xff,
}

impl FrameKind {
    const ALL: [Self; 25] = [
        Self::Ping,
        Self::AppendEntries,
        Self::Heartbeat,
        Self::PreVote,
        Self::RequestVote,
        Self::TimeoutNow,
        Self::Greet,
        Self::ForwardApply,
        Self::ForwardReadIndex,
        Self::ForwardChange,
        Self::ForwardTransfer,
        Self::InstallSnapshot,
        Self::Pong,
        Self::AppendEntriesResponse,
        Self::HeartbeatResponse,
        Self::PreVoteResponse,
        Self::RequestVoteResponse,
        Self::TimeoutNowResponse,
        Self::GreetResponse,
        Self::ForwardApplyResponse,
        Self::ForwardReadIndexResponse,
        Self::ForwardChangeResponse,
        Self::ForwardTransferResponse,
        Self::InstallSnapshotResponse,
        Self::Dropped,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// What a request travels as.
    pub fn of_request(request: &Request) -> Self {
        match request {
            Request::AppendEntries(_) => Self::AppendEntries,
            Request::Heartbeat(_) => Self::Heartbeat,
            Request::PreVote(_) => Self::PreVote,
            Request::RequestVote(_) => Self::RequestVote,
            Request::TimeoutNow(_) => Self::TimeoutNow,
            Request::Greet(_) => Self::Greet,
            Request::ForwardApply(_) => Self::ForwardApply,
            Request::ForwardReadIndex(_) => Self::ForwardReadIndex,
            Request::ForwardChange(_) => Self::ForwardChange,
            Request::ForwardTransfer(_) => Self::ForwardTransfer,
            Request::InstallSnapshot(_) => Self::InstallSnapshot,
        }
    }

    /// What a response travels as.
    pub fn of_response(response: &Response) -> Self {
        match response {
            Response::AppendEntries(_) => Self::AppendEntriesResponse,
            Response::Heartbeat(_) => Self::HeartbeatResponse,
            Response::PreVote(_) => Self::PreVoteResponse,
            Response::RequestVote(_) => Self::RequestVoteResponse,
            Response::TimeoutNow(_) => Self::TimeoutNowResponse,
            Response::Greet(_) => Self::GreetResponse,
            Response::ForwardApply(_) => Self::ForwardApplyResponse,
            Response::ForwardReadIndex(_) => Self::ForwardReadIndexResponse,
            Response::ForwardChange(_) => Self::ForwardChangeResponse,
            Response::ForwardTransfer(_) => Self::ForwardTransferResponse,
            Response::InstallSnapshot(_) => Self::InstallSnapshotResponse,
        }
    }

    /// Whether this answers a request of the kind `request`.
    pub fn answers(self, request: Self) -> bool {
        self as u8 == request as u8 | 0x80
    }
}

/// How large frames may be. All nodes of a cluster must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The largest body of entries or of forwarded commands, in bytes; 1 GiB is taken if it is more.
    pub frame_bytes_max: usize,
}

impl Default for FrameLimits {
    /// 8 MiB.
    fn default() -> Self {
        Self { frame_bytes_max: 8 << 20 }
    }
}

impl FrameLimits {
    /// The largest body of a frame of this kind, in bytes.
    pub fn body_bytes_max(self, kind: FrameKind) -> usize {
        use FrameKind::*;
        match kind {
            Ping | Pong | Dropped => 0,
            AppendEntries | ForwardApply | ForwardApplyResponse => {
                self.frame_bytes_max.min(FRAME_BYTES_CEILING)
            }
            InstallSnapshot => SNAPSHOT_BYTES_MAX.min(self.frame_bytes_max.min(FRAME_BYTES_CEILING)),
            GreetResponse => GREETING_BYTES_MAX,
            _ => SMALL_BYTES_MAX,
        }
    }

    pub(super) fn check(self, kind: FrameKind, bytes: usize) -> Result<(), FrameError> {
        let bytes_max = self.body_bytes_max(kind);
        if bytes > bytes_max {
            return Err(FrameError::TooLarge { kind, bytes, bytes_max });
        }
        Ok(())
    }
}

/// Why bytes are not a frame, or a message not one that can be sent. A stream with one is beyond repair.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Larger than the limit of its kind.
    #[error("{kind:?} of {bytes} B is larger than {bytes_max} B")]
    TooLarge {
        /// What it is.
        kind: FrameKind,
        /// How large, in bytes.
        bytes: usize,
        /// How large it may be, in bytes.
        bytes_max: usize,
    },
    /// No kind of frame has this number, or it has flags that nobody defined.
    #[error("unknown kind of frame {0:#04x}")]
    UnknownKind(u8),
    /// The checksum is another.
    #[error("{0:?} with a wrong checksum")]
    Checksum(FrameKind),
    /// The body is not what its kind says.
    #[error("malformed {kind:?}: {what}")]
    Malformed {
        /// What it should be.
        kind: FrameKind,
        /// What is wrong.
        what: String,
    },
    /// The entries are damaged.
    #[error("damaged entries: {0}")]
    Entries(#[from] EntryDamage),
}

impl FrameError {
    pub(super) fn malformed(kind: FrameKind, what: impl ToString) -> Self {
        Self::Malformed { kind, what: what.to_string() }
    }
}

/// A header that has been checked against the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    pub(super) body: usize,
    pub(super) covered: usize,
    pub(super) request_id: u64,
    checksum: u32,
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`; `None` if it has not all arrived.
    pub(super) fn read(bytes: &[u8], limits: FrameLimits) -> Result<Option<Self>, FrameError> {
        let Some((header, _)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
        let u32_at =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let kind = FrameKind::from_byte(header[4]).ok_or(FrameError::UnknownKind(header[4]))?;
        if header[5..8] != [0; 3] {
            return Err(FrameError::UnknownKind(header[4]));
        }
        let (body, covered) = (u32_at(0) as usize, u32_at(16) as usize);
        limits.check(kind, body)?;
        // Only entries bring checksums of their own.
        if covered > body || (covered < body && kind != FrameKind::AppendEntries) {
            return Err(FrameError::malformed(kind, "checksum over another length"));
        }
        let request_id = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        Ok(Some(Self { kind, body, covered, request_id, checksum: u32_at(CHECKSUM_AT) }))
    }

    /// How many bytes of the frame have not arrived.
    fn missing(&self, arrived: usize) -> usize {
        (FRAME_HEADER_BYTES + self.body).saturating_sub(arrived)
    }

    /// Checks the frame at the front of `bytes`, which has arrived whole.
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<(), FrameError> {
        let covered = &bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + self.covered];
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..CHECKSUM_AT]), covered);
        if checksum == self.checksum { Ok(()) } else { Err(FrameError::Checksum(self.kind)) }
    }
}

/// How many bytes the frame at the front of `bytes` still lacks; zero while its header is not whole.
///
/// # Errors
/// As [`decode`](super::decode()) would say of the header.
pub fn bytes_missing(bytes: &[u8], limits: FrameLimits) -> Result<usize, FrameError> {
    Ok(FrameHeader::read(bytes, limits)?.map_or(0, |header| header.missing(bytes.len())))
}

/// Fills in the header in front of `head`, which begins with room for it, for a body that goes on with
/// `rest` bytes in the pieces `covered_rest`, which the checksum covers, and `entries` bytes it does not.
pub(super) fn seal<'a>(
    head: &mut [u8],
    kind: FrameKind,
    request_id: u64,
    covered_rest: impl Iterator<Item = &'a [u8]> + Clone,
    entries: usize,
) {
    let covered = head.len() - FRAME_HEADER_BYTES + covered_rest.clone().map(<[u8]>::len).sum::<usize>();
    head[..4].copy_from_slice(&((covered + entries) as u32).to_le_bytes());
    head[4..8].copy_from_slice(&[kind as u8, 0, 0, 0]);
    head[8..16].copy_from_slice(&request_id.to_le_bytes());
    head[16..20].copy_from_slice(&(covered as u32).to_le_bytes());
    let mut checksum = crc32c::crc32c(&head[..CHECKSUM_AT]);
    checksum = crc32c::crc32c_append(checksum, &head[FRAME_HEADER_BYTES..]);
    for piece in covered_rest {
        checksum = crc32c::crc32c_append(checksum, piece);
    }
    head[CHECKSUM_AT..FRAME_HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
}
