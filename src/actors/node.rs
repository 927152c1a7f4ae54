//! What the protocol actors of one node share, all on one thread: the log, the way to the other actors,
//! and the published status. It decides nothing.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::{
    actors::{observers::Observers, storage::StorageQueue, ticker::Ticker},
    board::Board,
    clock::Clock,
    config::{Config, ConfigError, ReloadableConfig},
    error::{Fatal, LeaderHint},
    log::{Log, Slice, Tenure},
    mailbox::{Inspector, Outlet},
    messages::{
        AppendBarrier, ChangeCluster, ClusterChanged, ConfigReloaded, Decided, FeedingEnded, FormCluster,
        FsmMutate, FsmRestore, LeadershipChanged, NodeFailed, OpenSnapshot, Propose, ProposePiece,
        ReadEntries, ReadIndex, ReadIndexReady, ReadPiece, ReadStaged, Reader, ReceiveSnapshot,
        RemovedFromCluster, RenewSnapshot, SnapshotAnswered, SnapshotReceived, SnapshotTaken, StageSnapshot,
        StepDown, StopActor, TakeSnapshot, Transfer, TransferEnded,
    },
    protocol::Lease,
    transport::{Link, Responder, Transport},
    types::{Entries, Incarnation, Lane, LogIndex, NodeId, Request, Term},
};

/// How much one hand-off carries at most, so that the state machine's replies come in portions.
const HAND_OFF_BYTES: usize = 1 << 20;

/// The front door as the protocol actors see it, whatever the state machine's type.
pub(crate) trait FrontDoor {
    fn leadership_changed(&self, message: LeadershipChanged);
    fn read_index_ready(&self, message: ReadIndexReady);
    fn transfer_ended(&self, message: TransferEnded);
    fn cluster_changed(&self, message: ClusterChanged);
    fn removed(&self, message: RemovedFromCluster);
    fn snapshot_answered(&self, message: SnapshotAnswered);
    fn propose_piece(&self, message: ProposePiece);
    fn feeding_ended(&self, message: FeedingEnded);
    fn failed(&self, message: NodeFailed);
}

/// The state machine's queue, whatever the state machine's type.
pub(crate) trait FsmQueue {
    fn mutate(&self, message: FsmMutate);
    fn snapshot(&self);
    fn restore(&self, message: FsmRestore);
}

/// See the module.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    /// As the node was started; what may be reloaded is in [`reloadable`](Self::reloadable).
    pub(crate) config: Config,
    reloadable: Cell<ReloadableConfig>,
    pub(crate) seed: u64,
    clock: Clock,
    /// When the clock was last looked at.
    recent: Cell<Duration>,
    pub(crate) inspector: Inspector,
    pub(crate) log: RefCell<Log>,
    pub(crate) board: Arc<Board>,
    /// Who leads, as Consensus last said.
    pub(crate) leadership: RefCell<LeadershipView>,
    pub(crate) links: Links,
    pub(crate) ticker: Ticker,
    pub(crate) observers: Observers,
    /// Whether callers of this node wait for replies of the state machine.
    pub(crate) awaited: Cell<bool>,
    /// Whether reads of this node wait for the state machine to be further.
    pub(crate) readers_wait: Cell<bool>,
    /// Everything up to here is applied; zero until a snapshot that the node starts from is restored.
    applied: Cell<LogIndex>,
    /// Bytes handed to the state machine and not applied yet.
    handed_bytes: Cell<usize>,
    reading: Cell<bool>,
    /// What is being read from the store for the state machine came with a snapshot meanwhile.
    outdated: Cell<bool>,
    /// The last entries of the snapshots on their way to followers, who need what comes behind them.
    sending: RefCell<Vec<LogIndex>>,
    ports: OnceCell<Ports>,
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

/// What a node is made of.
pub(crate) struct NodeParts {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) config: Config,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) inspector: Inspector,
    pub(crate) log: Log,
    pub(crate) board: Arc<Board>,
    pub(crate) transport: Rc<RefCell<Box<dyn Transport>>>,
    pub(crate) ticker: Ticker,
}

impl Node {
    pub(crate) fn new(parts: NodeParts) -> Rc<Self> {
        Rc::new(Self {
            observers: Observers::new(parts.id.clone()),
            id: parts.id,
            incarnation: parts.incarnation,
            reloadable: Cell::new(parts.config.reloadable()),
            config: parts.config,
            seed: parts.seed,
            recent: Cell::new(parts.clock.now()),
            clock: parts.clock,
            inspector: parts.inspector,
            log: RefCell::new(parts.log),
            board: parts.board,
            leadership: RefCell::default(),
            links: Links { transport: parts.transport, open: RefCell::default() },
            ticker: parts.ticker,
            awaited: Cell::new(false),
            readers_wait: Cell::new(false),
            applied: Cell::new(LogIndex::ZERO),
            handed_bytes: Cell::new(0),
            reading: Cell::new(false),
            outdated: Cell::new(false),
            sending: RefCell::default(),
            ports: OnceCell::new(),
        })
    }

