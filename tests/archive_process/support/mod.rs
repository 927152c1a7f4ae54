//! What every test here needs: processes, nodes, clients, and what is measured of them.

mod client;
mod cluster;
pub(crate) mod floors;
pub(crate) mod memory;
mod node;
#[path = "../../process_support/ports.rs"]
#[allow(dead_code, reason = "shared")]
mod ports;
#[path = "../../process_support/process.rs"]
#[allow(dead_code, reason = "shared")]
mod process;
#[path = "../../process_support/wait.rs"]
#[allow(dead_code, reason = "shared")]
mod wait;
mod writers;

pub(crate) use client::Client;
pub(crate) use cluster::Cluster;
pub(crate) use node::Node;
use ports::free_port;
pub(crate) use writers::{Latencies, Writers};

/// How long anything may take that is expected to happen: a GiB is written and read more than once.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(180);

/// Asks again and again until there is an answer, and returns it.
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait::eventually_within(DEADLINE, what, ask)
}
