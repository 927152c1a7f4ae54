//! Several nodes that found a cluster together.

use std::ops::{Index, IndexMut};

use serde_json::Value;
use tempfile::TempDir;

use super::{Node, eventually, free_port};

/// Nodes with their directories; all of it goes when the test ends.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    settings: Vec<String>,
    // After the nodes: their processes end before their directories go.
    data: TempDir,
}

impl Cluster {
    /// Three nodes called n1, n2 and n3, running. Their data is where the program was built, since a directory for
    /// temporary files may be in memory.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let data = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let settings: Vec<String> = settings.iter().map(|text| (*text).to_owned()).collect();
        let ids = ["n1", "n2", "n3"];
        let addresses = ids.map(|_| format!("127.0.0.1:{}", free_port()));
        let named = ids.iter().zip(&addresses).map(|(id, address)| format!("{id}={address}"));
        let peers = named.collect::<Vec<_>>().join(",");
        let node = |(id, address): (&str, String)| {
            Node::new(id, address, data.path().join(id), ["--peers", &peers], &settings)
        };
        let mut cluster = Self { nodes: ids.into_iter().zip(addresses).map(node).collect(), settings, data };
        cluster.start_all();
        cluster
    }

    /// One more node, running, that waits to be added. Its position.
    pub(crate) fn join(&mut self, id: &str) -> usize {
        let members = self.nodes.iter().map(|node| node.listen.as_str()).collect::<Vec<_>>().join(",");
        let address = format!("127.0.0.1:{}", free_port());
        let mut node =
            Node::new(id, address, self.data.path().join(id), ["--join", &members], &self.settings);
        node.start();
        node.answer("status");
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Starts every node that does not run, and waits until they follow a leader.
    pub(crate) fn start_all(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.is_running()) {
            node.start();
        }
        self.leader();
    }

    /// The position of the node that leads.
    pub(crate) fn leader(&self) -> usize {
        self.leader_of(self.nodes.len())
    }

    /// The same in a cluster of `members` nodes: it says so, and a majority agrees.
    pub(crate) fn leader_of(&self, members: usize) -> usize {
        eventually("a leader that a majority knows", || {
            let running = self.nodes.iter().filter(|node| node.is_running());
            let known: Vec<Value> = running.filter_map(|node| node.ask("status").ok()).collect();
            self.nodes.iter().position(|node| {
                let leads = |status: &&Value| status["id"] == node.id && status["role"] == "leader";
                let Some(own) = known.iter().find(leads) else { return false };
                let agrees = |status: &&Value| status["leader"] == node.id && status["term"] == own["term"];
                known.iter().filter(agrees).count() > members / 2
            })
        })
    }

    /// Asks every node to read its archive, until all have the same.
    pub(crate) fn same_everywhere(&self) -> Value {
        eventually("every node has the same archive", || {
            let all: Vec<Value> = self.nodes.iter().filter_map(|node| node.ask("verify").ok()).collect();
            let same = all.len() == self.nodes.len() && all.iter().all(|one| *one == all[0]);
            same.then(|| all[0].clone())
        })
    }

    /// A place for files that have to do with this cluster's disk.
    pub(crate) fn disk(&self) -> &std::path::Path {
        self.data.path()
    }
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
