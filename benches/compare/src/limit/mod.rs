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
        (Transport::Tcp, Log::Memory | Log::Disk) => tcp::run(job),
        (_, Log::Slow) => Err("the limit of a slow disk is its flush time".to_owned()),
        (Transport::Memory, _) => Err("the limit in memory has no disk".to_owned()),
    }
}

/// Whether a cell has a limit: writes in a closed loop have.
pub(crate) fn exists(job: &Job) -> bool {
    let has_pipe = match job.log {
        Log::Memory => true,
        Log::Disk => job.transport == Transport::Tcp,
        Log::Slow => false,
    };
    has_pipe && !job.reads && job.rate == 0.0 && job.cuts == 0
}
