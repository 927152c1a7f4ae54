//! Bugs that others had are brought back one at a time, and the simulator finds each by the laws it always checks.
//!
//! One build, no patch: `cargo test --release --features known-bugs --test reintroduced -- --nocapture`
//! prints the table of docs/simulator.md. The same seeds are clean without a bug.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use raftix::{
    known_bug::{KnownBug, bring_back},
    sim::{Plan, Report, kv::KvWorkload, run, run_prepared},
};

/// Within how many seeds a bug must be found.
const SEEDS_MAX: u64 = 200;
/// How many are tried at once.
const THREADS: usize = 2;
/// The page with the table.
const PAGE: &str = include_str!("../docs/simulator.md");

/// Bugs that take more than a drawn seed has: plans of everything show them.
const OF_EVERYTHING: [KnownBug; 1] = [KnownBug::StaleSuffixKeptUnderSnapshot];

fn plan(seed: u64, everything: bool) -> Plan {
    let kind = if everything { Plan::of_everything } else { Plan::draw };
    kind(seed, (3, 7), Duration::from_secs(120))
}

/// The first seed that finds `bug`, and how.
fn hunt(bug: KnownBug) -> Option<(u64, Report)> {
    let everything = OF_EVERYTHING.contains(&bug);
    (0..SEEDS_MAX)
        .map(|seed| {
            (seed, run_prepared(KvWorkload::default(), plan(seed, everything), move || bring_back(bug)))
        })
        .find(|(_, report)| report.violation().is_some())
}

/// The bugs whose row in the page says after how many seeds they are found.
fn listed() -> Vec<KnownBug> {
    let is_listed = |bug: &KnownBug| {
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{}` |", bug.name())));
        let row = row.unwrap_or_else(|| panic!("{} has no row in docs/simulator.md", bug.name()));
        row.split('|').nth(2).is_some_and(|seeds| seeds.trim().parse::<u64>().is_ok())
    };
    KnownBug::ALL.iter().copied().filter(is_listed).collect()
}

fn on_all_threads(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(n) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|n| *n < count) {
                    work(n);
                }
            });
        }
    });
}

#[test]
fn every_listed_bug_is_found_and_the_same_seeds_are_clean_without_it() {
    // What a bug makes panic is no news here.
    std::panic::set_hook(Box::new(|_| {}));
    let bugs = listed();
    assert!(bugs.len() >= 20, "only {} bugs are listed as found", bugs.len());
    let found = Mutex::new(BTreeMap::new());
    on_all_threads(bugs.len(), |n| {
        let outcome = hunt(bugs[n]);
        found.lock().unwrap().insert(bugs[n].name(), outcome);
    });
    let _ = std::panic::take_hook();
    let found = found.into_inner().unwrap();
    for (name, outcome) in &found {
        let row = outcome.as_ref().map(|(seed, report)| (seed + 1, report.violation().map(|v| v.law)));
        println!("| `{name}` | {row:?}");
    }
    let missed: Vec<&&str> =
        found.iter().filter(|(_, outcome)| outcome.is_none()).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
    for everything in [false, true] {
        let of_this_kind = |(_, report): &&(u64, Report)| report.plan.everything == everything;
        let last = found.values().flatten().filter(of_this_kind).map(|(seed, _)| *seed).max();
        on_all_threads(last.map_or(0, |last| last as usize + 1), |seed| {
            let report = run(KvWorkload::default(), plan(seed as u64, everything));
            assert_eq!(report.violation(), None, "seed {seed} without any bug, everything: {everything}");
        });
    }
}
