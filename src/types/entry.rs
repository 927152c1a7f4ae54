//! Log entries, encoded once: the log, every follower's socket and the state machine read slices of
//! the same buffer.
//!
//! ```text
//!  0  u32  checksum: crc32c of bytes 4 .. 32 + variable part
//!  4  u32  data length in bytes
//!  8  u64  index
//! 16  u64  term
//! 24  u8   kind            25  u8  flags (bit 0: stamped)     26  u16  zero
//! 28  u32  extensions length in bytes
//! 32       [i64 appended-at, Unix ns, if stamped]  extensions  data  zeros up to a multiple of 8
//! ```
//!
//! Little-endian. The checksum is made where the entry gets its index and is checked again wherever
//! the entry enters from a socket or a file. Extensions are what Go nodes carry; the time too, and entries of client
//! sessions.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::{LogId, LogIndex, Term};

mod buffer;
mod entries;

pub use buffer::EntryBuffer;
pub use entries::Entries;

/// Bytes before an entry's variable part.
pub const ENTRY_HEADER_BYTES: usize = 32;
const ALIGN: usize = 8;
const FLAG_STAMPED: u8 = 1;
/// Bytes of the time in a stamped entry.
const STAMP_BYTES: usize = 8;

/// What an entry is for. The numbers up to 5 are hashicorp/raft's `LogType`; those it does not know begin at 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// A command of the state machine.
    Command = 0,
    /// Nothing: a new leader's first entry, so that it may commit (Raft §8).
    Noop = 1,
    /// Nothing, but answered when everything before it is applied.
    Barrier = 4,
    /// A [`Membership`](super::Membership).
    Configuration = 5,
    /// A client begins a session (thesis §6.3): [`SessionLimits`](super::SessionLimits). Stamped.
    OpenSession = 64,
    /// A command of a session: a [`SessionCommand`](super::SessionCommand). Stamped.
    SessionCommand = 65,
    /// A client ends its session: the [`SessionId`](super::SessionId), a u64. Stamped.
    CloseSession = 66,
    /// A piece of a snapshot that is to replace the whole state: a [`RestorePiece`](super::RestorePiece).
    RestorePiece = 67,
}

impl EntryKind {
    /// The kind with this number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Command),
            1 => Some(Self::Noop),
            4 => Some(Self::Barrier),
            5 => Some(Self::Configuration),
            64 => Some(Self::OpenSession),
            65 => Some(Self::SessionCommand),
            66 => Some(Self::CloseSession),
            67 => Some(Self::RestorePiece),
            _ => None,
        }
    }

    /// Whether the leader writes the time into such an entry when it appends it. What depends on time must come
    /// out the same on every node, so it depends on what stands in the log alone.
    pub const fn is_stamped(self) -> bool {
        matches!(self, Self::OpenSession | Self::SessionCommand | Self::CloseSession)
    }
}

/// One entry, borrowed from its encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Its index.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// What it is for.
    pub kind: EntryKind,
    /// When the leader appended it, Unix nanoseconds; `None` if it was not stamped.
    pub appended_at_ns: Option<i64>,
    /// Opaque bytes beside the data (Go's `Extensions`).
    pub extensions: &'a [u8],
    /// The command, or the membership.
    pub data: &'a [u8],
}

impl EntryRef<'_> {
    /// Its position.
    pub fn id(&self) -> LogId {
        LogId::new(self.term, self.index)
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {} B", self.id(), self.kind, self.data.len())
    }
}

/// Why bytes are not a run of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("entry at byte {offset}: {what}")]
pub struct EntryDamage {
    /// Where in the buffer the offending entry starts.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A contiguous run of encoded entries in one buffer. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryBatch {
    bytes: Bytes,
    first: LogIndex,
    count: u64,
    first_term: Term,
    last_term: Term,
    /// Whether one of them is a [`EntryKind::Configuration`], so that whoever looks for memberships need not look at
    /// every entry to find none.
    configures: bool,
}

impl EntryBatch {
    /// Takes over bytes from a socket or a file after checking every entry: checksum, lengths, kinds,
    /// indexes without a gap, terms that never fall.
    ///
    /// # Errors
    /// Names the first entry that is not one. Empty input is refused too.
    pub fn verify(bytes: Bytes) -> Result<Self, EntryDamage> {
        let mut offset = 0;
        let mut batch: Option<(LogIndex, Term, Term, u64)> = None;
        let mut configures = false;
        while offset < bytes.len() {
            let damaged = |what| EntryDamage { offset, what };
            let header = header_at(&bytes, offset).ok_or(damaged("shorter than a header"))?;
            let length = entry_len(&bytes, offset).ok_or(damaged("shorter than it says"))?;
            let body = ENTRY_HEADER_BYTES + variable_len(header);
            if crc32c::crc32c(&bytes[offset + 4..offset + body]) != u32_in(header, 0) {
                return Err(damaged("checksum"));
            }
            // No checksum covers it, and logs are compared byte by byte.
            if bytes[offset + body..offset + length].iter().any(|byte| *byte != 0) {
                return Err(damaged("padding that is not zero"));
            }
            let (entry, _) = parse(&bytes, offset).ok_or(damaged("unknown kind or flags"))?;
            configures |= entry.kind == EntryKind::Configuration;
            batch = Some(match batch {
                None => (entry.index, entry.term, entry.term, 1),
                Some((first, first_term, last_term, count)) => {
                    if Some(entry.index.0) != first.0.checked_add(count) {
                        return Err(damaged("index out of order"));
                    }
                    if entry.term < last_term {
                        return Err(damaged("term falls"));
                    }
                    (first, first_term, entry.term, count + 1)
                }
            });
            offset += length;
        }
        let (first, first_term, last_term, count) =
            batch.ok_or(EntryDamage { offset: 0, what: "no entry" })?;
        if first == LogIndex::ZERO || first.0.checked_add(count).is_none() {
            return Err(EntryDamage { offset: 0, what: "index out of range" });
        }
        Ok(Self { bytes, first, count, first_term, last_term, configures })
    }

