//! tmp
use raftix::sim::{Plan, Verdict, kv::KvWorkload, run};
use std::time::Duration;
fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let (from, to) = (args[0], args[1]);
    let began = std::time::Instant::now();
    for seed in from..to {
        let plan = Plan::draw(seed, (3, 7), Duration::from_secs(120));
        let t = std::time::Instant::now();
        let report = run(KvWorkload::default(), plan);
        match &report.verdict {
            Verdict::Failed(v) => {
                println!("seed {seed} FAILED {v}");
                if to - from == 1 {
                    for f in &report.plan.faults {
                        println!("{f}");
                    }
                    for e in report.trace.tail() {
                        println!("{e}");
                    }
                }
            }
            v => println!(
                "seed {seed} n{} {v:?} acks {} leaders {} unfl {} virt {:?} events {} hash {:x} wall {:?}",
                report.plan.nodes,
                report.acknowledged,
                report.leader_changes,
                report.unflushed_ends,
                report.virtual_time,
                report.trace.events(),
                report.trace.hash(),
                t.elapsed()
            ),
        }
        if to - from == 1 {
            println!("{:?}", report.faults);
        }
    }
    println!("{:?}", began.elapsed());
}
