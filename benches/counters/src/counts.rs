//! The counters: how they are read, and how far each may move before the gate closes.

use std::{collections::BTreeMap, fs, sync::atomic::Ordering::Relaxed};

use stats_alloc::INSTRUMENTED_SYSTEM;

use crate::{cells::Cell, command, files};

/// For one operation, by counter.
pub(crate) type Counts = BTreeMap<String, f64>;

pub(crate) const SYSTEM_CALLS: &str = "system_calls";
pub(crate) const INSTRUCTIONS: &str = "instructions";
const ALLOCATIONS: &str = "allocations";
const ENCODES: &str = "encodes";
const CONTEXT_SWITCHES: &str = "context_switches";

/// By how much a counter may exceed its baseline; `None` if the machine's load moves it, so that it is only told.
pub(crate) fn tolerance(cell: &Cell, counter: &str) -> Option<f64> {
    match counter {
        ENCODES => Some(0.001),
        CONTEXT_SWITCHES => None,
        // A compiler or an allocator's growth policy of another version moves these by less.
        _ if cell.is_exact() => Some(0.02),
        // How many operations share a flush depends on who runs when; on a busy machine it is half as many.
        "flushes" | "file_writes" => Some(1.0),
        _ => Some(0.3),
    }
}

/// What no baseline may lift: the counter and the most of it.
pub(crate) fn ceiling(cell: &Cell, counter: &str) -> Option<f64> {
    match counter {
        // Once for the log, every follower and the state machine, however many nodes there are.
        ENCODES => Some(1.001),
        ALLOCATIONS if cell.is_exact() && cell.nodes == 3 && cell.clients > 1 => Some(ALLOCATIONS_MAX),
        _ => None,
    }
}

/// In memory, on all three nodes and in the client together.
const ALLOCATIONS_MAX: f64 = 4.0;

/// Everything that is counted within the process, since it began.
#[derive(Clone, Debug)]
pub(crate) struct Readings(Vec<(&'static str, u64)>);

impl Readings {
    pub(crate) fn now() -> Self {
        let heap = INSTRUMENTED_SYSTEM.stats();
        Self(vec![
            (ALLOCATIONS, (heap.allocations + heap.reallocations) as u64),
            ("allocated_bytes", heap.bytes_allocated as u64),
            (ENCODES, command::ENCODES.load(Relaxed)),
            ("decodes", command::DECODES.load(Relaxed)),
            ("file_writes", files::WRITES.load(Relaxed)),
            ("flushes", files::FLUSHES.load(Relaxed)),
            (CONTEXT_SWITCHES, context_switches()),
        ])
    }

    /// What `ops` operations cost each since `before`. What did not happen at all is left out.
    pub(crate) fn since(&self, before: &Self, ops: u64) -> Counts {
        let pairs = self.0.iter().zip(&before.0).filter(|((_, now), (_, then))| now > then);
        pairs.map(|((name, now), (_, then))| ((*name).to_owned(), (now - then) as f64 / ops as f64)).collect()
    }
}

/// How often a thread of this process has gone to sleep.
fn context_switches() -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok()).map(of).sum()
}
