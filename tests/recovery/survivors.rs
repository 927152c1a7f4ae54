//! What a survivor held is there afterwards, it leads, and nobody of before gets in its way.

use std::{future::Future, path::PathBuf, time::Duration};

use raftix::{
    AddVoter, RaftBuilder, RecoverError, RecoveredServer, prelude::*, recover_cluster,
    transport::memory::MemoryNetwork,
};
use tokio::{runtime::Builder, task::LocalSet, time::timeout};

use super::words::{Said, Say, Words};

/// Three nodes with directories of their own.
struct Cluster {
    network: MemoryNetwork,
    dir: tempfile::TempDir,
}

const NAMES: [&str; 3] = ["n1", "n2", "n3"];

impl Cluster {
    fn new() -> Self {
        Self { network: MemoryNetwork::new(), dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn node(&self, name: &str) -> RaftBuilder<Words> {
        RaftSystem::builder(name)
            .data_dir(self.path(name))
            .transport(self.network.transport(address(name)))
            .peers(NAMES.map(|name| (name, address(name))))
            .config(Config::fast())
            .state_machine(Words::default())
    }

    /// One with an empty directory that waits to be added.
    fn newcomer(&self, name: &str) -> RaftBuilder<Words> {
        RaftSystem::builder(name)
            .data_dir(self.path(name))
            .transport(self.network.transport(address(name)))
            .advertise(address(name))
            .join([address("n1")])
            .config(Config::fast())
            .state_machine(Words::default())
    }

    async fn start(&self, names: &[&str]) -> Vec<Raft<Words>> {
        let mut nodes = Vec::new();
        for name in names {
            nodes.push(self.node(name).start().await.unwrap());
        }
        nodes
    }

    /// All three, told these words and stopped. Every node has them: the last answer was read from each.
    async fn with_words(words: &[&str]) -> Self {
        let cluster = Self::new();
        let nodes = cluster.start(&NAMES).await;
        for word in words {
            say(&nodes[0], word).await;
        }
        for node in &nodes {
            assert_eq!(node.send(Read(Said)).await.unwrap().unwrap(), words);
        }
        stop(nodes).await;
        cluster
    }
}

fn address(name: &str) -> String {
    format!("{name}:1")
}

/// The leader last: it would hand leadership on, and the next one begins with an entry of its own.
async fn stop(mut nodes: Vec<Raft<Words>>) {
    nodes.sort_by_key(|node| node.status().role == ServerRole::Leader);
    for node in nodes {
        node.send(Shutdown).await.unwrap();
        node.stopped().await;
    }
}

async fn say(node: &Raft<Words>, word: &str) {
    node.leader_elected().await;
    node.send(Apply(Say(word.to_owned()))).await.unwrap().unwrap();
}

async fn said(node: &Raft<Words>) -> Vec<String> {
    node.leader_elected().await;
    node.send(Read(Said)).await.unwrap().unwrap()
}

fn alone() -> [RecoveredServer; 1] {
    [RecoveredServer::voter("n1", address("n1"))]
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let done = LocalSet::new().block_on(&runtime, async { timeout(Duration::from_secs(300), test).await });
    done.expect("five minutes were not enough");
}

#[test]
fn one_survivor_of_three_leads_alone_with_everything_it_held() {
    run(async {
        let cluster = Cluster::with_words(&["a", "b", "c"]).await;
        let recovery = recover_cluster(cluster.node("n1"), alone()).unwrap();
        assert_eq!(recovery.membership.servers().len(), 1);
        let nodes = cluster.start(&["n1"]).await;
        assert_eq!(said(&nodes[0]).await, ["a", "b", "c"]);
        let status = nodes[0].status();
        assert_eq!((status.role, status.voters), (ServerRole::Leader, vec!["n1".into()]));
        say(&nodes[0], "d").await;
        stop(nodes).await;
        let nodes = cluster.start(&["n1"]).await;
        assert_eq!(said(&nodes[0]).await, ["a", "b", "c", "d"]);
        stop(nodes).await;
    });
}

#[test]
fn a_recovered_cluster_grows_again_by_servers_with_empty_directories() {
    run(async {
        let cluster = Cluster::with_words(&["a", "b"]).await;
        recover_cluster(cluster.node("n1"), alone()).unwrap();
        let mut nodes = cluster.start(&["n1"]).await;
        say(&nodes[0], "c").await;
        for name in ["n2", "n3"] {
            std::fs::remove_dir_all(cluster.path(name)).unwrap();
            nodes.push(cluster.newcomer(name).start().await.unwrap());
            nodes[0].send(AddVoter::new(name, address(name))).await.unwrap().unwrap();
        }
        say(&nodes[2], "d").await;
        for node in &nodes {
            assert_eq!(said(node).await, ["a", "b", "c", "d"]);
        }
        // Any two of them are enough, the one that everything came from not among them.
        stop(nodes.drain(..1).collect()).await;
        say(&nodes[0], "e").await;
        assert_eq!(said(&nodes[1]).await, ["a", "b", "c", "d", "e"]);
        stop(nodes).await;
    });
}

#[test]
fn servers_that_come_back_with_what_they_held_before_change_nothing() {
    run(async {
        let cluster = Cluster::with_words(&["a"]).await;
        let others = cluster.start(&["n2", "n3"]).await;
        say(&others[0], "theirs").await;
        stop(others).await;
        recover_cluster(cluster.node("n1"), alone()).unwrap();
        let own = cluster.start(&["n1"]).await;
        say(&own[0], "ours").await;
        // They lead each other in later terms, and both clusters go on.
        for round in 0..3 {
            let others = cluster.start(&["n2", "n3"]).await;
            say(&others[1], "theirs").await;
            say(&own[0], "ours").await;
            let status = own[0].status();
            assert_eq!((status.role, status.fatal), (ServerRole::Leader, None), "round {round}");
            stop(others).await;
        }
        assert_eq!(said(&own[0]).await, ["a", "ours", "ours", "ours", "ours"]);
        stop(own).await;
    });
}

#[test]
fn two_survivors_with_the_same_list_go_on_together() {
    run(async {
        let cluster = Cluster::with_words(&["a", "b"]).await;
        let both = || ["n1", "n2"].map(|name| RecoveredServer::voter(name, address(name)));
        let first = recover_cluster(cluster.node("n1"), both()).unwrap();
        let second = recover_cluster(cluster.node("n2"), both()).unwrap();
        assert_eq!(
            (first.cluster, first.last),
            (second.cluster, second.last),
            "the same state, the same cluster"
        );
        let nodes = cluster.start(&["n1", "n2"]).await;
        say(&nodes[0], "c").await;
        assert_eq!(said(&nodes[1]).await, ["a", "b", "c"]);
        assert_eq!(nodes[1].status().voters, ["n1".into(), "n2".into()]);
        stop(nodes).await;
    });
}

#[test]
fn a_node_that_runs_is_not_recovered() {
    run(async {
        let cluster = Cluster::with_words(&["a"]).await;
        let nodes = cluster.start(&["n1"]).await;
        let refused = recover_cluster(cluster.node("n1"), alone()).unwrap_err();
        assert!(matches!(refused, RecoverError::Storage(_)), "{refused}");
        assert!(refused.to_string().contains("in use by"), "{refused}");
        stop(nodes).await;
    });
}

#[test]
fn a_peers_json_in_the_directory_recovers_the_cluster_once_if_the_start_looks_for_it() {
    run(async {
        let cluster = Cluster::with_words(&["a", "b"]).await;
        let file = cluster.path("n1").join("peers.json");
        std::fs::write(&file, r#"[{"id": "n1", "address": "n1:1", "non_voter": false}]"#).unwrap();
        let nodes = cluster.start(&["n1"]).await;
        assert_eq!(nodes[0].status().voters.len(), 3, "nobody asked for it");
        stop(nodes).await;
        assert!(file.exists());
        let node = cluster.node("n1").recover_from_peers_json(true).start().await.unwrap();
        assert!(!file.exists(), "it is done");
        say(&node, "c").await;
        assert_eq!(said(&node).await, ["a", "b", "c"]);
        stop(vec![node]).await;
        let node = cluster.node("n1").recover_from_peers_json(true).start().await.unwrap();
        assert_eq!(said(&node).await, ["a", "b", "c"]);
        stop(vec![node]).await;
    });
}

#[test]
fn a_peers_json_that_cannot_be_followed_keeps_the_node_from_starting_and_names_the_reason() {
    run(async {
        let cluster = Cluster::with_words(&["a"]).await;
        let file = cluster.path("n1").join("peers.json");
        for (text, reason) in [
            ("[", "peers.json: EOF"),
            (r#"["n9:1"]"#, "does not know n9:1"),
            (r#"["n2:1"]"#, "must name n1"),
            (r#"[{"id": "n1", "address": "n1:1", "non_voter": true}]"#, "needs at least one voter"),
        ] {
            std::fs::write(&file, text).unwrap();
            let started = cluster.node("n1").recover_from_peers_json(true).start().await;
            let error = started.map(drop).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} lacks {reason}");
            assert!(file.exists());
        }
        std::fs::remove_file(&file).unwrap();
        let nodes = cluster.start(&NAMES).await;
        assert_eq!(said(&nodes[0]).await, ["a"], "nothing was changed");
        stop(nodes).await;
    });
}
