//! How the actors of a node are tied together: each speaks without knowing who listens.

use std::rc::Rc;

use super::surroundings::Surroundings;
#[cfg(any(test, feature = "sim"))]
use crate::actors::paced::{PacedThread, Thread};
use crate::{
    actors::{
        consensus::Consensus,
        fsm_applier::{self, FsmCompletion, FsmStep},
        node::{ConsensusOutlets, FrontDoor, Node, SnapshotterOutlets},
        raft_system::RaftSystem,
        snapshotter::{self, FileStep, SnapshotCompletion, Snapshotter},
        storage::{self, Completion, Completions, StorageStep},
        ticker::Ticker,
    },
    mailbox::{Outlet, Port},
    messages::{
        ClusterChanged, EntriesRead, FeedingEnded, Flushed, IdentitySaved, LeadershipChanged, NodeFailed,
        ProposePiece, ReadIndexReady, RemovedFromCluster, SnapshotAnswered, SnapshotBegun, SnapshotWritten,
        SnapshotsClosed, StorageClosed, StorageFailed, StorageRoom, TransferEnded, VoteSaved,
    },
    state_machine::StateMachine,
};

pub(super) fn consensus_outlets(consensus: &Port<Consensus>) -> ConsensusOutlets {
    ConsensusOutlets {
        step_down: consensus.outlet(),
        decided: consensus.outlet(),
        form: consensus.outlet(),
        reloaded: consensus.outlet(),
        fsm_room: consensus.outlet(),
        snapshot_taken: consensus.outlet(),
        snapshot_received: consensus.outlet(),
        stop: consensus.outlet(),
    }
}

pub(super) fn snapshotter_outlets(snapshotter: &Port<Snapshotter>) -> SnapshotterOutlets {
    SnapshotterOutlets {
        take: snapshotter.outlet(),
        open: snapshotter.outlet(),
        read: snapshotter.outlet(),
        renew: snapshotter.outlet(),
        receive: snapshotter.outlet(),
        stage: snapshotter.outlet(),
        read_staged: snapshotter.outlet(),
        stop: snapshotter.outlet(),
    }
}

/// What the store has done goes to Consensus; that it is closed, to the front door.
pub(super) fn storage_completions<S: StateMachine>(
    consensus: Port<Consensus>,
    front: Port<RaftSystem<S>>,
) -> Completions {
    Outlet::new(move |completion| match completion {
        Completion::Flushed(ticket) => consensus.send_now(Flushed { ticket }),
        Completion::VoteSaved(vote) => consensus.send_now(VoteSaved { vote }),
        Completion::IdentitySaved { cluster, member } => {
            consensus.send_now(IdentitySaved { cluster, member })
        }
        Completion::Read { reader, batches } => consensus.send_now(EntriesRead { reader, batches }),
        Completion::Room { full } => consensus.send_now(StorageRoom { full }),
        Completion::Failed(error) => consensus.send_now(StorageFailed { error }),
        Completion::Closed => front.send_now(StorageClosed),
    })
}

/// What the state machine has done goes to the front door; its state, to the snapshotter.
pub(super) fn fsm_completions<S: StateMachine>(
    front: Port<RaftSystem<S>>,
    snapshotter: Port<Snapshotter>,
) -> Outlet<FsmCompletion<S>> {
    Outlet::new(move |completion| match completion {
        FsmCompletion::Applied(message) => front.send_now(message),
        FsmCompletion::Queried(message) => front.send_now(message),
        FsmCompletion::Snapshotted(message) => snapshotter.send_now(message),
        FsmCompletion::Restored(message) => front.send_now(message),
        FsmCompletion::Replaced(message) => snapshotter.send_now(message),
        FsmCompletion::Room(message) => front.send_now(message),
        FsmCompletion::Failed(message) => front.send_now(message),
    })
}

/// What runs behind the actor of a state machine that is placed on a thread.
#[cfg_attr(not(any(test, feature = "sim")), expect(unused_variables, reason = "every thread is real"))]
pub(super) fn fsm_bridge<S: StateMachine>(
    surroundings: &Surroundings,
    node: &Rc<Node>,
    step: FsmStep<S>,
    done: Outlet<FsmCompletion<S>>,
) -> fsm_applier::Bridge<S> {
    #[cfg(any(test, feature = "sim"))]
    if let Some(pace) = surroundings.pace.clone() {
        let step = fsm_applier::QueuedStep::new(step);
        let (thread, task) = PacedThread::start(step, Thread::StateMachine, pace, done);
        node.watch("state machine", task);
        return fsm_applier::Bridge::Paced(thread);
    }
    fsm_applier::Bridge::thread(step, done, node.id.as_str())
}

