//! The same seed gives the same run, and one direction knows nothing of another.

use super::*;

const ROUGH: Conditions = Conditions {
    latency_min: ms(1),
    latency_max: ms(20),
    spike_probability: 0.02,
    spike: ms(200),
    loss: 0.05,
    duplication: 0.05,
    reordering: 0.05,
    corruption: 0.02,
    reset: 0.02,
};

/// Lets `asking` nodes ask n0 for a while. Returns what was seen of it.
async fn run(seed: u64, asking: &[&str], change: impl Fn(&SimNetwork)) -> Vec<String> {
    let (network, trace) = (network(seed), Trace::new());
    network.watch(trace.clone());
    network.set_all(ROUGH);
    change(&network);
    let (_zero, _) = start(&network, "n0");
    let nodes: Vec<_> = asking.iter().map(|id| start(&network, id).0).collect();
    let links: Vec<_> = nodes.iter().map(|node| node.link(&"n0".into(), "n0:1", Lane::Control)).collect();
    let answers = Arc::<Answers>::default();
    for number in 0..300 {
        links.iter().for_each(|link| answers.request(&**link, number, ask(number)));
        sleep(ms(5)).await;
    }
    sleep(ms(35_000)).await;
    trace.take()
}

fn between(trace: &[String], from: &str, to: &str) -> Vec<String> {
    let passage = format!(" {from}:1 → {to}:1 ");
    trace.iter().filter(|line| line.contains(&passage)).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let first = run(7, &["n1", "n2"], |_| {}).await;
    assert_eq!(first, run(7, &["n1", "n2"], |_| {}).await);
    assert_ne!(first, run(8, &["n1", "n2"], |_| {}).await);
    assert!(first.len() > 1000, "{}", first.len());
}

#[tokio::test(start_paused = true)]
async fn what_one_direction_draws_shifts_no_other() {
    let alone = run(7, &["n1"], |_| {}).await;
    for trace in [
        run(7, &["n1", "n2"], |_| {}).await,
        run(7, &["n2", "n1"], |network| {
            network.set_conditions("n2:1", "n0:1", Conditions { loss: 0.5, ..ROUGH });
            network.clog("n0:1", "n2:1");
        })
        .await,
    ] {
        assert!(between(&trace, "n2", "n0").len() > 100);
        for (from, to) in [("n1", "n0"), ("n0", "n1")] {
            assert_eq!(between(&trace, from, to), between(&alone, from, to));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_codec_changes_nothing_of_a_run() {
    let plain = run(7, &["n1"], |_| {}).await;
    assert_eq!(plain, run(7, &["n1"], |network| network.set_coding(true)).await);
}
