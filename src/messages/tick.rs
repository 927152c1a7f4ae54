//! Time. Go: `randomTimeout` and the lease timer.

use std::time::Duration;

use actix::Message;

/// It is `now`.
///
/// - *Go*: the timers of `runFollower`, `runCandidate` and `leaderLoop`.
/// - *From → to*: Ticker → RaftSystem, Consensus, Bootstrapper, Joiner, Leader, FollowerReplicator, Heartbeater, Storage,
///   Snapshotter, SnapshotSender.
/// - *Follows*: whatever was due by then.
/// - *Loss*: late ones are merged; each carries the whole truth.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Tick {
    /// Since the node's clock began.
    pub(crate) now: Duration,
}
