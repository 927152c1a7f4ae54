//! The same seed gives the same run: in this process, after other runs, and in another process. And the check
//! that says so can fail.

use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use raftix::sim::{
    Client, Workload,
    history::Action,
    kv::{Kv, KvClient, KvQuery, KvWorkload},
    run,
};

use crate::short;

/// Set for a process that is only to tell the hash of a seed.
const TOLD_SEED: &str = "RAFTIX_SIM_TOLD_SEED";

fn hash(seed: u64) -> u64 {
    run(KvWorkload::default(), short(seed)).trace.hash()
}

#[test]
fn a_seed_gives_the_same_trace_again_after_other_seeds() {
    let first = run(KvWorkload::default(), short(1));
    let between = hash(2);
    let second = run(KvWorkload::default(), short(1));
    assert_eq!(first.trace.differs_by(&second.trace), None);
    assert!(first.trace.events() > 1000, "too little happened: {}", first.trace.events());
    assert_ne!(first.trace.hash(), between);
}

#[test]
fn a_seed_gives_the_same_trace_in_a_fresh_process() {
    if let Some(seed) = std::env::var(TOLD_SEED).ok().and_then(|seed| seed.parse().ok()) {
        return println!("hash {:016x}", hash(seed));
    }
    for seed in 3..6 {
        let itself = std::env::current_exe().unwrap();
        let name = "determinism::a_seed_gives_the_same_trace_in_a_fresh_process";
        let mut fresh = Command::new(itself);
        fresh
            .args(["--exact", name, "--nocapture"])
            .env(TOLD_SEED, seed.to_string())
            .env("RUST_LOG", "trace");
        let output = fresh.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains(&format!("hash {:016x}", hash(seed))), "seed {seed}: {told}");
    }
}

/// Clients that ask for something else in every run: what no seed decides.
#[derive(Clone)]
struct Leaky;

static ASKED: AtomicU64 = AtomicU64::new(0);

impl Workload for Leaky {
    type Machine = Kv;
    type Client = LeakyClient;

    fn machine(&self) -> Kv {
        Kv::default()
    }

    fn client(&self, number: u64, seed: u64) -> LeakyClient {
        LeakyClient(KvClient::new(seed, number, 3))
    }
}

struct LeakyClient(KvClient);

impl Client<Kv> for LeakyClient {
    fn next_action(&mut self) -> Action<Kv> {
        // Now and then, by a count that outlives the run.
        match ASKED.fetch_add(1, Ordering::Relaxed) % 97 {
            0 => Action::Query(KvQuery::Get { key: "k0".to_owned() }),
            _ => self.0.next_action(),
        }
    }
}

#[test]
fn a_run_that_depends_on_something_else_is_told_from_its_repetition() {
    let first = run(Leaky, short(1));
    let second = run(Leaky, short(1));
    let differs = first.trace.differs_by(&second.trace);
    assert!(differs.is_some_and(|at| at <= first.trace.events() + 1024), "{differs:?}");
}
