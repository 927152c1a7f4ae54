//! What Raftix is meant to reach, cell by cell.

use crate::{
    cells::Cell,
    job::{Job, Log, Sut, Task, Transport},
};

/// What Raftix is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Beside {
    /// A peer, with its best setting.
    Peer(Sut),
    /// Whichever peer is best.
    BestPeer,
    /// The same shape of work without Raft.
    Limit,
    /// One operation of each client in each flush of the fastest slow log.
    Flushes,
    /// One command in each apply of a slow state machine.
    Applies,
}

/// The least that Raftix should be over what it is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) beside: Beside,
    pub(crate) least: f64,
}

/// The targets of a cell; most have some.
pub(crate) fn of(cell: &Cell) -> Vec<Target> {
    let job = &cell.job;
    let pairs = match job.task {
        Task::CatchUp => vec![(Beside::BestPeer, 1.0)],
        Task::Install => vec![(Beside::Limit, 0.5)],
        Task::Restart => vec![(Beside::Limit, 1.0 / 3.0)],
        Task::Load if job.reads || job.cuts > 0 || job.rate > 0.0 => Vec::new(),
        Task::Load => of_writes(job),
    };
    pairs.into_iter().map(|(beside, least)| Target { beside, least }).collect()
}

fn of_writes(job: &Job) -> Vec<(Beside, f64)> {
    let hashicorp = Beside::Peer(Sut::Hashicorp);
    let of_limit = (Beside::Limit, if job.clients == 1 { 0.8 } else { 0.7 });
    match (job.transport, job.log) {
        _ if job.apply_us > 0 => vec![(Beside::Applies, 0.95)],
        (Transport::Memory, Log::Memory) => {
            let of_openraft = if job.clients <= 64 { 2.0 } else { 1.5 };
            vec![(Beside::Peer(Sut::Openraft), of_openraft), (hashicorp, 8.0), of_limit]
        }
        (Transport::Tcp, Log::Memory) => vec![(hashicorp, 5.0), of_limit],
        (_, Log::Disk) => vec![of_limit],
        // Disks that differ are there for latency, which has no target of its own.
        (_, Log::Slow) if job.flush_us.windows(2).any(|pair| pair[0] != pair[1]) => Vec::new(),
        (_, Log::Slow) => match job.clients {
            1 => vec![(Beside::Flushes, 0.95), (hashicorp, 2.0)],
            // With one flush at a time, who comes during one waits for it and for the next.
            64 => vec![(Beside::Flushes, 0.45)],
            _ => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells;

    fn targets(id: &str) -> Vec<Target> {
        let cell = cells::all().into_iter().find(|cell| cell.id == id);
        of(&cell.unwrap_or_else(|| panic!("no cell is called {id}")))
    }

    #[test]
    fn a_target_is_of_the_peer_and_the_load_that_it_names() {
        let openraft = |least| Target { beside: Beside::Peer(Sut::Openraft), least };
        assert!(targets("W1-c64").contains(&openraft(2.0)));
        assert!(targets("W1o-own-c1024").contains(&openraft(1.5)));
        assert_eq!(targets("W8"), [Target { beside: Beside::BestPeer, least: 1.0 }]);
        assert!(targets("W6-c64").is_empty() && targets("W4b-leader-c1").is_empty());
    }
}
