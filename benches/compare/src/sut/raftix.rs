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

struct Cluster(Vec<Raft<Machine>>);

impl Nodes for Cluster {
    async fn machine(&self, number: usize) -> Result<Machine, String> {
        let answer = self.0[number].send(StaleRead(GetMachine)).await;
        answer.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn term(&self) -> u64 {
        self.0[0].status().term.get()
    }

    fn ahead(&self) -> u64 {
        let status = self.0[0].status();
        status.durable_index.get().saturating_sub(status.applied_index.get())
    }
}

pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    let began = Instant::now();
    actix_rt::System::new().block_on(async {
        let cluster = start(job).await?;
        let leader = cluster.0[0].clone();
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
        let builder = RaftSystem::builder(id.as_str()).peers(peers.clone()).config(patience(number));
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
    let cluster = Cluster(nodes);
    led(&cluster).await?;
    Ok(cluster)
}

/// Waits until the first node leads.
async fn led(cluster: &Cluster) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(30);
    while cluster.0[0].status().role != ServerRole::Leader {
        if Instant::now() > until {
            return Err(format!("the first node does not lead: {:?}", cluster.0[0].status()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn patience(number: usize) -> Config {
    let timeout = Duration::from_millis(if number == 0 { 300 } else { 3000 });
    let mut config = Config::default();
    config.heartbeat_timeout = timeout;
    config.election_timeout = timeout;
    config.leader_lease_timeout = timeout;
    config
}
