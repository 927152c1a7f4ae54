//! From a description to a running node.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    sync::Arc,
};

use futures::channel::oneshot;

use super::{
    Raft,
    builder::{Placement, RaftBuilder, StoreChoice},
    inbound::NodeInbound,
    open::{Opened, entropy, open},
    surroundings::Surroundings,
    wiring::{
        consensus_outlets, fsm_bridge, fsm_completions, snapshot_bridge, snapshotter_outlets, storage_bridge,
        storage_completions, subscribe,
    },
};
use crate::{
    actors::{
        bootstrapper::Bootstrapper,
        consensus::Consensus,
        fsm_applier::{FsmApplier, FsmStep, InlineFsm, StateMachineQueue},
        joiner::Joiner,
        node::{FsmQueue as _, Node, NodeParts, Ports},
        raft_system::{Lifecycle, RaftSystem},
        snapshotter::{FileStep, Snapshotter},
        storage::{InlineStorage, Storage, StorageQueue, StorageStep},
        ticker::Ticker,
    },
    board::{Board, Standing},
    clock::Clock,
    error::StartError,
    log::Log,
    mailbox::{Credits, Inspector, Port, port_of, spawn, spawn_unaddressed},
    messages::FsmRestore,
    state_machine::StateMachine,
    transport::Identity,
    types::{ClusterId, GroupId, Incarnation, LogId, LogIndex, Membership, NodeId, Server, Suffrage},
};

impl<S: StateMachine> RaftBuilder<S> {
    /// Opens the store, begins to listen and spawns the actors on the caller's arbiter, or any tokio
    /// `LocalSet`. The node is running when this returns; it may not know a leader yet.
    ///
    /// # Errors
    /// Says in one line what is missing, taken, locked, foreign or damaged.
    pub async fn start(self) -> Result<Raft<S>, StartError> {
        Ok(start_in(self, Surroundings::real()).await?.0)
    }

    /// The same on a thread of its own, with an actix `System` of its own, for programs that have none. The
    /// thread ends when the node has stopped.
    ///
    /// # Errors
    /// As for [`start`](Self::start), or if the thread cannot be started.
    pub async fn start_thread(self) -> Result<Raft<S>, StartError> {
        start_thread(self).await
    }
}

/// Starts a node in these surroundings. What its protocol actors share comes with it, for a simulator to look at
/// between their turns.
pub(crate) async fn start_in<S: StateMachine>(
    mut builder: RaftBuilder<S>,
    mut surroundings: Surroundings,
) -> Result<(Raft<S>, Weak<Node>), StartError> {
    builder.config.validate()?;
    let machine = builder.machine.take().ok_or(StartError::Incomplete("a node needs a state machine"))?;
    if builder.join.is_some() {
        if !builder.peers.is_empty() {
            return Err(StartError::Incomplete("a node forms a cluster with its peers, or joins one"));
        }
    } else if builder.peers.is_empty() {
        let own = (builder.id.clone(), builder.own_address());
        builder.peers.push(own);
    } else if !builder.peers.iter().any(|(id, _)| *id == builder.id) {
        return Err(StartError::Incomplete("the list of peers must name this node too"));
    }
    if builder.join.is_none() {
        check_peers(&builder.peers)?;
    }
    #[cfg(feature = "peers-json")]
    let machine = super::recover::recover_at_start(&mut builder, machine).await?;
    let opened = open(&mut builder, &mut surroundings).await?;
    for repair in &opened.recovered.repairs {
        tracing::warn!(node = %builder.id, %repair, "recovered the log");
    }
    Assembly::new(builder, surroundings, opened).run(machine)
}

async fn start_thread<S: StateMachine>(builder: RaftBuilder<S>) -> Result<Raft<S>, StartError> {
    let (report, started) = oneshot::channel();
    let name = format!("raftix-{}", builder.id);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        actix_rt::System::new().block_on(async move {
            let started = builder.start().await;
            let running = started.as_ref().ok().cloned();
            if report.send(started).is_ok()
                && let Some(raft) = running
            {
                raft.stopped().await;
            }
        });
    });
    thread.map_err(StartError::Thread)?;
    started.await.unwrap_or(Err(StartError::Incomplete("the node's thread ended before it started")))
}

fn check_peers(peers: &[(NodeId, String)]) -> Result<(), StartError> {
    let servers = peers.iter().map(|(id, address)| Server {
        id: id.clone(),
        address: address.clone(),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation::NONE,
    });
    Membership::new(servers)?;
    Ok(())
}

/// Everything that the actors are made of.
struct Assembly<S> {
    builder: RaftBuilder<S>,
    surroundings: Surroundings,
    opened: Opened,
    threads: bool,
    seed: u64,
}

