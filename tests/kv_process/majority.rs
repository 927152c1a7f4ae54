//! A majority serves; less than a majority says so.

use std::time::Duration;

use crate::support::{Cluster, eventually, eventually_within};

#[test]
fn any_one_of_three_nodes_may_die_and_writes_go_on() {
    let mut cluster = Cluster::start(3);
    for victim in 0..3 {
        cluster[victim].kill();
        for survivor in (0..3).filter(|node| *node != victim) {
            let path = format!("/kv/without-{victim}-through-{survivor}");
            cluster.write(survivor, &path, b"written");
            cluster.read(survivor, &path).assert_ok(b"written");
        }
        cluster.start_all();
        for survivor in (0..3).filter(|node| *node != victim) {
            let path = format!("/kv/without-{victim}-through-{survivor}");
            cluster.read(victim, &path).assert_ok(b"written");
        }
    }
}

#[test]
fn without_a_majority_writes_fail_clearly_until_one_is_back() {
    let mut cluster = Cluster::start(3);
    cluster.write(0, "/kv/before", b"1");
    let leader = cluster.leader();
    let (survivor, other) = ((leader + 1) % 3, (leader + 2) % 3);
    // Behind a confirmed read the survivor has applied what was acknowledged.
    cluster.read(survivor, "/kv/before").assert_ok(b"1");
    cluster[leader].kill();
    cluster[other].kill();

    let client = cluster[survivor].client.clone();
    let refusal = eventually_within(Duration::from_secs(10), "the write is answered", || {
        client.put("/kv/during", b"2").ok()
    });
    match refusal.status {
        503 => refusal.assert_error(503, "no_leader"),
        _ => refusal.assert_error(504, "outcome_unknown"),
    }
    // A read that no majority confirms is not answered with what this node happens to hold.
    let read = client.get("/kv/before").unwrap();
    assert!(matches!(read.code().as_str(), "timeout" | "no_leader"), "{read:?}");
    client.get("/kv/before?read=stale").unwrap().assert_ok(b"1");
    eventually("the survivor is not ready", || client.get("/ready").ok().filter(|reply| reply.status == 503));

    cluster[other].start();
    cluster.write(survivor, "/kv/after", b"3");
    cluster.read(other, "/kv/after").assert_ok(b"3");
}

#[test]
fn a_leader_left_alone_never_acknowledges() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    for follower in (0..3).filter(|node| *node != leader) {
        cluster[follower].kill();
    }
    let refusal = cluster[leader].client.put("/kv/alone", b"lost?").unwrap();
    match refusal.status {
        503 => refusal.assert_error(503, "no_leader"),
        _ => refusal.assert_error(504, "outcome_unknown"),
    }
}
