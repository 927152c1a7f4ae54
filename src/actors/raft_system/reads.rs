//! Linearizable reads: ask the leader for an index, wait until it is applied here, then query
//! (thesis §6.4). Reads change nothing, so they are asked again until their deadline.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use actix::Handler;

use super::{RaftSystem, Shared, intake::Reader};
use crate::{
    error::ReadError,
    known_bug::KnownBug,
    mailbox::{Context, Park, ReplySender},
    messages::{FsmQuery, Queried, ReadIndex, ReadIndexReady, Rpc},
    state_machine::{Answer, StateMachine},
    transport::{Responder, RpcError},
    types::{ForwardReadIndex, ForwardReadIndexResponse, LogIndex, NodeId, Request, Response},
};

/// Queries and who waits for their answers.
type Queries<S> = Vec<(<S as StateMachine>::Query, Reader<S>)>;

/// Reads by stage.
pub(super) struct Reads<S: StateMachine> {
    /// Waiting for an index: by number of the question.
    asking: BTreeMap<u64, Asking<S>>,
    /// Waiting for the state machine to be that far.
    applying: VecDeque<(LogIndex, Queries<S>)>,
    /// Given to the state machine.
    querying: Shared<BTreeMap<u64, Reader<S>>>,
    queries: u64,
}

impl<S: StateMachine> Default for Reads<S> {
    fn default() -> Self {
        Self { asking: BTreeMap::new(), applying: VecDeque::new(), querying: Shared::default(), queries: 0 }
    }
}

/// A question for an index, and for whom.
struct Asking<S: StateMachine> {
    who: Who<S>,
    /// Whether a leader has it; if not, it is asked again.
    asked: bool,
}

enum Who<S: StateMachine> {
    Local(Queries<S>),
    /// Another node, until this time.
    Remote(Option<Responder>, Duration),
}

/// The slot of a query that is already with the state machine.
pub(super) struct Asked<S: StateMachine> {
    number: u64,
    querying: Shared<BTreeMap<u64, Reader<S>>>,
}

impl<S: StateMachine> Park<Result<Answer<S>, ReadError>> for Asked<S> {
    fn park(&self, sender: ReplySender<Result<Answer<S>, ReadError>>) {
        if let Some(reader) = self.querying.borrow_mut().get_mut(&self.number) {
            reader.sender = Some(sender);
        }
    }
}

impl<S: StateMachine> Reads<S> {
    pub(super) fn is_empty(&self) -> bool {
        self.asking.is_empty() && self.applying.is_empty() && self.querying.borrow().is_empty()
    }
}

impl<S: StateMachine> RaftSystem<S> {
    /// One question for everything collected.
    pub(super) fn ask_for_index(&mut self) {
        let queries = std::mem::take(&mut *self.read_intake.queries.borrow_mut());
        if !queries.is_empty() {
            self.ask(Who::Local(queries));
        }
    }

    fn ask(&mut self, who: Who<S>) {
        let number = self.next_request();
        self.reads.asking.insert(number, Asking { who, asked: false });
        self.ask_leader(number);
    }

    fn ask_leader(&mut self, number: u64) {
        let Some(asking) = self.reads.asking.get_mut(&number) else { return };
        if let Some(leader) = &self.leadership.here {
            asking.asked = true;
            leader.read_index.send_now(ReadIndex { reads: number });
            return;
        }
        if let Who::Remote(responder, _) = &mut asking.who {
            let leader = self.leadership.leader.as_ref().map(|leader| leader.id.clone());
            if let Some(responder) = responder.take() {
                answer_index(responder, Err(leader));
            }
            self.reads.asking.remove(&number);
            return;
        }
        let elsewhere = self.leadership.leader.clone().filter(|leader| leader.id != self.node.id);
        if !self.node.config.forwarding {
            if let Some(Asking { who: Who::Local(queries), .. }) = self.reads.asking.remove(&number) {
                self.end_reads(queries, &ReadError::NotLeader { leader: elsewhere });
            }
        } else if let Some(leader) = elsewhere {
            asking.asked = true;
            let timeout_ms = self.node.config.request_timeout.as_millis() as u64;
            let request = Request::ForwardReadIndex(ForwardReadIndex { timeout_ms });
            let responder = Responder::new(self.answers.clone(), number);
            self.node.links.send(&leader.id, &leader.address, request, responder);
        }
    }

    /// Asks again what no leader has; after a change of leadership, everything.
    pub(super) fn ask_again(&mut self) {
        let open = self.reads.asking.iter().filter(|(_, asking)| !asking.asked).map(|(number, _)| *number);
        for number in open.collect::<Vec<_>>() {
            self.ask_leader(number);
        }
    }

    /// Whoever was asked leads no more, and will not answer.
    pub(super) fn forget_asked(&mut self) {
        for asking in self.reads.asking.values_mut() {
            asking.asked = false;
        }
    }

    /// The leader elsewhere answered a question for an index, or will not.
    pub(super) fn index_answered(&mut self, number: u64, result: Result<Response, RpcError>) {
        match result {
            Ok(Response::ForwardReadIndex(ForwardReadIndexResponse { result: Ok(index) })) => {
                self.index_known(number, index);
            }
            _ => {
                // Asked again at the next tick.
                if let Some(asking) = self.reads.asking.get_mut(&number) {
                    asking.asked = false;
                }
            }
        }
    }

