//! Operations on the cluster itself. Go: `configurationChangeCh`, `configurationsCh`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::Message;

use crate::{
    error::ChangeError,
    transport::RpcError,
    types::{
        ChangeFailure, ClusterOperation, LogIndex, Membership, MembershipChange, MembershipCommand, NodeId,
        Response,
    },
};

/// Give this server a vote. A new one receives the log without a vote first, until it has caught up
/// (thesis §4.2.1); a voter gets the address.
///
/// A leader that is deposed on the way leaves a nonvoter behind, and the caller with
/// [`OutcomeUnknown`](ChangeError::OutcomeUnknown): sent again, it goes on from there.
///
/// - *Go*: `Raft.AddVoter`, which gives the vote at once.
/// - *From → to*: client → RaftSystem → Leader, here or, by one hop, on another node.
/// - *Reply*: the index of the membership in which the server votes, once that is committed.
/// - *Loss*: if the caller drops the request before it is taken up, it is never begun; afterwards it goes on without
///   him.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogIndex, ChangeError>")]
pub struct AddVoter {
    pub(crate) change: MembershipChange,
    pub(crate) timeout: Option<Duration>,
}

/// Send this server the log without giving it a vote. A voter stays one, and gets the address.
///
/// - *Go*: `Raft.AddNonvoter`.
/// - *From → to*: client → RaftSystem → Leader, as for [`AddVoter`].
/// - *Reply*: the index of the membership that has the server, once that is committed.
/// - *Loss*: as for [`AddVoter`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogIndex, ChangeError>")]
pub struct AddNonvoter {
    pub(crate) change: MembershipChange,
    pub(crate) timeout: Option<Duration>,
}

/// Take this server's vote away; it goes on receiving the log. Changes nothing if it has none.
///
/// - *Go*: `Raft.DemoteVoter`.
/// - *From → to*: client → RaftSystem → Leader, as for [`AddVoter`].
/// - *Reply*: the index of the membership in which the server does not vote, once that is committed.
/// - *Loss*: as for [`AddVoter`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogIndex, ChangeError>")]
pub struct DemoteVoter {
    pub(crate) change: MembershipChange,
    pub(crate) timeout: Option<Duration>,
}

/// Remove this server, whether or not it lives. Changes nothing if it is no member.
///
/// - *Go*: `Raft.RemoveServer`.
/// - *From → to*: client → RaftSystem → Leader, as for [`AddVoter`].
/// - *Reply*: the index of the membership without the server, once that is committed. A leader that removes itself
///   answers and then gives up its leadership.
/// - *Loss*: as for [`AddVoter`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogIndex, ChangeError>")]
pub struct RemoveServer {
    pub(crate) change: MembershipChange,
    pub(crate) timeout: Option<Duration>,
}

/// Ask who belongs to the cluster, as far as this node's log knows.
///
/// - *Go*: `Raft.GetConfiguration`, `configurationsCh`, whose index is always zero.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: the [`Configuration`] in force here, with the index that `prev_index` of a change takes.
/// - *Loss*: none.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Configuration")]
pub struct GetConfiguration;

/// A membership and where it stands in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Who belongs to the cluster.
    pub membership: Membership,
    /// Index of its entry.
    pub index: LogIndex,
    /// Whether that entry is known to be committed.
    pub committed: bool,
}

macro_rules! conditions {
    ($($message:ident),*) => {$(
        impl $message {
            /// Refuses the change unless the membership in force is the one at this index: compare-and-set.
            pub fn prev_index(mut self, index: LogIndex) -> Self {
                self.change.prev_index = Some(index);
                self
            }

            /// Makes the change although no quorum of the voters to be may be there, or the server does not answer.
            pub fn force(mut self) -> Self {
                self.change.force = true;
                self
            }

            /// Gives this request a deadline of its own instead of
            /// [`request_timeout`](crate::Config::request_timeout).
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.timeout = Some(timeout);
                self
            }
        }
    )*};
}

conditions!(AddVoter, AddNonvoter, DemoteVoter, RemoveServer);

fn unconditional(command: MembershipCommand) -> MembershipChange {
    MembershipChange { command, prev_index: None, force: false }
}

impl AddVoter {
    /// The server called `id`, which listens at `address` (`host:port`).
    pub fn new(id: impl Into<NodeId>, address: impl Into<String>) -> Self {
        let (id, address) = (id.into(), address.into());
        Self { change: unconditional(MembershipCommand::AddVoter { id, address }), timeout: None }
    }
}

