//! The limits (F6): pipes in the shape of a replicated write without any Raft in them. What they reach, nothing
//! with the same parts can pass; how near Raftix comes is what its rules and its safety cost.

use crate::{
    args::{Job, Log, Transport},
    child::Outcome,
};

mod actor;
mod tcp;

/// Measures the limit of a cell.
pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    match (job.transport, job.log) {
        (Transport::Memory, Log::Memory) => actor::run(job),
        (Transport::Tcp, _) => tcp::run(job),
        (Transport::Memory, Log::Disk) => Err("no limit in memory with a disk".to_owned()),
    }
}

/// Whether a cell has a limit: writes in a closed loop have.
pub(crate) fn exists(job: &Job) -> bool {
    !job.reads && job.rate == 0.0 && (job.transport == Transport::Tcp || job.log == Log::Memory)
}
