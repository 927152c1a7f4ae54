//! Changes of the membership: one entry at a time, each after the one before is committed (Raft §6, thesis §4).
//!
//! A new voter passes through four stages: it is greeted, to learn which life of its directory answers; admitted as a
//! nonvoter; brought up to date, in rounds; and given its vote. Everything else needs one entry. What is not begun when
//! the tenure ends goes to the next leader, by its permit; what is begun is in doubt.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use actix::Handler;

use super::Leader;
use crate::{
    known_bug::KnownBug,
    mailbox::{Context, Port},
    messages::{CatchUp, CaughtUpTo, ChangeCluster, ClusterChanged, NewcomerGreeted, Permit, StepDown},
    protocol::{
        CatchUpRounds, CatchUpState, NextMembership, StepDownReason, compare, greeted_life, has_live_quorum,
        must_greet, next_membership,
    },
    transport::{Link, Responder, ResponseSink, RpcError},
    types::{
        ChangeFailure, ClusterOperation, EntryBuffer, EntryKind, Greet, Incarnation, Lane, LogIndex,
        Membership, MembershipChange, NodeId, Request, Response,
    },
};

/// How many changes may wait.
const CHANGES_MAX: usize = 64;

/// For how long a server that is to be added may give no answer, or a wrong one: it may just be starting.
const GREETING_PATIENCE: Duration = Duration::from_secs(1);

/// One change on its way.
struct Change {
    request: u64,
    change: MembershipChange,
    permit: Arc<Permit>,
    /// Whether an entry for it is in the log.
    begun: bool,
    /// The life in which the server answered, if it was greeted.
    life: Option<Incarnation>,
    caught_up: bool,
    stage: Stage,
}

enum Stage {
    /// The server is asked who it is.
    Greeting(Greeting),
    /// For its next entry; since when it could have been appended but for the health of the cluster.
    Ready { held_back: Option<Duration> },
    /// Its entry is to be committed. What follows: the answer, or the server's catching up.
    Committing { index: LogIndex, admitted: bool },
    /// The server is brought up to date.
    CatchingUp { session: u64, rounds: CatchUpRounds },
}

/// How the greeting of a server stands.
struct Greeting {
    link: Box<dyn Link>,
    since: Duration,
    /// Whether an answer is on its way.
    asked: bool,
    /// What is told if nothing better comes.
    failure: ChangeFailure,
}

/// The changes that wait or are under way, in the order they came.
#[derive(Default)]
pub(super) struct Changes {
    queue: VecDeque<Change>,
}

impl Leader {
    /// Takes a change up.
    fn enqueue_change(&mut self, request: u64, change: MembershipChange, permit: Arc<Permit>) {
        if self.changes.queue.len() >= CHANGES_MAX {
            return self.answer_change(request, Err(ChangeFailure::Overloaded));
        }
        let must_greet = must_greet(self.node.log.borrow().membership(), &change.command, change.force);
        let stage = match change.command.address() {
            Some(address) if must_greet => Stage::Greeting(Greeting {
                link: self.node.links.apart(change.command.id(), address, Lane::Control),
                since: self.node.now(),
                asked: false,
                failure: ChangeFailure::Unreachable,
            }),
            _ => Stage::Ready { held_back: None },
        };
        let change = Change { request, change, permit, begun: false, life: None, caught_up: false, stage };
        self.changes.queue.push_back(change);
        self.go_on_changing();
    }

    /// Does whatever can be done by now.
    pub(super) fn go_on_changing(&mut self) {
        if self.changes.queue.is_empty() {
            return;
        }
        let now = self.node.now();
        for mut change in std::mem::take(&mut self.changes.queue) {
            // Whoever asked has gone: what is not begun is not begun any more.
            let wanted = change.begun || change.permit.is_there();
            if wanted && self.advance(&mut change, now) {
                self.changes.queue.push_back(change);
            }
        }
    }

    /// The next step of one change. Whether it goes on.
    fn advance(&mut self, change: &mut Change, now: Duration) -> bool {
        loop {
            let result = match &mut change.stage {
                Stage::Greeting(greeting) => {
                    if now.saturating_sub(greeting.since) > GREETING_PATIENCE {
                        Err(greeting.failure.clone())
                    } else {
                        self.greet(change);
                        return true;
                    }
                }
                Stage::Ready { .. } if !self.may_change() => return true,
                Stage::Ready { .. } => match self.perform(change, now) {
                    Step::Again => continue,
                    Step::Waits => return true,
                    Step::Ends(result) => result,
                    Step::CalledOff => return false,
                },
                Stage::Committing { index, .. } if self.node.log.borrow().commit() < *index => return true,
                Stage::Committing { admitted: true, .. } => {
                    change.stage = Stage::Ready { held_back: None };
                    continue;
                }
                Stage::Committing { index, .. } => Ok(*index),
                Stage::CatchingUp { session, rounds } => {
                    let session = *session;
                    let lives = self.peers.iter().any(|peer| peer.session == session && !peer.leaves);
                    match rounds.look(now) {
                        _ if !lives => Err(ChangeFailure::OutcomeUnknown),
                        CatchUpState::GivenUp => Err(ChangeFailure::NotCaughtUp),
                        CatchUpState::Behind | CatchUpState::CaughtUp => return true,
                    }
                }
            };
            self.answer_change(change.request, result);
            return false;
        }
    }