impl<S: StateMachine> Assembly<S> {
    fn new(builder: RaftBuilder<S>, surroundings: Surroundings, opened: Opened) -> Self {
        let durable = opened.directory.is_some();
        let threads = match builder.placement {
            Placement::Auto => durable,
            Placement::Inline => false,
            Placement::Dedicated => true,
        };
        let seed = builder.seed.unwrap_or_else(|| entropy() as u64);
        Self { builder, surroundings, opened, threads, seed }
    }

    fn standing(&self) -> Standing {
        let recovered = &self.opened.recovered;
        let first = recovered.memberships.first().filter(|(index, _)| *index == LogIndex(1));
        let named = first.and_then(|(_, membership)| membership.get(&self.builder.id));
        // What is compacted was committed, so a store without an identity has the word of the cluster instead.
        let admitted =
            recovered.base.membership.get(&self.builder.id).filter(|_| self.opened.directory.is_none());
        if self.opened.member || admitted.is_some_and(|own| own.incarnation == self.opened.incarnation) {
            Standing::Member
        } else if named.is_some_and(|own| own.incarnation == self.opened.incarnation) {
            // It stopped between its first entry and the mark of a member, which comes before its first vote.
            Standing::Founding
        } else if !self.opened.cluster.is_none() {
            Standing::waiting()
        } else if recovered.last.index == LogIndex::ZERO && self.builder.join.is_some() {
            Standing::Joining
        } else if recovered.last.index == LogIndex::ZERO {
            Standing::Blank
        } else {
            Standing::Quarantined("the log here belongs to an earlier life of this node".to_owned())
        }
    }

    fn identity(&self) -> Identity {
        let recovered = &self.opened.recovered;
        let first = recovered.memberships.first().filter(|(index, _)| *index == LogIndex(1));
        let cluster = match first {
            _ if !self.opened.cluster.is_none() => self.opened.cluster,
            Some((_, membership)) => ClusterId::of(&membership.encode()),
            // What lies before it is compacted, and a store of one's own keeps nothing beside it.
            None => self.opened.newest.as_ref().map_or(ClusterId::NONE, |meta| meta.description.cluster),
        };
        Identity {
            id: self.builder.id.clone(),
            cluster,
            group: GroupId::ZERO,
            incarnation: self.opened.incarnation,
        }
    }

    fn run(mut self, machine: S) -> Result<(Raft<S>, Weak<Node>), StartError> {
        let standing = self.standing();
        let identity = self.identity();
        let clock = Clock::start(self.surroundings.skew, self.surroundings.virtual_epoch);
        let board = Arc::new(Board::new(identity.clone(), clock));
        let inspector = Inspector::new(self.builder.id.to_string());
        let tcp = self.builder.tcp.take().map(|mut options| {
            options.seed ^= self.seed;
            // The largest command must fit a frame, with room for its envelope.
            let frame = self.builder.config.entry_bytes_max.max(self.builder.config.append_bytes_max) * 2;
            options.frame_bytes_max = options.frame_bytes_max.max(frame);
            options
        });
        let choice = std::mem::replace(&mut self.builder.transport, super::builder::TransportChoice::Tcp);
        let transport = Rc::new(RefCell::new(choice.open(tcp)));
        let ticker = Ticker::default();
        let mut log = Log::new(&self.opened.recovered, self.builder.config.log_cache_bytes);
        if let Some(meta) = &self.opened.newest {
            log.restored(&meta.description);
            board.set_snapshot(meta.description.last);
        }
        board.set_commit(log.commit());
        let node = Node::new(NodeParts {
            id: self.builder.id.clone(),
            incarnation: identity.incarnation,
            config: self.builder.config.clone(),
            seed: self.seed,
            clock,
            inspector: inspector.clone(),
            log,
            board: board.clone(),
            transport: transport.clone(),
            ticker: ticker.clone(),
        });
        node.publish_log();
        #[cfg(feature = "metrics")]
        {
            let told = Rc::downgrade(&node);
            ticker.subscribe(move |tick| {
                told.upgrade().map(|node| node.metrics.publish(tick.now, &node.board)).is_some()
            });
        }
        let mut inbound = None;
        let name = format!("raft_system/{}", self.builder.id);
        let spawned = spawn(&inspector, name, |ctx| {
            let front = port_of(ctx);
            let ticking = node.start_ticking();
            let snapshotter = self.spawn_snapshotter(&node);
            let fsm = self.spawn_fsm(machine, &node, &front, &snapshotter);
            let consensus = self.spawn_consensus(&node, standing.clone(), &front, (&fsm, &snapshotter));
            inbound = Some(NodeInbound {
                board: board.clone(),
                consensus: consensus.clone(),
                front: front.clone(),
            });
            if standing.is_blank() {
                match self.builder.join.take() {
                    Some(addresses) => spawn_joiner(&node, addresses),
                    None => Bootstrapper::start(&node, self.builder.peers.clone()),
                }
            }
            let config = &self.builder.config;
            let credits = Credits::new(config.pending_requests_max as u32, config.pending_bytes_max as u64);
            RaftSystem::new(node.clone(), fsm, front, Lifecycle::new(ticking), credits)
        });
        subscribe(&ticker, &spawned.port);
        node.watch("raft system", spawned.task);
        let raft = Raft::new(spawned.port.clone(), board.clone(), inspector);
        let inbound = inbound.expect("the system was built");
        let started = transport.borrow_mut().start(Arc::new(inbound));
        if let Err(error) = started {
            spawned.port.send_now(crate::messages::Shutdown);
            return Err(error.into());
        }
        Ok((raft, Rc::downgrade(&node)))
    }

