//! Raftix, with its shipped defaults. One thing differs: the first node stands long before the others would,
//! so that the clients know beside whom to be.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix::Message;
use bytes::Bytes;
use raftix::{Placement, prelude::*, transport::memory::MemoryNetwork};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::slow::SlowStore;
use crate::{
    args::{Job, Log, Transport},
    child::{self, NODES, Nodes, Outcome},
    digest::{Machine, Position},
    fail_over::{self, Cuttable},
    load::{self, Client, Measured, Place},
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

    fn query(&self, _: GetMachine) -> Machine {
        *self
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
}

struct Cluster {
    nodes: Vec<Raft<Machine>>,
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
        self.network.disconnect(&super::memory_address(number));
    }

    fn heal(&self, number: usize) {
        self.network.reconnect(&super::memory_address(number));
    }
}

pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    let began = Instant::now();
    actix_rt::System::new().block_on(async {
        let cluster = start(job).await?;
        if job.cuts > 0 {
            return Ok(fail_over::run(job, &cluster).await);
        }
        let leader = cluster.nodes[0].clone();
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
    let addresses = super::addresses(job)?;
    let ids = (1..=NODES).map(|number| format!("n{number}"));
    let peers: Vec<(String, String)> = ids.zip(addresses).collect();
    let network = MemoryNetwork::new();
    let mut nodes = Vec::new();
    for (number, (id, address)) in peers.iter().enumerate() {
        let builder = RaftSystem::builder(id.as_str()).peers(peers.clone()).config(patience(job, number));
        let builder = match job.log {
            Log::Memory => builder.in_memory(),
            Log::Disk => builder.data_dir(super::directory(&job.data, number)),
            // A thread for the log, as a log on a disk has by default.
            Log::Slow => builder.log_store(SlowStore::new(job, number)).placement(Placement::Dedicated),
        };
        let builder = match job.transport {
            Transport::Memory => builder.transport(network.transport(address)),
            Transport::Tcp => builder.listen(address),
        };
        let builder = builder.state_machine(Machine::new(job.recover));
        // Followers over TCP have a thread each, as they would have a machine each.
        let apart = job.transport == Transport::Tcp && number > 0;
        let node = if apart { builder.start_thread().await } else { builder.start().await };
        nodes.push(node.map_err(|error| error.to_string())?);
    }
    let cluster = Cluster { nodes, network };
    led(job, &cluster).await?;
    Ok(cluster)
}

/// Waits until the first node leads.
async fn led(job: &Job, cluster: &Cluster) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(30);
    let somebody = || cluster.nodes.iter().any(|node| node.status().role == ServerRole::Leader);
    while if job.cuts > 0 { !somebody() } else { cluster.nodes[0].status().role != ServerRole::Leader } {
        if Instant::now() > until {
            return Err(format!("the first node does not lead: {:?}", cluster.nodes[0].status()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn patience(job: &Job, number: usize) -> Config {
    let mut config = Config::default();
    let timeout = match number {
        _ if job.cuts > 0 => super::ELECTION_TIMEOUT,
        0 => Duration::from_millis(300),
        _ => Duration::from_millis(3000),
    };
    config.heartbeat_timeout = timeout;
    config.election_timeout = timeout;
    config.leader_lease_timeout = timeout;
    config
}
