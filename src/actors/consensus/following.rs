//! The follower's side of replication: check, append, and acknowledge what is durable (Raft §5.3).

use actix::Handler;

use super::Consensus;
use crate::{
    log::Appended,
    mailbox::Context,
    messages::{Append, EntriesRead, Flushed, LeadershipChanged, Match, OWN_SESSION, Reader, Rpc, Truncate},
    transport::Responder,
    types::{
        AppendEntries, AppendEntriesResponse, AppendOutcome, Heartbeat, HeartbeatResponse, LogIndex, Response,
    },
};

/// An acknowledgement that must not leave before everything up to `proven` is durable.
pub(super) struct HeldAck {
    proven: LogIndex,
    responder: Responder,
}

impl Consensus {
    /// Whether the sender leads in a term that is not over, after taking note of it.
    fn heard(&mut self, term: crate::types::Term, leader: &crate::types::NodeId) -> bool {
        let mut accepted = false;
        self.decide(|election, now, _| {
            let (heard, effects) = election.heard_leader(now, term, leader);
            accepted = heard;
            effects
        });
        accepted
    }

    fn acknowledge(&self, responder: Responder, outcome: AppendOutcome) {
        responder.respond(Ok(Response::AppendEntries(AppendEntriesResponse {
            term: self.election.term(),
            incarnation: self.node.incarnation,
            outcome,
        })));
    }

    fn follow(&mut self, request: AppendEntries, responder: Responder) {
        let appended = self.node.log.borrow_mut().follow(request.prev, &request.entries);
        match appended {
            Err(error) => {
                tracing::error!(node = %self.node.id, %error, "a configuration entry does not decode");
                self.acknowledge(responder, AppendOutcome::Refused);
            }
            Ok(Appended::Conflict { hint }) => {
                let refused = request.prev.index;
                self.acknowledge(responder, AppendOutcome::Conflict { refused, hint });
            }
            Ok(Appended::CommittedConflict { at }) => {
                self.invariant(format!("{} would replace the committed entry {at}", request.leader));
            }
            Ok(Appended::Accepted { truncated, new, proven, membership_changed }) => {
                self.store(truncated, new);
                if membership_changed {
                    // Also where the leader is: whoever heard it first did not know it.
                    self.publish();
                    self.node.ports().front.leadership_changed(LeadershipChanged);
                }
                // No further than this request covers: a suffix that it does not mention may be stale.
                self.node.commit(request.commit.min(proven));
                self.hold_or_acknowledge(proven, responder);
                self.learn_membership();
            }
        }
    }

    fn store(&mut self, truncated: Option<LogIndex>, new: crate::types::Entries) {
        if truncated.is_none() && new.is_empty() {
            return;
        }
        let storage = &self.node.ports().storage;
        if let Some(from) = truncated {
            let ticket = self.node.log.borrow_mut().issue();
            storage.send_now(Truncate { ticket, from });
        }
        for entries in new.batches() {
            let ticket = self.node.log.borrow_mut().issue();
            storage.send_now(Append { ticket, entries: entries.clone() });
        }
        self.node.publish_log();
    }

    fn hold_or_acknowledge(&mut self, proven: LogIndex, responder: Responder) {
        if self.held_acks.is_empty() && self.durable() >= proven {
            self.acknowledge(responder, AppendOutcome::Matched { matched: proven });
        } else {
            self.held_acks.push_back(HeldAck { proven, responder });
        }
    }

    fn release_acks(&mut self) {
        let durable = self.durable();
        while let Some(held) = self.held_acks.pop_front_if(|held| held.proven <= durable) {
            self.acknowledge(held.responder, AppendOutcome::Matched { matched: held.proven });
        }
    }
}

impl Handler<Rpc<AppendEntries>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<AppendEntries>, _: &mut Context<Self>) {
        let Rpc { from, request, responder } = rpc;
        // Nobody speaks for another, least of all for this node.
        let own = from.id == request.leader;
        if !own || !self.standing.takes_entries() || !self.heard(request.term, &request.leader) {
            return self.acknowledge(responder, AppendOutcome::Refused);
        }
        self.follow(request, responder);
    }
}

impl Handler<Rpc<Heartbeat>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<Heartbeat>, _: &mut Context<Self>) {
        let request = rpc.request;
        let own = rpc.from.id == request.leader;
        let follows = own && self.standing.takes_entries() && self.heard(request.term, &request.leader);
        rpc.responder.respond(Ok(Response::Heartbeat(HeartbeatResponse {
            term: self.election.term(),
            incarnation: self.node.incarnation,
            round: request.round,
            follows: follows && self.standing.is_member(),
        })));
    }
}

impl Handler<Flushed> for Consensus {
    type Result = ();

    fn handle(&mut self, Flushed { ticket }: Flushed, _: &mut Context<Self>) {
        let rose = self.node.log.borrow_mut().flushed(ticket);
        self.disk.waiting_since = None;
        if !rose {
            return;
        }
        self.node.publish_log();
        match &self.leadership {
            Some(leadership) => {
                let index = self.durable();
                leadership.commitment.send_now(Match { session: OWN_SESSION, index });
            }
            None => self.release_acks(),
        }
    }
}

impl Handler<EntriesRead> for Consensus {
    type Result = ();

    fn handle(&mut self, message: EntriesRead, _: &mut Context<Self>) {
        match (message.reader, &self.leadership) {
            (Reader::HandOff, _) => self.node.hand_off_stored(&message.batches),
            (Reader::Replicator(_), Some(leadership)) => leadership.leader.send_now(message),
            (Reader::Replicator(_), None) => {}
        }
    }
}
