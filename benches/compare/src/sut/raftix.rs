//! Raftix, with its shipped defaults. Two things differ: the first node stands long before the others would, so that
//! the clients know beside whom to be, and where a snapshot is sent no entries stay in the log behind it.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use actix::Message;
use bytes::Bytes;
use raftix::{DecodeError, Placement, prelude::*, transport::memory::MemoryNetwork};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{places, slow::SlowStore};
use crate::{
    child::{self, Nodes},
    digest::{Machine, Position},
    fail_over::{self, Cuttable},
    job::{Job, Log, NODES, Task, Transport},
    load::{self, Client, Measured, Place},
    newcomer::{self, Growing},
    outcome::Outcome,
    state,
};

/// A command; its answer is the index and the term of its entry.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "(u64, u64)")]
pub(crate) struct Blob(Bytes);

/// Asks for the whole state.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Machine")]
pub(crate) struct GetMachine;

impl StateMachine for Machine {
    type Command = Blob;
    type Query = GetMachine;

    fn apply(&mut self, at: LogId, Blob(data): Blob) -> (u64, u64) {
        let (index, term) = (at.index.get(), at.term.get());
        Self::apply(self, Position { index, term }, &data);
        (index, term)
    }

    /// What `apply` does, with the bytes where they lie, as the state machines of the Go systems get them.
    fn apply_encoded(&mut self, at: LogId, command: &[u8]) -> Result<(u64, u64), DecodeError> {
        let (index, term) = (at.index.get(), at.term.get());
        Self::apply(self, Position { index, term }, rmp_serde::from_slice(command)?);
        Ok((index, term))
    }

    fn query(&self, _: GetMachine) -> Machine {
        *self
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        (self.state_mib > 0).then(|| Box::new(*self) as Box<dyn StateSnapshot>)
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        state::read(self, reader)
    }
}

impl StateSnapshot for Machine {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        state::write(&self, writer)
    }
}

impl Client for Raft<Machine> {
    async fn write(&self, command: Bytes) -> Result<Position, String> {
        match self.send(Apply(Blob(command))).await {
            Ok(Ok((index, term))) => Ok(Position { index, term }),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn read(&self) -> Result<(), String> {
        match self.send(Read(GetMachine)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn read_rounds(&self) -> Option<u64> {
        Some(self.statistics().read_rounds)
    }
}

struct Cluster {
    /// Who is where.
    peers: Vec<(String, String)>,
    nodes: Vec<Raft<Machine>>,
    opened: Duration,
    /// Where all are cut off and healed, if the nodes are joined in memory.
    network: MemoryNetwork,
}

impl Nodes for Cluster {
    async fn machine(&self, number: usize) -> Result<Machine, String> {
        let answer = self.nodes[number].send(StaleRead(GetMachine)).await;
        answer.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn term(&self) -> u64 {
        self.nodes[0].status().term.get()
    }

    fn opened(&self) -> Duration {
        self.opened
    }

    fn ahead(&self) -> u64 {
        let status = self.nodes[0].status();
        status.durable_index.get().saturating_sub(status.applied_index.get())
    }
}

impl Cuttable for Cluster {
    fn leads(&self, number: usize) -> bool {
        self.nodes[number].status().role == ServerRole::Leader
    }

    async fn write_at(&self, number: usize, command: Bytes) -> Result<Position, String> {
        self.nodes[number].write(command).await
    }

    fn cut(&self, number: usize) {
        self.network.disconnect(&places::memory_address(number));
    }

    fn heal(&self, number: usize) {
        self.network.reconnect(&places::memory_address(number));
    }
}

pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    let began = Instant::now();
    actix_rt::System::new().block_on(async {
        let mut cluster = start(job).await?;
        if job.cuts > 0 {
            return Ok(fail_over::run(job, &cluster).await);
        }
        let leader = cluster.nodes[0].clone();
        if job.grows() {
            let fill = async |job: Job| load::run(&job, &leader, Place::Here).await;
            return Ok(newcomer::run(job, &mut cluster, fill).await);
        }
        let outcome = child::measure(job, &cluster, began, async |job: Job| {
            if job.own_thread {
                apart(job, leader.clone()).await
            } else {
                load::run(&job, &leader, Place::Here).await
            }
        });
        Ok(outcome.await)
    })
}

/// The clients on a thread and a runtime of their own.
async fn apart(job: Job, leader: Raft<Machine>) -> Measured {
    let (report, measured) = oneshot::channel();
    let thread = thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            // Nobody waits any more only if this process is about to end.
            let _ = report.send(load::run(&job, &leader, Place::Here).await);
        });
    });
    let measured = measured.await.expect("the clients' thread reports");
    thread.join().expect("the clients' thread ends");
    measured
}

