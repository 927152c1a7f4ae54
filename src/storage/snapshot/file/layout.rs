//! A snapshot file by byte, and its names: docs/snapshot.md is the page about it.

use super::super::SnapshotDescription;
use crate::types::{ClusterId, LogId, LogIndex, Membership, Term};

const MAGIC: [u8; 8] = *b"raftix\0\x03";
/// What is written: a header names its cluster.
const VERSION: u32 = 2;
/// What is read as well: a header that names none.
const VERSION_WITHOUT_CLUSTER: u32 = 1;

/// The part of the header that is there in every version.
pub(super) const FIXED_BYTES: usize = 56;
/// Where the cluster is, from version 2 on.
const CLUSTER_AT: usize = 48;
/// Where the membership begins, from version 2 on.
const MEMBERSHIP_AT: usize = CLUSTER_AT + size_of::<u128>();
/// More than a header takes whose membership is as large as one may be.
pub(super) const HEADER_BYTES_MAX: usize = 256 << 10;
/// What each block takes beside its content.
pub(super) const CHECKSUM_BYTES: usize = 4;
pub(super) const FOOTER_BYTES: usize = 24;
/// More content than this in one block is damage.
pub(super) const BLOCK_BYTES_MAX: usize = 16 << 20;

/// What a file begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) description: SnapshotDescription,
    /// Content bytes in each block but the last.
    pub(super) block_bytes: u32,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let SnapshotDescription { last, membership, membership_index, cluster } = &self.description;
        let membership = if membership.is_empty() { Vec::new() } else { membership.encode() };
        let mut bytes = Vec::with_capacity(MEMBERSHIP_AT + membership.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&((MEMBERSHIP_AT + membership.len()) as u32).to_le_bytes());
        bytes.extend_from_slice(&self.block_bytes.to_le_bytes());
        for number in [last.index.0, last.term.0, membership_index.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&cluster.0.to_le_bytes());
        bytes.extend_from_slice(&membership);
        let sum = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// How long the header is whose front this is, if it is one.
    pub(super) fn length(fixed: &[u8; FIXED_BYTES]) -> Result<usize, &'static str> {
        if fixed[..8] != MAGIC {
            return Err("it is no snapshot of a raftix node");
        }
        let length = u32_at(fixed, 16) as usize;
        if (FIXED_BYTES..=HEADER_BYTES_MAX).contains(&length) {
            Ok(length)
        } else {
            Err("its header has no length")
        }
    }

    /// Reads a whole header.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or("it is too short")?;
        if Self::length(fixed)? != bytes.len() {
            return Err("its header has another length");
        }
        if u32_at(fixed, 12) != header_checksum(bytes) {
            return Err("the checksum of its header does not match");
        }
        let (cluster, membership) = match u32_at(fixed, 8) {
            VERSION => {
                let (cluster, membership) =
                    bytes[CLUSTER_AT..].split_first_chunk().ok_or("it has no room for its cluster")?;
                (ClusterId(u128::from_le_bytes(*cluster)), membership)
            }
            VERSION_WITHOUT_CLUSTER => (ClusterId::NONE, rest),
            _ => return Err("its format version is not one this build reads"),
        };
        let block_bytes = u32_at(fixed, 20);
        if !(1..=BLOCK_BYTES_MAX).contains(&(block_bytes as usize)) {
            return Err("its blocks have no length");
        }
        // No log is that long: what follows may count on without overflow.
        let index_at =
            |at| Some(LogIndex(u64_at(fixed, at))).filter(|i| i.0 <= u64::MAX / 2).ok_or("it has no index");
        let membership = match membership {
            [] => Membership::default(),
            some => Membership::decode(some).map_err(|_| "its membership is none")?,
        };
        let last = LogId::new(Term(u64_at(fixed, 32)), index_at(24)?);
        let description = SnapshotDescription { last, membership, membership_index: index_at(40)?, cluster };
        Ok(Self { description, block_bytes })
    }
}

fn header_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// Where what is in a file with this header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    header_bytes: u64,
    block_bytes: u64,
    /// The header's checksum: goes into every other one, so that no part of another file is taken for one of this.
    seal: u32,
}

impl Layout {
    /// Of the file that begins with this encoded header.
    pub(super) fn new(header: &[u8], block_bytes: u32) -> Self {
        Self { header_bytes: header.len() as u64, block_bytes: block_bytes.into(), seal: u32_at(header, 12) }
    }

    pub(super) fn block_bytes(&self) -> usize {
        self.block_bytes as usize
    }

    /// Which block holds this byte of the content, and which byte of the block it is.
    pub(super) fn locate(&self, offset: u64) -> (u64, usize) {
        (offset / self.block_bytes, (offset % self.block_bytes) as usize)
    }

    /// Where a block begins in the file.
    pub(super) fn block_at(&self, block: u64) -> u64 {
        self.header_bytes + block * (self.block_bytes + CHECKSUM_BYTES as u64)
    }

    /// How much of a content of `bytes` a block holds.
    pub(super) fn content_of(&self, block: u64, bytes: u64) -> usize {
        bytes.saturating_sub(block * self.block_bytes).min(self.block_bytes) as usize
    }

    /// Where the footer begins behind a content of `bytes`; `None` if no file is that long.
    pub(super) fn footer_at(&self, bytes: u64) -> Option<u64> {
        let checksums = bytes.div_ceil(self.block_bytes).checked_mul(CHECKSUM_BYTES as u64)?;
        self.header_bytes.checked_add(bytes)?.checked_add(checksums)
    }

