//! A cluster without its majority goes on from one survivor, when an operator says so.

use std::fs;

use serde_json::json;

use crate::support::{Cluster, eventually};

const KEYS: usize = 20;

fn check_keys(cluster: &Cluster, at: usize) {
    for key in 0..KEYS {
        cluster.read(at, &format!("/kv/key-{key}")).assert_ok(format!("value-{key}").as_bytes());
    }
}

#[test]
fn one_survivor_with_a_peers_json_leads_alone_and_nobody_of_before_disturbs_it() {
    let mut cluster = Cluster::start(3);
    for key in 0..KEYS {
        cluster.write(0, &format!("/kv/key-{key}"), format!("value-{key}").as_bytes());
    }
    check_keys(&cluster, 0);
    eventually("all of it is on the survivor's own disk", || {
        let status = cluster[0].client.status()?;
        (status["durable_index"].as_u64()? >= status["commit_index"].as_u64()?).then_some(())
    });
    cluster.nodes.iter_mut().for_each(|node| node.kill());

    let file = cluster[0].data.join("peers.json");
    fs::write(&file, json!([{"id": "n1", "address": cluster[0].raft}]).to_string()).unwrap();
    cluster[0].start();
    cluster[0].wait_until_ready();
    check_keys(&cluster, 0);
    let status = cluster[0].client.status().unwrap();
    assert_eq!((&status["role"], &status["voters"]), (&json!("leader"), &json!(["n1"])));
    assert!(!file.exists(), "it is done");

    // The others find each other and go on as the cluster that they were.
    cluster[1].start();
    cluster[2].start();
    cluster.write(1, "/kv/theirs", b"theirs");
    cluster.write(0, "/kv/ours", b"ours");
    assert_eq!(cluster.read(0, "/kv/theirs").status, 404);
    assert_eq!(cluster.read(2, "/kv/ours").status, 404);
    cluster[0].kill();
    cluster[0].start();
    cluster[0].wait_until_ready();
    check_keys(&cluster, 0);
    cluster.read(0, "/kv/ours").assert_ok(b"ours");
}