    /// Whether an entry may be appended: nobody else is to lead, the membership in force is committed, and so is an entry of
    /// this term. Without
    /// the second, two leaders in a row could each change the membership that both began with, into two whose majorities
    /// do not meet (Ongaro, raft-dev 2015).
    fn may_change(&self) -> bool {
        let log = self.node.log.borrow();
        let own_term = log.commit() >= self.start || KnownBug::ChangeBeforeTermCommit.is_back();
        self.tenure.is_live() && self.transfer.is_none() && own_term && log.is_membership_settled()
    }

    /// Appends the next entry of a change, if it needs one.
    fn perform(&mut self, change: &mut Change, now: Duration) -> Step {
        let log = self.node.log.borrow();
        let (current, index) = (log.membership().clone(), log.membership_index());
        drop(log);
        let MembershipChange { command, prev_index, force } = &change.change;
        if !change.begun
            && let Err(failure) = compare(*prev_index, index)
        {
            return Step::Ends(Err(failure));
        }
        let (next, admitted) = match next_membership(&current, command, change.life, change.caught_up) {
            Err(_) if change.begun => return Step::Ends(Err(ChangeFailure::OutcomeUnknown)),
            Err(failure) => return Step::Ends(Err(failure)),
            Ok(NextMembership::InForce) => return Step::Ends(Ok(index)),
            Ok(NextMembership::CatchUp) => {
                let id = command.id().clone();
                return self.begin_catching_up(change, &id, now);
            }
            // It was admitted, and somebody removed it meanwhile.
            Ok(NextMembership::Admit(_)) if change.begun => {
                return Step::Ends(Err(ChangeFailure::OutcomeUnknown));
            }
            Ok(NextMembership::Admit(next)) => (next, true),
            Ok(NextMembership::Change(next)) => (next, false),
        };
        if !self.is_sound(&next, change.caught_up.then(|| command.id()), *force, now) {
            return self.hold_back(change, now);
        }
        if !change.begun && !change.permit.take() {
            return Step::CalledOff;
        }
        change.begun = true;
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Configuration, &next.encode());
        match self.append(buffer) {
            Some(first) => {
                change.stage = Stage::Committing { index: first.index, admitted };
                Step::Again
            }
            None => Step::Ends(Err(ChangeFailure::OutcomeUnknown)),
        }
    }

    /// Whether the cluster would live on with `next`, and `newcomer`, which gets its vote, is there and marked as a
    /// member: only then does it answer heartbeats as one who follows.
    fn is_sound(&self, next: &Membership, newcomer: Option<&NodeId>, force: bool, now: Duration) -> bool {
        let timeout = self.node.reloadable().election_timeout;
        let heard = |id: &NodeId| if *id == self.node.id { Some(now) } else { self.heard(id) };
        let is_there =
            newcomer.is_none_or(|id| heard(id).is_some_and(|at| now.saturating_sub(at) <= timeout));
        is_there && (force || has_live_quorum(next, heard, now, timeout))
    }

    /// Whoever is missing may just not have answered yet: a new leader has heard nobody.
    fn hold_back(&self, change: &mut Change, now: Duration) -> Step {
        let Stage::Ready { held_back } = &mut change.stage else { return Step::Waits };
        let since = *held_back.get_or_insert(now);
        if now.saturating_sub(since) <= self.node.reloadable().election_timeout {
            return Step::Waits;
        }
        let failure =
            if change.caught_up { ChangeFailure::NotCaughtUp } else { ChangeFailure::QuorumUnreachable };
        Step::Ends(Err(failure))
    }

    fn begin_catching_up(&self, change: &mut Change, id: &NodeId, now: Duration) -> Step {
        let Some(peer) = self.peers.iter().find(|peer| peer.id == *id && !peer.leaves) else {
            return Step::Ends(Err(ChangeFailure::OutcomeUnknown));
        };
        let last = self.node.log.borrow().last().index;
        let rounds = CatchUpRounds::new(self.node.reloadable().election_timeout, last, now);
        change.stage = Stage::CatchingUp { session: peer.session, rounds };
        peer.replicator.send_now(CatchUp);
        Step::Waits
    }

    /// Asks the server who it is, one question at a time.
    fn greet(&self, change: &mut Change) {
        let Stage::Greeting(greeting) = &mut change.stage else { return };
        if greeting.asked {
            return;
        }
        greeting.asked = true;
        let greet = Greet {
            from: self.node.id.clone(),
            incarnation: self.node.incarnation,
            peers_hash: 0,
            admits: self.node.board.identity().cluster,
        };
        let sink = Arc::new(Answers { port: self.own.clone() });
        greeting.link.send(Request::Greet(greet), Responder::new(sink, change.request));
    }

    fn answer_change(&self, request: u64, result: Result<LogIndex, ChangeFailure>) {
        self.node.ports().front.cluster_changed(ClusterChanged { request, result });
    }

    /// A leader whose own vote is gone, for good, gives up.
    pub(super) fn leave_if_removed(&mut self) {
        let log = self.node.log.borrow();
        let gone = log.is_membership_settled() && !log.membership().is_voter(&self.node.id);
        drop(log);
        if gone && !self.says_farewell() {
            self.leave();
        }
    }

    pub(super) fn leave(&self) {
        let term = self.tenure.term();
        let reason = StepDownReason::Removed;
        self.node.ports().consensus.step_down.send_now(StepDown { term, seen: term, reason });
    }
}

