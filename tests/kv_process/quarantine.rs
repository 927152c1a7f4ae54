//! A node that has lost its directory comes back without a vote.

use std::fs;

use crate::support::{Cluster, eventually};

#[test]
fn a_wiped_node_is_quarantined_and_never_makes_a_majority() {
    let mut cluster = Cluster::start(3);
    cluster.write(0, "/kv/before", b"1");
    let wiped = (cluster.leader() + 1) % 3;
    let others: Vec<usize> = (0..3).filter(|node| *node != wiped).collect();

    cluster[wiped].kill();
    fs::remove_dir_all(&cluster[wiped].data).unwrap();
    cluster[wiped].start();
    let client = cluster[wiped].client.clone();
    eventually("the wiped node says that it is quarantined", || {
        // A blank node has that role from the start, before it knows that there is a cluster.
        let standing = client.status()?["standing"].as_str()?.to_owned();
        standing.starts_with("quarantined").then_some(())
    });
    eventually("it says so to the operator too", || {
        cluster[wiped].process().stderr().contains("quarantined").then_some(())
    });
    for node in &others {
        cluster.write(*node, &format!("/kv/with-{node}"), b"2");
    }

    // One intact voter is left beside the wiped node: two processes, and no majority.
    let (intact, killed) = (others[0], others[1]);
    cluster[killed].kill();
    let client = cluster[intact].client.clone();
    for attempt in 0..2 {
        let refusal = client.put(&format!("/kv/without-{attempt}"), b"3").unwrap();
        assert!(matches!(refusal.status, 503 | 504), "{refusal:?}");
    }
    let role = |node: usize| cluster[node].client.status().unwrap()["role"].clone();
    assert_eq!(role(wiped), "quarantined");
    assert_ne!(role(intact), "leader");

    cluster[killed].start();
    cluster.write(intact, "/kv/after", b"4");
    cluster.read(intact, "/kv/before").assert_ok(b"1");
}
