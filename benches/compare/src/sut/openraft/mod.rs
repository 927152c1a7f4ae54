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
    Config, Raft, RaftNetworkFactory, SnapshotPolicy, async_runtime::watch::WatchReceiver,
    network::NetSnapshot,
};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::{
    child::{self, Nodes},
    digest::{Machine, Position},
    fail_over::{self, Cuttable},
    job::{Job, Log, NODES, Transport},
    load::{self, Client, Place},
    newcomer::{self, Growing},
    outcome::Outcome,
};

mod disk;
mod router;
mod store;
mod tcp;
mod types;

use super::{places, slow::SlowStore};
use disk::Disk;
use router::Router;
use store::{LogStore, Machines, Node};
use types::{Command, Types};

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
    opened: Duration,
    /// Where all are cut off and healed, if the nodes are joined in memory.
    router: Router,
    /// Where they are, and where the last one will listen, if they are joined by TCP.
    addresses: Option<tcp::Addresses>,
    late: Option<TcpListener>,
}

impl Nodes for Cluster {
    async fn machine(&self, number: usize) -> Result<Machine, String> {
        Ok(self.machines[number].state().await)
    }

    fn term(&self) -> u64 {
        self.nodes[0].metrics().borrow_watched().current_term
    }

    fn opened(&self) -> Duration {
        self.opened
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

impl Growing for Cluster {
    async fn snapshot(&mut self) -> Result<(), String> {
        Err("openraft leaves writing and sending a snapshot to its user".to_owned())
    }

    async fn grow(&mut self, job: &Job) -> Result<(), String> {
        let listener = self.late.take().ok_or("nobody comes later")?;
        self.serve(job, listener).await?;
        let added = self.nodes[0].add_learner(NODES as u64 - 1, (), false).await;
        added.map(drop).map_err(|error| error.to_string())
    }
}

pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    let began = Instant::now();
    let streaming = job.setting.contains("streaming");
    if job.setting.starts_with("one-runtime") {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        return runtime.block_on(async { Ok(measure(job, &mut start(job, streaming).await?, began).await) });
    }
    let (servers, clients) = (workers(2)?, workers(1)?);
    let mut cluster = servers.block_on(start(job, streaming))?;
    // A node that comes later runs where the others do; nothing else is measured then.
    let runtime = if job.grows() { &servers } else { &clients };
    Ok(runtime.block_on(measure(job, &mut cluster, began)))
}

async fn measure(job: &Job, cluster: &mut Cluster, began: Instant) -> Outcome {
    if job.cuts > 0 {
        return fail_over::run(job, cluster).await;
    }
    let leader = cluster.nodes[0].clone();
    let run = async |job: Job| load::run(&job, &leader, Place::Runtime).await;
    if job.grows() {
        newcomer::run(job, cluster, run).await
    } else {
        child::measure(job, cluster, began, run).await
    }
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
        let timeout = fail_over::ELECTION_TIMEOUT.as_millis() as u64;
        (config.election_timeout_min, config.election_timeout_max) = (timeout, timeout * 2);
        config.heartbeat_interval = timeout / 3;
        config.enable_pre_vote = Some(true);
    }
    config.validate().map(Arc::new).map_err(|error| error.to_string())
}

async fn start(job: &Job, streaming: bool) -> Result<Cluster, String> {
    let router = Router::new(streaming);
    let mut cluster = Cluster {
        nodes: Vec::new(),
        machines: Vec::new(),
        opened: Duration::ZERO,
        router: router.clone(),
        addresses: None,
        late: None,
    };
    match job.transport {
        Transport::Memory => {
            for number in 0..NODES {
                cluster.add(job, number, router.of(number)).await?;
            }
            router.connect(&cluster.nodes);
        }
        Transport::Tcp => cluster.listen(job).await?,
    }
    if job.recover > 0 {
        return Ok(cluster);
    }
    let members: BTreeSet<u64> = (0..job.founders() as u64).collect();
    cluster.nodes[0].initialize(members).await.map_err(|error| error.to_string())?;
    for node in &cluster.nodes {
        let wait = node.wait(Some(Duration::from_secs(10)));
        wait.applied_index_at_least(Some(1), "the first").await.map_err(|error| error.to_string())?;
    }
    Ok(cluster)
}

impl Cluster {
    /// Has the nodes reach each other by TCP. Where the last one comes later, nobody calls it before.
    async fn listen(&mut self, job: &Job) -> Result<(), String> {
        let bind = || TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string());
        let listeners: Vec<_> = (0..NODES).map(|_| bind()).collect::<Result<_, _>>()?;
        let addresses: Result<_, std::io::Error> = listeners.iter().map(TcpListener::local_addr).collect();
        self.addresses = Some(tcp::Addresses(addresses.map_err(|error| error.to_string())?));
        for (number, listener) in listeners.into_iter().enumerate() {
            if number < job.founders() {
                let began = Instant::now();
                self.serve(job, listener).await?;
                if number == 0 {
                    self.opened = began.elapsed();
                }
            } else {
                self.late = Some(listener);
            }
        }
        Ok(())
    }

    /// Starts the next node, which listens here.
    async fn serve(&mut self, job: &Job, listener: TcpListener) -> Result<(), String> {
        let number = self.nodes.len();
        let addresses = self.addresses.clone().ok_or("the nodes are not joined by TCP")?;
        self.add(job, number, addresses).await?;
        tcp::serve(listener, self.nodes[number].clone()).map_err(|error| error.to_string())
    }

    async fn add<N>(&mut self, job: &Job, number: usize, network: N) -> Result<(), String>
    where
        N: RaftNetworkFactory<Types>,
        N::Network: NetSnapshot<Types, SnapshotData = ()>,
    {
        let machines = Machines::new(job);
        let log = match job.log {
            Log::Memory => LogStore::default(),
            Log::Disk => LogStore::open(Disk::open(&places::directory(&job.data, number))?),
            Log::Slow => LogStore::open(Disk::start(SlowStore::new(job, number))?),
        };
        let node = Raft::new(number as u64, config(job)?, network, Arc::new(log), machines.clone()).await;
        self.nodes.push(node.map_err(|error| error.to_string())?);
        self.machines.push(machines);
        Ok(())
    }
}
