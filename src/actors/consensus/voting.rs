//! Asking for votes and giving them.

use std::sync::Arc;

use actix::Handler;

use super::Consensus;
use crate::{
    known_bug::KnownBug,
    mailbox::{Context, Port},
    messages::{PreVote, RaftEvent, Rpc, VoteAnswered, VoteSaved},
    protocol::Effect,
    transport::{Responder, ResponseSink, RpcError},
    types::{
        NodeId, Request, RequestVote, RequestVoteResponse, Response, Term, TimeoutNow, TimeoutNowResponse,
        Vote,
    },
};

/// A vote given that must not leave before its record is durable.
pub(super) struct HeldVote {
    vote: Vote,
    responder: Responder,
    response: RequestVoteResponse,
}

impl HeldVote {
    pub(super) fn is_of(&self, term: Term) -> bool {
        self.vote.term == term
    }
}

impl Consensus {
    pub(super) fn ask_for_votes(&self, request: &RequestVote, pre_vote: bool, to: &[NodeId]) {
        let counters = &self.node.board.counters;
        if pre_vote {
            counters.pre_votes_started.add(1)
        } else {
            counters.elections_started.add(1)
        }
        let log = self.node.log.borrow();
        for server in log.membership().servers().iter().filter(|server| to.contains(&server.id)) {
            let sink = VoteSink {
                consensus: self.own.clone(),
                from: server.id.clone(),
                pre_vote,
                asked: request.term,
            };
            let request = if pre_vote {
                Request::PreVote(request.clone())
            } else {
                Request::RequestVote(request.clone())
            };
            self.node.links.send(&server.id, &server.address, request, Responder::new(Arc::new(sink), 0));
        }
    }
}

impl Consensus {
    /// Tells observers who asked for a vote.
    fn tell_asked(&self, request: &RequestVote, pre_vote: bool, granted: bool) {
        let (candidate, term) = (request.candidate.clone(), request.term);
        self.node.observers.tell(|| RaftEvent::VoteRequested { candidate, term, pre_vote, granted });
    }
}

impl Handler<Rpc<PreVote>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<PreVote>, _: &mut Context<Self>) {
        let mut response = None;
        self.decide(|election, now, view| {
            response = Some(election.answer_pre_vote(now, &rpc.request.0, view));
            Vec::new()
        });
        if let Some(response) = response {
            self.tell_asked(&rpc.request.0, true, response.granted);
            rpc.responder.respond(Ok(Response::PreVote(response)));
        }
    }
}

impl Handler<Rpc<RequestVote>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<RequestVote>, _: &mut Context<Self>) {
        let mut answer = None;
        #[cfg(feature = "known-bugs")]
        if KnownBug::SecondVoteInFlight.is_back() && !self.held_votes.is_empty() {
            self.election.forget_vote();
        }
        self.decide(|election, now, view| {
            let (effects, response) = election.answer_vote(now, &rpc.request, view);
            let vote = Vote { term: election.term(), voted_for: election.voted_for().cloned() };
            let saved = effects.contains(&Effect::SaveVote(vote));
            answer = Some((response, saved));
            effects
        });
        let Some((response, saved)) = answer else { return };
        self.tell_asked(&rpc.request, false, response.granted);
        self.node.board.counters.votes_granted.add(u64::from(response.granted));
        if response.granted && !KnownBug::VoteBeforeFlush.is_back() {
            let vote = Vote { term: self.election.term(), voted_for: self.election.voted_for().cloned() };
            if !saved {
                // A vote given again is held as well: its first record may still be on its way.
                self.node.ports().storage.save_vote(vote.clone());
            }
            // One candidate per term has it; his newest request is the one that gets the answer.
            self.held_votes.retain(|held| held.vote != vote);
            self.held_votes.push(HeldVote { vote, responder: rpc.responder, response });
        } else {
            rpc.responder.respond(Ok(Response::RequestVote(response)));
        }
    }
}

impl Handler<VoteSaved> for Consensus {
    type Result = ();

    fn handle(&mut self, VoteSaved { vote }: VoteSaved, _: &mut Context<Self>) {
        let current = Vote { term: self.election.term(), voted_for: self.election.voted_for().cloned() };
        for held in std::mem::take(&mut self.held_votes) {
            if held.vote != vote {
                self.held_votes.push(held);
            } else if held.vote == current || KnownBug::SecondVoteInFlight.is_back() {
                held.responder.respond(Ok(Response::RequestVote(held.response)));
            }
        }
        if vote.voted_for.as_ref() == Some(&self.node.id) {
            self.decide(|election, now, view| election.own_vote_durable(now, vote.term, view));
        }
    }
}

impl Handler<VoteAnswered> for Consensus {
    type Result = ();

    fn handle(&mut self, message: VoteAnswered, _: &mut Context<Self>) {
        // An answer to the other question is none: a promise is not a vote.
        let response = match (message.pre_vote, message.result) {
            (true, Ok(Response::PreVote(response))) | (false, Ok(Response::RequestVote(response))) => {
                response
            }
            _ => return,
        };
        self.decide(|election, now, view| {
            election.vote_answered(now, &message.from, message.pre_vote, message.asked, &response, view)
        });
    }
}

impl Handler<Rpc<TimeoutNow>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<TimeoutNow>, _: &mut Context<Self>) {
        let mut accepted = false;
        let fit = self.disk.ailment().is_none() && !self.installing.is_finishing();
        // Nobody speaks for another.
        let own = rpc.from == rpc.request.leader;
        self.decide(|election, now, view| {
            if !fit || !own {
                return Vec::new();
            }
            let (stands, effects) = election.stand_now(now, &rpc.request.leader, rpc.request.term, view);
            accepted = stands;
            effects
        });
        let term = self.election.term();
        rpc.responder.respond(Ok(Response::TimeoutNow(TimeoutNowResponse { term, accepted })));
    }
}

struct VoteSink {
    consensus: Port<Consensus>,
    from: NodeId,
    pre_vote: bool,
    asked: Term,
}

impl ResponseSink for VoteSink {
    fn respond(&self, _: u64, result: Result<Response, RpcError>) {
        self.consensus.send_now(VoteAnswered {
            from: self.from.clone(),
            pre_vote: self.pre_vote,
            asked: self.asked,
            result,
        });
    }
}
