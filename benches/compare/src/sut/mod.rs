//! The systems, and what their nodes have in common.

use crate::{
    job::{Job, Sut},
    outcome::Outcome,
    sleeps,
};

pub(crate) mod go;
pub(crate) mod openraft;
pub(crate) mod places;
#[cfg(feature = "raft-rs")]
pub(crate) mod raft_rs;
pub(crate) mod raftix;
pub(crate) mod slow;

/// Measures a system of this process.
pub(crate) fn run(sut: Sut, job: &Job) -> Result<Outcome, String> {
    sleeps::slow_down(job.apply_us);
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
