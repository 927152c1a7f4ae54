//! The follower's side of replication: check, append, and acknowledge what is durable (Raft §5.3).

use std::time::Duration;

use actix::Handler;

use super::Consensus;
use crate::{
    known_bug::KnownBug,
    log::{Appended, Ticket},
    mailbox::Context,
    messages::{EntriesRead, Flushed, Match, OWN_SESSION, Reader, RemovedFromCluster, Rpc},
    protocol::is_contiguous,
    transport::Responder,
    types::{
        AppendEntries, AppendEntriesResponse, AppendOutcome, Entries, Heartbeat, HeartbeatResponse, LogIndex,
        NodeId, Response, Term,
    },
};

/// The most acknowledgements held for a flush, far more than a leader has on its way. A disk that hangs
/// while leaders ask again and again would make them grow without end.
const HELD_ACKS_MAX: usize = 4096;

/// An acknowledgement that must not leave before everything up to `proven` is durable.
pub(super) struct HeldAck {
    proven: LogIndex,
    responder: Responder,
}

impl Consensus {
    /// Whether the sender leads in a term that is not over, after taking note of it.
    pub(super) fn heard(&mut self, at: Duration, term: Term, leader: &NodeId) -> bool {
        let mut accepted = false;
        self.decide_at(at, |election, now, _| {
            let (heard, effects) = election.heard_leader(now, term, leader);
            accepted = heard;
            effects
        });
        if accepted {
            self.node.board.set_contact(at);
        }
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
        let membership = self.node.log.borrow().membership_index();
        let AppendEntries { leader, prev, commit, entries, .. } = request;
        let appended = self.node.log.borrow_mut().follow(prev, entries);
        match appended {
            Err(error) => {
                tracing::error!(node = %self.node.id, %error, "a configuration entry does not decode");
                self.acknowledge(responder, AppendOutcome::Refused);
            }
            Ok(Appended::Conflict { hint }) => {
                let refused = prev.index;
                self.acknowledge(responder, AppendOutcome::Conflict { refused, hint });
            }
            Ok(Appended::CommittedConflict { at }) => {
                self.invariant(format!("{leader} would replace the committed entry {at}"));
            }
            Ok(Appended::Accepted { truncated, new, proven }) => {
                self.store(truncated, new);
                // No further than this request covers: a suffix that it does not mention may be stale.
                let covered = if KnownBug::CommitBeyondProven.is_back() { commit } else { proven };
                self.node.commit(commit.min(covered));
                self.hold_or_acknowledge(proven, responder);
                self.learn_membership();
                if self.node.log.borrow().membership_index() != membership {
                    self.announce();
                }
                self.introduce(&leader);
                self.note_removal(commit);
            }
        }
    }

    /// Tells the front door where the leader is, once the log does: a node that begins with an empty one
    /// hears of its leader before it knows any address.
    fn introduce(&mut self, leader: &NodeId) {
        let unknown = self.node.leadership.borrow().leader.is_none();
        if unknown && self.node.log.borrow().membership().get(leader).is_some() {
            self.announce();
        }
    }

    /// A member that finds itself removed, and nothing of what is committed missing here that might take it back.
    pub(super) fn note_removal(&mut self, commit: LogIndex) {
        let log = self.node.log.borrow();
        let removed = self.standing.is_member()
            && log.is_membership_settled()
            && commit <= log.last().index
            && !log.membership().is_empty()
            && log.membership().get(&self.node.id).is_none_or(|own| own.incarnation != self.node.incarnation);
        drop(log);
        if removed && self.node.config.shutdown_on_remove {
            self.node.ports().front.removed(RemovedFromCluster);
        }
    }

