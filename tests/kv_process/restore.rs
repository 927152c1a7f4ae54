//! The state of one cluster in another, and what a leader that is killed meanwhile leaves.

use std::{fs, thread};

use crate::support::{Cluster, Reply, eventually};

/// Replaces the state of the cluster by what was exported.
fn restore(cluster: &Cluster, state: &[u8]) -> Reply {
    eventually("the restore", || {
        let leader = cluster.leader();
        cluster[leader]
            .client
            .post("/cluster/restore", state)
            .ok()
            .filter(|reply| reply.code() != "no_leader")
    })
}

/// Pairs that make a state of some megabytes, so that it takes many pieces.
fn pairs(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("k{n}"), format!("{n}").repeat(4_000))).collect()
}

/// The state of a cluster with these pairs.
fn state_of(pairs: &[(String, String)]) -> Vec<u8> {
    let cluster = Cluster::start(1);
    assert_eq!(cluster[0].client.load(pairs).unwrap().status, 200);
    let exported = cluster[0].client.get("/cluster/snapshot").unwrap();
    assert_eq!(exported.status, 200, "{exported:?}");
    exported.body
}

#[test]
fn what_is_exported_from_one_cluster_is_restored_in_another_on_all_nodes() {
    let from = Cluster::start(1);
    from.write(0, "/kv/moved", b"from there");
    assert_eq!(from[0].client.put_once("/kv/once", b"kept", "a key").unwrap().status, 200);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state").display().to_string();
    let (done, said) = from.ctl(0, &["export", &file]);
    assert!(done && said.ends_with(&format!("bytes of state are in {file}.\n")), "{said}");

    let to = Cluster::start(3);
    to.write(0, "/kv/gone", b"with the old state");
    let leader = to.leader();
    let (done, said) = to.ctl(leader, &["restore", &file]);
    assert!(done && said.starts_with(&format!("The state is that of {file} as of entry ")), "{said}");
    for at in 0..3 {
        to.read(at, "/kv/moved").assert_ok(b"from there");
        to.read(at, "/kv/once").assert_ok(b"kept");
        to.read(at, "/kv/gone").assert_error(404, "not_found");
    }
    let (done, said) = to.ctl((leader + 1) % 3, &["restore", &file]);
    assert!(!done && said.starts_with("kv: no_leader: "), "{said}");
}

#[test]
fn what_is_no_state_is_refused_and_changes_nothing() {
    let cluster = Cluster::start(1);
    cluster.write(0, "/kv/k", b"v");
    let client = &cluster[0].client;
    client.post("/cluster/restore", "nonsense").unwrap().assert_error(400, "bad_input");
    let mut cut = client.get("/cluster/snapshot").unwrap().body;
    cut.pop();
    client.post("/cluster/restore", &cut).unwrap().assert_error(400, "bad_input");
    client.get("/cluster/restore").unwrap().assert_error(405, "method_not_allowed");
    assert_eq!(client.put_once("/kv/once", b"w", "a key").unwrap().status, 200);
    assert_eq!(client.post("/cluster/snapshot", "").unwrap().status, 200);
    let snapshots = fs::read_dir(cluster[0].data.join("snapshots")).unwrap();
    let newest = snapshots.map(|entry| entry.unwrap().path()).max().unwrap();
    client.post("/cluster/restore", fs::read(newest).unwrap()).unwrap().assert_error(400, "bad_input");
    cluster.read(0, "/kv/k").assert_ok(b"v");
}

#[test]
fn a_leader_killed_in_the_middle_leaves_the_old_state_or_the_new_on_all_nodes() {
    let pairs = pairs(400);
    let state = state_of(&pairs);
    let mut cluster = Cluster::start(3);
    cluster.write(0, "/kv/old", b"value");
    let leader = cluster.leader();
    let before = cluster[leader].client.status().unwrap()["last_index"].as_u64().unwrap();
    let client = cluster[leader].client.clone();
    let sent = state.clone();
    let restoring =
        thread::spawn(move || client.post("/cluster/restore", sent).ok().map(|reply| reply.status));
    eventually("a piece of it in the log", || {
        let status = cluster[leader].client.status()?;
        (status["last_index"].as_u64()? > before).then_some(())
    });
    cluster[leader].kill();
    let answered = restoring.join().unwrap();
    cluster[leader].start();
    cluster.start_all();
    cluster.write(0, "/kv/after", b"the kill");
    let (old, new): (Vec<_>, Vec<_>) =
        (0..3).map(|at| (cluster.read(at, "/kv/old").status, cluster.read(at, "/kv/k399").status)).unzip();
    let is_new = new[0] == 200;
    assert_eq!((old, new), if is_new { (vec![404; 3], vec![200; 3]) } else { (vec![200; 3], vec![404; 3]) });
    assert!(is_new || answered != Some(200), "answered, and not there");
    let restored = restore(&cluster, &state);
    assert_eq!(restored.status, 200, "{restored:?}");
    for at in 0..3 {
        cluster.read(at, "/kv/k7").assert_ok(pairs[7].1.as_bytes());
        cluster.read(at, "/kv/old").assert_error(404, "not_found");
        cluster.read(at, "/kv/after").assert_error(404, "not_found");
    }
}
