//! A snapshot on its way through the log, to replace the state of every node: what the data of its entries is.
//!
//! ```text
//!  0  u64  restore: which one, unlike any other of the same term
//!  8  u64  offset of these bytes, or all ones: the restore is given up
//! 16  u64  length of the whole
//! 24  u32  crc32c of the whole
//! 28       bytes
//! ```
//!
//! Little-endian. The bytes of all pieces, one behind the other, are what [`StateMachine::restore`](crate::StateMachine::restore)
//! reads.

/// Bytes before the piece itself.
const HEADER_BYTES: usize = 28;
/// The offset that no byte has.
const NOWHERE: u64 = u64::MAX;

/// One piece, borrowed from the data of its entry.
///
/// Each says what the whole is, so that any of them can be told from a piece of another snapshot; the last is the one
/// that ends where the whole does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestorePiece<'a> {
    /// Which restore it belongs to, of those that the leader of one term began.
    pub restore: u64,
    /// Where in the snapshot its bytes stand.
    pub offset: u64,
    /// Length of the whole snapshot in bytes.
    pub length: u64,
    /// crc32c of the whole snapshot.
    pub checksum: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl<'a> RestorePiece<'a> {
    /// Bytes before the piece itself.
    pub const HEADER_BYTES: usize = HEADER_BYTES;

    /// What tells every node that a restore is given up: it stands nowhere, so it continues nothing.
    pub const fn given_up(restore: u64) -> Self {
        Self { restore, offset: NOWHERE, length: 0, checksum: 0, bytes: &[] }
    }

    /// Whether it is the last one.
    pub fn is_last(&self) -> bool {
        self.end() == Some(self.length)
    }

    /// Where its bytes end; `None` if there is no such place.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.bytes.len() as u64)
    }

    /// What stands before the bytes.
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&self.restore.to_le_bytes());
        header[8..16].copy_from_slice(&self.offset.to_le_bytes());
        header[16..24].copy_from_slice(&self.length.to_le_bytes());
        header[24..].copy_from_slice(&self.checksum.to_le_bytes());
        header
    }

    /// Reads the data of an entry; `None` if it is too short.
    pub fn decode(data: &'a [u8]) -> Option<Self> {
        let (restore, rest) = data.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (checksum, bytes) = rest.split_first_chunk()?;
        Some(Self {
            restore: u64::from_le_bytes(*restore),
            offset: u64::from_le_bytes(*offset),
            length: u64::from_le_bytes(*length),
            checksum: u32::from_le_bytes(*checksum),
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_shorter_is() {
        let piece = RestorePiece { restore: 7, offset: 3, length: 8, checksum: 0xfeed, bytes: b"state" };
        let mut data = piece.header().to_vec();
        data.extend_from_slice(piece.bytes);
        assert_eq!(RestorePiece::decode(&data), Some(piece));
        assert!(piece.is_last());
        for end in 0..RestorePiece::HEADER_BYTES {
            assert_eq!(RestorePiece::decode(&data[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn what_gives_a_restore_up_is_the_last_piece_of_nothing() {
        assert!(!RestorePiece::given_up(7).is_last());
    }
}
