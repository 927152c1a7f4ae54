//! A node is killed and its directory is gone: it comes back without a vote, is removed and added, and then its vote
//! elects a leader.

use std::fs;

use crate::{
    operator::Operator,
    scene::Scene,
    support::{Cluster, eventually},
    times::Times,
};

const NODES: usize = 3;

#[test]
fn a_wiped_node_comes_back_without_a_vote_and_gets_one() {
    wipe("wiped-short", 1);
}

#[test]
#[ignore = "the whole run: cargo test --release --test operations -- --ignored --nocapture wiped"]
fn every_node_in_turn_is_wiped_comes_back_without_a_vote_and_gets_one() {
    wipe("wiped", 2 * NODES);
}

fn wipe(name: &'static str, times: usize) {
    let mut scene = Scene::start(name, NODES, &[]);
    let mut gaps = Times::default();
    for _ in 0..times {
        let leader = scene.cluster.leader();
        let wiped = scene.other_than(leader);
        let Scene { cluster, load, .. } = &mut scene;
        let ((), gap) = load.gap_around(|| {
            lose_directory(cluster, wiped);
            let operator = Operator::at(&cluster[leader]);
            operator.remove(&cluster[wiped].id);
            operator.add(&cluster[wiped]);
            cluster[wiped].wait_until_ready();
        });
        gaps.add(gap);
        // The two others would be a majority without it. One of them and it are one only if it votes.
        scene.cluster[leader].kill();
        scene.load.wait_for_writes();
        assert_ne!(scene.cluster.leader(), leader);
        scene.cluster[leader].start();
        scene.cluster[leader].wait_until_ready();
    }
    scene.end(&format!("{times} nodes wiped; no write acknowledged until they voted again for: {gaps}"));
}

/// Until it says that it has no vote.
fn lose_directory(cluster: &mut Cluster, at: usize) {
    cluster[at].kill();
    fs::remove_dir_all(&cluster[at].data).expect("its directory");
    cluster[at].start();
    eventually("the quarantine", || {
        // A blank node has that role from the start, before it knows that there is a cluster.
        let status = cluster[at].client.status()?;
        status["standing"].as_str()?.starts_with("quarantined").then_some(())
    });
}
