//! What operators do with a cluster that runs: grow it, shrink it, hand it on, write it down. By `kv ctl` and by HTTP.

use std::fs;

use serde_json::json;

use crate::support::{Cluster, eventually};

/// The rows of a table, by word.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// Repeats `kv ctl` until it succeeds: while leaders change it may be refused.
fn ctl(cluster: &Cluster, at: usize, command: &[&str]) -> String {
    let mut said = String::new();
    eventually(&format!("kv ctl {command:?}"), || {
        let (done, text) = cluster.ctl(at, command);
        said = text;
        done.then_some(())
    });
    said
}

#[test]
fn a_fourth_node_joins_leads_and_replaces_another() {
    let mut cluster = Cluster::start(3);
    cluster.write(0, "/kv/before", b"it came");
    cluster.join("n4");
    let address = cluster[3].raft.clone();
    let said = ctl(&cluster, 1, &["add", "n4", &address]);
    assert!(said.starts_with(&format!("n4 at {address} is a voter as of entry ")), "{said}");
    cluster[3].wait_until_ready();
    cluster.read(3, "/kv/before").assert_ok(b"it came");

    assert_eq!(ctl(&cluster, 2, &["transfer", "n4"]), "n4 leads.\n");
    eventually("everybody knows", || (cluster.leader() == 3).then_some(()));
    let said = ctl(&cluster, 3, &["remove", "n1"]);
    assert!(said.starts_with("n1 is no member as of entry "), "{said}");
    let (status, _) = cluster[0].wait_for_end();
    assert!(matches!(status.code(), Some(0 | 1)), "a removed node stops by itself, and in order: {status}");
    let said = ctl(&cluster, 3, &["members"]);
    let rows = rows(&said);
    assert_eq!(rows[0], ["ID", "ADDRESS", "SUFFRAGE"]);
    assert_eq!([rows[1][0], rows[2][0], rows[3][0]], ["n2", "n3", "n4"], "{said}");
    assert_eq!(rows[3], ["n4", &address, "voter", "leads"], "{said}");
    assert!(rows[4].starts_with(&["as", "of", "entry"]) && rows.len() == 5, "{said}");
    cluster.write(1, "/kv/after", b"as well");
    cluster.read(3, "/kv/after").assert_ok(b"as well");
}

#[test]
fn a_node_is_rid_of_its_vote_and_gets_it_back() {
    let cluster = Cluster::start(3);
    let follower = (cluster.leader() + 1) % 3;
    let member = |suffrage: &str| json!({ "id": cluster[follower].id, "address": cluster[follower].raft, "suffrage": suffrage });
    for (suffrage, role) in [("nonvoter", "nonvoter"), ("voter", "follower")] {
        let body = member(suffrage).to_string();
        let done = eventually("the change", || {
            let client = &cluster[(follower + 1) % 3].client;
            client.post("/cluster/members", &body).ok().filter(|reply| reply.status == 200)
        });
        assert!(done.json()["index"].is_u64(), "{done:?}");
        eventually("its role", || {
            let status = cluster[follower].client.status()?;
            (status["role"] == role).then_some(())
        });
    }
}

#[test]
fn a_snapshot_is_written_and_a_killed_node_starts_from_it() {
    let mut cluster = Cluster::new(1);
    cluster[0].with(&["--trailing-logs", "2"]);
    cluster.start_all();
    let pairs: Vec<_> = (0..50).map(|n| (format!("k{n}"), format!("v{n}"))).collect();
    assert_eq!(cluster[0].client.load(&pairs).unwrap().status, 200);
    let first = cluster[0].client.put_once("/kv/once", b"kept", "key-1").unwrap().json();
    let said = ctl(&cluster, 0, &["snapshot"]);
    assert!(said.starts_with("The state is written down up to entry 5"), "{said}");
    let again = cluster[0].client.post("/cluster/snapshot", "").unwrap();
    assert!(again.json()["index"].as_u64() >= first["index"].as_u64(), "{again:?}");
    cluster.write(0, "/kv/later", b"too");
    cluster[0].kill();
    cluster.start_all();
    let status = cluster[0].client.status().unwrap();
    assert_eq!(status["snapshot_index"], again.json()["index"]);
    cluster.read(0, "/kv/k49").assert_ok(b"v49");
    cluster.read(0, "/kv/later").assert_ok(b"too");
    let repeated = cluster[0].client.put_once("/kv/once", b"kept", "key-1").unwrap();
    repeated.assert_json(first);
}

