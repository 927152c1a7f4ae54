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
    let [openraft, hashicorp, etcd] = [Sut::Openraft, Sut::Hashicorp, Sut::Etcd].map(Beside::Peer);
    // For 1, 64, 256, 1024 and 4096 clients.
    let by_clients = |least: [f64; 5]| match job.clients {
        1 => least[0],
        2..=64 => least[1],
        65..=256 => least[2],
        257..=1024 => least[3],
        _ => least[4],
    };
    let alone = job.clients == 1;
    match (job.transport, job.log) {
        _ if job.apply_us > 0 => vec![(Beside::Applies, 0.95)],
        (Transport::Memory, Log::Memory) => match (job.payload, job.own_thread) {
            (0, false) => vec![
                (openraft, by_clients([9.0, 2.8, 2.2, 2.1, 2.0])),
                (etcd, by_clients([3.0, 3.0, 2.5, 2.2, 2.2])),
            ],
            (0, true) => vec![(openraft, by_clients([0.9, 1.5, 1.2, 1.2, 1.2]))],
            (_, false) => vec![(hashicorp, 8.0)],
            (_, true) => Vec::new(),
        }
        .into_iter()
        .chain((!alone && !job.own_thread).then_some((Beside::Limit, 0.5)))
        .collect(),
        // One client waits for threads to wake, as the pipe does.
        (Transport::Tcp, Log::Memory) if alone => vec![(Beside::Limit, 0.7)],
        (Transport::Tcp, Log::Memory) => {
            let of_etcd = (etcd, by_clients([0.0, 4.0, 3.5, 2.5, 2.5]));
            // With fewer clients the pipe is twice as fast in one round as in another.
            let of_limit = (job.clients > 1024).then_some((Beside::Limit, 0.2));
            [(hashicorp, 5.0), of_etcd].into_iter().chain(of_limit).collect()
        }
        // One client at a time: these are latencies, at most 0.8, 1.1 and 1.2 of theirs.
        (_, Log::Disk) if alone => vec![(hashicorp, 1.25), (etcd, 0.91), (Beside::Limit, 0.83)],
        (_, Log::Disk) => vec![
            (hashicorp, by_clients([0.0, 4.0, 6.0, 5.0, 5.0])),
            (openraft, 2.0),
            (etcd, by_clients([0.0, 2.5, 3.0, 4.0, 4.0])),
            (Beside::Limit, 0.6),
        ],
        // Disks that differ are there for latency, which has no target of its own.
        (_, Log::Slow) if job.flush_us.windows(2).any(|pair| pair[0] != pair[1]) => Vec::new(),
        (_, Log::Slow) if alone => vec![(Beside::Flushes, 0.95)],
        // With one flush at a time, who comes during one waits for it and for the next.
        (_, Log::Slow) if job.clients == 64 => vec![(Beside::Flushes, 0.45)],
        (_, Log::Slow) => Vec::new(),
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
        assert!(targets("W1o-c64").contains(&openraft(2.8)) && targets("W1o-c1").contains(&openraft(9.0)));
        assert!(targets("W1o-own-c1024").contains(&openraft(1.2)));
        assert!(targets("W3-c4096").contains(&Target { beside: Beside::Peer(Sut::Etcd), least: 4.0 }));
        assert_eq!(targets("W8"), [Target { beside: Beside::BestPeer, least: 1.0 }]);
        assert!(targets("W6-c64").is_empty() && targets("W4b-leader-c1").is_empty());
    }
}
