//! Power is lost at every operation of a run.

use super::{
    model::{Run, Step},
    *,
};

/// A run with everything in it: segments filled, recycled and outgrown, conflicts, votes, purges, a
/// reset, reopenings.
fn script() -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 0..3 {
        steps.extend([Step::Vote { name: 1 }, Step::Flush, Step::NewTerm { count: 1 }]);
        for _ in 0..3 {
            steps.extend([
                Step::Append { count: 4, size: 250 },
                Step::Append { count: 1, size: 10 },
                Step::Flush,
            ]);
        }
        steps.extend([Step::Conflict { back: 3, count: 2, lower_term: round == 1 }, Step::Flush]);
        steps.extend([
            Step::Purge { keep: 3 },
            Step::Flush,
            Step::Append { count: 2, size: 900 },
            Step::Flush,
        ]);
        steps.push(Step::Reopen);
    }
    steps.extend([Step::Reset { ahead: 20 }, Step::Append { count: 1, size: 5 }, Step::Flush]);
    steps.extend([Step::Append { count: 2, size: 5000 }, Step::Vote { name: 3 }, Step::Flush]);
    steps.extend([Step::Append { count: 1, size: 0 }, Step::Flush]);
    steps
}

#[test]
fn power_lost_at_every_operation_leaves_what_was_acknowledged() {
    let whole = SimVfs::new();
    let mut run = Run::new(whole.clone());
    run.run(&script()).unwrap();
    let operations = whole.operations();
    assert!(operations > 100, "{operations}");
    for at in 0..operations {
        for seed in 0..4 {
            let disk = SimVfs::new();
            disk.inject(Fault::power_off_at(at));
            let mut run = Run::new(disk.clone());
            assert!(run.run(&script()).is_err(), "the power went at {at}");
            disk.power_loss(at * 64 + seed);
            // Half of them lose it once more on the way up.
            disk.inject(Fault::power_off_at(if seed % 2 == 0 { (at * 7 + seed) % 23 } else { u64::MAX }));
            if run.reopen().is_err() {
                disk.power_loss(at * 64 + seed + 32);
                run.reopen().unwrap_or_else(|error| panic!("at {at}, seed {seed}: {error}"));
            }
            disk.clear_faults();
            run.run(&[Step::Append { count: 2, size: 100 }, Step::Flush, Step::Reopen]).unwrap();
        }
    }
}

#[test]
fn a_process_killed_at_every_operation_leaves_what_was_acknowledged() {
    let whole = SimVfs::new();
    Run::new(whole.clone()).run(&script()).unwrap();
    for at in 0..whole.operations() {
        let disk = SimVfs::new();
        disk.inject(Fault::power_off_at(at));
        let mut run = Run::new(disk.clone());
        assert!(run.run(&script()).is_err());
        disk.kill();
        run.reopen().unwrap();
        // What it recovered from the page cache is durable: losing power now takes nothing of it.
        let shown = run.acknowledged();
        disk.power_loss(at);
        run.reopen().unwrap();
        assert_eq!(run.acknowledged(), shown);
    }
}
