//! Every node of five is replaced by a new one, one after the other, the leader first: a new process joins, and the old
//! one is removed and ends by itself.

use serde_json::json;

use crate::{
    operator::Operator,
    scene::Scene,
    support::{Cluster, eventually},
    times::Times,
};

const NODES: usize = 5;

#[test]
fn all_five_nodes_are_replaced_and_no_acknowledged_write_is_lost() {
    replace_all("replacing-short", 1);
}

#[test]
#[ignore = "the whole run: cargo test --release --test operations -- --ignored --nocapture replaced"]
fn all_five_nodes_are_replaced_three_times() {
    replace_all("replacing", 3);
}

fn replace_all(name: &'static str, rounds: usize) {
    let mut scene = Scene::start(name, NODES, &[]);
    let mut gaps = Times::default();
    for replaced in 0..rounds * NODES {
        // Those of this round that are left stand in front.
        let left = NODES - replaced % NODES;
        let leader = scene.cluster.leader();
        let old = if leader < left { leader } else { 0 };
        let Scene { cluster, load, .. } = &mut scene;
        let ((), gap) = load.gap_around(|| replace(cluster, old, &format!("n{}", NODES + 1 + replaced)));
        gaps.add(gap);
        load.set_nodes(&cluster.nodes);
        load.wait_for_writes();
    }
    let mut ids: Vec<String> = scene.cluster.nodes.iter().map(|node| node.id.clone()).collect();
    ids.sort();
    eventually("they have the votes, and nobody else has one", || {
        (scene.cluster[0].client.status()?["voters"] == json!(ids)).then_some(())
    });
    scene.end(&format!("{} nodes replaced; no write acknowledged for: {gaps}", rounds * NODES));
}

/// The clients ask the old node until it has ended, and know of the new one only then.
fn replace(cluster: &mut Cluster, old: usize, newcomer: &str) {
    let operator = (old + 1) % cluster.nodes.len();
    cluster.join(newcomer);
    let new = cluster.nodes.len() - 1;
    Operator::at(&cluster[operator]).add(&cluster[new]);
    cluster[new].wait_until_ready();
    Operator::at(&cluster[operator]).remove(&cluster[old].id);
    let (status, said) = cluster[old].wait_for_end();
    assert!(matches!(status.code(), Some(0 | 1)), "a removed node stops by itself, {status}: {said}");
    cluster.nodes.remove(old);
}
