//! A leader that changes the membership before an entry of its own term is committed is found out.

use std::time::Duration;

use raftix::{
    known_bug::{KnownBug, bring_back},
    sim::{Plan, kv::KvWorkload, run, run_prepared},
};

/// Within how many plans the bug must be found.
const PLANS_MAX: u64 = 200;

fn plan(seed: u64) -> Plan {
    Plan::of_memberships(seed, Duration::from_secs(20))
}

#[test]
fn two_leaders_in_a_row_that_change_what_both_began_with_are_found_out() {
    let bug = KnownBug::ChangeBeforeTermCommit;
    let broken = |seed| run_prepared(KvWorkload::default(), plan(seed), move || bring_back(bug));
    let found =
        (0..PLANS_MAX).map(|seed| (seed, broken(seed))).find(|(_, report)| report.violation().is_some());
    let (seed, report) = found.unwrap_or_else(|| panic!("{bug} was not seen within {PLANS_MAX} plans"));
    println!("{bug}: plan {seed}: {:?}", report.violation());
    for sound in 0..=seed {
        let report = run(KvWorkload::default(), plan(sound));
        assert_eq!(report.violation(), None, "plan {sound} without {bug}");
    }
}
