//! What leaves a node must be true at that instant: who leads, what is durable, who has the vote.

use super::{Oracle, State, Violation, store::content};
use crate::{
    sim::network::{Cargo, Passage, Watch},
    types::{AppendEntries, AppendOutcome, InstallOutcome, LogIndex, NodeId, Request, Response, Term},
};

impl Watch for Oracle {
    fn leaves(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        let (Some(from), Some(to)) = (self.number_at(passage.from), self.number_at(passage.to)) else {
            return;
        };
        let (what, about) = describe(cargo);
        self.note(what, Some(from), [to as u64 + 1, about[0], about[1]]);
        self.check(|state| match cargo {
            Cargo::Request(request) => state.requests(from, request),
            Cargo::Answer(Ok(response)) => state.answers(from, to, response),
            Cargo::Answer(Err(_)) => Ok(()),
        });
    }

    fn arrives(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        let (Some(from), Some(to)) = (self.number_at(passage.from), self.number_at(passage.to)) else {
            return;
        };
        let (_, about) = describe(cargo);
        self.note("arrives", Some(to), [from as u64 + 1, about[0], about[1]]);
    }
}

impl State {
    fn requests(&mut self, from: usize, request: &Request) -> Result<(), Violation> {
        match request {
            Request::AppendEntries(request) => {
                self.speaks_as_leader(from, request.term, &request.leader)?;
                self.sends_entries(from, request)
            }
            Request::Heartbeat(request) => self.speaks_as_leader(from, request.term, &request.leader),
            _ => Ok(()),
        }
    }

    fn speaks_as_leader(&mut self, from: usize, term: Term, leader: &NodeId) -> Result<(), Violation> {
        if self.nodes[from].id != leader.as_str() {
            let what = format!("n{} speaks for {leader}", from + 1);
            return Err(Violation::new("election safety", what));
        }
        self.ledger.leads(term, from + 1).map(drop)
    }

    fn sends_entries(&mut self, from: usize, request: &AppendEntries) -> Result<(), Violation> {
        let mut prev = request.prev.term;
        for entry in request.entries.iter() {
            self.ledger.saw_entry(entry.id(), prev, content(&entry))?;
            prev = entry.term;
        }
        // Held against what is committed when its turn is over: it may have committed it just now.
        let told = &mut self.nodes[from].told;
        *told = request.commit.max(*told);
        Ok(())
    }

    fn answers(&mut self, from: usize, to: usize, response: &Response) -> Result<(), Violation> {
        match response {
            Response::AppendEntries(response) => match response.outcome {
                AppendOutcome::Matched { matched } => self.acknowledges(from, matched),
                _ => Ok(()),
            },
            Response::RequestVote(response) if response.granted => self.grants(from, to, response.term),
            _ => Ok(()),
        }
    }

    fn acknowledges(&self, from: usize, matched: LogIndex) -> Result<(), Violation> {
        let durable = self.nodes[from].shadow.durable();
        if matched <= durable {
            return Ok(());
        }
        let what = format!("n{} acknowledges {matched}, and {durable} is durable", from + 1);
        Err(Violation::new("acknowledged means durable", what))
    }

    fn grants(&mut self, from: usize, to: usize, term: Term) -> Result<(), Violation> {
        let candidate = self.nodes[to].id.clone();
        self.ledger.voted(term, from + 1, &candidate)?;
        if self.nodes[from].shadow.has_durable_vote(term, &candidate) {
            return Ok(());
        }
        let durable = self.nodes[from].shadow.durable_vote();
        let what = format!("n{} votes for {candidate} in term {term}, and {durable:?} is durable", from + 1);
        Err(Violation::new("a vote is durable before it is told", what))
    }
}

/// The name of a message and two numbers of it.
fn describe(cargo: Cargo<'_>) -> (&'static str, [u64; 2]) {
    match cargo {
        Cargo::Request(request) => match request {
            Request::AppendEntries(r) => ("AppendEntries", [r.prev.index.0, r.entries.count()]),
            Request::Heartbeat(r) => ("Heartbeat", [r.term.0, r.round]),
            Request::PreVote(r) => ("PreVote", [r.term.0, r.last.index.0]),
            Request::RequestVote(r) => ("RequestVote", [r.term.0, r.last.index.0]),
            Request::TimeoutNow(r) => ("TimeoutNow", [r.term.0, 0]),
            Request::Greet(r) => ("Greet", [r.peers_hash, 0]),
            Request::ForwardApply(r) => ("ForwardApply", [r.commands.len() as u64, 0]),
            Request::ForwardTransfer(r) => ("ForwardTransfer", [r.timeout_ms, 0]),
            Request::ForwardChange(r) => ("ForwardChange", [r.timeout_ms, 0]),
            Request::ForwardReadIndex(r) => ("ForwardReadIndex", [r.timeout_ms, 0]),
            Request::InstallSnapshot(r) => {
                ("InstallSnapshot", [r.snapshot.description.last.index.0, r.offset])
            }
        },
        Cargo::Answer(Ok(response)) => match response {
            Response::AppendEntries(r) => match r.outcome {
                AppendOutcome::Matched { matched } => ("matched", [r.term.0, matched.0]),
                AppendOutcome::Conflict { hint, .. } => ("conflict", [r.term.0, hint.index.0]),
                AppendOutcome::Refused => ("refused", [r.term.0, 0]),
            },
            Response::Heartbeat(r) => ("heard", [r.round, u64::from(r.follows)]),
            Response::PreVote(r) => ("pre-vote", [r.term.0, u64::from(r.granted)]),
            Response::RequestVote(r) => ("votes", [r.term.0, u64::from(r.granted)]),
            Response::TimeoutNow(r) => ("stands", [r.term.0, u64::from(r.accepted)]),
            Response::Greet(r) => ("greets", [r.peers_hash, u64::from(r.state.is_some())]),
            Response::ForwardApply(r) => ("forwarded apply", [r.results.len() as u64, 0]),
            Response::ForwardTransfer(r) => ("forwarded transfer", [u64::from(r.result.is_ok()), 0]),
            Response::ForwardChange(r) => ("forwarded change", [r.result.as_ref().map_or(0, |i| i.0), 0]),
            Response::ForwardReadIndex(r) => ("forwarded read", [r.result.as_ref().map_or(0, |i| i.0), 0]),
            Response::InstallSnapshot(r) => match r.outcome {
                InstallOutcome::Wanted { offset } => ("wants", [r.term.0, offset]),
                InstallOutcome::Installed => ("installed", [r.term.0, 0]),
                InstallOutcome::Refused => ("refuses a snapshot", [r.term.0, 0]),
            },
        },
        Cargo::Answer(Err(_)) => ("no answer", [0; 2]),
    }
}