impl AddNonvoter {
    /// The server called `id`, which listens at `address` (`host:port`).
    pub fn new(id: impl Into<NodeId>, address: impl Into<String>) -> Self {
        let (id, address) = (id.into(), address.into());
        Self { change: unconditional(MembershipCommand::AddNonvoter { id, address }), timeout: None }
    }
}

impl DemoteVoter {
    /// The server called `id`.
    pub fn new(id: impl Into<NodeId>) -> Self {
        Self { change: unconditional(MembershipCommand::DemoteVoter { id: id.into() }), timeout: None }
    }
}

impl RemoveServer {
    /// The server called `id`.
    pub fn new(id: impl Into<NodeId>) -> Self {
        Self { change: unconditional(MembershipCommand::RemoveServer { id: id.into() }), timeout: None }
    }
}

/// The right to begin an operation, held by the front door and the leader together: whoever takes it first decides
/// whether the operation is begun or called off.
#[derive(Debug, Default)]
pub(crate) struct Permit(AtomicBool);

impl Permit {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Whether it was still there.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether nobody has taken it.
    pub(crate) fn is_there(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }
}

/// Do this to the cluster, if you still lead.
///
/// - *Go*: `configurationChangeCh`, `leadershipTransferCh`.
/// - *From → to*: RaftSystem → Leader.
/// - *Reply*: [`ClusterChanged`].
/// - *Loss*: a leader that is deposed leaves the permit if it has not begun; the front door takes it back and asks the
///   next leader.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChangeCluster {
    pub(crate) request: u64,
    pub(crate) operation: ClusterOperation,
    pub(crate) permit: Arc<Permit>,
}

/// The operation `request` is done, or will not be.
///
/// - *Go*: the answer on the future.
/// - *From → to*: Leader → RaftSystem.
/// - *Follows*: whoever asked is answered, here or on the node that forwarded it.
/// - *Loss*: the caller's deadline.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ClusterChanged {
    pub(crate) request: u64,
    pub(crate) result: Result<LogIndex, ChangeFailure>,
}

/// The server that is to be added said who it is, or does not answer.
///
/// - *Go*: none; `AddVoter` trusts the operator where this asks.
/// - *From → to*: Transport → Leader.
/// - *Follows*: the server becomes a nonvoter, in the life that answered; or the change is refused.
/// - *Loss*: greeted again at a later tick.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct NewcomerGreeted {
    pub(crate) request: u64,
    pub(crate) result: Result<Response, RpcError>,
}

/// Count these sessions from now on.
///
/// - *Go*: `commitment.setConfiguration`, a call under a lock there.
/// - *From → to*: Leader → Commitment, before the membership's entry is on its way to anybody.
/// - *Follows*: [`CommitAdvanced`](super::CommitAdvanced), if a quorum of these has more than of those before.
/// - *Loss*: never.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SetVoters {
    pub(crate) sessions: Vec<u64>,
}

/// The peer is a member no more: bring it up to this index, where the log says so, then end.
///
/// - *Go*: `stopCh`, which carries the last index.
/// - *From → to*: Leader → FollowerReplicator.
/// - *Follows*: the peer learns that it was removed, if it can be reached; then [`ReplicationEnded`].
/// - *Loss*: the end of the tenure.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopAt {
    pub(crate) index: LogIndex,
}

/// The removed peer of `session` was told, or cannot be.
///
/// - *Go*: the end of the goroutine `replicate`.
/// - *From → to*: FollowerReplicator → Leader.
/// - *Follows*: its replicator and its heartbeater end.
/// - *Loss*: the end of the tenure.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReplicationEnded {
    pub(crate) session: u64,
}

/// The peer listens elsewhere now.
///
/// - *Go*: the peer update of `startStopReplication`.
/// - *From → to*: Leader → FollowerReplicator, Heartbeater.
/// - *Follows*: the next request goes to the new address; what was asked at the old one counts as lost.
/// - *Loss*: the end of the tenure.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PeerMoved {
    pub(crate) address: String,
}

/// Tell the leader from now on whenever the peer has more of the log.
///
/// - *Go*: none; there the vote comes first.
/// - *From → to*: Leader → FollowerReplicator.
/// - *Follows*: [`CaughtUpTo`], at once, at every acknowledgement that brings the peer further, and as a snapshot does.
/// - *Loss*: the newcomer's time is up.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CatchUp;

/// The newcomer of `session` has the log up to `index` on its medium.
///
/// - *Go*: none.
/// - *From → to*: FollowerReplicator → Leader.
/// - *Follows*: the next round of its catching up, or its vote.
/// - *Loss*: a later one covers it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CaughtUpTo {
    pub(crate) session: u64,
    pub(crate) index: LogIndex,
}
