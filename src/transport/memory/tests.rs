//! What only the memory network does: faults, and calls without anything in between.

use std::sync::Arc;

use super::*;
use crate::transport::{
    RpcError,
    conformance::node::{Answers, Manner, Node, ask as question, echo, read},
};

type Asked = Option<Result<u64, RpcError>>;

fn start(network: &MemoryNetwork, id: &str, node: &Arc<Node>) -> MemoryTransport {
    let mut transport = network.transport(format!("{id}:1"));
    transport.start(node.clone()).unwrap();
    transport
}

/// Nodes `n1` and `n2` on a network, and a link from one to the other.
fn pair(network: &MemoryNetwork) -> (MemoryTransport, MemoryTransport, Arc<Node>, Box<dyn Link>) {
    let (one, two) = (Node::new("n1", 7), Node::new("n2", 7));
    let (first, second) = (start(network, "n1", &one), start(network, "n2", &two));
    let link = first.link(&"n2".into(), "n2:1", Lane::Control);
    (first, second, two, link)
}

/// Asks over `link` and takes what is known of the answer when the call returns.
fn ask(link: &dyn Link) -> Asked {
    let answers = Arc::<Answers>::default();
    answers.request(link, 5, question(9));
    answers.taken().pop().map(|(id, result)| {
        assert_eq!(id, 5);
        result.map(|response| read(&response))
    })
}

fn is_lost(asked: &Asked) -> bool {
    matches!(asked, Some(Err(RpcError::Lost(_))))
}

fn is_not_sent(asked: &Asked) -> bool {
    matches!(asked, Some(Err(RpcError::NotSent(_))))
}

#[test]
fn a_request_is_answered_within_the_call() {
    let (_one, _two, _, link) = pair(&MemoryNetwork::new());
    assert_eq!(ask(&*link), Some(Ok(9)));
}

#[test]
fn a_cut_loses_requests_one_way_and_answers_the_other() {
    let network = MemoryNetwork::new();
    let (_one, _two, node, link) = pair(&network);
    for (from, to, arrives) in [("n1:1", "n2:1", 0), ("n2:1", "n1:1", 1)] {
        network.cut(from, to);
        assert!(is_lost(&ask(&*link)), "{from} to {to}");
        assert_eq!(node.arrived(), arrives);
        network.heal();
        assert_eq!(ask(&*link), Some(Ok(9)));
        node.take_arrived();
    }
}

#[test]
fn an_answer_that_meets_a_new_cut_is_lost() {
    let network = MemoryNetwork::with_faults();
    let (_one, _two, node, link) = pair(&network);
    let answers = Arc::<Answers>::default();
    node.behave(Manner::Keep);
    answers.request(&*link, 5, question(9));
    network.partition(["n1:1"], ["n2:1", "n3:1"]);
    assert!(answers.taken().is_empty());
    let (number, responder) = node.kept().remove(0);
    responder.respond(Ok(echo(number)));
    assert!(matches!(answers.taken()[..], [(5, Err(RpcError::Lost(_)))]));
}

#[test]
fn a_disconnected_node_neither_sends_nor_receives() {
    let network = MemoryNetwork::new();
    let (_one, two, _, link) = pair(&network);
    let back = two.link(&"n1".into(), "n1:1", Lane::Control);
    network.disconnect("n1:1");
    assert!(is_not_sent(&ask(&*link)) && is_not_sent(&ask(&*back)));
    network.reconnect("n1:1");
    assert_eq!((ask(&*link), ask(&*back)), (Some(Ok(9)), Some(Ok(9))));
}

#[test]
fn a_dropped_request_is_told_also_where_answers_are_watched() {
    for network in [MemoryNetwork::new(), MemoryNetwork::with_faults()] {
        let (_one, _two, node, link) = pair(&network);
        node.behave(Manner::Drop);
        assert_eq!(ask(&*link), Some(Err(RpcError::Dropped)));
    }
}

#[test]
fn nodes_on_other_threads_are_reached_alike() {
    let network = MemoryNetwork::new();
    let two = Node::new("n2", 7);
    let _two = start(&network, "n2", &two);
    std::thread::scope(|scope| {
        for id in ["n1", "n3"] {
            let network = &network;
            scope.spawn(move || {
                let own = start(network, id, &Node::new(id, 7));
                let link = own.link(&"n2".into(), "n2:1", Lane::Bulk);
                (0..100).for_each(|_| assert_eq!(ask(&*link), Some(Ok(9))));
            });
        }
    });
    assert_eq!(two.arrived(), 200);
}

#[tokio::test]
async fn the_memory_network_keeps_the_contract() {
    for network in [MemoryNetwork::new(), MemoryNetwork::with_faults()] {
        let mut nodes = 0;
        crate::transport::conformance::run(|at| {
            nodes += 1;
            network.transport(at.map_or_else(|| format!("node-{nodes}"), str::to_owned))
        })
        .await;
    }
}
