//! Several nodes on one thread, each with a disk of its own, and what a test does to them.
//!
//! Each node runs in a `LocalSet` of its own, so that a crash takes all of it at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
    time::Duration,
};

use actix::{Handler, Message};
use raftix::{
    Apply, ApplyError, ChangeError, Configuration, GetConfiguration, Read, ReadError, Shutdown,
    types::LogIndex,
};
use raftix::{
    Config, Placement, Raft, RaftBuilder, RaftSystem, ServerRole, StartError, Status, sim::vfs::SimVfs,
    transport::memory::MemoryNetwork,
};
use tokio::{
    task::{JoinHandle, LocalSet},
    time::{Instant, sleep, timeout},
};

use super::{History, Put, Recorder, Recording, Traffic, ms, secs};

/// How long a condition may take to come true, in virtual time.
const PATIENCE: Duration = secs(60);

/// See the module.
pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) traffic: Traffic,
    /// For the nodes started from here on.
    pub(crate) config: Config,
    seed: u64,
    /// How many nodes form the cluster; the others wait to be added.
    founders: usize,
    nodes: Vec<Slot>,
    far: BTreeSet<usize>,
}

struct Slot {
    id: String,
    address: String,
    disk: SimVfs,
    starts: u64,
    recording: Recording,
    running: Option<Running>,
}

struct Running {
    raft: Raft<Recorder>,
    task: JoinHandle<()>,
}

