//! Starting, stopping, and refusing to start.

use std::{net::TcpListener, process::ExitStatus};

use tempfile::TempDir;

use crate::support::{Client, Cluster, Node, Process, eventually, free_port, free_ports_in_a_row, signal};

/// A start that failed: not zero, and one line that says why.
#[track_caller]
fn assert_refused(status: ExitStatus, stderr: &str, reason: &str) {
    assert_eq!(status.code(), Some(1), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "one line: {stderr}");
    assert!(lines[0].starts_with("kv: ") && lines[0].contains(reason), "{stderr} does not say {reason}");
}

#[test]
fn a_raft_port_in_use_ends_the_start() {
    let mut cluster = Cluster::new(1);
    let _taken = TcpListener::bind(&cluster[0].raft).unwrap();
    cluster[0].start();
    let (status, stderr) = cluster[0].wait_for_end();
    assert_refused(status, &stderr, &cluster[0].raft);
}

#[test]
fn an_http_port_in_use_ends_the_start_and_leaves_the_directory_alone() {
    let mut cluster = Cluster::new(1);
    let _taken = TcpListener::bind(&cluster[0].http).unwrap();
    cluster[0].start();
    let (status, stderr) = cluster[0].wait_for_end();
    assert_refused(status, &stderr, &cluster[0].http);
    assert!(!cluster[0].data.exists());
}

/// Another node that would use the directory of the first one of `cluster`.
fn intruder(cluster: &Cluster, id: &str) -> Node {
    let raft = free_port();
    Node::new(id, raft, free_port(), cluster[0].data.clone(), &format!("{id}=127.0.0.1:{raft}"))
}

#[test]
fn a_directory_in_use_ends_the_start() {
    let cluster = Cluster::start(1);
    let mut second = intruder(&cluster, "n1");
    second.start();
    let (status, stderr) = second.wait_for_end();
    assert_refused(status, &stderr, "in use");
    cluster.write(0, "/kv/undisturbed", b"yes");
}

#[test]
fn another_nodes_directory_ends_the_start() {
    let mut cluster = Cluster::start(1);
    cluster[0].terminate();
    let mut other = intruder(&cluster, "n2");
    other.start();
    let (status, stderr) = other.wait_for_end();
    assert_refused(status, &stderr, "belongs to");
}

#[test]
fn bad_arguments_end_the_start() {
    let logs = TempDir::new().unwrap();
    for (n, arguments) in [
        vec!["node", "--id", "n1"],
        vec!["cluster", "--nodes", "0"],
        vec!["cluster", "--http-port-base", "65535"],
        vec!["frobnicate"],
    ]
    .iter()
    .enumerate()
    {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mut process = Process::start(&arguments, logs.path(), &n.to_string());
        assert!(!process.wait().success(), "{arguments:?}");
        assert!(!process.stderr().is_empty(), "{arguments:?}");
    }
}

#[test]
fn sigterm_stops_in_order_and_the_data_is_there_again() {
    let mut cluster = Cluster::start(1);
    cluster.write(0, "/kv/kept", b"over a restart");
    assert_eq!(cluster[0].terminate().code(), Some(0));
    cluster.start_all();
    cluster.read(0, "/kv/kept").assert_ok(b"over a restart");

    signal("INT", cluster[0].process().id());
    assert_eq!(cluster[0].process().wait().code(), Some(0), "Ctrl-C is the same");
}

/// `kv cluster` in `directory`, and clients of its three nodes, which are ready.
fn start_cluster(directory: &TempDir, (raft, http): (u16, u16), name: &str) -> (Process, Vec<Client>) {
    let data = directory.path().join("data").display().to_string();
    let (raft, ports) = (raft.to_string(), http.to_string());
    let arguments = [
        "cluster",
        "--data",
        &data,
        "--raft-port-base",
        &raft,
        "--http-port-base",
        &ports,
        "--heartbeat-timeout-ms",
        "300",
    ];
    let process = Process::start(&arguments.map(str::to_owned), directory.path(), name);
    let clients: Vec<Client> = (0..3).map(|n| Client::new(format!("127.0.0.1:{}", http + n))).collect();
    for client in &clients {
        eventually("the nodes are ready", || client.get("/ready").ok().filter(|reply| reply.status == 200));
    }
    (process, clients)
}

fn two_rows_of_ports() -> (u16, u16) {
    (free_ports_in_a_row(3), free_ports_in_a_row(3))
}

/// The process id that the cluster printed for the node at `at`.
fn child_id(cluster: &Process, at: usize) -> u32 {
    let line = format!("  n{}  ", at + 1);
    let stdout = cluster.stdout();
    let printed =
        stdout.lines().find(|text| text.starts_with(&line)).and_then(|text| text.split(' ').next_back());
    printed.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no process of {line} in {stdout}"))
}

fn wait_until_gone(clients: &[Client]) {
    for client in clients {
        eventually("the node is gone", || client.get("/health").is_err().then_some(()));
    }
}

#[test]
fn a_cluster_says_how_to_use_it_stops_on_sigterm_and_starts_with_its_data() {
    let (directory, ports) = (TempDir::new().unwrap(), two_rows_of_ports());
    let (mut cluster, clients) = start_cluster(&directory, ports, "first");
    assert!(cluster.stdout().contains("curl"), "{}", cluster.stdout());
    let written =
        eventually("a write", || clients[0].put("/kv/kept", b"all").ok().filter(|r| r.status == 200));
    assert!(written.json()["index"].is_u64() && written.json()["term"].is_u64(), "{written:?}");
    assert_eq!(cluster.terminate().code(), Some(0), "{}", cluster.stderr());
    wait_until_gone(&clients);

    let (_cluster, clients) = start_cluster(&directory, ports, "second");
    for client in &clients {
        eventually("the value", || client.get("/kv/kept").ok().filter(|r| r.status == 200)).assert_ok(b"all");
    }
}

#[test]
fn the_nodes_of_a_killed_cluster_exit() {
    let (directory, ports) = (TempDir::new().unwrap(), two_rows_of_ports());
    let (mut cluster, clients) = start_cluster(&directory, ports, "cluster");
    cluster.kill();
    wait_until_gone(&clients);
}

#[test]
fn a_dead_node_is_reported_and_not_restarted() {
    let (directory, ports) = (TempDir::new().unwrap(), two_rows_of_ports());
    let (mut cluster, clients) = start_cluster(&directory, ports, "cluster");
    signal("KILL", child_id(&cluster, 1));
    eventually("the report", || cluster.stderr().contains("n2 has died").then_some(()));
    wait_until_gone(&clients[1..2]);
    eventually("a write without it", || clients[0].put("/kv/a", b"b").ok().filter(|r| r.status == 200));
    assert!(cluster.try_wait().is_none());
    for node in [0, 2] {
        signal("KILL", child_id(&cluster, node));
    }
    assert_eq!(cluster.wait().code(), Some(1), "a cluster without nodes ends");
}
