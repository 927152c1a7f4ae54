//! Where the nodes of a system of this process are: their addresses and their directories.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use crate::job::{Job, Log, NODES, Transport};

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
pub(crate) fn memory_address(number: usize) -> String {
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