    /// The encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a batch has at least one entry, unless it was sealed from nothing.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many entries it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Index of the first entry.
    pub fn first(&self) -> LogIndex {
        self.first
    }

    /// Index of the last entry.
    pub fn last(&self) -> LogIndex {
        LogIndex(self.first.0 + self.count.saturating_sub(1))
    }

    /// Term of the first entry.
    pub fn first_term(&self) -> Term {
        self.first_term
    }

    /// Term of the last entry.
    pub fn last_term(&self) -> Term {
        self.last_term
    }

    /// Position of the last entry.
    pub fn last_id(&self) -> LogId {
        LogId::new(self.last_term, self.last())
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            let (entry, end) = parse(&self.bytes, offset)?;
            offset = end;
            Some(entry)
        })
    }

    /// The memberships among the entries, encoded.
    pub fn configurations(&self) -> impl Iterator<Item = EntryRef<'_>> {
        let entries = self.configures.then(|| self.iter());
        entries.into_iter().flatten().filter(|entry| entry.kind == EntryKind::Configuration)
    }

    /// The entries of `[first, last]` that it holds, as a slice of the same buffer; `None` if it holds
    /// none of them.
    pub fn slice(&self, first: LogIndex, last: LogIndex) -> Option<Self> {
        let first = first.max(self.first);
        let last = last.min(self.last());
        if first > last || self.count == 0 {
            return None;
        }
        if first == self.first && last == self.last() {
            return Some(self.clone());
        }
        let mut start = 0;
        let mut end = 0;
        let mut terms = (self.first_term, self.last_term);
        let mut configures = false;
        for index in self.first.0..=last.0 {
            let (entry, behind) = parse(&self.bytes, end)?;
            if index == first.0 {
                start = end;
                terms.0 = entry.term;
            }
            configures |= index >= first.0 && entry.kind == EntryKind::Configuration;
            terms.1 = entry.term;
            end = behind;
        }
        Some(Self {
            bytes: self.bytes.slice(start..end),
            first,
            count: last.since(first) + 1,
            first_term: terms.0,
            last_term: terms.1,
            configures,
        })
    }

    /// The longest front part of at most `bytes_max`, but at least one entry.
    pub fn prefix(&self, bytes_max: usize) -> Self {
        if self.len() <= bytes_max {
            return self.clone();
        }
        let mut offset = entry_len(&self.bytes, 0).unwrap_or(self.len());
        let mut last = self.first;
        while let Some(length) = entry_len(&self.bytes, offset) {
            if offset + length > bytes_max {
                break;
            }
            offset += length;
            last = last.next();
        }
        self.slice(self.first, last).unwrap_or_else(|| self.clone())
    }
}

impl fmt::Debug for EntryBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}..={} t{} {} B]", self.first, self.last(), self.last_term, self.len())
    }
}

const fn padding(length: usize) -> usize {
    length.wrapping_neg() % ALIGN
}

/// The header of the entry at `offset`, if all of it lies within `bytes`.
fn header_at(bytes: &[u8], offset: usize) -> Option<&[u8; ENTRY_HEADER_BYTES]> {
    bytes.get(offset..)?.first_chunk()
}

fn u32_in(header: &[u8; ENTRY_HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn u64_in(header: &[u8; ENTRY_HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_in(header, at)) | u64::from(u32_in(header, at + 4)) << 32
}

/// Length of the part behind the header, without padding.
fn variable_len(header: &[u8; ENTRY_HEADER_BYTES]) -> usize {
    let stamped = if header[25] & FLAG_STAMPED != 0 { STAMP_BYTES } else { 0 };
    u32_in(header, 4) as usize + u32_in(header, 28) as usize + stamped
}

/// Length of the whole entry with its padding, if it lies within `bytes`.
fn entry_len(bytes: &[u8], offset: usize) -> Option<usize> {
    let variable = variable_len(header_at(bytes, offset)?);
    let length = ENTRY_HEADER_BYTES + variable + padding(variable);
    (offset.checked_add(length)? <= bytes.len()).then_some(length)
}

/// The entry at `offset`, and where it ends with its padding.
fn parse(bytes: &[u8], offset: usize) -> Option<(EntryRef<'_>, usize)> {
    let header = header_at(bytes, offset)?;
    let flags = header[25];
    if flags & !FLAG_STAMPED != 0 {
        return None;
    }
    let kind = EntryKind::from_byte(header[24])?;
    let end = offset + entry_len(bytes, offset)?;
    let variable = &bytes[offset + ENTRY_HEADER_BYTES..end];
    let (stamp, variable) = variable.split_at(if flags & FLAG_STAMPED != 0 { STAMP_BYTES } else { 0 });
    let (extensions, variable) = variable.split_at(u32_in(header, 28) as usize);
    let entry = EntryRef {
        index: LogIndex(u64_in(header, 8)),
        term: Term(u64_in(header, 16)),
        kind,
        appended_at_ns: stamp.first_chunk().map(|stamp| i64::from_le_bytes(*stamp)),
        extensions,
        data: &variable[..u32_in(header, 4) as usize],
    };
    Some((entry, end))
}

#[cfg(test)]
mod tests;
