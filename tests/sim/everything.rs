//! A run of everything has some of everything, and says so.

use std::time::Duration;

use raftix::sim::{Activity, Plan, Verdict, kv::KvWorkload, run};

fn plan(seed: u64) -> Plan {
    Plan::of_everything(seed, (3, 5), Duration::from_secs(60))
}

#[test]
fn a_run_of_everything_passes_only_with_two_of_each_activity() {
    let mut passed = 0;
    for seed in 0..3 {
        let report = run(KvWorkload::default(), plan(seed));
        assert_eq!(report.violation(), None, "seed {seed}");
        let count = |activity| report.activities.of(activity);
        let lacking = Activity::ALL.into_iter().find(|activity| count(*activity) < 2);
        match &report.verdict {
            Verdict::Passed => assert_eq!(lacking, None, "seed {seed}"),
            rejected => println!("seed {seed}: {rejected:?}"),
        }
        passed += u32::from(report.verdict == Verdict::Passed);
    }
    assert!(passed > 0, "every one of the seeds was rejected");
}

#[test]
fn the_same_seed_needs_the_same_remedies_again() {
    let [first, second] = [(); 2].map(|()| run(KvWorkload::default(), plan(7)));
    assert_eq!(first.trace.differs_by(&second.trace), None);
    assert_eq!(first.activities, second.activities);
}
