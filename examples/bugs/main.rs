//! tmp
use raftix::known_bug::{KnownBug, bring_back};
use raftix::sim::{Plan, Verdict, kv::KvWorkload, run_prepared};
use std::time::Duration;
fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let only: Vec<String> = std::env::args().skip(2).collect();
    let most: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let Some(bug) = KnownBug::ALL.get(i).copied() else { return };
                    if !only.is_empty() && !only.iter().any(|o| o == bug.name()) {
                        continue;
                    }
                    let t = std::time::Instant::now();
                    let mut found = None;
                    for seed in 0..most {
                        let plan = Plan::draw(seed, (3, 7), Duration::from_secs(120));
                        let report = run_prepared(KvWorkload::default(), plan, move || bring_back(bug));
                        if let Verdict::Failed(v) = &report.verdict {
                            found = Some((seed, v.clone()));
                            break;
                        }
                    }
                    match found {
                        Some((seed, v)) => println!(
                            "{:<36} {:>4} {:?} {}",
                            bug.name(),
                            seed + 1,
                            t.elapsed(),
                            v.to_string().chars().take(150).collect::<String>()
                        ),
                        None => println!("{:<36} NOT FOUND {:?}", bug.name(), t.elapsed()),
                    }
                }
            });
        }
    });
}
