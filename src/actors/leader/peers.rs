//! The actors of a tenure that look after the other members.

use std::rc::Rc;

use super::Leader;
use crate::{
    actors::{
        commitment::Commitment, follower_replicator::FollowerReplicator, heartbeater::Heartbeater, node::Node,
    },
    log::Tenure,
    mailbox::{Port, Signal, port_of, spawn},
    messages::{OWN_SESSION, Replicate},
    protocol,
    types::{LogIndex, Server, Suffrage},
};

/// The actors that look after one other member.
pub(super) struct Peer {
    pub(super) session: u64,
    pub(super) server: Server,
    pub(super) suffrage: Suffrage,
    pub(super) replicator: Port<FollowerReplicator>,
    pub(super) replicate: Signal<FollowerReplicator, Replicate>,
    pub(super) heartbeater: Port<Heartbeater>,
}

pub(super) fn spawn_commitment(
    node: &Rc<Node>,
    tenure: &Rc<Tenure>,
    leader: Port<Leader>,
    start: LogIndex,
) -> Port<Commitment> {
    let log = node.log.borrow();
    let mut rule = protocol::Commitment::new(start, log.commit());
    let sessions = sessions(node).filter(|(_, server)| server.suffrage == Suffrage::Voter);
    let advanced = rule.set_voters(sessions.map(|(session, _)| session));
    debug_assert!(advanced.is_none(), "nothing of this term is replicated yet");
    let spawned = spawn(&node.inspector, "leader/commitment", |_| {
        Commitment::new(tenure.clone(), rule, leader.outlet(), leader.outlet())
    });
    node.watch("commitment", spawned.task);
    spawned.port
}

/// Every member with the session its replicator gets in a new tenure.
fn sessions(node: &Rc<Node>) -> impl Iterator<Item = (u64, Server)> {
    let servers: Vec<Server> = node.log.borrow().membership().servers().to_vec();
    let own = node.id.clone();
    let mut next = OWN_SESSION;
    servers.into_iter().map(move |server| {
        if server.id == own {
            (OWN_SESSION, server)
        } else {
            next += 1;
            (next, server)
        }
    })
}

pub(super) fn spawn_peers(
    node: &Rc<Node>,
    tenure: &Rc<Tenure>,
    commitment: &Port<Commitment>,
    leader: &Port<Leader>,
) -> Vec<Peer> {
    let others = sessions(node).filter(|(session, _)| *session != OWN_SESSION);
    others.map(|(session, server)| spawn_peer(node, tenure, commitment, leader, session, server)).collect()
}

fn spawn_peer(
    node: &Rc<Node>,
    tenure: &Rc<Tenure>,
    commitment: &Port<Commitment>,
    leader: &Port<Leader>,
    session: u64,
    server: Server,
) -> Peer {
    let mut signal = None;
    let name = format!("leader/replicator/{}", server.id);
    let replicator = spawn(&node.inspector, name, |ctx| {
        let own = port_of(ctx);
        let raised = Signal::new(own.clone());
        let latch = raised.latch();
        signal = Some(raised);
        FollowerReplicator::new(
            node.clone(),
            tenure.clone(),
            server.clone(),
            session,
            (commitment.outlet(), commitment.outlet()),
            own,
            latch,
        )
    });
    let name = format!("leader/heartbeater/{}", server.id);
    let suffrage = server.suffrage;
    let peer = server.clone();
    let heartbeater = spawn(&node.inspector, name, |ctx| {
        Heartbeater::new(node.clone(), tenure.clone(), peer, session, leader.outlet(), port_of(ctx))
    });
    node.watch("follower replicator", replicator.task);
    node.watch("heartbeater", heartbeater.task);
    let port = heartbeater.port.clone();
    node.ticker.subscribe(move |tick| {
        port.send_now(tick);
        port.connected()
    });
    let port = replicator.port.clone();
    node.ticker.subscribe(move |tick| {
        port.send_now(tick);
        port.connected()
    });
    Peer {
        session,
        server,
        suffrage,
        replicator: replicator.port,
        replicate: signal.expect("the replicator was built"),
        heartbeater: heartbeater.port,
    }
}
