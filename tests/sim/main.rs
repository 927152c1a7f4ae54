//! The simulator as its users see it: one seed is one run, what is wrong is found, what is right is not.

mod determinism;
mod everything;
#[cfg(feature = "known-bugs")]
mod leases;
mod machines;
#[cfg(feature = "known-bugs")]
mod memberships;
mod restores;
mod seeds;
mod sessions;

use std::time::Duration;

use raftix::sim::Plan;

/// A short run of three nodes.
fn short(seed: u64) -> Plan {
    Plan::draw(seed, (3, 3), Duration::from_secs(15))
}
