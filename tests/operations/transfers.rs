//! Leadership is handed on again and again.

use std::time::Duration;

use crate::{operator::Operator, scene::Scene, support::Node, times::Times};

const NODES: usize = 3;
/// How long half of all transfers may keep every client from being acknowledged a write.
const GAP_MEDIAN_MAX: Duration = Duration::from_millis(200);

#[test]
fn leadership_is_handed_on_five_times_and_no_acknowledged_write_is_lost() {
    hand_on("transfers-short", 5);
}

#[test]
#[ignore = "the whole run: cargo test --release --test operations -- --ignored --nocapture handed_on"]
fn leadership_is_handed_on_fifty_times_and_writes_go_on_at_once() {
    let gaps = hand_on("transfers", 50);
    assert!(gaps.median() <= GAP_MEDIAN_MAX, "{gaps}");
}

fn hand_on(name: &'static str, times: usize) -> Times {
    let scene = Scene::start(name, NODES, &[]);
    let (mut gaps, mut quiet) = (Times::default(), Times::default());
    for _ in 0..times {
        let from = scene.cluster.leader();
        let to = &scene.cluster[scene.other_than(from)];
        // Any node takes the request.
        let operator = Operator::at(&scene.cluster[scene.other_than(scene.other_than(from))]);
        let before = term(&scene.cluster[from]);
        let ((), gap) = scene.load.gap_around(|| operator.transfer(&to.id));
        gaps.add(gap);
        assert!(term(to) > before, "{} leads in a term of its own", to.id);
        let ((), gap) = scene.load.gap_around(|| scene.load.wait_for_writes());
        quiet.add(gap);
    }
    scene.end(&format!("{times} transfers; no write acknowledged for: {gaps}; between them: {quiet}"));
    gaps
}

fn term(node: &Node) -> u64 {
    node.client.status().and_then(|status| status["term"].as_u64()).expect("it runs")
}