    fn index_known(&mut self, number: u64, index: LogIndex) {
        match self.reads.asking.remove(&number).map(|asking| asking.who) {
            None => {}
            Some(Who::Remote(Some(responder), _)) => answer_index(responder, Ok(index)),
            Some(Who::Remote(None, _)) => {}
            Some(Who::Local(queries)) => {
                self.reads.applying.push_back((index, queries));
                self.query_applied();
            }
        }
    }

    /// Queries whatever waited for an index that is applied by now.
    pub(super) fn query_applied(&mut self) {
        if self.reads.applying.is_empty() {
            self.node.readers_wait.set(false);
            return;
        }
        let applied = self.node.applied();
        let mut ready = Vec::new();
        for (index, queries) in std::mem::take(&mut self.reads.applying) {
            if index <= applied || KnownBug::ReadBeforeApplied.is_back() {
                ready.extend(queries);
            } else {
                self.reads.applying.push_back((index, queries));
            }
        }
        self.node.readers_wait.set(!self.reads.applying.is_empty());
        if ready.is_empty() {
            return;
        }
        let mut queries = Vec::with_capacity(ready.len());
        for (query, reader) in ready {
            queries.push((self.enlist_query(reader), query));
        }
        self.fsm.query(FsmQuery { queries });
    }

    fn enlist_query(&mut self, reader: Reader<S>) -> u64 {
        self.reads.queries += 1;
        self.reads.querying.borrow_mut().insert(self.reads.queries, reader);
        self.reads.queries
    }

    /// Queries the present state.
    pub(super) fn query_now(&mut self, query: S::Query, reader: Reader<S>) -> Asked<S> {
        let number = self.enlist_query(reader);
        self.fsm.query(FsmQuery { queries: vec![(number, query)] });
        Asked { number, querying: self.reads.querying.clone() }
    }

    fn answer_reader(&self, reader: Reader<S>, result: Result<Answer<S>, ReadError>) {
        if let Some(sender) = reader.sender {
            // A caller that has gone needs no answer.
            let _ = sender.send(result);
        }
    }

    fn end_reads(&self, queries: Queries<S>, error: &ReadError) {
        for (_, reader) in queries {
            self.answer_reader(reader, Err(error.clone()));
        }
    }

    /// Ends the reads that have waited long enough, at whatever stage.
    pub(super) fn expire_reads(&mut self) {
        let now = self.now;
        let mut expired = Vec::new();
        for asking in self.reads.asking.values_mut() {
            if let Who::Local(queries) = &mut asking.who {
                expired.extend(queries.extract_if(.., |(_, reader)| reader.deadline <= now).map(|(_, r)| r));
            }
        }
        self.reads.asking.retain(|_, asking| match &asking.who {
            Who::Local(queries) => !queries.is_empty(),
            Who::Remote(_, deadline) => *deadline > now,
        });
        for (_, queries) in &mut self.reads.applying {
            expired.extend(queries.extract_if(.., |(_, reader)| reader.deadline <= now).map(|(_, r)| r));
        }
        self.reads.applying.retain(|(_, queries)| !queries.is_empty());
        let mut querying = self.reads.querying.borrow_mut();
        let due: Vec<u64> =
            querying.iter().filter(|(_, reader)| reader.deadline <= now).map(|(number, _)| *number).collect();
        expired.extend(due.iter().filter_map(|number| querying.remove(number)));
        drop(querying);
        for reader in expired {
            self.answer_reader(reader, Err(ReadError::Timeout));
        }
    }

    /// Ends every read: the node is going down.
    pub(super) fn settle_all_reads(&mut self, error: &ReadError) {
        let collected = std::mem::take(&mut *self.read_intake.queries.borrow_mut());
        self.end_reads(collected, error);
        for (_, asking) in std::mem::take(&mut self.reads.asking) {
            if let Who::Local(queries) = asking.who {
                self.end_reads(queries, error);
            }
        }
        for (_, queries) in std::mem::take(&mut self.reads.applying) {
            self.end_reads(queries, error);
        }
        let querying = std::mem::take(&mut *self.reads.querying.borrow_mut());
        for (_, reader) in querying {
            self.answer_reader(reader, Err(error.clone()));
        }
    }
}

fn answer_index(responder: Responder, result: Result<LogIndex, Option<NodeId>>) {
    responder.respond(Ok(Response::ForwardReadIndex(ForwardReadIndexResponse { result })));
}

impl<S: StateMachine> Handler<ReadIndexReady> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, ReadIndexReady { reads, index }: ReadIndexReady, _: &mut Context<Self>) {
        self.index_known(reads, index);
    }
}

impl<S: StateMachine> Handler<Queried<S>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, Queried { answers }: Queried<S>, _: &mut Context<Self>) {
        for (number, answer) in answers {
            let reader = self.reads.querying.borrow_mut().remove(&number);
            if let Some(reader) = reader {
                self.answer_reader(reader, Ok(answer));
            }
        }
        self.go_on_stopping();
    }
}

impl<S: StateMachine> Handler<Rpc<ForwardReadIndex>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<ForwardReadIndex>, _: &mut Context<Self>) {
        if self.lifecycle.refusal().is_some() {
            return answer_index(rpc.responder, Err(None));
        }
        let deadline = self.node.now().saturating_add(Duration::from_millis(rpc.request.timeout_ms));
        self.ask(Who::Remote(Some(rpc.responder), deadline));
    }
}