    fn store(&mut self, truncated: Option<LogIndex>, new: Entries) {
        if truncated.is_none() && new.is_empty() {
            return;
        }
        let mut flushed = None;
        let counters = &self.node.board.counters;
        if let Some(from) = truncated {
            counters.truncations.add(1);
            let ticket = self.node.log.borrow_mut().issue(from.prev(), 0);
            self.node.ports().storage.truncate(ticket, from);
        }
        for entries in new.into_batches() {
            counters.entries_appended.add(entries.count());
            counters.bytes_appended.add(entries.len() as u64);
            counters.batches_appended.add(1);
            let ticket = self.node.log.borrow_mut().issue(entries.last(), entries.len());
            if let Some(ticket) = self.node.store(ticket, entries) {
                flushed = Some(ticket);
            }
        }
        self.node.publish_log();
        if let Some(ticket) = flushed {
            self.flushed(ticket);
        }
    }

    /// Everything up to `ticket` is durable: acknowledgements leave, a leader counts itself.
    pub(super) fn flushed(&mut self, ticket: Ticket) {
        let rose = self.node.flushed(ticket);
        self.disk.flushed();
        if rose {
            self.node.publish_log();
            match &self.leadership {
                Some(leadership) => {
                    let index = self.durable();
                    leadership.commitment.send_now(Match { session: OWN_SESSION, index });
                }
                None => self.release_acks(),
            }
        }
        self.log_was_reset(ticket);
    }

    fn hold_or_acknowledge(&mut self, proven: LogIndex, responder: Responder) {
        let durable = self.held_acks.is_empty() && self.durable() >= proven;
        if durable || KnownBug::AckBeforeFlush.is_back() {
            self.acknowledge(responder, AppendOutcome::Matched { matched: proven });
        } else if self.held_acks.len() >= HELD_ACKS_MAX {
            self.acknowledge(responder, AppendOutcome::Refused);
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
        if !is_contiguous(&request) {
            tracing::error!(node = %self.node.id, leader = %request.leader, "refused entries that do not follow one another");
            return self.acknowledge(responder, AppendOutcome::Refused);
        }
        // Nobody speaks for another, least of all for this node.
        let own = from == request.leader;
        let recent = self.node.recent();
        if !own || !self.standing.takes_entries() || !self.heard(recent, request.term, &request.leader) {
            return self.acknowledge(responder, AppendOutcome::Refused);
        }
        if self.installing.is_busy() {
            // It counts as contact. What the log would take now goes with it.
            return self.acknowledge(responder, AppendOutcome::Refused);
        }
        self.follow(request, responder);
    }
}

impl Handler<Rpc<Heartbeat>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<Heartbeat>, _: &mut Context<Self>) {
        let request = rpc.request;
        let own = rpc.from == request.leader;
        // The leader's lease counts from when it sent this: a time that is not quite now would be too early.
        let now = self.node.now();
        let heard = own && self.standing.takes_entries() && self.heard(now, request.term, &request.leader);
        if heard {
            self.node.board.set_heartbeat(now);
        }
        let follows = heard && self.takes_part();
        let sticks_ms = if follows { self.election.sticks_for().as_millis() } else { 0 };
        rpc.responder.respond(Ok(Response::Heartbeat(HeartbeatResponse {
            term: self.election.term(),
            incarnation: self.node.incarnation,
            round: request.round,
            follows,
            sticks_ms: u64::try_from(sticks_ms).unwrap_or(u64::MAX),
        })));
    }
}

impl Handler<Flushed> for Consensus {
    type Result = ();

    fn handle(&mut self, Flushed { ticket }: Flushed, _: &mut Context<Self>) {
        self.flushed(ticket);
    }
}

impl Handler<EntriesRead> for Consensus {
    type Result = ();

    fn handle(&mut self, message: EntriesRead, _: &mut Context<Self>) {
        match (message.reader, &self.leadership) {
            (Reader::HandOff, _) => self.node.hand_off_stored(&message.batches),
            (Reader::Replicator { .. }, Some(leadership)) => leadership.leader.send_now(message),
            (Reader::Replicator { .. }, None) => {}
        }
    }
}
