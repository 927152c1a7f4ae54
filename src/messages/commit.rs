//! From acknowledgements to the commit index. Go: `commitment.match`, `commitCh`.

use actix::Message;

use crate::types::LogIndex;

/// A member has everything up to `index` on its medium, equal to the leader's log.
///
/// - *Go*: `commitment.match`, a call under a lock there.
/// - *From → to*: FollowerReplicator for its peer, Consensus for the leader itself, Leader when it is a quorum by
///   itself → Commitment.
/// - *Follows*: [`CommitAdvanced`], if a quorum has more than before.
/// - *Loss*: a later one covers it; doubled or late ones change nothing.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Match {
    /// The replicator's session, so that a late one of a removed and re-added peer counts for nothing.
    pub(crate) session: u64,
    pub(crate) index: LogIndex,
}

/// A member no longer has what it acknowledged: its disk lost a flush, or its directory is another one.
///
/// - *Go*: none; it goes on counting.
/// - *From → to*: FollowerReplicator → Commitment.
/// - *Reply*: none; nothing of the member counts until it is acknowledged again.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct MatchLost {
    pub(crate) session: u64,
}

/// The session of the leader's own log.
pub(crate) const OWN_SESSION: u64 = 0;

/// A quorum has everything up to `index`, which is of this term (Raft §5.4.2).
///
/// - *Go*: `commitCh`, of capacity 1.
/// - *From → to*: Commitment → Leader.
/// - *Follows*: the commit index rises, the state machine gets the entries, followers learn it with the
///   next append.
/// - *Loss*: a later one covers it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CommitAdvanced {
    pub(crate) index: LogIndex,
}
