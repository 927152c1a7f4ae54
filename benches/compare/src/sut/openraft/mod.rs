//! openraft, tuned as its own benchmark is, with a store and a router equivalent to that benchmark's, which is
//! not published as a crate.
//!
//! Both ways to run it are tried, and the better counts: `two-runtimes` as its benchmark ships (two workers for
//! the nodes, one for the clients), and `one-runtime`, everything on one current-thread runtime, which is faster
//! where a wake of another core costs more than the work. `streaming` replaces the benchmark's network, which
//! sends one request at a time, by a pipelined one. Over TCP appends are always pipelined, and a durable log is
//! Raftix's own behind an I/O thread.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use ::openraft::{
    Config, OptionalSend, Raft, RaftNetworkFactory, RaftTypeConfig, SnapshotPolicy,
    async_runtime::watch::WatchReceiver, network::NetSnapshot, vote::RaftLeaderId,
};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::{
    args::{Job, Log, Transport},
    child::{self, NODES, Nodes, Outcome},
    digest::{Machine, Position},
    fail_over::{self, Cuttable},
    load::{self, Client, Place},
};

mod disk;
mod router;
mod store;
mod tcp;

use super::slow::SlowStore;
use disk::Disk;
use router::Router;
use store::{LogStore, Machines};

/// The types of the comparison: a command of bytes, an empty answer. Everything else as its own benchmark has it; the
/// responder in particular, of which `declare_raft_types!` would take one with two channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Command;
    type R = Done;
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    type LeaderId = ::openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Vote = ::openraft::impls::Vote<Self::LeaderId>;
    type Payload = ::openraft::EntryPayload<Command, u64, ()>;
    type Entry = ::openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type Responder<T>
        = ::openraft::impls::OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = ::openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type AsyncRuntime = ::openraft::impls::TokioRuntime;
    type ErrorSource = ::openraft::AnyError;
}

/// A command.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Command(pub(crate) Bytes);

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The answer: the position of the entry comes with it anyway.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Done;

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("done")
    }
}

pub(crate) type Node = Raft<Types, Machines>;

impl Client for Node {
    async fn write(&self, command: Bytes) -> Result<Position, String> {
        let answer = self.client_write(Command(command)).await.map_err(|error| error.to_string())?;
        let at = answer.log_id;
        Ok(Position { index: at.index, term: at.committed_leader_id().term })
    }

    async fn read(&self) -> Result<(), String> {
        let policy = ::openraft::ReadPolicy::ReadIndex;
        self.ensure_linearizable(policy).await.map(drop).map_err(|error| error.to_string())
    }
}

struct Cluster {
    nodes: Vec<Node>,
    machines: Vec<Machines>,
    /// Where all are cut off and healed, if the nodes are joined in memory.
    router: Router,
}

impl Nodes for Cluster {
    async fn machine(&self, number: usize) -> Result<Machine, String> {
        Ok(self.machines[number].state().await)
    }

    fn term(&self) -> u64 {
        self.nodes[0].metrics().borrow_watched().current_term
    }
}

impl Cuttable for Cluster {
    fn leads(&self, number: usize) -> bool {
        self.nodes[number].metrics().borrow_watched().state.is_leader()
    }

    async fn write_at(&self, number: usize, command: Bytes) -> Result<Position, String> {
        Client::write(&self.nodes[number], command).await
    }

    fn cut(&self, number: usize) {
        self.router.cut(number, true);
    }

    fn heal(&self, number: usize) {
        self.router.cut(number, false);
    }
}

pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    let began = Instant::now();
    let streaming = job.setting.contains("streaming");
    if job.setting.starts_with("one-runtime") {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        return runtime.block_on(async {
            let cluster = start(job, streaming).await?;
            if job.cuts > 0 {
                return Ok(fail_over::run(job, &cluster).await);
            }
            let leader = cluster.nodes[0].clone();
            Ok(child::measure(job, &cluster, began, async |job: Job| {
                load::run(&job, &leader, Place::Runtime).await
            })
            .await)
        });
    }
    let (servers, clients) = (workers(2)?, workers(1)?);
    let cluster = servers.block_on(start(job, streaming))?;
    if job.cuts > 0 {
        return Ok(clients.block_on(fail_over::run(job, &cluster)));
    }
    let leader = cluster.nodes[0].clone();
    Ok(clients.block_on(child::measure(job, &cluster, began, async |job: Job| {
        load::run(&job, &leader, Place::Runtime).await
    })))
}

fn workers(count: usize) -> Result<Runtime, String> {
    let runtime = Builder::new_multi_thread().worker_threads(count).enable_all().build();
    runtime.map_err(|error| error.to_string())
}

/// Its benchmark's settings.
fn config(job: &Job) -> Result<Arc<Config>, String> {
    let mut config = Config {
        election_timeout_min: 200,
        election_timeout_max: 2000,
        purge_batch_size: 1024,
        max_payload_entries: 1024,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    if job.cuts > 0 {
        let timeout = super::ELECTION_TIMEOUT.as_millis() as u64;
        (config.election_timeout_min, config.election_timeout_max) = (timeout, timeout * 2);
        config.heartbeat_interval = timeout / 3;
        config.enable_pre_vote = Some(true);
    }
    config.validate().map(Arc::new).map_err(|error| error.to_string())
}

async fn start(job: &Job, streaming: bool) -> Result<Cluster, String> {
    let router = Router::new(streaming);
    let mut cluster = Cluster { nodes: Vec::new(), machines: Vec::new(), router: router.clone() };
    match job.transport {
        Transport::Memory => {
            for number in 0..NODES {
                cluster.add(job, number, router.of(number)).await?;
            }
            router.connect(&cluster.nodes);
        }
        Transport::Tcp => serve(job, &mut cluster).await.map_err(|error| error.to_string())?,
    }
    if job.recover > 0 {
        return Ok(cluster);
    }
    let members: BTreeSet<u64> = (0..NODES as u64).collect();
    cluster.nodes[0].initialize(members).await.map_err(|error| error.to_string())?;
    for node in &cluster.nodes {
        let wait = node.wait(Some(Duration::from_secs(10)));
        wait.applied_index_at_least(Some(1), "the first").await.map_err(|error| error.to_string())?;
    }
    Ok(cluster)
}

async fn serve(job: &Job, cluster: &mut Cluster) -> std::io::Result<()> {
    let listeners: Vec<_> = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let addresses = tcp::Addresses(addresses);
    for (number, listener) in listeners.into_iter().enumerate() {
        cluster.add(job, number, addresses.clone()).await.map_err(std::io::Error::other)?;
        tcp::serve(listener, cluster.nodes[number].clone())?;
    }
    Ok(())
}

impl Cluster {
    async fn add<N>(&mut self, job: &Job, number: usize, network: N) -> Result<(), String>
    where
        N: RaftNetworkFactory<Types>,
        N::Network: NetSnapshot<Types, SnapshotData = ()>,
    {
        let machines = Machines::new(job);
        let log = match job.log {
            Log::Memory => LogStore::default(),
            Log::Disk => LogStore::open(Disk::open(&super::directory(&job.data, number))?),
            Log::Slow => LogStore::open(Disk::start(SlowStore::new(job, number))?),
        };
        let node = Raft::new(number as u64, config(job)?, network, Arc::new(log), machines.clone()).await;
        self.nodes.push(node.map_err(|error| error.to_string())?);
        self.machines.push(machines);
        Ok(())
    }
}
