//! From a blank directory to a member: the rule is [`protocol::Bootstrap`](crate::protocol::Bootstrap).

use actix::Handler;

use super::Consensus;
use crate::{
    actors::bootstrapper::Bootstrapper,
    board::Standing,
    log::Tenure,
    mailbox::Context,
    messages::{Decided, FormCluster, IdentitySaved, Rpc, SaveIdentity},
    protocol::{Decision, peers_hash},
    types::{
        ClusterId, ClusterState, EntryBuffer, EntryKind, Greet, GreetResponse, LogIndex, Membership, NodeId,
        Term,
    },
};

/// The term of the entry that a cluster begins with; elections come after it.
const FIRST_TERM: Term = Term(1);

impl Consensus {
    /// Writes entry 1: the same bytes on every node that forms or adopts this membership.
    fn found(&mut self, membership: &Membership) {
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Configuration, &membership.encode());
        let appended = self.node.log.borrow_mut().append_own(&Tenure::new(FIRST_TERM), buffer);
        let Ok(Some((entries, ticket))) = appended else {
            return self.invariant("the first entry does not fit an empty log".to_owned());
        };
        if let Some(ticket) = self.node.store(ticket, entries) {
            self.flushed(ticket);
        }
        self.become_member();
        self.decide(|election, now, _| election.saw_term(now, FIRST_TERM));
        self.node.publish_log();
    }

    /// Marks the directory as a member's; the node takes part once that is durable, behind everything
    /// that was given to the store before.
    pub(super) fn become_member(&mut self) {
        let cluster = self.node.cluster();
        if cluster.is_none() {
            return;
        }
        self.standing = Standing::Founding;
        self.node.ports().storage.save_identity(SaveIdentity { cluster, member: true });
    }

    /// Waits to be added to `cluster`, and to no other from here on.
    fn wait_for_admission(&mut self, by: &NodeId, cluster: ClusterId) {
        tracing::info!(node = %self.node.id, %by, %cluster, "waiting to be added to the cluster");
        if self.standing.is_blank() {
            self.standing = Standing::waiting();
        }
        self.node.ports().storage.save_identity(SaveIdentity { cluster, member: false });
        self.publish();
    }

    /// A leader is about to add this node: whoever takes no part anywhere else learns where it is to belong.
    fn is_asked_in(&self, greet: &Greet) -> bool {
        let is_free = match self.standing {
            Standing::Joining | Standing::Quarantined(_) => true,
            Standing::Blank | Standing::Founding | Standing::Member => false,
        };
        is_free && !greet.admits.is_none() && self.node.board.identity().cluster.is_none()
    }

    /// A quarantined node belongs once a committed membership names its present incarnation.
    pub(super) fn learn_membership(&mut self) {
        if self.standing.is_member() || self.standing == Standing::Founding {
            return;
        }
        let own = self.node.log.borrow().committed_membership().get(&self.node.id).cloned();
        if own.is_some_and(|own| own.incarnation == self.node.incarnation) {
            self.become_member();
        }
    }
}

impl Handler<Decided> for Consensus {
    type Result = ();

    fn handle(&mut self, Decided(decision): Decided, _: &mut Context<Self>) {
        if !self.standing.is_blank() {
            return;
        }
        match decision {
            Decision::Form(membership) => {
                tracing::info!(node = %self.node.id, "every listed peer is blank: forming the cluster");
                self.found(&membership);
            }
            Decision::Adopt(membership) => {
                tracing::info!(node = %self.node.id, "joining the cluster that was formed with this node");
                self.found(&membership);
            }
            Decision::Quarantine { by, why } => {
                let reason = format!("{by}: {why}");
                tracing::warn!(node = %self.node.id, %reason, "quarantined: this node takes no part until it is added");
                self.standing = Standing::Quarantined(reason);
            }
            // Whoever was given a list meanwhile forms a cluster, or finds one, with those.
            Decision::Wait { .. } if !self.peers.is_empty() => {}
            Decision::Wait { by, cluster } => self.wait_for_admission(&by, cluster),
            Decision::Mismatch { .. } => {}
        }
        self.publish();
    }
}

impl Handler<FormCluster> for Consensus {
    type Result = ();

    fn handle(&mut self, FormCluster { peers }: FormCluster, _: &mut Context<Self>) {
        if !self.standing.is_blank() || !self.peers.is_empty() {
            tracing::warn!(node = %self.node.id, "a list of peers came too late");
            return;
        }
        self.peers_hash = peers_hash(&peers);
        self.peers.clone_from(&peers);
        Bootstrapper::start(&self.node, peers);
        self.publish();
    }
}

impl Handler<IdentitySaved> for Consensus {
    type Result = ();

    fn handle(&mut self, IdentitySaved { cluster, member }: IdentitySaved, _: &mut Context<Self>) {
        self.node.board.set_cluster(cluster);
        if member {
            self.standing = Standing::Member;
        } else {
            // What it has been waiting for may be in the log, which can be told now whose it is.
            self.learn_membership();
        }
        self.publish();
    }
}

impl Handler<Rpc<Greet>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<Greet>, _: &mut Context<Self>) {
        if self.is_asked_in(&rpc.request) {
            self.wait_for_admission(&rpc.request.from, rpc.request.admits);
        }
        let log = self.node.log.borrow();
        let cluster = self.node.board.identity().cluster;
        // What is written but not durable yet is not told: a crash could still undo it.
        let formed = log.last().index > LogIndex::ZERO && log.durable() > LogIndex::ZERO;
        let state = (formed || !cluster.is_none())
            .then(|| ClusterState { cluster, first: log.first_membership().filter(|_| formed).cloned() });
        let answer = GreetResponse {
            from: self.node.id.clone(),
            incarnation: self.node.incarnation,
            peers_hash: if self.peers.is_empty() { 0 } else { self.peers_hash },
            state,
        };
        rpc.responder.respond(Ok(crate::types::Response::Greet(answer)));
    }
}