    /// What stands behind a block whose content has the CRC-32C `content`: bound to this file and this place.
    pub(super) fn block_checksum(&self, block: u64, content: u32) -> u32 {
        let bound = crc32c::crc32c_append(content, &self.seal.to_le_bytes());
        crc32c::crc32c_append(bound, &block.to_le_bytes())
    }

    pub(super) fn encode_footer(&self, footer: Footer) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(&footer.bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&footer.checksum.to_le_bytes());
        let sum = self.footer_checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes[16..].copy_from_slice(&MAGIC);
        bytes
    }

    pub(super) fn decode_footer(&self, bytes: &[u8; FOOTER_BYTES]) -> Result<Footer, &'static str> {
        if bytes[16..] != MAGIC {
            return Err("it does not end as a snapshot does");
        }
        if u32_at(bytes, 12) != self.footer_checksum(bytes) {
            return Err("the checksum of its end does not match");
        }
        Ok(Footer { bytes: u64_at(bytes, 0), checksum: u32_at(bytes, 8) })
    }

    fn footer_checksum(&self, bytes: &[u8; FOOTER_BYTES]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.seal.to_le_bytes()), &bytes[..12])
    }
}

/// What a file ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Length of the content.
    pub(super) bytes: u64,
    /// CRC-32C of the content.
    pub(super) checksum: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// The name of the published snapshot that ends at `last`.
pub(super) fn name_of(last: LogId) -> String {
    format!("{:016x}-{:016x}.snapshot", last.term.0, last.index.0)
}

/// The name under which the `attempt`th snapshot of this process is written.
pub(super) fn temporary_name(last: LogId, attempt: u64) -> String {
    format!("{}.{attempt}.tmp", name_of(last))
}

/// Which snapshot is published under this name, if it is one of ours.
pub(super) fn parse_name(name: &str) -> Option<LogId> {
    let (term, index) = name.strip_suffix(".snapshot")?.split_once('-')?;
    let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
    let last = LogId::new(Term(number(term)?), LogIndex(number(index)?));
    (name_of(last) == name).then_some(last)
}

/// Whether a snapshot was being written under this name.
pub(super) fn is_temporary(name: &str) -> bool {
    let attempt = name.strip_suffix(".tmp").and_then(|rest| rest.rsplit_once('.'));
    attempt.is_some_and(|(of, number)| parse_name(of).is_some() && number.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Server, Suffrage};

    fn header() -> Header {
        let server = Server {
            id: "n1".into(),
            address: "a:1".into(),
            suffrage: Suffrage::Voter,
            incarnation: Incarnation(5),
        };
        let membership = Membership::new([server]).unwrap();
        let last = LogId::new(Term(3), LogIndex(90));
        let cluster = ClusterId(u128::MAX - 6);
        let description = SnapshotDescription { last, membership, membership_index: LogIndex(7), cluster };
        Header { description, block_bytes: 64 }
    }

    #[test]
    fn every_flipped_bit_of_a_header_or_a_footer_is_noticed_and_every_cut() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&flipped).is_err(), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|end| Header::decode(&bytes[..end]).is_err()));
        let layout = Layout::new(&bytes, 64);
        let footer = Footer { bytes: 77, checksum: 5 };
        let bytes = layout.encode_footer(footer);
        assert_eq!(layout.decode_footer(&bytes), Ok(footer));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(layout.decode_footer(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_block_and_a_footer_belong_to_one_place_of_one_file() {
        let one = Layout::new(&header().encode(), 64);
        let mut other = header();
        other.description.last.index = LogIndex(91);
        let other = Layout::new(&other.encode(), 64);
        assert_ne!(one.block_checksum(0, 9), one.block_checksum(1, 9));
        assert_ne!(one.block_checksum(0, 9), other.block_checksum(0, 9));
        assert!(other.decode_footer(&one.encode_footer(Footer { bytes: 1, checksum: 2 })).is_err());
    }

    #[test]
    fn blocks_lie_one_behind_the_other_and_the_footer_behind_them() {
        let layout = Layout::new(&header().encode(), 64);
        for bytes in [0, 1, 63, 64, 65, 128, 1000] {
            let mut end = layout.block_at(0);
            for block in 0..u64::div_ceil(bytes, 64) {
                assert_eq!(layout.block_at(block), end);
                end += (layout.content_of(block, bytes) + CHECKSUM_BYTES) as u64;
            }
            assert_eq!(layout.footer_at(bytes), Some(end));
        }
        assert_eq!(layout.locate(129), (2, 1));
        assert_eq!(layout.footer_at(u64::MAX), None);
    }

    #[test]
    fn only_names_of_ours_are_names() {
        let last = LogId::new(Term(0xa3), LogIndex(u64::MAX));
        assert_eq!(name_of(last), "00000000000000a3-ffffffffffffffff.snapshot");
        assert_eq!(parse_name(&name_of(last)), Some(last));
        assert!(is_temporary(&temporary_name(last, 7)));
        assert!(!is_temporary(&name_of(last)));
        for name in [
            "",
            "a3-ff.snapshot",
            "00000000000000A3-ffffffffffffffff.snapshot",
            "+0000000000000a3-ffffffffffffffff.snapshot",
            "00000000000000a3-ffffffffffffffff.snapshot.tmp",
            "../00000000000a3-ffffffffffffffff.snapshot",
            "notes.0.tmp",
        ] {
            assert!(parse_name(name).is_none() && !is_temporary(name), "{name}");
        }
    }
}
