//! What a node writes down beside its entries.

use super::{LogId, Membership, NodeId, Term};

/// The term a node has entered and whom it voted for in it: one atomic record (Raft Figure 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vote {
    /// The current term.
    pub term: Term,
    /// The candidate that got this node's vote in `term`.
    pub voted_for: Option<NodeId>,
}

/// What lies before the first entry of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogBase {
    /// Position of the last entry that was removed from the front; zero if none was.
    pub last: LogId,
    /// The membership as of that entry; empty if none was removed.
    pub membership: Membership,
}
