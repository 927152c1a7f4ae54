//! What Raftix is meant to reach, cell by cell, and what else a report tells of a cell.

use crate::{
    cells::Cell,
    job::{Job, Log, Sut, Task, Transport},
    outcome::Outcome,
};

/// What of a system is held against something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// Operations a second, or of what the cell counts.
    Throughput,
    /// The median latency; of bulk work how long all of it took, of a fail-over how long nobody led.
    Median,
    /// The longest that nobody led.
    Longest,
    /// By how many entries the leader's log was durable ahead of its state machine.
    Ahead,
    /// Rounds of heartbeats for a thousand linearizable reads.
    RoundsPer1000Reads,
    /// Linearizable reads, of those looked at, without a round that began after them.
    ReadsWithoutRound,
}

impl Figure {
    /// What counts of an outcome.
    pub(crate) fn of(self, outcome: &Outcome) -> f64 {
        match self {
            Self::Throughput => outcome.ops_per_s,
            Self::Median => outcome.p50_us,
            Self::Longest => outcome.p99_us,
            Self::Ahead => outcome.ahead as f64,
            Self::RoundsPer1000Reads => outcome.read_rounds as f64 * 1e3 / outcome.reads.max(1) as f64,
            Self::ReadsWithoutRound => outcome.reads_without_round as f64,
        }
    }

    /// What it is called in a cell.
    pub(crate) const fn name(self, job: &Job) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Median if job.cuts > 0 => "median time without a leader",
            Self::Median if job.entries > 0 => "time",
            Self::Median => "median latency",
            Self::Longest => "longest time without a leader",
            Self::Ahead => "entries durable ahead",
            Self::RoundsPer1000Reads => "rounds per 1000 reads",
            Self::ReadsWithoutRound => "reads without a round after them",
        }
    }
}

/// What it is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Beside {
    /// A peer with the best of its settings, or of those with this in their name.
    Peer(Sut, &'static str),
    /// A peer with just this setting.
    Shipped(Sut, &'static str),
    /// Whichever peer is best.
    BestPeer,
    /// The same shape of work without Raft.
    Limit,
    /// The smaller of so many times a peer and a part of the limit, in the same round.
    Smaller { peer: Sut, times: f64, of_limit: f64 },
    /// One operation of each client in each flush of the fastest slow log.
    Flushes,
    /// One command in each apply of a slow state machine.
    Applies,
    /// A flush of the fastest slow log and a round trip over loopback.
    FlushAndRoundTrip,
    /// The least time without a leader before a node stands.
    ElectionTimeout,
    /// The same system in another cell of the same pass through all cells.
    Cell(&'static str),
    /// Nothing: the figure counts as it is.
    Nothing,
}

/// What the figure over that should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing is asked; it is told.
    Told,
}

/// A row of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    /// Raftix, or the peer whose figure shows that a cell measures what it should.
    pub(crate) whose: Sut,
    pub(crate) figure: Figure,
    pub(crate) beside: Beside,
    pub(crate) bound: Bound,
}

/// How openraft's own benchmark is set: nodes and clients on threads of their own, one request at a time.
const OPENRAFT_AS_SHIPPED: Beside = Beside::Shipped(Sut::Openraft, "two-runtimes");
const OPENRAFT: Beside = Beside::Peer(Sut::Openraft, "");
const HASHICORP: Beside = Beside::Peer(Sut::Hashicorp, "");
const ETCD: Beside = Beside::Peer(Sut::Etcd, "");

/// The targets of a cell; where there is none, how it stands beside the best peer. Never empty.
pub(crate) fn of(cell: &Cell) -> Vec<Target> {
    let job = &cell.job;
    let mut targets = match job.task {
        Task::CatchUp => vec![at_least(Beside::BestPeer, 1.0)],
        Task::Install => vec![at_least(Beside::Limit, 0.5), told(Figure::Median, Beside::BestPeer)],
        Task::Restart => {
            vec![at_most(Figure::Median, Beside::Limit, 3.0), told(Figure::Median, Beside::BestPeer)]
        }
        Task::Load if job.reads => of_reads(job),
        Task::Load if job.cuts > 0 => vec![
            at_most(Figure::Median, Beside::BestPeer, 1.0),
            at_most(Figure::Longest, Beside::ElectionTimeout, 3.0),
        ],
        Task::Load if job.rate > 0.0 => Vec::new(),
        Task::Load => of_writes(job),
    };
    if targets.is_empty() {
        targets.push(told(Figure::Throughput, Beside::BestPeer));
    }
    targets
}

