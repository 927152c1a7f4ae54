//! The settings of each system that are tried in a cell; the best counts.

use crate::{
    cells::Cell,
    job::{Job, Log, Sut, Task, Transport},
};

/// The settings that are tried. None if the system has no driver for the cell.
pub(crate) fn of(cell: &Cell, sut: Sut) -> &'static [&'static str] {
    match (cell.job.task, sut) {
        (_, Sut::Raftix) => &["shipped"],
        (Task::Load, _) => of_load(&cell.job, sut),
        (Task::CatchUp, Sut::Openraft) => &["two-runtimes", "one-runtime"],
        (Task::CatchUp, Sut::Hashicorp) => &["append1024-wal", "append1024-inflight16-wal"],
        (Task::CatchUp, Sut::Etcd) => &["ready", "async"],
        // How a node starts depends on its log and not on how it is driven.
        (Task::Restart, Sut::Openraft) => &["one-runtime"],
        (Task::Restart | Task::Install, Sut::Hashicorp) => &["append1024-wal"],
        (Task::Restart, Sut::Etcd) => &["ready"],
        (_, Sut::RaftRs) | (Task::Install, Sut::Openraft | Sut::Etcd) => &[],
    }
}

fn of_load(job: &Job, sut: Sut) -> &'static [&'static str] {
    match (sut, job.transport, job.log) {
        (Sut::Raftix, ..) => &["shipped"],
        (Sut::RaftRs, ..) if job.cuts > 0 => &[],
        (Sut::Openraft, ..) if job.cuts > 0 => &["two-runtimes", "one-runtime"],
        (Sut::Hashicorp, ..) if job.cuts > 0 => &["append64"],
        (Sut::Etcd, ..) if job.cuts > 0 => &["ready", "async"],
        // Clients of its own thread are on the second runtime.
        (Sut::Openraft, Transport::Memory, Log::Memory) if job.own_thread => {
            &["two-runtimes", "two-runtimes-streaming"]
        }
        (Sut::Openraft, Transport::Memory, Log::Memory) => {
            &["two-runtimes", "two-runtimes-streaming", "one-runtime", "one-runtime-streaming"]
        }
        // A state machine that blocks needs a worker to spare.
        (Sut::Openraft, ..) if job.apply_us > 0 => &["two-runtimes"],
        (Sut::Openraft, ..) => &["two-runtimes", "one-runtime"],
        (Sut::RaftRs, Transport::Memory, Log::Memory) => &["one-thread", "own-thread"],
        (Sut::RaftRs, ..) => &[],
        (Sut::Hashicorp, _, Log::Slow) => &["append64", "append1024", "append1024-inflight16"],
        (Sut::Hashicorp, Transport::Memory, _) => &["append64", "append1024"],
        (Sut::Hashicorp, _, Log::Memory) => &["append64", "append1024", "append1024-inflight16"],
        // A read asks the others whether this node leads, whatever they write at once.
        (Sut::Hashicorp, _, Log::Disk) if job.reads => &["append64-wal", "append1024-wal"],
        (Sut::Hashicorp, _, Log::Disk) => &[
            "append64-wal",
            "append64-inflight16-wal",
            "append1024-wal",
            "append1024-inflight16-wal",
            "append1024-inflight130-wal",
            "append1024-bolt",
        ],
        (Sut::Etcd, Transport::Memory, _) if job.clients == 1 => &["ready", "async", "ready-procs1"],
        (Sut::Etcd, ..) => &["ready", "async"],
    }
}
