//! One record: a header that is bound to its place in the stream, and a payload.
//!
//! ```text
//!  0  u32  checksum: crc32c of the segment's id, the record's offset in the file (u64 each), bytes 4 .. 32
//!  4  u32  crc32c of the payload
//!  8  u64  sequence number: one more than the record before, in whatever segment that is
//! 16  u32  payload length in bytes
//! 20  u16  0x4c57 ("WL")
//! 22  u8   kind
//! 23  u8   flags (bit 0: copied by recovery)
//! 24  u64  index of the first entry; zero unless entries
//! 32       payload, zeros up to a multiple of 8
//! ```
//!
//! Because the checksum covers id, offset and sequence number, nothing is a record but what was
//! written for this very place: not a segment's former life, not a block that landed elsewhere.

use crate::{known_bug::KnownBug, types::LogIndex};

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 32;
/// Records start at multiples of this.
pub(super) const ALIGN: usize = 8;
/// Set on records that recovery wrote anew: they prove nothing about a leader.
pub(super) const FLAG_COPIED: u8 = 1;
const MAGIC: u16 = 0x4c57;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The state at the start of a segment, and what comes before it.
    Head = 1,
    /// An `EntryBatch` as it is.
    Entries = 2,
    /// Term and vote.
    Vote = 3,
    /// Everything from an index on is removed.
    Truncate = 4,
    /// Everything up to a base is removed.
    Purge = 5,
    /// Everything is removed.
    Reset = 6,
    /// The end of a flush.
    Commit = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Head,
            2 => Self::Entries,
            3 => Self::Vote,
            4 => Self::Truncate,
            5 => Self::Purge,
            6 => Self::Reset,
            7 => Self::Commit,
            _ => return None,
        })
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) first: LogIndex,
    pub(super) payload_bytes: u32,
    pub(super) payload_checksum: u32,
}

/// The length of a record with `payload` bytes.
pub(super) const fn len(payload: usize) -> usize {
    HEADER_BYTES + payload.next_multiple_of(ALIGN)
}

/// A header for `payload`.
pub(super) fn header(sequence: u64, kind: Kind, flags: u8, first: LogIndex, payload: &[u8]) -> Header {
    let payload_bytes = u32::try_from(payload.len()).expect("checked when the record was admitted");
    Header { sequence, kind, flags, first, payload_bytes, payload_checksum: crc32c::crc32c(payload) }
}

impl Header {
    /// Its bytes at `offset` of the segment `segment`.
    pub(super) fn encode(&self, segment: u64, offset: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[4..8].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[20..22].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[22] = self.kind as u8;
        bytes[23] = self.flags;
        bytes[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        let checksum = checksum(segment, offset, &bytes);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header that starts `bytes`; `None` if there is none for this place.
    pub(super) fn decode(bytes: &[u8], segment: u64, offset: u64) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if u16::from_le_bytes([bytes[20], bytes[21]]) != MAGIC {
            return None;
        }
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        // No stream is that long: what follows may count on without overflow.
        if u64_at(8) > u64::MAX / 2 || u32_at(0) != checksum(segment, offset, bytes) {
            return None;
        }
        Some(Self {
            sequence: u64_at(8),
            kind: Kind::from_byte(bytes[22])?,
            flags: bytes[23],
            first: LogIndex(u64_at(24)),
            payload_bytes: u32_at(16),
            payload_checksum: u32_at(4),
        })
    }

    /// Where the payload lies in `bytes`, which start with this header, if it is whole.
    pub(super) fn payload(&self, bytes: &[u8]) -> Option<std::ops::Range<usize>> {
        let end = HEADER_BYTES.checked_add(self.payload_bytes as usize)?;
        let payload = bytes.get(HEADER_BYTES..end)?;
        (crc32c::crc32c(payload) == self.payload_checksum).then_some(HEADER_BYTES..end)
    }
}

fn checksum(segment: u64, offset: u64, header: &[u8; HEADER_BYTES]) -> u32 {
    let segment = if KnownBug::SegmentIdNotChecked.is_back() { 0 } else { segment };
    let mut place = [0; 16];
    place[..8].copy_from_slice(&segment.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), &header[4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_only_in_its_place() {
        let some = header(7, Kind::Entries, 0, LogIndex(3), b"payload");
        let mut bytes = some.encode(11, 4096).to_vec();
        bytes.extend_from_slice(b"payload");
        assert_eq!(Header::decode(&bytes, 11, 4096), Some(some));
        assert_eq!(some.payload(&bytes), Some(32..39));
        assert_eq!(Header::decode(&bytes, 12, 4096), None);
        assert_eq!(Header::decode(&bytes, 11, 4104), None);
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped, 11, 4096), None, "bit {bit}");
        }
        assert_eq!(some.payload(&bytes[..38]), None);
    }
}