/// Whether anything is asked of a cell.
pub(crate) fn is_held_to_any(cell: &Cell) -> bool {
    of(cell).iter().any(|target| target.bound != Bound::Told)
}

/// Whether a target names this setting, so that it counts beside the best.
pub(crate) fn names(cell: &Cell, sut: Sut, setting: &str) -> bool {
    of(cell)
        .iter()
        .any(|target| matches!(target.beside, Beside::Shipped(peer, name) if (peer, name) == (sut, setting)))
}

fn at_least(beside: Beside, least: f64) -> Target {
    Target { whose: Sut::Raftix, figure: Figure::Throughput, beside, bound: Bound::AtLeast(least) }
}

fn at_most(figure: Figure, beside: Beside, most: f64) -> Target {
    Target { whose: Sut::Raftix, figure, beside, bound: Bound::AtMost(most) }
}

fn told(figure: Figure, beside: Beside) -> Target {
    Target { whose: Sut::Raftix, figure, beside, bound: Bound::Told }
}

fn of_reads(job: &Job) -> Vec<Target> {
    // The writes that reads are held against have as many clients.
    let beside_writes = [at_least(Beside::Cell("W3-c64"), 3.0), at_least(Beside::Cell("W2-c64"), 1.0)];
    let of_rounds = [
        at_most(Figure::ReadsWithoutRound, Beside::Nothing, 0.0),
        told(Figure::RoundsPer1000Reads, Beside::Nothing),
        told(Figure::Throughput, Beside::BestPeer),
    ];
    beside_writes.into_iter().filter(|_| job.clients == 64).chain(of_rounds).collect()
}

fn of_writes(job: &Job) -> Vec<Target> {
    match (job.transport, job.log) {
        _ if job.apply_us > 0 => vec![
            at_least(Beside::Applies, 0.95),
            Target { bound: Bound::AtLeast(1.0), ..told(Figure::Ahead, Beside::Nothing) },
        ],
        (Transport::Memory, Log::Memory) => of_memory(job),
        (Transport::Tcp, Log::Memory) => of_tcp(job),
        (_, Log::Disk) => of_disk(job),
        (_, Log::Slow) => of_slow_disk(job),
    }
}

/// For 1, 64, 256, 1024 and 4096 clients.
fn by_clients(job: &Job, of: [f64; 5]) -> f64 {
    of[match job.clients {
        1 => 0,
        2..=64 => 1,
        65..=256 => 2,
        257..=1024 => 3,
        _ => 4,
    }]
}

fn of_memory(job: &Job) -> Vec<Target> {
    let mut targets = match (job.payload, job.own_thread) {
        (0, false) => vec![
            at_least(OPENRAFT, by_clients(job, [9.0, 2.8, 2.2, 2.1, 2.0])),
            at_least(OPENRAFT_AS_SHIPPED, by_clients(job, [15.0, 5.0, 2.8, 2.1, 2.0])),
            at_least(ETCD, by_clients(job, [3.0, 3.0, 2.5, 2.2, 2.2])),
        ],
        (0, true) => vec![at_least(OPENRAFT_AS_SHIPPED, by_clients(job, [0.9, 1.5, 1.2, 1.2, 1.2]))],
        (_, false) => vec![at_least(HASHICORP, 8.0)],
        (_, true) => Vec::new(),
    };
    if job.clients > 1 && !job.own_thread {
        targets.push(at_least(Beside::Limit, 0.5));
    }
    targets
}