impl World {
    /// `count` nodes `n1`, `n2`, … that are not started.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let slot = |n| Slot {
            id: format!("n{n}"),
            address: format!("n{n}:0"),
            disk: SimVfs::new(),
            starts: 0,
            recording: Recording::default(),
            running: None,
        };
        Self {
            network: MemoryNetwork::with_faults(),
            traffic: Traffic::default(),
            config: Config::fast(),
            seed,
            founders: count,
            nodes: (1..=count).map(slot).collect(),
            far: BTreeSet::new(),
        }
    }

    /// The same, started, with a leader.
    pub(crate) async fn running(count: usize, seed: u64) -> Self {
        let mut world = Self::new(count, seed);
        world.start_all().await;
        world.leader().await;
        world
    }

    /// `founders` nodes that form a cluster and `spares` that wait to be added; none is started.
    pub(crate) fn joining(founders: usize, spares: usize, seed: u64) -> Self {
        let mut world = Self::new(founders + spares, seed);
        world.founders = founders;
        world
    }

    /// The same, started, with a leader.
    pub(crate) async fn with_spares(founders: usize, spares: usize, seed: u64) -> Self {
        let mut world = Self::joining(founders, spares, seed);
        world.start_all().await;
        world.leader().await;
        world
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Every node's number.
    pub(crate) fn all(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    pub(crate) fn id(&self, n: usize) -> &str {
        &self.nodes[n].id
    }

    pub(crate) fn address(&self, n: usize) -> &str {
        &self.nodes[n].address
    }

    pub(crate) fn disk(&self, n: usize) -> &SimVfs {
        &self.nodes[n].disk
    }

    pub(crate) fn peers(&self) -> Vec<(String, String)> {
        let founders = &self.nodes[..self.founders];
        founders.iter().map(|node| (node.id.clone(), node.address.clone())).collect()
    }

    pub(crate) async fn start_all(&mut self) {
        for n in self.all() {
            self.start(n).await;
        }
    }

    pub(crate) async fn start(&mut self, n: usize) {
        if let Err(error) = self.try_start(n).await {
            panic!("{} does not start: {error}", self.id(n));
        }
    }

    /// Starts a node with its disk as it is.
    pub(crate) async fn try_start(&mut self, n: usize) -> Result<(), StartError> {
        self.try_start_with(n, |builder, _| builder).await
    }

    /// The same with a state machine or a store of the test's.
    pub(crate) async fn start_with(
        &mut self,
        n: usize,
        change: impl FnOnce(RaftBuilder<Recorder>, Recording) -> RaftBuilder<Recorder>,
    ) {
        self.try_start_with(n, change).await.unwrap();
    }

    /// Starts a node that was to join so that it forms a cluster by itself.
    pub(crate) async fn start_alone(&mut self, n: usize) {
        let founders = std::mem::replace(&mut self.founders, 1);
        let kept: Vec<Slot> = self.nodes.drain(..n).collect();
        self.start(0).await;
        self.nodes.splice(..0, kept);
        self.founders = founders;
    }

    async fn try_start_with(
        &mut self,
        n: usize,
        change: impl FnOnce(RaftBuilder<Recorder>, Recording) -> RaftBuilder<Recorder>,
    ) -> Result<(), StartError> {
        assert!(self.nodes[n].running.is_none(), "{} runs already", self.id(n));
        let peers = self.peers();
        let slot = &mut self.nodes[n];
        slot.starts += 1;
        slot.recording = Recording::default();
        let own = self.network.transport(slot.address.as_str());
        let builder = RaftSystem::builder(slot.id.as_str());
        let builder = match n < self.founders {
            true => builder.peers(peers),
            false => builder.advertise(&slot.address).join(peers.into_iter().map(|(_, address)| address)),
        };
        let builder = builder
            .config(self.config.clone())
            .data_dir("data")
            .vfs(Arc::new(slot.disk.clone()))
            .segment_bytes(64 << 10)
            .transport(self.traffic.transport(own, &slot.id))
            .placement(Placement::Inline)
            .seed(self.seed.wrapping_mul(1_000_003) ^ ((n as u64) << 32) ^ slot.starts)
            .state_machine(Recorder::new(slot.recording.clone()));
        let set = LocalSet::new();
        let raft = set.run_until(change(builder, slot.recording.clone()).start()).await?;
        slot.running = Some(Running { raft, task: tokio::task::spawn_local(set) });
        Ok(())
    }

    /// The process dies; what it wrote to its disk is there, synced or not.
    pub(crate) async fn crash(&mut self, n: usize) {
        self.nodes[n].disk.kill();
        self.end(n).await;
    }

    /// The machine loses power, and with it a part of what was not synced.
    pub(crate) async fn lose_power(&mut self, n: usize, seed: u64) {
        self.nodes[n].disk.power_loss(seed);
        self.end(n).await;
    }

    /// Crashes a node and starts it again.
    pub(crate) async fn restart(&mut self, n: usize) {
        self.crash(n).await;
        self.start(n).await;
    }

    /// Crashes a node if it runs, and empties its disk.
    pub(crate) async fn wipe(&mut self, n: usize) {
        self.crash(n).await;
        self.nodes[n].disk = SimVfs::new();
    }

    /// From its next start on the node listens at another address.
    pub(crate) fn move_to(&mut self, n: usize, address: &str) {
        self.nodes[n].address = address.to_owned();
    }

    /// Forgets a node that has stopped by itself.
    pub(crate) async fn bury(&mut self, n: usize) {
        let stopped = timeout(PATIENCE, self.raft(n).stopped()).await;
        assert!(stopped.is_ok(), "{} goes on:\n{}", self.id(n), self.report());
        self.end(n).await;
    }

    /// Changes the membership through a node.
    pub(crate) async fn change<M>(&self, n: usize, change: M) -> Result<u64, ChangeError>
    where
        M: Message<Result = Result<LogIndex, ChangeError>> + Send + 'static,
        RaftSystem<Recorder>: Handler<M>,
    {
        self.raft(n).send(change).await.expect("the node runs").map(|index| index.0)
    }

    /// The membership in force on a node.
    pub(crate) async fn configuration(&self, n: usize) -> Configuration {
        self.raft(n).send(GetConfiguration).await.expect("the node runs")
    }

    /// Stops a node in order.
    pub(crate) async fn stop(&mut self, n: usize) {
        self.raft(n).send(Shutdown).await.unwrap();
        self.end(n).await;
    }

    async fn end(&mut self, n: usize) {
        let Some(running) = self.nodes[n].running.take() else { return };
        running.task.abort();
        let _ = running.task.await;
    }

    pub(crate) fn is_running(&self, n: usize) -> bool {
        self.nodes[n].running.is_some()
    }

    pub(crate) fn raft(&self, n: usize) -> Raft<Recorder> {
        self.nodes[n].running.as_ref().unwrap_or_else(|| panic!("{} does not run", self.id(n))).raft.clone()
    }

    pub(crate) fn status(&self, n: usize) -> Status {
        self.raft(n).status()
    }

    pub(crate) fn recording(&self, n: usize) -> &Recording {
        &self.nodes[n].recording
    }

    pub(crate) fn leads(&self, n: usize) -> bool {
        self.is_running(n) && self.status(n).role == ServerRole::Leader
    }

    /// The running nodes on this side of a partition that have something of the log.
    fn near(&self) -> Vec<usize> {
        let waits = |n: &usize| {
            let status = self.status(*n);
            status.role == ServerRole::Quarantined && status.last_index == LogIndex(0)
        };
        self.all().filter(|n| self.is_running(*n) && !self.far.contains(n) && !waits(n)).collect()
    }

    /// Waits until one node of this side leads and every other one of this side that takes part knows it.
    pub(crate) async fn leader(&self) -> usize {
        self.wait_for("a leader", |world| world.agreed_leader().is_some()).await;
        self.agreed_leader().expect("it was there just now")
    }

    fn agreed_leader(&self) -> Option<usize> {
        let near = self.near();
        let leader = near.iter().copied().filter(|n| self.leads(*n)).max_by_key(|n| self.status(*n).term)?;
        let of = |n: &usize| self.status(*n);
        let id = Some(self.status(leader).id);
        let term = self.status(leader).term;
        near.iter().map(of).all(|status| status.leader == id && status.term == term).then_some(leader)
    }

    /// The running nodes of this side that do not lead.
    pub(crate) async fn followers(&self) -> Vec<usize> {
        let leader = self.leader().await;
        self.near().into_iter().filter(|n| *n != leader).collect()
    }

    /// Cuts `far` off from the rest.
    pub(crate) fn partition(&mut self, far: &[usize]) {
        let address = |n: &usize| self.nodes[*n].address.as_str();
        let near: Vec<usize> = self.all().filter(|n| !far.contains(n)).collect();
        self.network.partition(far.iter().map(address), near.iter().map(address));
        self.far.extend(far);
    }

    /// Pulls a node's plug.
    pub(crate) fn disconnect(&mut self, n: usize) {
        self.network.disconnect(&self.nodes[n].address);
        self.far.insert(n);
    }

    /// Everybody reaches everybody again.
    pub(crate) fn heal(&mut self) {
        self.network.heal();
        self.far.clear();
    }

    /// Applies a command on a node.
    pub(crate) async fn apply(&self, n: usize, command: &str) -> Result<u64, ApplyError<Put>> {
        self.raft(n).send(Apply(Put::from(command))).await.expect("the node runs")
    }

    /// Applies commands on whoever leads, one after the other.
    pub(crate) async fn apply_all(&self, commands: impl IntoIterator<Item = String>) {
        let leader = self.leader().await;
        for command in commands {
            self.apply(leader, &command).await.unwrap();
        }
    }

    /// Reads the history on a node.
    pub(crate) async fn read(&self, n: usize) -> Result<Vec<String>, ReadError> {
        self.raft(n).send(Read(History)).await.expect("the node runs")
    }

    /// Waits until every running node of this side has applied everything, and checks that it is the same.
    pub(crate) async fn ensure_same(&self) {
        self.wait_for("equal states", |world| {
            let near = world.near();
            let last = near.iter().map(|n| world.status(*n).last_index).max().unwrap_or_default();
            near.iter().all(|n| world.status(*n).applied_index == last)
        })
        .await;
        let near = self.near();
        let expected = self.recording(near[0]).all();
        for n in &near[1..] {
            assert_eq!(self.recording(*n).all(), expected, "{} and {} differ", self.id(near[0]), self.id(*n));
        }
        self.check();
    }

    /// Nobody has failed, and nobody has led beside another.
    pub(crate) fn check(&self) {
        self.traffic.check();
        for n in self.all().filter(|n| self.is_running(*n)) {
            assert_eq!(self.status(n).fatal, None, "{} failed", self.id(n));
        }
    }

    /// Waits in virtual time until `condition` holds.
    pub(crate) async fn wait_for(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < until, "waited in vain for {what}:\n{}", self.report());
            sleep(ms(1)).await;
        }
    }

    /// Waits until `n` has applied everything up to `index`.
    pub(crate) async fn wait_applied(&self, n: usize, index: LogIndex) {
        self.wait_for("an index to be applied", |world| world.status(n).applied_index >= index).await;
    }

    /// The role of every running node.
    pub(crate) fn roles(&self) -> BTreeMap<usize, ServerRole> {
        self.all().filter(|n| self.is_running(*n)).map(|n| (n, self.status(n).role)).collect()
    }

    fn report(&self) -> String {
        let mut report = String::new();
        for n in self.all() {
            let state = match self.is_running(n) {
                true => format!("{:?}", self.status(n)),
                false => "does not run".to_owned(),
            };
            let _ = writeln!(report, "{}: {state}", self.id(n));
        }
        report
    }
}

/// Nothing of a world lives on beside the next one.
impl Drop for World {
    fn drop(&mut self) {
        self.traffic.stop();
        for running in self.nodes.iter().filter_map(|node| node.running.as_ref()) {
            running.task.abort();
        }
    }
}
