//! The nodes of the bench.

use std::{
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use raftix::{prelude::*, transport::memory::MemoryNetwork};
use tempfile::TempDir;

use crate::{
    Log, Net, Options,
    digest::{Digest, GetDigest},
};

type Failure = Box<dyn std::error::Error>;

/// The nodes; the first one is made to lead by having the shortest patience.
pub(crate) struct Cluster {
    nodes: Vec<Raft<Digest>>,
    _directory: Option<TempDir>,
}

impl Cluster {
    pub(crate) async fn start(options: &Options) -> Result<Self, Failure> {
        let directory = (options.log == Log::Wal && options.data.is_none()).then(TempDir::new).transpose()?;
        let data = options.data.clone().or_else(|| directory.as_ref().map(|dir| dir.path().to_owned()));
        let addresses: Vec<String> = match options.transport {
            Net::Memory => (1..=options.nodes).map(|n| format!("n{n}:0")).collect(),
            Net::Tcp => free_addresses(options.nodes)?,
        };
        let peers: Vec<(String, String)> = addresses
            .iter()
            .enumerate()
            .map(|(n, address)| (format!("n{}", n + 1), address.clone()))
            .collect();
        let network = MemoryNetwork::new();
        let mut nodes = Vec::new();
        for (n, (id, address)) in peers.iter().enumerate() {
            let mut builder =
                RaftSystem::builder(id.as_str()).peers(peers.clone()).config(config(options, n));
            builder = match (options.log, &data) {
                (Log::Wal, Some(data)) => builder.data_dir(PathBuf::from(data).join(id)),
                _ => builder.in_memory(),
            };
            builder = match options.transport {
                Net::Memory => builder.transport(network.transport(address)),
                Net::Tcp => builder.listen(address),
            };
            let builder = builder.state_machine(Digest::default());
            // Followers over TCP have a thread each, as they would have a machine each.
            let own_thread = options.transport == Net::Tcp && n > 0;
            nodes.push(if own_thread { builder.start_thread().await? } else { builder.start().await? });
        }
        Ok(Self { nodes, _directory: directory })
    }

    /// The first node, once it leads.
    pub(crate) async fn leader(&self) -> Result<Raft<Digest>, Failure> {
        let first = &self.nodes[0];
        let until = Instant::now() + Duration::from_secs(30);
        while first.status().role != ServerRole::Leader {
            if Instant::now() > until {
                return Err(format!("no leader: {:?}", first.status()).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(first.clone())
    }

    /// Whether every node has applied the same `ops` commands.
    pub(crate) async fn digests_equal(&self, ops: u64, patience: Duration) -> Result<bool, Failure> {
        let until = Instant::now() + patience;
        let mut digests = Vec::new();
        for node in &self.nodes {
            loop {
                let (count, hash) = node.send(StaleRead(GetDigest)).await??;
                if count >= ops || Instant::now() > until {
                    digests.push((count, hash));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(digests.iter().all(|digest| *digest == (ops, digests[0].1)))
    }

    pub(crate) async fn stop(self) {
        for node in self.nodes.iter().rev() {
            // A node that has stopped by itself needs no goodbye.
            let _ = node.send(Shutdown).await;
        }
    }
}

/// The first node stands long before the others would.
fn config(options: &Options, number: usize) -> Config {
    let timeout = Duration::from_millis(if number == 0 { 300 } else { 3000 });
    let mut config = Config::default();
    config.busy_poll = options.busy_poll.unwrap_or(config.busy_poll);
    config.heartbeat_timeout = timeout;
    config.election_timeout = timeout;
    config.leader_lease_timeout = timeout;
    config
}

fn free_addresses(count: usize) -> Result<Vec<String>, Failure> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    Ok(listeners.iter().map(|l| l.local_addr().map(|a| a.to_string())).collect::<Result<_, _>>()?)
}
