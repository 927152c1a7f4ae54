//! What the protocol actors of one node share, all on one thread: the log, the way to the other actors,
//! and the published status. It decides nothing.

mod batch_size;
mod busy_poll;
mod links;
mod ports;

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::{
    actors::{observers::Observers, ticker::Ticker},
    board::Board,
    clock::Clock,
    config::{Config, ConfigError, ReloadableConfig},
    error::Fatal,
    log::{Log, Slice, Ticket},
    mailbox::Inspector,
    messages::{FsmMutate, FsmRestore, NodeFailed, ReadEntries, Reader, StopActor},
    metrics::Metrics,
    transport::Transport,
    types::{ClusterId, Entries, EntryBatch, Incarnation, LogIndex, NodeId},
};

use batch_size::BatchSize;
use busy_poll::BusyPoll;
pub(crate) use links::Links;
pub(crate) use ports::{
    ConsensusOutlets, FrontDoor, FsmQueue, LeaderOutlets, LeadershipView, LeaseView, Ports,
    SnapshotterOutlets,
};

/// How much one hand-off carries at most, so that the state machine's replies come in portions.
const HAND_OFF_BYTES: usize = 1 << 20;

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
    pub(crate) metrics: Metrics,
    /// Who leads, as Consensus last said.
    pub(crate) leadership: RefCell<LeadershipView>,
    pub(crate) links: Links,
    pub(crate) ticker: Ticker,
    pub(crate) observers: Observers,
    /// Told where answers or requests are to be expected soon.
    pub(crate) busy_poll: BusyPoll,
    batch_size: RefCell<BatchSize>,
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
            busy_poll: BusyPoll::new(parts.config.busy_poll),
            metrics: Metrics::new(&parts.id, parts.clock),
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
            links: Links::new(parts.transport),
            ticker: parts.ticker,
            batch_size: RefCell::default(),
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
        self.busy_poll.start();
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

    /// Gives entries to the store: up to which ticket everything is durable already, for [`flushed`](Self::flushed);
    /// `None` if `Flushed` is to come.
    #[must_use = "nobody else is told"]
    pub(crate) fn store(&self, ticket: Ticket, entries: EntryBatch) -> Option<Ticket> {
        self.metrics.flush.start(ticket.0);
        let durable = self.ports().storage.append(ticket, entries);
        match durable {
            None => self.batch_size.borrow_mut().appended(ticket, || self.clock.now()),
            Some(_) => self.batch_size.borrow_mut().done_at_once(),
        }
        durable
    }

    /// Everything up to `ticket` is durable. Whether more of the log is than before.
    pub(crate) fn flushed(&self, ticket: Ticket) -> bool {
        self.metrics.flush.stop(ticket.0);
        self.board.counters.flushes.add(1);
        self.batch_size.borrow_mut().flushed(ticket, || self.clock.now());
        self.log.borrow_mut().flushed(ticket)
    }

    /// How many commands are to go on together at most.
    pub(crate) fn batch_commands_max(&self) -> u64 {
        self.batch_size.borrow().commands_max().min(self.config.max_append_entries as u64)
    }

    /// Raises the commit index and hands on what that releases. Whether it rose.
    pub(crate) fn commit(&self, index: LogIndex) -> bool {
        let rose = self.log.borrow_mut().commit_to(index);
        if rose {
            let commit = self.log.borrow().commit();
            self.board.set_commit(commit);
            self.metrics.commit.stop(commit.0);
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
    pub(crate) fn hand_off_stored(&self, batches: &[EntryBatch]) {
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
        if let Some(last) = entries.last() {
            self.metrics.apply.start(last.0);
        }
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
        self.metrics.apply.stop(last.0);
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
            self.metrics.ended();
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

    /// The cluster, as far as it is known: entry 1, whose hash it is, tells it before it is written down anywhere.
    pub(crate) fn cluster(&self) -> ClusterId {
        let known = self.board.identity().cluster;
        let log = self.log.borrow();
        let first = log.first_membership().filter(|_| known.is_none());
        first.map_or(known, |first| ClusterId::of(&first.encode()))
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
