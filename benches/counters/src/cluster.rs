//! The nodes of a cell, and the clients' load on them.

use std::{net::TcpListener, sync::Arc, time::Duration};

use raftix::{
    prelude::*, storage::memory::MemoryStore, transport::memory::MemoryNetwork, types::Incarnation,
};
use tempfile::TempDir;

use crate::{
    cells::{Cell, PAYLOAD, Place},
    command::{Blob, Digest, GetDigest},
    counts::{Counts, Readings},
    files::CountedVfs,
};

/// How long anything here may take, in the nodes' time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What each of `ops` operations costs, after some that warm buffers up.
pub(crate) fn count(cell: &Cell, ops: u64) -> Result<Counts, String> {
    let paused = cell.place == Place::Memory;
    let runtime = move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        // In virtual time a busy node's clock stands still: no tick and no heartbeat comes in between, ever.
        builder.enable_all().start_paused(paused).build().expect("the system has room for a runtime")
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(async {
        let cluster = Cluster::start(cell).await?;
        let leader = cluster.leader().await?;
        let warm = ops / 10;
        load(&leader, cell.clients, warm).await?;
        cluster.settle(warm).await?;
        let before = Readings::now();
        load(&leader, cell.clients, ops).await?;
        let after = Readings::now();
        cluster.settle(warm + ops).await?;
        Ok(after.since(&before, ops))
    })
}

/// `ops` commands from `clients` closed loops.
async fn load(leader: &Raft<Digest>, clients: u64, ops: u64) -> Result<(), String> {
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let share = ops / clients + u64::from(client < ops % clients);
            actix_rt::spawn(one_client(leader.clone(), share))
        })
        .collect();
    for client in clients {
        client.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn one_client(leader: Raft<Digest>, ops: u64) -> Result<(), String> {
    for _ in 0..ops {
        let answer = leader.send(Apply(Blob([7; PAYLOAD]))).await;
        answer.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    Ok(())
}

struct Cluster {
    nodes: Vec<Raft<Digest>>,
    _directory: Option<TempDir>,
}

impl Cluster {
    async fn start(cell: &Cell) -> Result<Self, String> {
        let failed = |error: &dyn std::error::Error| error.to_string();
        let directory = (cell.place == Place::Disk).then(TempDir::new).transpose().map_err(|e| failed(&e))?;
        let addresses: Vec<String> = match cell.place {
            Place::Memory => (1..=cell.nodes).map(|number| format!("n{number}:0")).collect(),
            Place::Tcp | Place::Disk => free_addresses(cell.nodes).map_err(|e| failed(&e))?,
        };
        let ids = (1..=cell.nodes).map(|number| format!("n{number}"));
        let peers: Vec<(String, String)> = ids.zip(addresses).collect();
        let network = MemoryNetwork::new();
        let mut nodes = Vec::new();
        for (number, (id, address)) in peers.iter().enumerate() {
            let builder = RaftSystem::builder(id.as_str())
                .peers(peers.clone())
                .config(patience(number))
                .seed(number as u64)
                .vfs(Arc::new(CountedVfs::default()));
            let builder = match &directory {
                Some(directory) => builder.data_dir(directory.path().join(id)),
                // Not drawn at random: what is drawn would be in messages, whose length would differ.
                None => builder.log_store(MemoryStore::new()).incarnation(Incarnation(number as u128 + 1)),
            };
            let builder = match cell.place {
                Place::Memory => builder.transport(network.transport(address)),
                Place::Tcp | Place::Disk => builder.listen(address),
            };
            let builder = builder.state_machine(Digest::default());
            let own_thread = cell.place != Place::Memory && number > 0;
            let started = if own_thread { builder.start_thread().await } else { builder.start().await };
            nodes.push(started.map_err(|error| error.to_string())?);
        }
        Ok(Self { nodes, _directory: directory })
    }

    /// The first node, once it leads.
    async fn leader(&self) -> Result<Raft<Digest>, String> {
        let first = &self.nodes[0];
        let leads = async {
            while first.status().role != ServerRole::Leader {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, leads).await;
        waited.map_err(|_| format!("the first node does not lead: {:?}", first.status()))?;
        Ok(first.clone())
    }

    /// Waits until every node has applied `ops` commands, and makes sure that they are the same.
    async fn settle(&self, ops: u64) -> Result<(), String> {
        let settled = async {
            let mut digests = Vec::new();
            for node in &self.nodes {
                loop {
                    let asked = node.send(StaleRead(GetDigest)).await.map_err(|error| error.to_string())?;
                    let (count, hash) = asked.map_err(|error| error.to_string())?;
                    if count >= ops {
                        digests.push((count, hash));
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let same = digests.iter().all(|digest| *digest == (ops, digests[0].1));
            if same { Ok(()) } else { Err(format!("the nodes' states differ: {digests:?}")) }
        };
        let waited = tokio::time::timeout(PATIENCE, settled).await;
        waited.map_err(|_| format!("not every node has applied {ops} commands after {PATIENCE:?}"))?
    }
}

/// The first node stands long before the others would, and nobody leaves it because a tool slows it down.
fn patience(number: usize) -> Config {
    let mut config = Config::default();
    config.heartbeat_timeout = Duration::from_secs(if number == 0 { 2 } else { 60 });
    config.election_timeout = config.heartbeat_timeout;
    config.leader_lease_timeout = config.heartbeat_timeout;
    config.request_timeout = PATIENCE;
    // How often a thread looks before an answer is there says nothing but how fast the machine is.
    config.busy_poll = 0;
    config
}

fn free_addresses(count: usize) -> std::io::Result<Vec<String>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| listener.local_addr().map(|address| address.to_string())).collect()
}
