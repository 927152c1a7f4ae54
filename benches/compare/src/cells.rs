//! The cells: what is measured, and with which settings of each system. A cell's name is stable.

use crate::{
    args::{Job, Log, Sut, Transport},
    child::NODES,
};

/// One workload at one load.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) id: String,
    pub(crate) job: Job,
}

/// Cells that the plan has and this program has not, with the reason.
pub(crate) const UNAVAILABLE: [(&str, &str); 4] = [
    ("W8", "catch-up of a fresh voter: Raftix has no membership changes yet"),
    ("W9", "snapshots: Raftix has none yet"),
    ("W10", "idle groups: Raftix has one group per node yet"),
    ("W11", "restart: told with W3, as the time from a kill until every node is back"),
];

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
        job: Job { reads: true, ..job(clients, Transport::Tcp, Log::Memory) },
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
    cells
}

/// What a claim stands on: each kind of write at few, many and very many clients.
fn gate(cell: &Cell) -> bool {
    let closed = cell.job.rate == 0.0 && cell.job.cuts == 0 && !cell.job.reads && cell.job.log != Log::Slow;
    let few = closed && matches!(cell.job.clients, 1 | 64 | 1024);
    few && (!cell.job.own_thread || cell.job.payload > 0) || cell.id.starts_with("W1o-c")
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
        setting: String::new(),
        warm_ms: 0,
        run_ms: 0,
        data: "target/compare/child".into(),
        recover: 0,
        hold: false,
    }
}

/// The cells that are asked for: `gate`, `all`, or beginnings of names that end where a part of a name does.
pub(crate) fn select(wanted: &str) -> Result<Vec<Cell>, String> {
    let mut selected = Vec::new();
    for part in wanted.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((_, why)) = UNAVAILABLE.iter().find(|(id, _)| *id == part) {
            return Err(format!("{part} is not available: {why}"));
        }
        let wanted = |cell: &Cell| match part {
            "all" => true,
            "gate" => gate(cell),
            _ => cell.id.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
        };
        let found: Vec<_> = all().into_iter().filter(wanted).collect();
        if found.is_empty() {
            return Err(format!("no cell is called {part}; `--cells list` shows them"));
        }
        selected.extend(found);
    }
    Ok(selected)
}

/// The settings of a system that are tried in a cell; the best counts. None if it has no driver for the cell.
pub(crate) fn settings(cell: &Cell, sut: Sut) -> &'static [&'static str] {
    match (sut, cell.job.transport, cell.job.log) {
        (Sut::Raftix, ..) => &["shipped"],
        (Sut::RaftRs, ..) if cell.job.cuts > 0 => &[],
        (Sut::Openraft, ..) if cell.job.cuts > 0 => &["two-runtimes", "one-runtime"],
        (Sut::Hashicorp, ..) if cell.job.cuts > 0 => &["append64"],
        (Sut::Etcd, ..) if cell.job.cuts > 0 => &["ready", "async"],
        (Sut::Openraft, Transport::Memory, Log::Memory) => {
            &["two-runtimes", "two-runtimes-streaming", "one-runtime", "one-runtime-streaming"]
        }
        // A state machine that blocks needs a worker to spare.
        (Sut::Openraft, ..) if cell.job.apply_us > 0 => &["two-runtimes"],
        (Sut::Openraft, ..) => &["two-runtimes", "one-runtime"],
        (Sut::RaftRs, Transport::Memory, Log::Memory) => &["one-thread", "own-thread"],
        (Sut::RaftRs, ..) => &[],
        (Sut::Hashicorp, _, Log::Slow) => &["append64", "append1024", "append1024-inflight16"],
        (Sut::Hashicorp, Transport::Memory, _) => &["append64", "append1024"],
        (Sut::Hashicorp, _, Log::Memory) => &["append64", "append1024", "append1024-inflight16"],
        (Sut::Hashicorp, _, Log::Disk) => &[
            "append64-wal",
            "append64-inflight16-wal",
            "append1024-wal",
            "append1024-inflight16-wal",
            "append1024-inflight130-wal",
            "append1024-bolt",
        ],
        (Sut::Etcd, Transport::Memory, _) if cell.job.clients == 1 => &["ready", "async", "ready-procs1"],
        (Sut::Etcd, ..) => &["ready", "async"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(wanted: &str) -> Vec<String> {
        select(wanted).expect("it names cells").into_iter().map(|cell| cell.id).collect()
    }

    #[test]
    fn every_name_is_of_one_cell() {
        let mut ids: Vec<_> = all().into_iter().map(|cell| cell.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn a_beginning_names_all_cells_that_have_it_and_no_longer_word() {
        assert_eq!(ids("W2-c1"), ["W2-c1"]);
        assert_eq!(ids("W2-open").len(), 2);
        assert!(ids("W1").iter().all(|id| !id.starts_with("W1o")));
    }

    #[test]
    fn the_gate_has_each_kind_of_write() {
        let gate = ids("gate");
        for id in ["W1o-c4096", "W1-c64", "W1-own-c64", "W2-c1024", "W3-c1"] {
            assert!(gate.contains(&id.to_owned()), "{id} is not in {gate:?}");
        }
    }

    #[test]
    fn what_is_not_available_says_why() {
        assert!(select("W9").expect_err("there are no snapshots").contains("snapshots"));
        assert!(select("W99").is_err());
    }
}
