//! Two of three nodes are lost while clients write. The third is told to go on alone, by a `peers.json`; those that come
//! back with what they held before are refused, and with empty directories they are welcome.

use std::{collections::BTreeMap, fs};

use raftix::types::{LogId, LogIndex};
use serde_json::json;

use crate::{
    clients::Load,
    disks::{DiskLog, log_of},
    operator::Operator,
    recording::acknowledged,
    scene::{Scene, close, summary},
    support::{Cluster, Node, eventually},
    verdict::{assert_kept, assert_linearizable},
};

#[test]
fn a_survivor_goes_on_with_everything_it_held_and_old_nodes_are_refused() {
    recover("recovery-short", 5);
}

#[test]
#[ignore = "the whole run: cargo test --release --test operations -- --ignored --nocapture survivor"]
fn a_survivor_of_much_goes_on_with_everything_it_held() {
    recover("recovery", 500);
}

/// With `much` times as many writes as there are clients before the loss, and again after it.
fn recover(name: &'static str, much: usize) {
    let scene = Scene::start(name, 3, &[]);
    (0..much).for_each(|_| scene.load.wait_for_writes());
    let survivor = scene.other_than(scene.cluster.leader());
    let (mut cluster, load, _stage) = scene.into_parts();
    // From here on the one that is left is in front.
    cluster.nodes.swap(0, survivor);
    cluster.nodes[1..].iter_mut().for_each(Node::kill);
    let took = load.recording().elapsed();
    let history = load.stop().into_history();
    cluster[0].kill();
    let held = log_of(&cluster[0]);
    let (kept, lost) = assert_holds_up_to_its_end(acknowledged(&history).map(|(at, _)| at), &held);
    assert_linearizable(name, &history, BTreeMap::new());
    println!(
        "{name}: {kept} acknowledged writes are on the survivor, {lost} are not. {}",
        summary(&history, took)
    );

    let values: BTreeMap<String, String> =
        held.sets.iter().map(|(_, set)| (set.key.clone(), set.value.clone())).collect();
    lead_alone(&mut cluster[0]);
    for (key, value) in &values {
        cluster.read(0, &format!("/kv/{key}")).assert_ok(value.as_bytes());
    }

    let load = Load::start("b", &cluster.nodes[..1]);
    load.wait_for_writes();
    assert_refused(&mut cluster, &load);
    let ids: Vec<String> = cluster
        .nodes
        .drain(1..)
        .map(|mut old| {
            old.kill();
            fs::remove_dir_all(&old.data).expect("its directory");
            old.id.clone()
        })
        .collect();
    for id in ids {
        Operator::at(&cluster[0]).remove(&id);
        cluster.join(&id);
        let new = cluster.nodes.last().expect("it was added just now");
        Operator::at(&cluster[0]).add(new);
        new.wait_until_ready();
    }
    load.set_nodes(&cluster.nodes);
    (0..much).for_each(|_| load.wait_for_writes());
    let took = load.recording().elapsed();
    let (history, logs) = close(cluster, load.stop());
    assert_linearizable(name, &history, values);
    for log in &logs {
        assert_kept(&history, log);
    }
    println!(
        "{name}: afterwards alone, refusing the others, and with both again. {}",
        summary(&history, took)
    );
}

/// The survivor holds what was acknowledged, from the first entry to the end of its log. How much was acknowledged that
/// it holds, and how much that lies behind that end.
fn assert_holds_up_to_its_end(acknowledged: impl Iterator<Item = LogId>, held: &DiskLog) -> (usize, usize) {
    assert_eq!(held.first, LogIndex(1));
    let (there, lost): (Vec<LogId>, Vec<LogId>) = acknowledged.partition(|at| at.index <= held.last.index);
    for at in &there {
        assert!(
            held.sets.binary_search_by_key(at, |(at, _)| *at).is_ok(),
            "{} lost what stood at {at}",
            held.id
        );
    }
    (there.len(), lost.len())
}

fn lead_alone(survivor: &mut Node) {
    let servers = json!([{ "id": survivor.id, "address": survivor.raft }]);
    fs::write(survivor.data.join("peers.json"), servers.to_string()).expect("its directory");
    survivor.start();
    survivor.wait_until_ready();
    let status = survivor.client.status().expect("it runs");
    assert_eq!((&status["role"], &status["voters"]), (&json!("leader"), &json!([survivor.id])));
}

/// The two others go on as the cluster that they were. The survivor neither hears of it nor takes one of them in.
fn assert_refused(cluster: &mut Cluster, load: &Load) {
    let term = |node: &Node| node.client.status().expect("it runs")["term"].clone();
    let before = term(&cluster[0]);
    cluster.nodes[1..].iter_mut().for_each(Node::start);
    let old = &cluster[1];
    eventually("the old cluster leads itself", || {
        let leader = old.client.status()?["leader"].as_str()?.to_owned();
        cluster.nodes[1..].iter().any(|node| node.id == leader).then_some(())
    });
    let member = json!({ "id": old.id, "address": old.raft }).to_string();
    let refusal = cluster[0].client.post("/cluster/members", &member).expect("an answer");
    assert_ne!(refusal.status, 200, "{refusal:?}");
    load.wait_for_writes();
    let status = cluster[0].client.status().expect("it runs");
    assert_eq!((&status["role"], &status["voters"]), (&json!("leader"), &json!([cluster[0].id])));
    assert_eq!(status["term"], before, "nobody disturbed it");
}
