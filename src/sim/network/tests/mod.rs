//! What the simulated network does to messages, seen from the nodes at its ends.

mod contract;
mod determinism;
mod faults;
mod lives;
mod ways;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    transport::{
        Link, RpcError, Transport,
        conformance::node::{Answers, Manner, Node, ask, number, read},
    },
    types::{Lane, Response},
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A network that is carried.
fn network(seed: u64) -> SimNetwork {
    let network = SimNetwork::new(seed);
    tokio::spawn(network.carry());
    network
}

/// A node that listens at `id:1`.
fn start(network: &SimNetwork, id: &str) -> (SimTransport, Arc<Node>) {
    let node = Node::new(id, 7);
    let mut transport = network.transport(format!("{id}:1"));
    transport.start(node.clone()).unwrap();
    (transport, node)
}

/// Two nodes, and what the first holds of its link to the second.
struct Pair {
    network: SimNetwork,
    one: SimTransport,
    two: SimTransport,
    first: Arc<Node>,
    second: Arc<Node>,
    link: Box<dyn Link>,
    answers: Arc<Answers>,
}

impl Pair {
    /// On a network with these conditions, whose handshake is over.
    async fn new(seed: u64, conditions: Conditions) -> Self {
        let network = network(seed);
        let ((one, first), (two, second)) = (start(&network, "n1"), start(&network, "n2"));
        let link = one.link(&"n2".into(), "n2:1", Lane::Bulk);
        let answers = Arc::<Answers>::default();
        assert_eq!(answers.ask(&*link, 0).await, Ok(0));
        second.take_arrived();
        network.set_all(conditions);
        Self { network, one, two, first, second, link, answers }
    }

    fn send(&self, number: u64) {
        self.answers.request(&*self.link, number, ask(number));
    }

    /// Sends so many requests, one a millisecond, and waits until all is over.
    async fn send_all(&self, count: u64) -> Vec<(u64, Result<Response, RpcError>)> {
        for number in 1..=count {
            self.send(number);
            sleep(ms(1)).await;
        }
        sleep(ms(40_000)).await;
        let mut results = self.answers.taken();
        results.sort_by_key(|(number, _)| *number);
        assert!(results.iter().map(|(number, _)| *number).eq(1..=count), "each is answered, and once");
        results
    }

    /// The numbers of the requests that have arrived, in order.
    fn arrived(&self) -> Vec<u64> {
        self.second.take_arrived().iter().map(|(_, request)| number(request)).collect()
    }

    /// What has been answered so far, in order.
    fn answered(&self) -> Vec<(u64, Result<u64, RpcError>)> {
        let results = self.answers.taken();
        results.into_iter().map(|(number, result)| (number, result.map(|answer| read(&answer)))).collect()
    }

    fn count(&self, fault: NetworkFault) -> u64 {
        self.network.counts()[&fault]
    }
}

fn is_lost(result: &Result<impl Sized, RpcError>) -> bool {
    matches!(result, Err(RpcError::Lost(_)))
}

fn is_not_sent(result: &Result<impl Sized, RpcError>) -> bool {
    matches!(result, Err(RpcError::NotSent(_)))
}

/// Notes what leaves and arrives, and when.
struct Trace {
    began: Instant,
    lines: Mutex<Vec<String>>,
}

impl Trace {
    fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), lines: Mutex::default() })
    }

    fn note(&self, what: &str, passage: Passage<'_>, cargo: Cargo<'_>) {
        let Passage { from, to, lane } = passage;
        let at = self.began.elapsed();
        self.lines.lock().unwrap().push(format!("{at:?} {from} → {to} {lane:?} {what} {cargo:?}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Watch for Trace {
    fn leaves(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        self.note("leaves", passage, cargo);
    }

    fn arrives(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        self.note("arrives", passage, cargo);
    }
}