#[test]
fn a_wiped_node_is_quarantined_until_it_is_removed_and_added() {
    let mut cluster = Cluster::start(3);
    cluster.write(0, "/kv/held", b"by the others");
    let wiped = (cluster.leader() + 1) % 3;
    let other = (wiped + 1) % 3;
    let (id, address) = (cluster[wiped].id.clone(), cluster[wiped].raft.clone());
    cluster[wiped].kill();
    fs::remove_dir_all(&cluster[wiped].data).unwrap();
    cluster[wiped].start();
    eventually("the quarantine", || {
        let status = cluster[wiped].client.status()?;
        (status["role"] == "quarantined").then_some(())
    });
    ctl(&cluster, other, &["remove", &id]);
    let said = ctl(&cluster, other, &["add", &id, &address]);
    assert!(said.contains("is a voter as of entry"), "{said}");
    cluster[wiped].wait_until_ready();
    cluster.read(wiped, "/kv/held").assert_ok(b"by the others");
    let shown = ctl(&cluster, wiped, &["status"]);
    assert!(shown.lines().any(|line| line == "standing      member"), "{shown}");
}

#[test]
fn a_write_with_a_key_is_applied_once_on_whichever_node_it_is_repeated() {
    let cluster = Cluster::start(3);
    let put = |at: usize, value: &[u8], key: &str| cluster[at].client.put_once("/kv/k", value, key).unwrap();
    let first = put(0, b"one", "a key");
    assert_eq!(first.status, 200, "{first:?}");
    cluster.write(1, "/kv/k", b"two");
    for at in 0..3 {
        put(at, b"one", "a key").assert_json(first.json());
    }
    cluster.read(2, "/kv/k").assert_ok(b"two");
    put(1, b"three", "a key").assert_error(400, "bad_input");
    put(1, b"three", "").assert_error(400, "bad_input");
    assert_eq!(put(1, b"three", "another").status, 200);
    cluster.read(0, "/kv/k").assert_ok(b"three");
}

#[test]
fn reads_by_lease_and_from_an_index_see_the_write() {
    let cluster = Cluster::start(3);
    for n in 0..5 {
        let written = cluster[n % 3].client.put("/kv/k", n.to_string().as_bytes()).unwrap();
        let index = written.json()["index"].as_u64().unwrap();
        for at in 0..3 {
            let client = &cluster[at].client;
            client.get("/kv/k?read=lease").unwrap().assert_ok(n.to_string().as_bytes());
            client
                .get(&format!("/kv/k?read=stale&min_index={index}"))
                .unwrap()
                .assert_ok(n.to_string().as_bytes());
        }
    }
    let client = &cluster[0].client;
    client.get("/kv/k?read=lease&min_index=1").unwrap().assert_error(400, "bad_input");
    client.get("/kv/k?read=stale&min_index=99999999").unwrap().assert_error(503, "timeout");
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let cluster = Cluster::start(1);
    let client = &cluster[0].client;
    for body in
        ["", "{}", r#"{"id": "n2"}"#, r#"{"id": "", "address": "h:1"}"#, r#"{"id": "n2", "address": "h"}"#]
    {
        client.post("/cluster/members", body).unwrap().assert_error(400, "bad_input");
    }
    client.post("/cluster/transfer", r#"{"to": "n9"}"#).unwrap().assert_error(400, "bad_input");
    client.post("/cluster/transfer", "").unwrap().assert_error(409, "refused");
    client.get("/cluster/transfer").unwrap().assert_error(405, "method_not_allowed");
    let nobody = client.delete("/cluster/members/n9").unwrap();
    assert_eq!(nobody.status, 200, "{nobody:?}");
    let (done, said) = cluster.ctl(0, &["transfer", "n9"]);
    assert!(!done && said.lines().count() == 1 && said.starts_with("kv: bad_input: "), "{said}");
    let (done, said) = cluster.ctl(0, &["mailboxes"]);
    assert!(done && said.contains("raft_system/n1"), "{said}");
    let (done, said) = cluster.ctl(0, &["status"]);
    assert!(done && said.lines().any(|line| line == "role          leader"), "{said}");
}
