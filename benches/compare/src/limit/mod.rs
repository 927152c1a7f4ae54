//! The limits: pipes in the shape of a cell's work without any Raft in them. What they reach, nothing with the same
//! parts can pass; how near Raftix comes is what its rules and its safety cost.

use crate::{
    job::{Job, Log, Task, Transport},
    outcome::Outcome,
};

mod actor;
mod bulk;
mod tcp;

/// Measures the limit of a cell.
pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    match (job.task, job.transport, job.log) {
        (Task::CatchUp | Task::Install | Task::Restart, ..) => bulk::run(job),
        (Task::Load, Transport::Memory, Log::Memory) => actor::run(job),
        (Task::Load, Transport::Tcp, Log::Memory | Log::Disk) => tcp::run(job),
        (Task::Load, _, Log::Slow) => Err("the limit of a slow disk is its flush time".to_owned()),
        (Task::Load, Transport::Memory, _) => Err("the limit in memory has no disk".to_owned()),
    }
}

/// What a cell's limit is called, if it has one: writes in a closed loop and bulk work have.
pub(crate) fn name(job: &Job) -> Option<&'static str> {
    match job.task {
        Task::Restart => return Some("F7"),
        Task::CatchUp | Task::Install => return Some("bandwidth"),
        Task::Load => {}
    }
    let has_pipe = match job.log {
        Log::Memory => true,
        Log::Disk => job.transport == Transport::Tcp,
        Log::Slow => false,
    };
    (has_pipe && !job.reads && job.rate == 0.0 && job.cuts == 0).then_some("F6")
}
