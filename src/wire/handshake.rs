//! The first thing either side of a connection says: who it is, and whom it expects.
//!
//! ```text
//!  0  [4]   magic "RFTX"; its first byte is no message type of the Go dialect
//!  4  u16   length of the whole handshake
//!  6  u8    oldest version understood    7  u8   newest
//!  8  u8    lane: 0 control, 1 bulk, 2 forward, 3 snapshot
//!  9  u8    verdict: 0 in the question; see `Verdict`
//! 10  u16   zero
//! 12  u32   checksum: crc32c of bytes 0 .. 12 and 16 .. length
//! 16  u128  cluster id, zero if blank   32  u128  incarnation
//! 48  u64   group                       56  u64   features, none yet
//! 64        u8 length, node id          ..        u8 length, id of the node expected
//! ```
//!
//! Little-endian. Bytes 0 to 15 stay the same in every version, so that any two versions can tell each
//! other that they do not fit.

use bytes::{Buf, BufMut, Bytes};
use thiserror::Error;

use super::fields::take_id;
use crate::types::{ClusterId, GroupId, Incarnation, Lane, NodeId};

const FIXED_BYTES: usize = 64;

/// One side's handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The oldest and the newest version understood.
    pub versions: (u8, u8),
    /// What the connection is for.
    pub lane: Lane,
    /// `None` in the question, what became of it in the reply.
    pub verdict: Option<Verdict>,
    /// The speaker's cluster.
    pub cluster: ClusterId,
    /// The speaker's group.
    pub group: GroupId,
    /// The speaker.
    pub node: NodeId,
    /// The speaker's incarnation.
    pub incarnation: Incarnation,
    /// Whom the speaker believes to talk to; [anybody](NodeId::anybody) if it does not know.
    pub target: NodeId,
    /// What else the speaker can do: nothing yet. Bits nobody knows are ignored.
    pub features: u64,
}

/// The reply to a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Welcome.
    Ok = 1,
    /// The clusters or groups differ.
    WrongCluster = 2,
    /// No version that both understand.
    WrongVersion = 3,
    /// Another node was meant.
    WrongTarget = 4,
    /// No room now; try again later.
    NotNow = 5,
}

/// Why bytes are not a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer speaks something else.
    #[error("not a Raftix node: begins with {0:02x?}")]
    WrongMagic([u8; 4]),
    /// The versions do not overlap.
    #[error("the peer understands versions {0} to {1} only")]
    WrongVersion(u8, u8),
    /// Its length, its checksum or a field is wrong.
    #[error("malformed handshake: {0}")]
    Malformed(&'static str),
}

impl Handshake {
    /// The longest handshake, in bytes.
    pub const BYTES_MAX: usize = 1024;
    /// The bytes that tell how long the rest is.
    pub const PREFIX_BYTES: usize = 16;
    /// The versions understood here.
    pub const VERSIONS: (u8, u8) = (1, 1);
    const MAGIC: [u8; 4] = *b"RFTX";

    /// Whether both sides understand a version.
    pub fn version_fits(versions: (u8, u8)) -> bool {
        versions.0 <= Self::VERSIONS.1 && Self::VERSIONS.0 <= versions.1
    }

    /// The bytes to send. Ids longer than 255 bytes are cut, and refused by the peer.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + 2 + self.node.as_str().len() * 2);
        bytes.extend_from_slice(&Self::MAGIC);
        bytes.put_u16_le(0);
        bytes.extend_from_slice(&[self.versions.0, self.versions.1, lane_byte(self.lane)]);
        bytes.put_u8(self.verdict.map_or(0, |verdict| verdict as u8));
        bytes.put_bytes(0, 6);
        bytes.put_u128_le(self.cluster.0);
        bytes.put_u128_le(self.incarnation.0);
        bytes.put_u64_le(self.group.get());
        bytes.put_u64_le(self.features);
        for id in [&self.node, &self.target] {
            let name = id.as_str().as_bytes();
            let name = &name[..name.len().min(NodeId::BYTES_MAX)];
            bytes.put_u8(name.len() as u8);
            bytes.extend_from_slice(name);
        }
        let length = bytes.len() as u16;
        bytes[4..6].copy_from_slice(&length.to_le_bytes());
        let checksum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// How long the whole handshake is that begins with `prefix`.
    ///
    /// # Errors
    /// Another magic, a version that does not fit, or a length no handshake has.
    pub fn length(prefix: &[u8; Self::PREFIX_BYTES]) -> Result<usize, HandshakeError> {
        if prefix[..4] != Self::MAGIC {
            return Err(HandshakeError::WrongMagic([prefix[0], prefix[1], prefix[2], prefix[3]]));
        }
        if !Self::version_fits((prefix[6], prefix[7])) {
            return Err(HandshakeError::WrongVersion(prefix[6], prefix[7]));
        }
        let length = usize::from(u16::from_le_bytes([prefix[4], prefix[5]]));
        if !(FIXED_BYTES + 2..=Self::BYTES_MAX).contains(&length) {
            return Err(HandshakeError::Malformed("length"));
        }
        Ok(length)
    }

    /// Reads a whole handshake.
    ///
    /// # Errors
    /// As [`length`](Self::length), and if the checksum or a field is wrong.
    pub fn decode(mut bytes: Bytes) -> Result<Self, HandshakeError> {
        let prefix = bytes.first_chunk().ok_or(HandshakeError::Malformed("length"))?;
        if Self::length(prefix)? != bytes.len() {
            return Err(HandshakeError::Malformed("length"));
        }
        if bytes[12..16] != checksum(&bytes).to_le_bytes() {
            return Err(HandshakeError::Malformed("checksum"));
        }
        let versions = (bytes[6], bytes[7]);
        let lane = lane_from(bytes[8]).ok_or(HandshakeError::Malformed("lane"))?;
        let verdict = verdict_from(bytes[9]).ok_or(HandshakeError::Malformed("verdict"))?;
        bytes.advance(Self::PREFIX_BYTES);
        let cluster = ClusterId(bytes.get_u128_le());
        let incarnation = Incarnation(bytes.get_u128_le());
        let group = GroupId(bytes.get_u64_le());
        let features = bytes.get_u64_le();
        let node = take_id(&mut bytes).ok_or(HandshakeError::Malformed("node id"))?;
        let target = take_id(&mut bytes).ok_or(HandshakeError::Malformed("target id"))?;
        if !bytes.is_empty() {
            return Err(HandshakeError::Malformed("bytes behind it"));
        }
        Ok(Self { versions, lane, verdict, cluster, group, node, incarnation, target, features })
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn lane_byte(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 0,
        Lane::Bulk => 1,
        Lane::Forward => 2,
        Lane::Snapshot => 3,
    }
}

fn lane_from(byte: u8) -> Option<Lane> {
    [Lane::Control, Lane::Bulk, Lane::Forward, Lane::Snapshot]
        .into_iter()
        .find(|lane| lane_byte(*lane) == byte)
}

/// The outer `None` is a number nobody gave, the inner one a question.
fn verdict_from(byte: u8) -> Option<Option<Verdict>> {
    use Verdict::*;
    if byte == 0 {
        return Some(None);
    }
    [Ok, WrongCluster, WrongVersion, WrongTarget, NotNow].into_iter().find(|v| *v as u8 == byte).map(Some)
}
