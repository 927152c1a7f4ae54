//! The cells: what is measured. A cell's name is stable.

use crate::job::{Job, Log, NODES, Task, Transport};

/// One workload at one load.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) id: String,
    pub(crate) job: Job,
}

/// Cells that the plan has and this program has not, and cells that some systems have no driver for, with the reason.
pub(crate) const NOT_MEASURED: [(&str, &str); 3] = [
    ("W10", "idle groups: the groups of a process share nothing yet"),
    (
        "W9 with openraft, etcd and raft-rs",
        "they leave writing, sending and reading a snapshot to their user",
    ),
    ("W3, W8 and W11 with raft-rs", "it has neither a transport nor a log on a disk"),
];

/// How long a log is that a newcomer or a restart takes in.
const ENTRIES: u64 = 1_000_000;
/// How many clients write it.
const FILLERS: usize = 1024;
/// How large a state is that a newcomer gets as a snapshot,
const STATE_MIB: u64 = 1024;
/// and how many commands made it.
const ENTRIES_BELOW_A_STATE: u64 = 1000;
/// How many leaders a run of the fail-over cell cuts off.
const CUTS: usize = 20;

const CLIENTS: [usize; 5] = [1, 64, 256, 1024, 4096];

/// Every cell, in order of value.
pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for own_thread in [false, true] {
        for (name, payload) in [("W1o", 0), ("W1", 256)] {
            let place = if own_thread { "-own" } else { "" };
            cells.extend(CLIENTS.map(|clients| Cell {
                id: format!("{name}{place}-c{clients}"),
                job: Job { payload, own_thread, ..job(clients, Transport::Memory, Log::Memory) },
            }));
        }
    }
    for (name, log) in [("W2", Log::Memory), ("W3", Log::Disk)] {
        cells.extend(CLIENTS.map(|clients| Cell {
            id: format!("{name}-c{clients}"),
            job: job(clients, Transport::Tcp, log),
        }));
    }
    cells.extend([1, 64, 1024].map(|clients| Cell {
        id: format!("W6-c{clients}"),
        job: Job { reads: true, ..job(clients, Transport::Tcp, Log::Disk) },
    }));
    for (name, transport) in [("W4-memory", Transport::Memory), ("W4-tcp", Transport::Tcp)] {
        cells.extend([1, 64, 1024].map(|clients| Cell {
            id: format!("{name}-c{clients}"),
            job: job(clients, transport, Log::Slow),
        }));
    }
    // One slow disk of three, the leader's and a follower's: a quorum does not need it.
    for (name, flush_us) in [("W4b-leader", [20_000, 1_000, 1_000]), ("W4b-follower", [1_000, 1_000, 50_000])]
    {
        cells.extend([1, 64].map(|clients| Cell {
            id: format!("{name}-c{clients}"),
            job: Job { flush_us: flush_us.to_vec(), ..job(clients, Transport::Tcp, Log::Slow) },
        }));
    }
    cells.extend([64, 1024].map(|clients| Cell {
        id: format!("W5-c{clients}"),
        job: Job { flush_us: vec![1_000; NODES], apply_us: 1_000, ..job(clients, Transport::Tcp, Log::Slow) },
    }));
    cells.push(Cell {
        id: "W7-c64".to_owned(),
        job: Job { cuts: CUTS, ..job(64, Transport::Memory, Log::Memory) },
    });
    for (name, log, rates) in [("W2", Log::Memory, [10_000, 40_000]), ("W3", Log::Disk, [1_000, 10_000])] {
        cells.extend(rates.map(|rate| Cell {
            id: format!("{name}-open-r{rate}"),
            job: Job { rate: f64::from(rate), ..job(1, Transport::Tcp, log) },
        }));
    }
    cells.extend([("W8", Task::CatchUp), ("W11", Task::Restart)].map(|(id, task)| Cell {
        id: id.to_owned(),
        job: Job { task, entries: ENTRIES, ..job(FILLERS, Transport::Tcp, Log::Disk) },
    }));
    cells.push(Cell {
        id: "W9".to_owned(),
        job: Job {
            task: Task::Install,
            entries: ENTRIES_BELOW_A_STATE,
            state_mib: STATE_MIB,
            ..job(64, Transport::Tcp, Log::Disk)
        },
    });
    cells
}

impl Cell {
    /// The same with a log and a state of these sizes, where it is about them.
    pub(crate) fn sized(mut self, entries: u64, state_mib: u64) -> Self {
        match self.job.task {
            Task::CatchUp | Task::Restart => self.job.entries = entries,
            Task::Install => self.job.state_mib = state_mib,
            Task::Load => {}
        }
        self
    }
}

fn job(clients: usize, transport: Transport, log: Log) -> Job {
    Job {
        clients,
        payload: 256,
        transport,
        log,
        own_thread: false,
        reads: false,
        rate: 0.0,
        flush_us: vec![5_000; NODES],
        apply_us: 0,
        cuts: 0,
        task: Task::Load,
        entries: 0,
        state_mib: 0,
        setting: String::new(),
        warm_ms: 0,
        run_ms: 0,
        data: "target/compare/child".into(),
        recover: 0,
        hold: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_one_cell() {
        let mut ids: Vec<_> = all().into_iter().map(|cell| cell.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