/// What came of an attempt to go on.
enum Step {
    /// It is at another stage.
    Again,
    /// Nothing can be done now.
    Waits,
    /// It is over.
    Ends(Result<LogIndex, ChangeFailure>),
    /// Whoever asked has called it off, and knows.
    CalledOff,
}

impl Handler<ChangeCluster> for Leader {
    type Result = ();

    fn handle(&mut self, message: ChangeCluster, _: &mut Context<Self>) {
        if !self.tenure.is_live() {
            return;
        }
        match message.operation {
            ClusterOperation::ChangeMembership(change) => {
                self.enqueue_change(message.request, change, message.permit);
            }
        }
    }
}

impl Handler<NewcomerGreeted> for Leader {
    type Result = ();

    fn handle(&mut self, NewcomerGreeted { request, result }: NewcomerGreeted, _: &mut Context<Self>) {
        if !self.tenure.is_live() {
            return;
        }
        let cluster = self.node.board.identity().cluster;
        let Some(change) = self.changes.queue.iter_mut().find(|change| change.request == request) else {
            return;
        };
        let Stage::Greeting(greeting) = &mut change.stage else { return };
        let life = match result {
            Ok(Response::Greet(answer)) => greeted_life(change.change.command.id(), cluster, &answer),
            Ok(_) => Err(ChangeFailure::Foreign),
            Err(_) => Err(ChangeFailure::Unreachable),
        };
        match life {
            Ok(life) => {
                change.life = Some(life);
                change.stage = Stage::Ready { held_back: None };
                self.go_on_changing();
            }
            // Asked again at the next tick.
            Err(failure) => {
                greeting.failure = failure;
                greeting.asked = false;
            }
        }
    }
}

impl Handler<CaughtUpTo> for Leader {
    type Result = ();

    fn handle(&mut self, CaughtUpTo { session, index }: CaughtUpTo, _: &mut Context<Self>) {
        if !self.tenure.is_live() {
            return;
        }
        let (now, last) = (self.node.now(), self.node.log.borrow().last().index);
        let mut given_up = None;
        for (at, change) in self.changes.queue.iter_mut().enumerate() {
            let Stage::CatchingUp { session: its, rounds } = &mut change.stage else { continue };
            if *its != session {
                continue;
            }
            // Also by a snapshot, which brings it no entry before its end.
            rounds.moved(now);
            match rounds.reached(index, last, now) {
                CatchUpState::Behind => {}
                CatchUpState::CaughtUp => {
                    change.caught_up = true;
                    change.stage = Stage::Ready { held_back: None };
                }
                CatchUpState::GivenUp => given_up = Some(at),
            }
        }
        if let Some(change) = given_up.and_then(|at| self.changes.queue.remove(at)) {
            self.answer_change(change.request, Err(ChangeFailure::NotCaughtUp));
        }
        self.go_on_changing();
    }
}

struct Answers {
    port: Port<Leader>,
}

impl ResponseSink for Answers {
    fn respond(&self, request: u64, result: Result<Response, RpcError>) {
        self.port.send_now(NewcomerGreeted { request, result });
    }
}