    fn spawn_snapshotter(&mut self, node: &Rc<Node>) -> Port<Snapshotter> {
        let newest = self.opened.newest.as_ref().map_or(LogId::ZERO, |meta| meta.description.last);
        let files = self.opened.snapshots.take().map(FileStep::new);
        let spawned = spawn_unaddressed(&node.inspector, "snapshotter", |ctx| {
            let own = port_of(ctx);
            let bridge =
                files.map(|files| snapshot_bridge(&self.surroundings, node, files, own, self.threads));
            Snapshotter::new(node.clone(), bridge, self.opened.staging.clone(), newest)
        });
        subscribe(&node.ticker, &spawned.port);
        node.watch("snapshotter", spawned.task);
        spawned.port
    }

    /// The state machine; what it is to begin with is the first thing it is given.
    fn spawn_fsm(
        &mut self,
        machine: S,
        node: &Rc<Node>,
        front: &Port<RaftSystem<S>>,
        snapshotter: &Port<Snapshotter>,
    ) -> StateMachineQueue<S> {
        let done = fsm_completions(front.clone(), snapshotter.clone());
        let step = FsmStep::new(machine, self.opened.staging.clone());
        let fsm = if self.threads {
            let applier = FsmApplier::new(fsm_bridge(&self.surroundings, node, step, done));
            let spawned = spawn_unaddressed(&node.inspector, "fsm_applier", |_| applier);
            node.watch("fsm applier", spawned.task);
            StateMachineQueue::Actor(spawned.port)
        } else {
            StateMachineQueue::Inline(InlineFsm::new(step, done, node))
        };
        if let Some(source) = self.opened.source.take() {
            let state = !self.builder.config.no_snapshot_restore_on_start;
            fsm.restore(FsmRestore { source, state });
        }
        fsm
    }

    fn spawn_consensus(
        &mut self,
        node: &Rc<Node>,
        standing: Standing,
        front: &Port<RaftSystem<S>>,
        (fsm, snapshotter): (&StateMachineQueue<S>, &Port<Snapshotter>),
    ) -> Port<Consensus> {
        let store = std::mem::replace(&mut self.opened.store, StoreChoice::memory());
        let step = StorageStep::new(store, self.opened.directory.take());
        let spawned = spawn_unaddressed(&node.inspector, "consensus", |ctx| {
            let consensus = port_of(ctx);
            let completions = storage_completions(consensus.clone(), front.clone());
            let storage = if self.threads {
                let bridge = storage_bridge(&self.surroundings, node, step, completions.clone());
                let storage = Storage::new(bridge, completions);
                let storage = spawn_unaddressed(&node.inspector, "storage", |_| storage);
                subscribe(&node.ticker, &storage.port);
                node.watch("storage", storage.task);
                StorageQueue::Actor(storage.port)
            } else {
                let gate = self.builder.flush_gate.clone();
                let gated = gate.is_some();
                let storage = InlineStorage::new(step, completions, gate.unwrap_or_default());
                if gated {
                    actix_rt::spawn(storage.clone().follow_gate());
                }
                let retried = Rc::downgrade(&storage);
                node.ticker.subscribe(move |_| retried.upgrade().map(|storage| storage.retry()).is_some());
                StorageQueue::Inline(storage)
            };
            node.connect(Ports {
                front: Box::new(front.clone()),
                fsm: Box::new(fsm.clone()),
                storage,
                consensus: consensus_outlets(&consensus),
                snapshotter: snapshotter_outlets(snapshotter),
            });
            Consensus::new(
                node.clone(),
                consensus,
                &self.opened.recovered,
                standing,
                self.builder.peers.clone(),
            )
        });
        subscribe(&node.ticker, &spawned.port);
        node.watch("consensus", spawned.task);
        spawned.port
    }
}

fn spawn_joiner(node: &Rc<Node>, addresses: Vec<String>) {
    let spawned = spawn_unaddressed(&node.inspector, "consensus/joiner", |ctx| {
        Joiner::new(node.clone(), addresses, port_of(ctx))
    });
    subscribe(&node.ticker, &spawned.port);
    node.watch("joiner", spawned.task);
}
