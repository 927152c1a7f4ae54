//! Linearizable reads: ask the leader for an index, wait until it is applied here, then query
//! (thesis §6.4). Reads change nothing, so they are asked again until their deadline. Barriers and the question
//! whether this node leads go the same way.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use actix::Handler;

use super::{
    RaftSystem, Shared,
    stages::{Applying, Queries, Reader, Remote, Who, end_queries},
    waiter::{Waiter, answer_all},
};
use crate::{
    error::ReadError,
    known_bug::KnownBug,
    mailbox::{Context, Park, ReplySender},
    messages::{AppendBarrier, FsmQuery, Queried, ReadIndex, ReadIndexReady, Rpc},
    state_machine::{Answer, StateMachine},
    transport::{Responder, RpcError},
    types::{ForwardReadIndex, ForwardReadIndexResponse, LogIndex, NodeId, Request, Response},
};

/// What was collected from the mailbox for the next questions to the leader.
pub(super) struct ReadIntake<S: StateMachine> {
    pub(super) queries: Shared<Queries<S>>,
    pub(super) leased: Shared<Queries<S>>,
    /// Reads that are content with what is here, and from which index on, each.
    pub(super) stale: Shared<Queries<S>>,
    pub(super) stale_from: Vec<LogIndex>,
    pub(super) barriers: Shared<Vec<Waiter<LogIndex>>>,
    pub(super) verifications: Shared<Vec<Waiter<()>>>,
}

impl<S: StateMachine> Default for ReadIntake<S> {
    fn default() -> Self {
        Self {
            queries: Shared::default(),
            leased: Shared::default(),
            stale: Shared::default(),
            stale_from: Vec::new(),
            barriers: Shared::default(),
            verifications: Shared::default(),
        }
    }
}

/// Puts the reply sender of the message in hand to the query it brought, the last one.
impl<Q, T> Park<Result<T, ReadError>> for RefCell<Vec<(Q, Waiter<T>)>> {
    fn park(&self, sender: ReplySender<Result<T, ReadError>>) {
        if let Some((_, reader)) = self.borrow_mut().last_mut() {
            reader.park(sender);
        }
    }
}

/// Reads by stage.
pub(super) struct Reads<S: StateMachine> {
    /// Waiting for an index: by number of the question.
    asking: BTreeMap<u64, Asking<S>>,
    /// Waiting for the state machine to be that far.
    applying: VecDeque<(LogIndex, Applying<S>)>,
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

/// The slot of a query that is already with the state machine.
pub(super) struct Asked<S: StateMachine> {
    number: u64,
    querying: Shared<BTreeMap<u64, Reader<S>>>,
}

impl<S: StateMachine> Park<Result<Answer<S>, ReadError>> for Asked<S> {
    fn park(&self, sender: ReplySender<Result<Answer<S>, ReadError>>) {
        if let Some(reader) = self.querying.borrow_mut().get_mut(&self.number) {
            reader.park(sender);
        }
    }
}

impl<S: StateMachine> Reads<S> {
    pub(super) fn is_empty(&self) -> bool {
        self.asking.is_empty() && self.applying.is_empty() && self.querying.borrow().is_empty()
    }
}

impl<S: StateMachine> RaftSystem<S> {
    /// One question of each kind for everything collected.
    pub(super) fn ask_for_index(&mut self) {
        let queries = self.read_intake.queries.take();
        if !queries.is_empty() {
            self.ask(Who::Local(queries));
        }
        let barriers = self.read_intake.barriers.take();
        if !barriers.is_empty() {
            self.ask(Who::Barriers(barriers));
        }
        let verifications = self.read_intake.verifications.take();
        if !verifications.is_empty() {
            self.ask(Who::Verifications(verifications));
        }
    }

    fn ask(&mut self, who: Who<S>) {
        let number = self.next_request();
        self.reads.asking.insert(number, Asking { who, asked: false });
        self.ask_leader(number);
    }

    fn ask_leader(&mut self, number: u64) {
        let Some(asking) = self.reads.asking.get_mut(&number) else { return };
        let barrier = asking.who.wants_barrier();
        if let Some(leader) = &self.leadership.here {
            asking.asked = true;
            if barrier {
                leader.barrier.send_now(AppendBarrier { reads: number });
            } else {
                leader.read_index.send_now(ReadIndex { reads: number });
            }
            return self.expect_more();
        }
        if let Who::Remote(remote) = &mut asking.who {
            let leader = self.leadership.leader.as_ref().map(|leader| leader.id.clone());
            if let Some(responder) = remote.responder.take() {
                answer_index(responder, Err(leader));
            }
            self.reads.asking.remove(&number);
            return;
        }
        let elsewhere = self.leadership.leader.clone().filter(|leader| leader.id != self.node.id);
        if !self.node.config.forwarding || matches!(asking.who, Who::Verifications(_)) {
            if let Some(Asking { who, .. }) = self.reads.asking.remove(&number) {
                who.end(&ReadError::NotLeader { leader: elsewhere });
            }
        } else if let Some(leader) = elsewhere {
            asking.asked = true;
            let timeout_ms = self.node.config.request_timeout.as_millis() as u64;
            let request = Request::ForwardReadIndex(ForwardReadIndex { timeout_ms, barrier });
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
            Some(Who::Remote(remote)) => {
                if let Some(responder) = remote.responder {
                    answer_index(responder, Ok(index));
                }
            }
            Some(Who::Verifications(verifications)) => answer_all(verifications, &Ok(())),
            Some(Who::Local(queries)) => self.wait_until_applied(index, Applying::Queries(queries)),
            Some(Who::Barriers(barriers)) => self.wait_until_applied(index, Applying::Barriers(barriers)),
        }
    }

