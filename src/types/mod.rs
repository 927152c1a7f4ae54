//! The words every other room speaks: identifiers, entries, membership and the requests between nodes.
//!
//! Plain data. This room imports nothing of Raftix and does nothing but encode and check itself.

mod change;
mod durable;
mod entry;
mod ids;
mod membership;
mod restore;
mod rpc;
mod session;
mod snapshot;
mod transfer;

pub use change::{ChangeFailure, ClusterOperation, MembershipChange, MembershipCommand};
pub use durable::{LogBase, Vote};
pub use entry::{ENTRY_HEADER_BYTES, Entries, EntryBatch, EntryBuffer, EntryDamage, EntryKind, EntryRef};
pub use ids::{ClusterId, GroupId, Incarnation, LogId, LogIndex, NodeId, Term};
pub use membership::{Membership, MembershipError, Server, Suffrage};
pub use restore::RestorePiece;
pub use rpc::*;
pub use session::{SessionCommand, SessionId, SessionLimits};
pub use snapshot::{SnapshotDescription, SnapshotMeta};
pub use transfer::*;