    /// Tells the node where its actors are, once.
    pub(crate) fn connect(&self, ports: Ports) {
        assert!(self.ports.set(ports).is_ok(), "the actors of a node are connected once");
    }

    pub(crate) fn ports(&self) -> &Ports {
        self.ports.get().expect("actors handle no message before they are connected")
    }

    /// The settings that may be reloaded, as they are now.
    pub(crate) fn reloadable(&self) -> ReloadableConfig {
        self.reloadable.get()
    }

    /// The settings in force.
    pub(crate) fn config_in_force(&self) -> Config {
        self.config.reloaded(self.reloadable()).expect("checked when it was reloaded")
    }

    /// Takes other settings if they suit those that stay. Whoever does not read them each time has to be told.
    pub(crate) fn reload(&self, part: ReloadableConfig) -> Result<(), ConfigError> {
        self.reloadable.set(self.config.reloaded(part)?.reloadable());
        Ok(())
    }

    /// Starts the ticks, at the pace of the settings in force.
    pub(crate) fn start_ticking(&self) -> JoinHandle<()> {
        self.ticker.start(self.clock, self.reloadable().tick_interval())
    }

    /// The time, and for [`recent`](Self::recent) from here on.
    pub(crate) fn now(&self) -> Duration {
        let now = self.clock.now();
        self.recent.set(now);
        now
    }

    /// The time of day, Unix nanoseconds: for what is written into the log. Nothing of the protocol depends on it.
    pub(crate) fn wall_ns(&self) -> i64 {
        self.clock.wall_ns()
    }

    /// A time no older than a tick. Reading the clock costs as much as a quarter of a message, so what is
    /// done for every request and only needs to be about right asks this.
    pub(crate) fn recent(&self) -> Duration {
        self.recent.get()
    }

    /// Raises the commit index and hands on what that releases. Whether it rose.
    pub(crate) fn commit(&self, index: LogIndex) -> bool {
        let rose = self.log.borrow_mut().commit_to(index);
        if rose {
            self.board.set_commit(self.log.borrow().commit());
            self.hand_off();
        }
        rose
    }

    /// Hands committed entries to the state machine as long as its queue has room.
    pub(crate) fn hand_off(&self) {
        while !self.reading.get() {
            let room = self.config.apply_bytes_max.saturating_sub(self.handed_bytes.get());
            if room == 0 {
                return;
            }
            let slice = self.log.borrow_mut().hand_off(room.min(HAND_OFF_BYTES));
            match slice {
                Slice::Entries(entries) => self.mutate(entries),
                Slice::Stored { first, last } => {
                    self.reading.set(true);
                    let bytes_max = HAND_OFF_BYTES;
                    self.ports().storage.read(ReadEntries {
                        reader: Reader::HandOff,
                        first,
                        last,
                        bytes_max,
                    });
                }
                Slice::Empty => return,
                Slice::Compacted => {
                    self.fail(Fatal::Invariant("an entry was compacted before it was applied".to_owned()));
                    return;
                }
            }
        }
    }

    /// The same with entries the store was asked for.
    pub(crate) fn hand_off_stored(&self, batches: &[crate::types::EntryBatch]) {
        self.reading.set(false);
        if self.outdated.take() {
            return self.hand_off();
        }
        let entries = self.log.borrow_mut().hand_off_stored(batches);
        if entries.is_empty() {
            // One read at a time, and nothing else moves the cursor meanwhile: asking again would not help.
            let what = "the store does not hold committed entries that it made durable";
            return self.fail(Fatal::Invariant(what.to_owned()));
        }
        self.mutate(entries);
        self.hand_off();
    }

    /// The log was swapped for a snapshot's: the state machine gets that state behind what it was handed, and in front of
    /// everything that comes.
    pub(crate) fn replace_state(&self, message: FsmRestore) {
        self.board.set_commit(self.log.borrow().commit());
        self.outdated.set(self.reading.get());
        self.ports().fsm.restore(message);
        self.hand_off();
    }

    fn mutate(&self, entries: Entries) {
        self.handed_bytes.set(self.handed_bytes.get() + entries.bytes_len());
        self.ports().fsm.mutate(FsmMutate { entries, replies: self.awaited.get() });
    }

