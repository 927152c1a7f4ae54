//! The systems, and what their nodes have in common.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    args::{Job, Log, Sut, Transport},
    child::{NODES, Outcome},
};

pub(crate) mod go;
pub(crate) mod openraft;
#[cfg(feature = "raft-rs")]
pub(crate) mod raft_rs;
pub(crate) mod raftix;
pub(crate) mod slow;

/// The least time without a leader before a node stands, where fail-over is measured: each draws between this and
/// twice as much, in every system, and heartbeats come at a third or less.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(150);

/// Measures a system of this process.
pub(crate) fn run(sut: Sut, job: &Job) -> Result<Outcome, String> {
    slow::slow_down(job);
    match sut {
        Sut::Raftix => raftix::run(job),
        Sut::Openraft => openraft::run(job),
        #[cfg(feature = "raft-rs")]
        Sut::RaftRs => raft_rs::run(job),
        #[cfg(not(feature = "raft-rs"))]
        Sut::RaftRs => Err("built without the feature `raft-rs`".to_owned()),
        Sut::Hashicorp | Sut::Etcd => Err("measured by its own program".to_owned()),
    }
}

/// One address for each node: free ones, or those of the first start when this is a second, since logs name them.
pub(crate) fn addresses(job: &Job) -> Result<Vec<String>, String> {
    let file = job.data.join("addresses.json");
    let failed = |error: &dyn std::error::Error| format!("{}: {error}", file.display());
    if job.recover > 0 && job.transport == Transport::Tcp {
        let text = fs::read_to_string(&file).map_err(|error| failed(&error))?;
        return serde_json::from_str(&text).map_err(|error| failed(&error));
    }
    let addresses = match job.transport {
        Transport::Memory => (0..NODES).map(memory_address).collect(),
        Transport::Tcp => free_addresses().map_err(|error| error.to_string())?,
    };
    if job.log == Log::Disk {
        fs::create_dir_all(&job.data).map_err(|error| failed(&error))?;
        let text = serde_json::to_string(&addresses).map_err(|error| failed(&error))?;
        fs::write(&file, text).map_err(|error| failed(&error))?;
    }
    Ok(addresses)
}

/// Where node `number` is in memory.
fn memory_address(number: usize) -> String {
    format!("n{}:0", number + 1)
}

fn free_addresses() -> std::io::Result<Vec<String>> {
    let listeners: Vec<TcpListener> =
        (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| listener.local_addr().map(|address| address.to_string())).collect()
}

/// Where a node keeps what is durable.
pub(crate) fn directory(data: &Path, number: usize) -> PathBuf {
    data.join(format!("n{}", number + 1))
}