    /// Answers when everything up to `index` is applied here.
    pub(super) fn wait_until_applied(&mut self, index: LogIndex, applying: Applying<S>) {
        self.reads.applying.push_back((index, applying));
        self.query_applied();
    }

    /// Queries whatever waited for an index that is applied by now.
    pub(super) fn query_applied(&mut self) {
        if self.reads.applying.is_empty() {
            self.node.readers_wait.set(false);
            return;
        }
        let applied = self.node.applied();
        let mut ready = Vec::new();
        for (index, applying) in std::mem::take(&mut self.reads.applying) {
            match applying {
                Applying::Queries(queries) if index <= applied || KnownBug::ReadBeforeApplied.is_back() => {
                    ready.extend(queries);
                }
                Applying::Leased(queries) if index <= applied => match self.lease_holds() {
                    true => {
                        self.node.board.counters.lease_reads.add(queries.len() as u64);
                        ready.extend(queries);
                    }
                    false => self.ask(Who::Local(queries)),
                },
                Applying::Barriers(barriers) if index <= applied => answer_all(barriers, &Ok(index)),
                waiting => self.reads.applying.push_back((index, waiting)),
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

    /// Whether the leader here, if it is here, knows that nobody else leads: at this very moment, not when the last
    /// tick came.
    pub(super) fn lease_holds(&self) -> bool {
        let leadership = self.node.leadership.borrow();
        leadership.here.as_ref().is_some_and(|leader| leader.lease.holds(self.node.now()))
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

    /// Ends the reads that have waited long enough, at whatever stage.
    pub(super) fn expire_reads(&mut self) {
        let now = self.now;
        for asking in self.reads.asking.values_mut() {
            asking.who.expire(now);
        }
        self.reads.asking.retain(|_, asking| !asking.who.is_over(now));
        for (_, applying) in &mut self.reads.applying {
            applying.expire(now);
        }
        self.reads.applying.retain(|(_, applying)| !applying.is_empty());
        let expired = self
            .reads
            .querying
            .borrow_mut()
            .extract_if(.., |_, reader| reader.is_due(now))
            .collect::<Vec<_>>();
        for (_, reader) in expired {
            reader.answer(Err(ReadError::Timeout));
        }
    }

    /// Ends every read: the node is going down.
    pub(super) fn settle_all_reads(&mut self, error: &ReadError) {
        for collected in [&self.read_intake.queries, &self.read_intake.leased, &self.read_intake.stale] {
            end_queries(collected.take(), error);
        }
        self.read_intake.stale_from.clear();
        answer_all(self.read_intake.barriers.take(), &Err(error.clone()));
        answer_all(self.read_intake.verifications.take(), &Err(error.clone()));
        for (_, asking) in std::mem::take(&mut self.reads.asking) {
            asking.who.end(error);
        }
        for (_, applying) in std::mem::take(&mut self.reads.applying) {
            applying.end(error);
        }
        let querying = self.reads.querying.take();
        for (_, reader) in querying {
            reader.answer(Err(error.clone()));
        }
    }
}

fn answer_index(responder: Responder, result: Result<LogIndex, Option<NodeId>>) {
    responder.respond(Ok(Response::ForwardReadIndex(ForwardReadIndexResponse { result })));
}

impl<S: StateMachine> Handler<ReadIndexReady> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, ReadIndexReady { reads, index }: ReadIndexReady, _: &mut Context<Self>) {
        self.expect_more();
        self.index_known(reads, index);
    }
}

impl<S: StateMachine> Handler<Queried<S>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, Queried { answers }: Queried<S>, _: &mut Context<Self>) {
        for (number, answer) in answers {
            let reader = self.reads.querying.borrow_mut().remove(&number);
            if let Some(reader) = reader {
                reader.answer(Ok(answer));
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
        let (responder, barrier) = (Some(rpc.responder), rpc.request.barrier);
        self.ask(Who::Remote(Remote { responder, deadline, barrier }));
    }
}
