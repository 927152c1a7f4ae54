//! A stale read by lease is seen as soon as one of the three things is left out that leases stand on.

use std::time::Duration;

use raftix::{
    known_bug::{KnownBug, bring_back},
    sim::{
        LeaseThreat, Plan, Report, Workload,
        kv::{Kv, KvClient, KvWorkload},
        run, run_prepared,
    },
};

/// How many plans are tried at most.
const SEEDS_MAX: u64 = 20;

/// Many clients, judged by the order of the log alone: a search for an order would take long with so many.
#[derive(Clone, Debug)]
struct Readers(KvWorkload);

impl Workload for Readers {
    type Machine = Kv;
    type Client = KvClient;

    fn machine(&self) -> Kv {
        self.0.machine()
    }

    fn client(&self, number: u64, seed: u64) -> KvClient {
        self.0.client(number, seed)
    }
}

fn readers() -> Readers {
    Readers(KvWorkload { keys: 2, ..KvWorkload::default() })
}

fn plan(seed: u64, threat: LeaseThreat) -> Plan {
    Plan::of_leases(seed, Duration::from_secs(30), threat)
}

/// After how many plans `bug` is seen, by a stale read and by nothing else.
fn hunt(bug: KnownBug, threat: LeaseThreat) {
    let broken = |seed| run_prepared(readers(), plan(seed, threat), move || bring_back(bug));
    let found =
        (0..SEEDS_MAX).map(|seed| (seed, broken(seed))).find(|(_, report)| report.violation().is_some());
    let (seed, report) = found.unwrap_or_else(|| panic!("{bug} was not seen within {SEEDS_MAX} plans"));
    println!("{bug}: seed {seed}: {:?}", report.violation());
    assert_eq!(report.violation().map(|violation| violation.law), Some("linearizability, by the log"));
    let sound: Report = run(readers(), plan(seed, threat));
    assert_eq!(sound.violation(), None, "the same plan without {bug}");
}

#[test]
fn a_lease_that_ignores_how_clocks_differ_reads_what_is_stale() {
    hunt(KnownBug::LeaseIgnoresDrift, LeaseThreat::WrongClocks);
}

#[test]
fn a_lease_that_is_kept_in_a_transfer_reads_what_is_stale() {
    hunt(KnownBug::LeaseKeptInTransfer, LeaseThreat::Transfer);
}

#[test]
fn a_voter_that_forgets_its_promise_makes_reads_stale() {
    hunt(KnownBug::RestartedVoterForgetsLease, LeaseThreat::Restart);
}