fn of_tcp(job: &Job) -> Vec<Target> {
    if job.clients == 1 {
        // One client waits for threads to wake, as the pipe does.
        let smaller = |peer, times| at_least(Beside::Smaller { peer, times, of_limit: 0.7 }, 1.0);
        return vec![smaller(Sut::Hashicorp, 2.0), smaller(Sut::Etcd, 1.5)];
    }
    let of_limit = at_least(Beside::Limit, 0.2);
    vec![
        at_least(HASHICORP, 5.0),
        at_least(ETCD, by_clients(job, [0.0, 4.0, 3.5, 2.5, 2.5])),
        // With fewer clients the pipe is twice as fast in one round as in another.
        if job.clients > 1024 { of_limit } else { Target { bound: Bound::Told, ..of_limit } },
    ]
}

fn of_disk(job: &Job) -> Vec<Target> {
    if job.clients == 1 {
        // All take one flush, and what is around it tells.
        return vec![
            at_most(Figure::Median, Beside::Peer(Sut::Hashicorp, "-wal"), 0.8),
            at_most(Figure::Median, ETCD, 1.1),
            at_most(Figure::Median, Beside::Limit, 1.2),
            told(Figure::Throughput, OPENRAFT),
        ];
    }
    vec![
        at_least(HASHICORP, by_clients(job, [0.0, 4.0, 6.0, 5.0, 5.0])),
        at_least(OPENRAFT, 2.0),
        at_least(ETCD, by_clients(job, [0.0, 2.5, 3.0, 4.0, 4.0])),
        at_least(Beside::Limit, 0.6),
    ]
}

fn of_slow_disk(job: &Job) -> Vec<Target> {
    let differ = job.flush_us.windows(2).any(|pair| pair[0] != pair[1]);
    match job.clients {
        _ if differ => vec![at_most(Figure::Median, Beside::FlushAndRoundTrip, 1.3)],
        // The peer flushes on the leader and then on a follower, which shows that the cell tells one from the other.
        1 => vec![
            at_least(Beside::Flushes, 0.95),
            Target { whose: Sut::Hashicorp, ..at_most(Figure::Throughput, Beside::Flushes, 0.55) },
        ],
        _ => vec![told(Figure::Throughput, Beside::Flushes), told(Figure::Throughput, Beside::BestPeer)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells;

    fn cell(id: &str) -> Cell {
        let cell = cells::all().into_iter().find(|cell| cell.id == id);
        cell.unwrap_or_else(|| panic!("no cell is called {id}"))
    }

    fn targets(id: &str) -> Vec<Target> {
        of(&cell(id))
    }

    #[test]
    fn a_target_is_of_the_peer_and_the_load_that_it_names() {
        assert!(targets("W1o-c64").contains(&at_least(OPENRAFT, 2.8)));
        assert!(targets("W1o-c64").contains(&at_least(OPENRAFT_AS_SHIPPED, 5.0)));
        assert_eq!(targets("W1o-own-c1024"), [at_least(OPENRAFT_AS_SHIPPED, 1.2)]);
        assert!(targets("W3-c4096").contains(&at_least(ETCD, 4.0)));
        assert!(targets("W3-c1").contains(&at_most(Figure::Median, Beside::Limit, 1.2)));
        assert_eq!(targets("W8"), [at_least(Beside::BestPeer, 1.0)]);
        assert!(targets("W6-c64").contains(&at_least(Beside::Cell("W3-c64"), 3.0)));
        assert!(!targets("W6-c1").iter().any(|target| matches!(target.beside, Beside::Cell(_))));
    }

    #[test]
    fn a_cell_of_which_nothing_is_asked_has_a_row_all_the_same() {
        for cell in cells::all() {
            assert!(!of(&cell).is_empty(), "{}", cell.id);
        }
        assert!(!is_held_to_any(&cell("W2-open-r10000")) && is_held_to_any(&cell("W7-c64")));
    }

    #[test]
    fn other_cells_that_are_named_exist() {
        for target in cells::all().iter().flat_map(of) {
            if let Beside::Cell(id) = target.beside {
                assert!(!targets(id).is_empty());
            }
        }
    }

    #[test]
    fn a_setting_that_a_target_names_is_known() {
        assert!(names(&cell("W1o-c1"), Sut::Openraft, "two-runtimes"));
        assert!(!names(&cell("W1o-c1"), Sut::Openraft, "one-runtime"));
        assert!(!names(&cell("W1-c1"), Sut::Openraft, "two-runtimes"));
    }
}
