//! What an operator asks of a node, again and again until it is done: while leaders change it may be refused, and a
//! repetition of what is done already is answered like the first time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Node, Reply, eventually_within};

/// How long a change may take on a busy machine, with all repetitions.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An operator at one node.
#[derive(Debug)]
pub(crate) struct Operator<'a>(&'a Client);

impl<'a> Operator<'a> {
    pub(crate) fn at(node: &'a Node) -> Self {
        Self(&node.client)
    }

    /// `node` gets a vote.
    pub(crate) fn add(&self, node: &Node) {
        let member = json!({ "id": node.id, "address": node.raft }).to_string();
        self.until_done(&format!("{} is added", node.id), |client| client.post("/cluster/members", &member));
    }

    /// The node called `id` is no member any more.
    pub(crate) fn remove(&self, id: &str) {
        self.until_done(&format!("{id} is removed"), |client| {
            client.delete(&format!("/cluster/members/{id}"))
        });
    }

    /// The node called `id` leads.
    pub(crate) fn transfer(&self, id: &str) {
        let to = json!({ "to": id }).to_string();
        self.until_done(&format!("{id} leads"), |client| client.post("/cluster/transfer", &to));
    }

    /// The node's state is written down; up to where.
    pub(crate) fn snapshot(&self) -> u64 {
        let done = self.until_done("a snapshot", |client| client.post("/cluster/snapshot", ""));
        done["index"].as_u64().expect("where the snapshot ends")
    }

    fn until_done(&self, what: &str, ask: impl Fn(&Client) -> Result<Reply, ureq::Error>) -> Value {
        eventually_within(TIMEOUT, what, || match ask(self.0) {
            Ok(reply) if reply.status == 200 => Some(reply.json()),
            answer => {
                // Shown if this fails in the end.
                println!("{what}: {answer:?}");
                None
            }
        })
    }
}
