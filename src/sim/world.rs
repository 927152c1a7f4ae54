//! The nodes of a run and what is done to them.

use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::{JoinHandle, LocalSet},
};

use super::{
    activity::{Activities, Activity},
    clients::Clients,
    links::Links,
    network::SimNetwork,
    node::{CutOff, Process, SimNode},
    observed::Observed,
    oracle::{Oracle, Violation, WatchedSnapshots, WatchedStore},
    pace::NodePace,
    plan::Plan,
    vfs::SimVfs,
    workload::Workload,
};
use crate::{
    actors::raft_system::RaftSystem,
    board::ServerRole,
    clock::ClockSkew,
    config::Config,
    error::{Fatal, StartError},
    storage::StorageError,
    system::{Placement, Surroundings, WatchStores, start_in},
    types::{Incarnation, LogIndex, NodeId, Term},
};

/// When every run begins, for those in it: some day, Unix time.
const VIRTUAL_EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The disk keeps what was written.
    Killed,
    /// What was not flushed is there in parts; the seed decides which.
    PowerLost(u64),
}

/// See the module.
pub(super) struct World<W: Workload> {
    pub(super) plan: Plan,
    workload: W,
    pub(super) oracle: Oracle,
    pub(super) clients: Rc<Clients<W>>,
    pub(super) links: Links,
    pub(super) nodes: Vec<SimNode<W::Machine>>,
    /// Raised by a node that has stopped by itself.
    pub(super) attention: Rc<Notify>,
    /// How many processes ended with something that they had not flushed.
    unflushed_ends: u64,
    /// How many reads the processes that ended had answered by lease.
    lease_reads: u64,
    /// How many leaders handed leadership to another when they were asked to.
    pub(super) transfers: Rc<Cell<u64>>,
    /// How often each kind of fault struck.
    pub(super) struck: BTreeMap<&'static str, u64>,
    /// The change of the membership that is under way.
    pub(super) changing: Option<JoinHandle<()>>,
}

impl<W: Workload> World<W> {
    pub(super) fn new(plan: Plan, workload: W) -> Self {
        let attention = Rc::new(Notify::new());
        let nodes: Vec<SimNode<W::Machine>> =
            (0..plan.nodes + plan.spares).map(|number| place(number, &plan)).collect();
        let oracle = Oracle::new(nodes.iter().map(|node| (&node.id, node.address.as_str())), plan.nodes);
        let network = SimNetwork::new(plan.seed ^ 0x6e65_7477);
        network.watch(Arc::new(oracle.clone()));
        network.set_coding(plan.codec);
        tokio::task::spawn_local(network.clone().carry());
        let ids = nodes.iter().map(|node| node.id.clone()).collect();
        let clients = Clients::new(workload.clone(), oracle.clone(), ids);
        let links = Links::new(network, nodes.iter().map(|node| node.address.clone()).collect());
        Self {
            plan,
            workload,
            oracle,
            clients,
            links,
            nodes,
            attention,
            unflushed_ends: 0,
            lease_reads: 0,
            transfers: Rc::default(),
            struck: BTreeMap::new(),
            changing: None,
        }
    }

    pub(super) fn count(&mut self, kind: &'static str) {
        *self.struck.entry(kind).or_default() += 1;
    }

    pub(super) fn is_running(&self, n: usize) -> bool {
        self.nodes[n].process.is_some()
    }

    /// The running node that leads the highest term.
    pub(super) fn leader(&self) -> Option<usize> {
        let seat = |n: usize| {
            let (role, term) = self.seat(n)?;
            (role == ServerRole::Leader).then_some((term, n))
        };
        (0..self.nodes.len()).filter_map(seat).max().map(|(_, n)| n)
    }

    /// What a node does, in which term, if it runs.
    pub(super) fn seat(&self, n: usize) -> Option<(ServerRole, Term)> {
        Some(self.nodes[n].process.as_ref()?.shared.upgrade()?.board.seat())
    }

    /// Whether every member's log that is followed ends at the same entry, committed and applied.
    pub(super) fn same_logs(&self) -> bool {
        let end = |node: &SimNode<W::Machine>| {
            let status = node.process.as_ref().map(|process| process.raft.status())?;
            let done = status.commit_index == status.last_index && status.applied_index == status.last_index;
            Some(done.then_some(status.last_index))
        };
        let ends: Vec<Option<LogIndex>> =
            self.oracle.members().into_iter().filter_map(|n| end(&self.nodes[n])).collect();
        ends.iter().all(|end| end.is_some() && *end == ends[0])
    }

