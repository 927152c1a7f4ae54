//! Several nodes that found a cluster together.

use std::ops::{Index, IndexMut};

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Node, Process, Reply, eventually, free_port};

/// Nodes with their directories; all of it goes when the test ends.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    // After the nodes: their processes end before their directories go.
    data: TempDir,
}

impl Cluster {
    /// `count` nodes called n1, n2, …, not running.
    pub(crate) fn new(count: usize) -> Self {
        let data = TempDir::new().unwrap();
        let ids: Vec<String> = (1..=count).map(|n| format!("n{n}")).collect();
        let ports: Vec<u16> = ids.iter().map(|_| free_port()).collect();
        let peers: Vec<String> =
            ids.iter().zip(&ports).map(|(id, port)| format!("{id}=127.0.0.1:{port}")).collect();
        let peers = peers.join(",");
        let node =
            |(id, port): (&String, &u16)| Node::new(id, *port, free_port(), data.path().join(id), &peers);
        Self { nodes: ids.iter().zip(&ports).map(node).collect(), data }
    }

    /// `count` nodes that run and have a leader.
    pub(crate) fn start(count: usize) -> Self {
        let mut cluster = Self::new(count);
        cluster.start_all();
        cluster
    }

    /// Starts one more node, which waits to be added through the first.
    pub(crate) fn join(&mut self, id: &str) {
        let mut node = Node::joining(id, self.data.path().join(id), &self.nodes[0].raft);
        node.start();
        self.nodes.push(node);
    }

    /// What `kv ctl` prints about the node at `at`, and whether it succeeds.
    pub(crate) fn ctl(&self, at: usize, command: &[&str]) -> (bool, String) {
        let arguments = [&["ctl", "--http", self[at].http.as_str()], command].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let mut process = Process::start(&arguments, self.data.path(), &format!("ctl-{}", free_port()));
        let ended = process.wait();
        (ended.success(), if ended.success() { process.stdout() } else { process.stderr() })
    }

    /// Starts every node that does not run, and waits until all are ready.
    pub(crate) fn start_all(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.is_running()) {
            node.start();
        }
        for node in &self.nodes {
            node.wait_until_ready();
        }
    }

    /// The position of the node that leads: it says so, and some majority of all nodes agrees.
    pub(crate) fn leader(&self) -> usize {
        eventually("a leader that a majority knows", || {
            let known: Vec<Value> = self.nodes.iter().filter_map(|node| node.client.status()).collect();
            self.nodes.iter().position(|node| {
                let leads = |status: &&Value| status["id"] == node.id && status["role"] == "leader";
                let Some(own) = known.iter().find(leads) else { return false };
                let agrees = |status: &&Value| status["leader"] == node.id && status["term"] == own["term"];
                known.iter().filter(agrees).count() > self.nodes.len() / 2
            })
        })
    }

    /// Writes through the node at `at` until a write is acknowledged: after a change of leader the first
    /// attempts may be refused.
    pub(crate) fn write(&self, at: usize, path: &str, value: &[u8]) {
        eventually(&format!("{} takes a write", self[at].id), || {
            self[at].client.put(path, value).ok().filter(|reply| reply.status == 200)
        });
    }

    /// Reads through the node at `at` until the read is confirmed.
    pub(crate) fn read(&self, at: usize, path: &str) -> Reply {
        read_confirmed(&self[at].client, path)
    }
}

/// Repeats a read, which changes nothing, until the cluster answers it.
fn read_confirmed(client: &Client, path: &str) -> Reply {
    eventually(&format!("an answer to GET {path}"), || {
        client.get(path).ok().filter(|reply| matches!(reply.status, 200 | 404))
    })
}

impl Index<usize> for Cluster {
    type Output = Node;

    fn index(&self, at: usize) -> &Node {
        &self.nodes[at]
    }
}

impl IndexMut<usize> for Cluster {
    fn index_mut(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }
}
