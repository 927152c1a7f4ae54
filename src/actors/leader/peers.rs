//! The actors of a tenure that look after the other members, and who of them is one.

use std::{rc::Rc, time::Duration};

use actix::Handler;

use super::Leader;
use crate::{
    actors::{
        commitment::Commitment,
        follower_replicator::{FollowerReplicator, Voice},
        heartbeater::Heartbeater,
        node::Node,
    },
    log::Tenure,
    mailbox::{Context, Port, Signal, port_of, spawn_unaddressed},
    messages::{OWN_SESSION, PeerMoved, Replicate, ReplicationEnded, SetVoters, StopActor, StopAt},
    protocol,
    types::{Incarnation, LogIndex, NodeId, Server, Suffrage},
};

/// The actors that look after one other member.
pub(super) struct Peer {
    pub(super) id: NodeId,
    /// The life of its directory that is the member.
    incarnation: Incarnation,
    pub(super) address: String,
    pub(super) session: u64,
    pub(super) suffrage: Suffrage,
    pub(super) replicator: Port<FollowerReplicator>,
    pub(super) replicate: Signal<FollowerReplicator, Replicate>,
    pub(super) heartbeater: Port<Heartbeater>,
    /// When the newest heartbeat that it answered as one who follows was sent.
    heard: Option<Duration>,
    /// Removed: it is told so, and counts for nothing.
    pub(super) leaves: bool,
}

impl Leader {
    /// The log has another membership: who replicates to whom, and who counts, follows it at once (Raft §6).
    pub(super) fn reconcile(&mut self) {
        let log = self.node.log.borrow();
        let (membership, index) = (log.membership().clone(), log.membership_index());
        drop(log);
        for peer in self.peers.iter_mut().filter(|peer| !peer.leaves) {
            match membership.get(&peer.id).filter(|server| server.incarnation == peer.incarnation) {
                Some(server) => peer.follow(server),
                None => peer.leave(index),
            }
        }
        let own = self.node.id.clone();
        for server in membership.servers().iter().filter(|server| server.id != own) {
            if !self.peers.iter().any(|peer| peer.id == server.id && !peer.leaves) {
                self.sessions += 1;
                let (session, server) = (self.sessions, server.clone());
                let peer = spawn_peer(&self.node, &self.tenure, &self.commitment, &self.own, session, server);
                self.peers.push(peer);
            }
        }
        let votes = |peer: &&Peer| peer.suffrage == Suffrage::Voter && !peer.leaves;
        self.voters = self.peers.iter().filter(votes).map(|peer| peer.session).collect();
        if membership.is_voter(&own) {
            self.voters.push(OWN_SESSION);
        }
        self.commitment.send_now(SetVoters { sessions: self.voters.clone() });
        self.contact.set_voters(self.voters.iter().copied(), self.node.now());
        self.renew_lease();
        self.node.publish_membership();
        // The old voters' answers say nothing about the new ones.
        self.reads.restart();
        self.begin_round();
    }

    /// When `id` was last heard as one who follows.
    pub(super) fn heard(&self, id: &NodeId) -> Option<Duration> {
        self.peers.iter().find(|peer| peer.id == *id && !peer.leaves).and_then(|peer| peer.heard)
    }

    pub(super) fn note_heard(&mut self, session: u64, sent_at: Duration) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.session == session) {
            peer.heard = peer.heard.max(Some(sent_at));
        }
    }
}

impl Peer {
    /// It stays; where it listens and whether it votes may be new.
    fn follow(&mut self, server: &Server) {
        self.suffrage = server.suffrage;
        if self.address != server.address {
            self.address.clone_from(&server.address);
            self.replicator.send_now(PeerMoved { address: server.address.clone() });
            self.heartbeater.send_now(PeerMoved { address: server.address.clone() });
        }
    }

    /// It is a member no more. It hears so with the log; its term, whatever that comes to, is nobody's business.
    fn leave(&mut self, index: LogIndex) {
        self.leaves = true;
        self.replicator.send_now(StopAt { index });
        self.heartbeater.send_now(StopActor);
    }
}

impl Handler<ReplicationEnded> for Leader {
    type Result = ();

    fn handle(&mut self, ReplicationEnded { session }: ReplicationEnded, _: &mut Context<Self>) {
        for peer in self.peers.extract_if(.., |peer| peer.session == session && peer.leaves) {
            peer.replicator.send_now(StopActor);
        }
    }
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
    let spawned = spawn_unaddressed(&node.inspector, "leader/commitment", |_| {
        Commitment::new(node.clone(), tenure.clone(), rule, leader.outlet(), leader.outlet())
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
    let voice = Voice {
        matched: commitment.outlet(),
        match_lost: commitment.outlet(),
        caught_up: leader.outlet(),
        ended: leader.outlet(),
    };
    let mut signal = None;
    let name = format!("leader/replicator/{}", server.id);
    let replicator = spawn_unaddressed(&node.inspector, name, |ctx| {
        let own = port_of(ctx);
        let raised = Signal::new(own.clone());
        let latch = raised.latch();
        signal = Some(raised);
        FollowerReplicator::new(node.clone(), tenure.clone(), server.clone(), session, voice, own, latch)
    });
    let name = format!("leader/heartbeater/{}", server.id);
    let (id, address) = (server.id.clone(), server.address.clone());
    let (incarnation, suffrage) = (server.incarnation, server.suffrage);
    let heartbeater = spawn_unaddressed(&node.inspector, name, |ctx| {
        Heartbeater::new(node.clone(), tenure.clone(), server, session, leader.outlet(), port_of(ctx))
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
        id,
        incarnation,
        address,
        session,
        suffrage,
        replicator: replicator.port,
        replicate: signal.expect("the replicator was built"),
        heartbeater: heartbeater.port,
        heard: None,
        leaves: false,
    }
}
