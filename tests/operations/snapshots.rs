//! Every node writes its state down, forgets the log up to there, is killed, and starts from the snapshot.

use raftix::types::LogIndex;

use crate::{
    disks::log_of,
    operator::Operator,
    scene::Scene,
    support::{Node, eventually},
    times::Times,
};

const NODES: usize = 3;

#[test]
fn every_node_starts_from_a_snapshot_without_the_log_before_it() {
    restart_all("snapshots-short", 1);
}

#[test]
#[ignore = "the whole run: cargo test --release --test operations -- --ignored --nocapture snapshot"]
fn every_node_starts_from_a_snapshot_ten_times() {
    restart_all("snapshots", 10);
}

/// The log is shortened just behind the snapshot, and on the disk before any entry that comes later.
fn wait_for_later_entries(node: &Node) {
    let status = |what: &str| node.client.status()?[what].as_u64();
    let last = eventually("its last entry", || status("last_index"));
    eventually("a later entry is on its disk", || status("durable_index").filter(|durable| *durable > last));
}

fn restart_all(name: &'static str, rounds: usize) {
    let mut scene = Scene::start(name, NODES, &["--trailing-logs", "16"]);
    let (mut led, mut followed, mut restarts) = (Times::default(), Times::default(), Times::default());
    for at in (0..rounds).flat_map(|_| 0..NODES) {
        let Scene { cluster, load, .. } = &mut scene;
        let gaps = if cluster.leader() == at { &mut led } else { &mut followed };
        let ((), gap) = load.gap_around(|| {
            let index = Operator::at(&cluster[at]).snapshot();
            wait_for_later_entries(&cluster[at]);
            cluster[at].kill();
            let log = log_of(&cluster[at]);
            assert!(log.first > LogIndex(1), "{}: the log begins at {}", log.id, log.first);
            let before = load.recording().elapsed();
            cluster[at].start();
            cluster[at].wait_until_ready();
            restarts.add(load.recording().elapsed() - before);
            let status = cluster[at].client.status().expect("it runs");
            assert!(status["snapshot_index"].as_u64() >= Some(index), "{status}");
        });
        gaps.add(gap);
    }
    let did = format!(
        "{} restarts from a snapshot, ready after: {restarts}; no write acknowledged, where the node led, for: {led}; \
         where it followed: {followed}",
        rounds * NODES
    );
    let (_, logs) = scene.end_of_any(&did);
    for log in logs {
        assert!(log.first > LogIndex(1), "{}: the log begins at {}", log.id, log.first);
    }
}
