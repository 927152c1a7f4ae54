//! Watching a node from outside. Go: `observer.go`, `leaderCh`.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Message, Recipient};

use crate::{
    board::ServerRole,
    error::{LeaderHint, ObserveError},
    mailbox::CreditGuard,
    types::{LogId, LogIndex, Membership, NodeId, Server, Term},
};

/// Tell this actor what happens on this node from now on. It never slows the node down: an observer that is
/// [`pending_max`](Self::pending_max) observations behind loses what comes then, and is told how many.
///
/// - *Go*: `RegisterObserver`; there a blocking observer stops the node's main loop.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: a handle that counts, and that ends it with [`StopObserving`]; or that there are too many.
/// - *Loss*: nothing is observed.
#[derive(Debug, Message)]
#[rtype(result = "Result<ObserverHandle, ObserveError>")]
pub struct Observe {
    pub(crate) observer: Recipient<Observation>,
    pub(crate) kinds: Option<BTreeSet<EventKind>>,
    pub(crate) pending_max: u32,
}

impl Observe {
    /// How many observations wait for an observer at most, unless it says otherwise.
    pub const PENDING_MAX: u32 = 256;

    /// Observes everything. Once the actor has ended its registration goes by itself.
    pub fn new(observer: Recipient<Observation>) -> Self {
        Self { observer, kinds: None, pending_max: Self::PENDING_MAX }
    }

    /// Observes only events of these kinds.
    pub fn only(mut self, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// How many observations may wait in the observer's mailbox, at least one.
    pub fn pending_max(mut self, pending_max: u32) -> Self {
        self.pending_max = pending_max.max(1);
        self
    }
}

/// End an observation.
///
/// - *Go*: `DeregisterObserver`.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: whether it was registered still.
/// - *Loss*: it goes on until the observer ends.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct StopObserving(pub ObserverId);

/// Something happened on a node.
///
/// - *Go*: `Observation`, on the observer's channel.
/// - *From → to*: Consensus, Heartbeater, Snapshotter → the client's own actor, if it has sent [`Observe`].
/// - *Follows*: whatever the client likes.
/// - *Loss*: counted; the next one says how many were lost before it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub struct Observation {
    /// The node that says so.
    pub node: NodeId,
    /// What happened.
    pub event: RaftEvent,
    /// How many observations were lost since the last one, because the observer was too far behind.
    pub missed: u64,
    /// Its place among those that may wait; free again once this is dropped.
    pub(crate) _place: CreditGuard,
}

/// What an observer hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RaftEvent {
    /// The node does something else now, or does it in another term (hashicorp's `RaftState`).
    RoleChanged {
        /// What it does.
        role: ServerRole,
        /// In which term.
        term: Term,
    },
    /// Another leader is known, or none (hashicorp's `LeaderObservation`).
    LeaderChanged {
        /// Who leads; `None` if nobody is known to.
        leader: Option<LeaderHint>,
        /// In which term.
        term: Term,
    },
    /// Another membership is in effect: one that was appended, or, when that is truncated, the one before.
    MembershipChanged {
        /// The index of its entry; of the log's base if that is compacted.
        index: LogIndex,
        /// All members.
        membership: Membership,
    },
    /// The membership in effect has a member that the one before had not (hashicorp's `PeerObservation`).
    PeerAdded(Server),
    /// The membership in effect lacks a member of the one before.
    PeerRemoved(Server),
    /// This node leads, and a heartbeat to a member failed where the last one had not.
    HeartbeatFailed {
        /// The member.
        peer: NodeId,
        /// How long ago the last heartbeat was sent that it answered; `None` if it answered none in this term.
        last_contact: Option<Duration>,
    },
    /// The member answers heartbeats again.
    HeartbeatResumed {
        /// The member.
        peer: NodeId,
    },
    /// A snapshot of this node's own state is durable.
    SnapshotTaken {
        /// The last entry that it holds.
        last: LogId,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The leader's snapshot took the place of this node's log, or of its front.
    SnapshotInstalled {
        /// The last entry that it holds.
        last: LogId,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A candidate asked for this node's vote (hashicorp's `RequestVoteRequest`, `RequestPreVoteRequest`).
    VoteRequested {
        /// Who.
        candidate: NodeId,
        /// In which term.
        term: Term,
        /// Whether it only asked what this node would do.
        pre_vote: bool,
        /// Whether it gets the vote.
        granted: bool,
    },
}

/// The kinds of [`RaftEvent`], for a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// [`RaftEvent::RoleChanged`].
    RoleChanged,
    /// [`RaftEvent::LeaderChanged`].
    LeaderChanged,
    /// [`RaftEvent::MembershipChanged`].
    MembershipChanged,
    /// [`RaftEvent::PeerAdded`].
    PeerAdded,
    /// [`RaftEvent::PeerRemoved`].
    PeerRemoved,
    /// [`RaftEvent::HeartbeatFailed`].
    HeartbeatFailed,
    /// [`RaftEvent::HeartbeatResumed`].
    HeartbeatResumed,
    /// [`RaftEvent::SnapshotTaken`].
    SnapshotTaken,
    /// [`RaftEvent::SnapshotInstalled`].
    SnapshotInstalled,
    /// [`RaftEvent::VoteRequested`].
    VoteRequested,
}

impl RaftEvent {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::RoleChanged { .. } => EventKind::RoleChanged,
            Self::LeaderChanged { .. } => EventKind::LeaderChanged,
            Self::MembershipChanged { .. } => EventKind::MembershipChanged,
            Self::PeerAdded(_) => EventKind::PeerAdded,
            Self::PeerRemoved(_) => EventKind::PeerRemoved,
            Self::HeartbeatFailed { .. } => EventKind::HeartbeatFailed,
            Self::HeartbeatResumed { .. } => EventKind::HeartbeatResumed,
            Self::SnapshotTaken { .. } => EventKind::SnapshotTaken,
            Self::SnapshotInstalled { .. } => EventKind::SnapshotInstalled,
            Self::VoteRequested { .. } => EventKind::VoteRequested,
        }
    }
}

/// Which observation; unique on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObserverId(pub(crate) u64);

/// A registered observer: what was sent to it, and what it lost. Readable from any thread.
#[derive(Clone, Debug)]
pub struct ObserverHandle {
    pub(crate) id: ObserverId,
    pub(crate) counts: Arc<ObserverCounts>,
}

/// What an observer got.
#[derive(Debug, Default)]
pub(crate) struct ObserverCounts {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl ObserverHandle {
    /// What ends it, by [`StopObserving`].
    pub fn id(&self) -> ObserverId {
        self.id
    }

    /// How many observations were sent to it (hashicorp's `GetNumObserved`).
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// How many it lost because it was too far behind (hashicorp's `GetNumDropped`).
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}
