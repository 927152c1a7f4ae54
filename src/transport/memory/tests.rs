//! What only the memory network does: faults, and calls without anything in between.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    transport::{Identity, Responder, ResponseSink, RpcError},
    types::{ClusterId, GroupId, Heartbeat, HeartbeatResponse, Incarnation, Request, Response, Term},
};

/// A node that answers heartbeats, or keeps their responders while `hold` is set.
struct Node {
    identity: Identity,
    hold: bool,
    held: Mutex<Vec<Responder>>,
}

impl Inbound for Node {
    fn deliver(&self, from: &Identity, request: Request, responder: Responder) {
        let Request::Heartbeat(Heartbeat { term, leader, round }) = request else { return };
        assert_eq!(from.id, leader);
        if self.hold {
            self.held.lock().unwrap().push(responder);
        } else {
            responder.respond(Ok(answer(term, round)));
        }
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }
}

#[derive(Default)]
struct Answers(Mutex<Vec<(u64, Result<Response, RpcError>)>>);

impl ResponseSink for Answers {
    fn respond(&self, request_id: u64, result: Result<Response, RpcError>) {
        self.0.lock().unwrap().push((request_id, result));
    }
}

fn answer(term: Term, round: u64) -> Response {
    Response::Heartbeat(HeartbeatResponse { term, incarnation: Incarnation(1), round, follows: true })
}

fn node(id: &str, cluster: u128, hold: bool) -> Arc<Node> {
    let identity = Identity {
        id: id.into(),
        cluster: ClusterId(cluster),
        group: GroupId(0),
        incarnation: Incarnation(1),
    };
    Arc::new(Node { identity, hold, held: Mutex::default() })
}

fn start(network: &MemoryNetwork, node: Arc<Node>) -> MemoryTransport {
    let mut transport = network.transport(format!("{}:1", node.identity.id));
    transport.start(node).unwrap();
    transport
}

/// Sends a heartbeat from `n1` over `link` and takes what is known of it by then.
fn ask(link: &dyn Link, answers: &Arc<Answers>) -> Option<Result<Response, RpcError>> {
    link.send(
        Request::Heartbeat(Heartbeat { term: Term(3), leader: "n1".into(), round: 9 }),
        Responder::new(answers.clone(), 5),
    );
    answers.0.lock().unwrap().pop().map(|(id, result)| {
        assert_eq!(id, 5);
        result
    })
}

fn is_lost(result: &Option<Result<Response, RpcError>>) -> bool {
    matches!(result, Some(Err(RpcError::Lost(_))))
}

fn is_not_sent(result: &Option<Result<Response, RpcError>>) -> bool {
    matches!(result, Some(Err(RpcError::NotSent(_))))
}

fn is_answered(result: &Option<Result<Response, RpcError>>) -> bool {
    matches!(result, Some(Ok(Response::Heartbeat(HeartbeatResponse { round: 9, .. }))))
}

#[test]
fn a_request_is_answered_within_the_call() {
    let network = MemoryNetwork::new();
    let one = start(&network, node("n1", 7, false));
    let _two = start(&network, node("n2", 7, false));
    let link = one.link(&"n2".into(), "n2:1", Lane::Control);
    assert!(is_answered(&ask(&*link, &Arc::default())));
}

#[test]
fn a_stopped_node_is_not_sent_to_and_may_come_back() {
    let network = MemoryNetwork::new();
    let one = start(&network, node("n1", 7, false));
    let answers = Arc::default();
    let link = one.link(&"n2".into(), "n2:1", Lane::Control);
    assert!(is_not_sent(&ask(&*link, &answers)));
    let mut two = start(&network, node("n2", 7, false));
    assert!(is_answered(&ask(&*link, &answers)));
    two.stop();
    assert!(is_not_sent(&ask(&*link, &answers)));
    drop(start(&network, node("n2", 7, false)));
    assert!(is_not_sent(&ask(&*link, &answers)));
}

#[test]
fn an_address_is_listened_on_once() {
    let network = MemoryNetwork::new();
    let _one = start(&network, node("n1", 7, false));
    let error = network.transport("n1:1").start(node("n1", 7, false)).unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on n1:1"));
    assert!(network.shared.lock().nodes.contains_key("n1:1"));
}

#[test]
fn a_cut_loses_requests_one_way_and_answers_the_other() {
    let network = MemoryNetwork::new();
    let one = start(&network, node("n1", 7, false));
    let _two = start(&network, node("n2", 7, false));
    let answers = Arc::default();
    let link = one.link(&"n2".into(), "n2:1", Lane::Control);
    for (from, to) in [("n1:1", "n2:1"), ("n2:1", "n1:1")] {
        network.cut(from, to);
        assert!(is_lost(&ask(&*link, &answers)), "{from} to {to}");
        network.heal();
        assert!(is_answered(&ask(&*link, &answers)));
    }
}

#[test]
fn an_answer_that_meets_a_new_cut_is_lost() {
    let network = MemoryNetwork::with_faults();
    let one = start(&network, node("n1", 7, false));
    let two = node("n2", 7, true);
    let _two = start(&network, two.clone());
    let answers = Arc::default();
    let link = one.link(&"n2".into(), "n2:1", Lane::Control);
    assert!(ask(&*link, &answers).is_none());
    network.partition(["n1:1"], ["n2:1", "n3:1"]);
    two.held.lock().unwrap().pop().unwrap().respond(Ok(answer(Term(3), 9)));
    assert!(matches!(answers.0.lock().unwrap()[..], [(5, Err(RpcError::Lost(_)))]));
}

#[test]
fn a_disconnected_node_neither_sends_nor_receives() {
    let network = MemoryNetwork::new();
    let one = start(&network, node("n1", 7, false));
    let two = start(&network, node("n2", 7, false));
    let answers = Arc::default();
    network.disconnect("n1:1");
    assert!(is_not_sent(&ask(&*one.link(&"n2".into(), "n2:1", Lane::Control), &answers)));
    assert!(is_not_sent(&ask(&*two.link(&"n1".into(), "n1:1", Lane::Control), &answers)));
    network.reconnect("n1:1");
    assert!(is_answered(&ask(&*one.link(&"n2".into(), "n2:1", Lane::Control), &answers)));
}

#[test]
fn a_request_that_is_dropped_is_answered_all_the_same() {
    for network in [MemoryNetwork::new(), MemoryNetwork::with_faults()] {
        let one = start(&network, node("n1", 7, false));
        let two = node("n2", 7, true);
        let _two = start(&network, two.clone());
        let answers = Arc::default();
        assert!(ask(&*one.link(&"n2".into(), "n2:1", Lane::Control), &answers).is_none());
        two.held.lock().unwrap().clear();
        assert_eq!(answers.0.lock().unwrap().pop().unwrap().1.unwrap_err(), RpcError::Dropped);
    }
}

#[test]
fn other_clusters_and_other_nodes_are_refused_and_blank_ones_are_not() {
    let network = MemoryNetwork::new();
    let one = start(&network, node("n1", 7, false));
    let _two = start(&network, node("n2", 8, false));
    let _three = start(&network, node("n3", 0, false));
    let answers = Arc::default();
    assert!(is_not_sent(&ask(&*one.link(&"n2".into(), "n2:1", Lane::Control), &answers)));
    assert!(is_answered(&ask(&*one.link(&"n3".into(), "n3:1", Lane::Control), &answers)));
    assert!(is_not_sent(&ask(&*one.link(&"n4".into(), "n3:1", Lane::Control), &answers)));
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