    /// How often each kind of fault struck; zero for what was enabled and did not.
    pub(super) fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<&'static str, u64> = self.plan.kinds.iter().map(|kind| (*kind, 0)).collect();
        counts.extend(&self.struck);
        let skewed = self.plan.skews.iter().filter(|skew| **skew != ClockSkew::NONE).count();
        counts.insert("wrong clock", skewed as u64);
        let compactions = self.oracle.compactions();
        counts.extend([
            ("snapshot taken", compactions.taken),
            ("snapshot received", compactions.received),
            ("log compacted", compactions.purged),
            ("log reset", compactions.reset),
        ]);
        counts.insert("state restored", self.oracle.restores_done());
        counts.extend(self.links.network.counts().into_iter().map(|(fault, count)| (fault.name(), count)));
        counts
    }

    /// How often each activity has happened so far.
    pub(super) fn activities(&self) -> Activities {
        let running = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let by_lease: u64 = running.map(|process| process.raft.statistics().lease_reads).sum();
        let compactions = self.oracle.compactions();
        let mut activities = Activities::default();
        for (activity, count) in [
            (Activity::LeaderChange, self.oracle.leader_changes()),
            (Activity::UnflushedEnd, self.unflushed_ends),
            (Activity::Acknowledged, self.clients.acknowledged()),
            (Activity::MembershipChange, self.oracle.membership_changes()),
            (Activity::SnapshotTaken, compactions.taken),
            (Activity::SnapshotInstalled, compactions.installed),
            (Activity::Transfer, self.transfers.get()),
            (Activity::LeaseRead, self.lease_reads + by_lease),
            (Activity::Retry, self.clients.retries().resolved),
        ] {
            activities.add(activity, count);
        }
        activities
    }

    /// Members that take part in the cluster, or will when they are started.
    pub(super) fn intact(&self) -> Vec<usize> {
        let takes_part = |n: &usize| !self.nodes[*n].refuses && !self.oracle.is_out(*n);
        self.oracle.members().into_iter().filter(takes_part).collect()
    }

    pub(super) fn accuse(&self, law: &'static str, what: impl Into<String>) {
        self.oracle.accuse(Violation::new(law, what));
    }

    /// Starts a node that does not run. Whether it runs now; if not it may be worth another try.
    pub(super) async fn start(&mut self, n: usize) -> bool {
        if self.is_running(n) || self.nodes[n].refuses {
            return true;
        }
        let builder = self.builder(n);
        let surroundings = self.surroundings(n);
        let set = LocalSet::new();
        let started = set.run_until(start_in(builder, surroundings)).await;
        self.oracle.note("start", Some(n), [self.nodes[n].lives, u64::from(started.is_ok()), 0]);
        match started {
            Ok((raft, shared)) => {
                self.clients.doors.set(n, Some(raft.clone()));
                let attention = self.attention.clone();
                let process = Process::run(set, (raft, shared), n, self.oracle.clone(), attention);
                self.nodes[n].process = Some(process);
                true
            }
            Err(error) => {
                drop(set);
                self.did_not_start(n, &error);
                false
            }
        }
    }

    fn did_not_start(&mut self, n: usize, error: &StartError) {
        let node = &mut self.nodes[n];
        node.disk.kill();
        self.oracle.ended(n);
        match error {
            StartError::Storage(StorageError::Corrupt { .. }) if node.rotted => node.refuses = true,
            // Only a disk that was filled is full.
            StartError::Storage(StorageError::Full { .. }) => {}
            // A fault that was planned for it has struck while it started.
            StartError::Storage(StorageError::Io { .. }) if node.disk_faulty => {}
            _ => self.accuse("a node starts after any crash", format!("n{} does not: {error}", n + 1)),
        }
    }

    fn builder(&mut self, n: usize) -> crate::system::RaftBuilder<Observed<W::Machine>> {
        let founders = &self.nodes[..self.plan.nodes];
        let peers: Vec<(NodeId, String)> =
            founders.iter().map(|node| (node.id.clone(), node.address.clone())).collect();
        let node = &mut self.nodes[n];
        node.lives += 1;
        let seed = mix(self.plan.seed, n as u64, node.lives);
        // There is nobody to stay awake for: all nodes are on this thread, and its time does not pass meanwhile.
        let config = Config { busy_poll: 0, ..self.plan.configs[n].clone() };
        let builder = RaftSystem::builder(node.id.clone());
        let builder = match n < self.plan.nodes {
            true => builder.peers(peers),
            false => {
                builder.advertise(node.address.as_str()).join(peers.into_iter().map(|(_, address)| address))
            }
        };
        builder
            .config(config)
            .data_dir("data")
            .vfs(Arc::new(node.disk.clone()))
            .segment_bytes(self.plan.segment_bytes)
            .transport(self.links.network.transport(node.address.as_str()))
            .placement(Placement::Dedicated)
            .seed(seed)
            .state_machine(Observed::new(self.workload.machine(), n, self.oracle.clone()))
    }

    fn surroundings(&self, n: usize) -> Surroundings {
        let node = &self.nodes[n];
        let (logs, snapshots) = (self.oracle.clone(), self.oracle.clone());
        Surroundings {
            skew: self.plan.skews[n],
            virtual_epoch: Some(VIRTUAL_EPOCH + self.oracle.elapsed()),
            incarnation: Some(Incarnation(u128::from(mix(self.plan.seed, n as u64, node.lives)) | 1 << 64)),
            watch: Some(WatchStores {
                log: Box::new(move |log| Box::new(WatchedStore::new(log, n, logs))),
                snapshots: Box::new(move |store| Box::new(WatchedSnapshots::new(store, n, snapshots))),
            }),
            pace: Some(Rc::new(node.pace.clone())),
        }
    }

    /// Whether the end of this process would lose something that is not on its disk.
    pub(super) fn has_unflushed(&self, n: usize) -> bool {
        let node = &self.nodes[n];
        let shared = node.process.as_ref().and_then(|process| process.shared.upgrade());
        let queued = shared.is_some_and(|shared| shared.log.borrow().unflushed() > 0);
        queued || node.disk.has_unsynced() || self.oracle.has_unflushed(n)
    }

    /// Ends a process: first its hands are tied, then it is dropped.
    pub(super) async fn end(&mut self, n: usize, how: End) {
        let unflushed = self.has_unflushed(n);
        let Some(process) = self.nodes[n].process.take() else { return };
        let node = &mut self.nodes[n];
        self.unflushed_ends += u64::from(unflushed);
        self.lease_reads += process.raft.statistics().lease_reads;
        if node.disk.syncs_after_failure() > 0 {
            self.oracle
                .accuse(Violation::new("a failed flush is final", format!("n{} flushes again", n + 1)));
        }
        match how {
            End::Killed => node.disk.kill(),
            End::PowerLost(seed) => node.disk.power_loss(seed),
        }
        node.disk_faulty = false;
        match how {
            End::Killed => self.links.network.fence(&node.address),
            End::PowerLost(_) => self.links.network.fence_silently(&node.address),
        }
        self.oracle.note("end", Some(n), [u64::from(how != End::Killed), u64::from(unflushed), 0]);
        self.clients.doors.set(n, None);
        process.drop_all().await;
        self.oracle.ended(n);
    }

    /// Why a process has stopped by itself, if one has: then it is ended.
    pub(super) async fn reap(&mut self, n: usize) -> Option<Reaped> {
        let process = self.nodes[n].process.as_ref()?;
        let off = self.nodes[n].disk.is_off();
        let over = process.shared.upgrade().is_none_or(|shared| shared.board.is_over());
        if !off && !over {
            return None;
        }
        let fatal = process.raft.fatal();
        let excused = off || self.nodes[n].disk_faulty || self.nodes[n].rotted;
        let reaped = match fatal {
            _ if off => Reaped::CutOff(self.nodes[n].cut_off),
            None => Reaped::Stopped,
            Some(Fatal::Storage(_)) if excused => Reaped::DiskFailed,
            Some(fatal) => {
                self.accuse("a node fails only for a reason", format!("n{}: {fatal}", n + 1));
                Reaped::Stopped
            }
        };
        let how = if off && self.nodes[n].cut_off == CutOff::Power {
            End::PowerLost(mix(self.plan.seed, n as u64, self.nodes[n].lives))
        } else {
            End::Killed
        };
        self.end(n, how).await;
        Some(reaped)
    }

    /// Empties the disk of a node that does not run.
    pub(super) fn wipe(&mut self, n: usize) {
        self.nodes[n].disk = SimVfs::new();
        self.oracle.wiped(n);
    }

    /// Undoes everything that was done to what the nodes live on.
    pub(super) fn mend_all(&mut self) {
        self.links.mend_all();
        for node in &mut self.nodes {
            node.pace.recover();
            node.disk.set_capacity(None);
            node.disk.clear_faults();
            if let Some(process) = &node.process {
                process.resume();
            }
        }
    }
}

/// What a process that stopped by itself died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaped {
    /// It was ended in the middle of a change of its disk.
    CutOff(CutOff),
    /// Its disk failed, as planned.
    DiskFailed,
    /// It was told to.
    Stopped,
}

fn place<S: crate::state_machine::StateMachine>(number: usize, plan: &Plan) -> SimNode<S> {
    let id = format!("n{}", number + 1);
    SimNode {
        address: format!("{id}:0"),
        id: id.into(),
        disk: SimVfs::new(),
        pace: NodePace::new(plan.threads, mix(plan.seed, number as u64, u64::MAX)),
        lives: 0,
        refuses: false,
        rotted: false,
        disk_faulty: false,
        cut_off: CutOff::Power,
        process: None,
    }
}

/// A seed for one of many purposes.
pub(super) fn mix(seed: u64, who: u64, what: u64) -> u64 {
    let mut rng =
        fastrand::Rng::with_seed(seed ^ who.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ what.rotate_left(32));
    rng.u64(..)
}

/// How long a node that does not start waits until it is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