async fn start(job: &Job) -> Result<Cluster, String> {
    let ids = (1..=NODES).map(|number| format!("n{number}"));
    let peers = ids.zip(places::addresses(job)?).collect();
    let network = MemoryNetwork::new();
    let mut cluster = Cluster { peers, nodes: Vec::new(), opened: Duration::ZERO, network };
    for number in 0..job.founders() {
        let began = Instant::now();
        cluster.add(job, number).await?;
        if number == 0 {
            cluster.opened = began.elapsed();
        }
    }
    led(job, &cluster).await?;
    Ok(cluster)
}

impl Cluster {
    /// Starts node `number`. The last one joins a cluster of the others where it comes later than they.
    async fn add(&mut self, job: &Job, number: usize) -> Result<(), String> {
        let (id, address) = &self.peers[number];
        let builder = RaftSystem::builder(id.as_str()).config(config(job, number));
        let together = if matches!(job.task, Task::CatchUp | Task::Install) { NODES - 1 } else { NODES };
        let builder = if number < together {
            builder.peers(self.peers[..together].to_vec())
        } else {
            builder.advertise(address).join([&self.peers[0].1])
        };
        let builder = match job.log {
            Log::Memory => builder.in_memory(),
            Log::Disk => builder.data_dir(places::directory(&job.data, number)),
            // A thread for the log, as a log on a disk has by default.
            Log::Slow => builder.log_store(SlowStore::new(job, number)).placement(Placement::Dedicated),
        };
        let builder = match job.transport {
            Transport::Memory => builder.transport(self.network.transport(address)),
            Transport::Tcp => builder.listen(address),
        };
        let builder = builder.state_machine(Machine::new(job.recover, job.state_mib));
        // Followers over TCP have a thread each, as they would have a machine each.
        let apart = job.transport == Transport::Tcp && number > 0;
        let node = if apart { builder.start_thread().await } else { builder.start().await };
        self.nodes.push(node.map_err(|error| error.to_string())?);
        Ok(())
    }
}

impl Growing for Cluster {
    async fn snapshot(&mut self) -> Result<(), String> {
        let answer = self.nodes[0].send(Snapshot).await.map_err(|error| error.to_string())?;
        answer.map(drop).map_err(|error| error.to_string())
    }

    async fn grow(&mut self, job: &Job) -> Result<(), String> {
        let number = self.nodes.len();
        self.add(job, number).await?;
        let (id, address) = self.peers[number].clone();
        let change = self.nodes[0].send(AddNonvoter::new(id, address)).await;
        let answer = change.map_err(|error| error.to_string())?;
        answer.map(drop).map_err(|error| error.to_string())
    }
}

/// Waits until the first node leads, or anybody where leaders change or nobody writes: after a restart voters keep what
/// they promised the leader before, and then any of them may stand.
async fn led(job: &Job, cluster: &Cluster) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(30);
    let somebody = || cluster.nodes.iter().any(|node| node.status().role == ServerRole::Leader);
    let anybody = job.cuts > 0 || job.recover > 0;
    while if anybody { !somebody() } else { cluster.nodes[0].status().role != ServerRole::Leader } {
        if Instant::now() > until {
            return Err(format!("the first node does not lead: {:?}", cluster.nodes[0].status()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn config(job: &Job, number: usize) -> Config {
    let mut config = Config::default();
    let timeout = match number {
        _ if job.cuts > 0 => fail_over::ELECTION_TIMEOUT,
        0 => Duration::from_millis(300),
        _ => Duration::from_millis(3000),
    };
    config.heartbeat_timeout = timeout;
    config.election_timeout = timeout;
    config.leader_lease_timeout = timeout;
    if job.task == Task::Install {
        // What a snapshot stands for is not to be had otherwise.
        config.trailing_logs = 0;
    }
    config
}