/// What runs behind the actor of a store that is placed on a thread.
#[cfg_attr(not(any(test, feature = "sim")), expect(unused_variables, reason = "every thread is real"))]
pub(super) fn storage_bridge(
    surroundings: &Surroundings,
    node: &Rc<Node>,
    step: StorageStep,
    completions: Completions,
) -> storage::Bridge {
    #[cfg(any(test, feature = "sim"))]
    if let Some(pace) = surroundings.pace.clone() {
        let (thread, task) = PacedThread::start(step, Thread::Storage, pace, completions);
        node.watch("log", task);
        return storage::Bridge::Paced(thread);
    }
    storage::Bridge::thread(step, completions, node.id.as_str())
}

/// What runs behind the snapshotter.
#[cfg_attr(not(any(test, feature = "sim")), expect(unused_variables, reason = "every thread is real"))]
pub(super) fn snapshot_bridge(
    surroundings: &Surroundings,
    node: &Rc<Node>,
    files: FileStep,
    snapshotter: Port<Snapshotter>,
    threads: bool,
) -> snapshotter::Bridge {
    let done = Outlet::new(move |completion| match completion {
        SnapshotCompletion::Begun(result) => snapshotter.send_now(SnapshotBegun { result }),
        SnapshotCompletion::Written(result) => snapshotter.send_now(SnapshotWritten { result }),
        SnapshotCompletion::Opened { reader, message } => reader.opened(message),
        SnapshotCompletion::Read { reader, message } => reader.read(message),
        SnapshotCompletion::Received(message) => snapshotter.send_now(message),
        SnapshotCompletion::Staged { feeder, message } => feeder.staged(message),
        SnapshotCompletion::StagedRead { feeder, message } => feeder.read(message),
        SnapshotCompletion::Closed => snapshotter.send_now(SnapshotsClosed),
    });
    if !threads {
        return snapshotter::Bridge::inline(files, done);
    }
    #[cfg(any(test, feature = "sim"))]
    if let Some(pace) = surroundings.pace.clone() {
        let files = snapshotter::QueuedFiles::new(files);
        let (files, task) = PacedThread::start(files, Thread::Snapshots, pace.clone(), done.clone());
        node.watch("snapshots", task);
        let step = snapshotter::LongStep::default();
        let (long, task) = PacedThread::start(step, Thread::Persist, pace, done);
        node.watch("persist", task);
        return snapshotter::Bridge::Paced { files, long };
    }
    snapshotter::Bridge::threads(files, done, node.id.as_str())
}

pub(super) fn subscribe<A>(ticker: &Ticker, port: &Port<A>)
where
    A: actix::Actor<Context = crate::mailbox::Context<A>> + actix::Handler<crate::messages::Tick>,
{
    let port = port.clone();
    ticker.subscribe(move |tick| {
        port.send_now(tick);
        port.connected()
    });
}

impl<S: StateMachine> FrontDoor for Port<RaftSystem<S>> {
    fn leadership_changed(&self, message: LeadershipChanged) {
        self.send_now(message);
    }

    fn read_index_ready(&self, message: ReadIndexReady) {
        self.send_now(message);
    }

    fn transfer_ended(&self, message: TransferEnded) {
        self.send_now(message);
    }

    fn cluster_changed(&self, message: ClusterChanged) {
        self.send_now(message);
    }

    fn removed(&self, message: RemovedFromCluster) {
        self.send_now(message);
    }

    fn snapshot_answered(&self, message: SnapshotAnswered) {
        self.send_now(message);
    }

    fn propose_piece(&self, message: ProposePiece) {
        self.send_now(message);
    }

    fn feeding_ended(&self, message: FeedingEnded) {
        self.send_now(message);
    }

    fn snapshots_closed(&self) {
        self.send_now(SnapshotsClosed);
    }

    fn failed(&self, message: NodeFailed) {
        self.send_now(message);
    }
}