    /// A snapshot up to `last` is on its way to a follower, as long as the guard lives.
    pub(crate) fn begin_sending(self: &Rc<Self>, last: LogIndex) -> SnapshotUnderWay {
        self.sending.borrow_mut().push(last);
        SnapshotUnderWay { node: self.clone(), last }
    }

    /// The oldest snapshot on its way to a follower.
    pub(crate) fn oldest_sent(&self) -> Option<LogIndex> {
        self.sending.borrow().iter().min().copied()
    }

    /// Everything up to here is applied.
    pub(crate) fn applied(&self) -> LogIndex {
        self.applied.get()
    }

    /// The state machine is done with everything up to `last`, which took `bytes`.
    pub(crate) fn note_applied(&self, last: LogIndex, bytes: usize) {
        let counters = &self.board.counters;
        counters.entries_applied.add(last.0.saturating_sub(self.applied.get().0));
        counters.bytes_applied.add(bytes as u64);
        counters.batches_applied.add(1);
        self.note_restored(last);
        self.handed_bytes.set(self.handed_bytes.get().saturating_sub(bytes));
    }

    /// The state machine has everything up to `last` from a snapshot.
    pub(crate) fn note_restored(&self, last: LogIndex) {
        self.applied.set(self.applied.get().max(last));
        self.board.set_applied(self.applied.get());
    }

    /// Stops the node with a reason. Does not rely on the front door, which may be what failed: that only
    /// tells those who wait.
    pub(crate) fn fail(&self, fatal: Fatal) {
        if self.board.set_fatal(&fatal) {
            tracing::error!(node = %self.id, %fatal, "the node has failed");
        }
        self.halt();
        self.ports().front.failed(NodeFailed(fatal));
    }

    /// Ends the protocol at once: from here on no connection carries a request or an answer, and once it
    /// has handled what is queued before this, Consensus takes no more.
    pub(crate) fn halt(&self) {
        self.links.stop();
        self.ports().consensus.stop.send_now(StopActor);
    }

    /// Stops the node if `task`, which runs `actor`, panics: tokio would swallow it.
    pub(crate) fn watch(self: &Rc<Self>, actor: &'static str, task: JoinHandle<()>) {
        let node = self.clone();
        actix_rt::spawn(async move {
            let Err(error) = task.await else { return };
            if error.is_panic() {
                let message = error.to_string();
                node.fail(Fatal::Panicked { actor: actor.to_owned(), message });
            }
        });
    }

    /// Publishes who belongs to the cluster.
    pub(crate) fn publish_membership(&self) {
        let log = self.log.borrow();
        self.board.set_membership(log.membership_index(), log.membership());
        self.observers.note_membership(log.membership_index(), log.membership());
    }

    /// Publishes how long the log is and how much of it is durable.
    pub(crate) fn publish_log(&self) {
        let log = self.log.borrow();
        self.board.set_log(log.last(), log.durable());
    }
}

/// A snapshot on its way to a follower.
pub(crate) struct SnapshotUnderWay {
    node: Rc<Node>,
    last: LogIndex,
}

impl Drop for SnapshotUnderWay {
    fn drop(&mut self) {
        let mut sending = self.node.sending.borrow_mut();
        if let Some(at) = sending.iter().position(|last| *last == self.last) {
            sending.swap_remove(at);
        }
    }
}

/// One open lane and the address it was opened with.
type OpenLink = (String, Rc<dyn Link>);

/// The lanes to the peers, opened on first use and again when a peer's address changes.
pub(crate) struct Links {
    transport: Rc<RefCell<Box<dyn Transport>>>,
    open: RefCell<BTreeMap<(NodeId, Lane), OpenLink>>,
}

impl Links {
    pub(crate) fn to(&self, id: &NodeId, address: &str, lane: Lane) -> Rc<dyn Link> {
        let mut open = self.open.borrow_mut();
        let key = (id.clone(), lane);
        if let Some((opened, link)) = open.get(&key)
            && opened == address
        {
            return link.clone();
        }
        let link: Rc<dyn Link> = Rc::from(self.transport.borrow().link(id, address, lane));
        open.insert(key, (address.to_owned(), link.clone()));
        link
    }

    /// A lane of its own to somebody who may be no member: a member's lanes stay as they are.
    pub(crate) fn apart(&self, id: &NodeId, address: &str, lane: Lane) -> Box<dyn Link> {
        self.transport.borrow().link(id, address, lane)
    }

    /// Sends `request` on the lane it belongs to.
    pub(crate) fn send(&self, id: &NodeId, address: &str, request: Request, responder: Responder) {
        self.to(id, address, request.lane()).send(request, responder);
    }

    /// Closes everything and stops listening.
    pub(crate) fn stop(&self) {
        self.open.borrow_mut().clear();
        self.transport.borrow_mut().stop();
    }
}
