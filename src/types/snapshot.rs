//! What a snapshot is (Raft §7): described here for those who keep it and for those who send it.

use super::{ClusterId, LogBase, LogId, LogIndex, Membership};

/// What a snapshot is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotDescription {
    /// The last entry whose effect it holds.
    pub last: LogId,
    /// The membership in force there: the newest at or before `last`.
    pub membership: Membership,
    /// Where that membership's entry stands, or an index at which it was in force already.
    pub membership_index: LogIndex,
    /// Whose state it is: whoever goes on from it may never see entry 1, whose hash this is.
    pub cluster: ClusterId,
}

impl SnapshotDescription {
    /// What lies before the first entry of a log whose front this snapshot stands for.
    pub fn log_base(&self) -> LogBase {
        LogBase { last: self.last, membership: self.membership.clone() }
    }
}

/// A snapshot that is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// What it is of.
    pub description: SnapshotDescription,
    /// Length of its content in bytes.
    pub bytes: u64,
    /// CRC-32C of its content.
    pub checksum: u32,
}
