//! The way from the protocol actors of a node to each other: each speaks without knowing who listens.

use std::{cell::Cell, rc::Rc, time::Duration};

use crate::{
    actors::storage::StorageQueue,
    error::LeaderHint,
    log::Tenure,
    mailbox::Outlet,
    messages::{
        AppendBarrier, ChangeCluster, ClusterChanged, ConfigReloaded, Decided, FeedingEnded, FormCluster,
        FsmMutate, FsmRestore, FsmRoom, LeadershipChanged, NodeFailed, OpenSnapshot, Propose, ProposePiece,
        ReadIndex, ReadIndexReady, ReadPiece, ReadStaged, ReceiveSnapshot, RemovedFromCluster, RenewSnapshot,
        SnapshotAnswered, SnapshotReceived, SnapshotTaken, StageSnapshot, StepDown, StopActor, TakeSnapshot,
        Transfer, TransferEnded,
    },
    protocol::Lease,
    types::Term,
};

/// The front door as the protocol actors see it, whatever the state machine's type.
pub(crate) trait FrontDoor {
    fn leadership_changed(&self, message: LeadershipChanged);
    fn read_index_ready(&self, message: ReadIndexReady);
    fn transfer_ended(&self, message: TransferEnded);
    fn cluster_changed(&self, message: ClusterChanged);
    fn removed(&self, message: RemovedFromCluster);
    fn snapshot_answered(&self, message: SnapshotAnswered);
    fn snapshots_closed(&self);
    fn propose_piece(&self, message: ProposePiece);
    fn feeding_ended(&self, message: FeedingEnded);
    fn failed(&self, message: NodeFailed);
}

/// The state machine's queue, whatever the state machine's type.
pub(crate) trait FsmQueue {
    fn mutate(&self, message: FsmMutate);
    fn snapshot(&self);
    fn restore(&self, message: FsmRestore);
    /// Goes on with what found no room.
    fn retry(&self);
}

/// The way to the actors that live as long as the node.
pub(crate) struct Ports {
    pub(crate) front: Box<dyn FrontDoor>,
    pub(crate) fsm: Box<dyn FsmQueue>,
    pub(crate) storage: StorageQueue,
    pub(crate) consensus: ConsensusOutlets,
    pub(crate) snapshotter: SnapshotterOutlets,
}

/// What the other actors tell Consensus.
pub(crate) struct ConsensusOutlets {
    pub(crate) step_down: Outlet<StepDown>,
    pub(crate) decided: Outlet<Decided>,
    pub(crate) form: Outlet<FormCluster>,
    pub(crate) reloaded: Outlet<ConfigReloaded>,
    pub(crate) fsm_room: Outlet<FsmRoom>,
    pub(crate) snapshot_taken: Outlet<SnapshotTaken>,
    pub(crate) snapshot_received: Outlet<SnapshotReceived>,
    pub(crate) stop: Outlet<StopActor>,
}

/// What the other actors tell the Snapshotter.
pub(crate) struct SnapshotterOutlets {
    pub(crate) take: Outlet<TakeSnapshot>,
    pub(crate) open: Outlet<OpenSnapshot>,
    pub(crate) read: Outlet<ReadPiece>,
    pub(crate) renew: Outlet<RenewSnapshot>,
    pub(crate) receive: Outlet<ReceiveSnapshot>,
    pub(crate) stage: Outlet<StageSnapshot>,
    pub(crate) read_staged: Outlet<ReadStaged>,
    pub(crate) stop: Outlet<StopActor>,
}

/// Who leads, for the front door. Written by Consensus alone.
#[derive(Clone, Default)]
pub(crate) struct LeadershipView {
    pub(crate) term: Term,
    /// The leader, wherever it is.
    pub(crate) leader: Option<LeaderHint>,
    /// Whether this node is blank, and if so whether it was given a list of peers.
    pub(crate) blank: Option<bool>,
    /// The leader's mailbox, if it is this node.
    pub(crate) here: Option<LeaderOutlets>,
}

/// What the front door asks of the leader here.
#[derive(Clone)]
pub(crate) struct LeaderOutlets {
    pub(crate) propose: Outlet<Propose>,
    pub(crate) read_index: Outlet<ReadIndex>,
    pub(crate) change_cluster: Outlet<ChangeCluster>,
    pub(crate) barrier: Outlet<AppendBarrier>,
    pub(crate) transfer: Outlet<Transfer>,
    pub(crate) lease: LeaseView,
}

/// The lease of a leader, for those who only look. Written by the leader alone.
#[derive(Clone)]
pub(crate) struct LeaseView {
    tenure: Rc<Tenure>,
    lease: Rc<Cell<Lease>>,
}

impl LeaseView {
    pub(crate) fn new(tenure: Rc<Tenure>, lease: Rc<Cell<Lease>>) -> Self {
        Self { tenure, lease }
    }

    /// Whether nobody else leads. `now` must have been read after the read came that this is asked for.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.tenure.is_live() && self.lease.get().holds(now)
    }
}
