//! Keeps one peer's election timer quiet, and confirms read rounds.
//!
//! Never waits for log, disk or entries: heartbeats have their own message, their own connection and
//! their own actor, and are answered without the log.
//!
//! Mailbox: [`Tick`], [`HeartbeatNow`], [`HeartbeatAnswered`], [`PeerMoved`]. Voice: `Heartbeat` to the peer, [`RoundAcked`]
//! to the leader, [`StepDown`] to Consensus. Go: `replication.go`, `heartbeat`.

use std::{collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Handler};

use crate::{
    actors::node::Node,
    known_bug::KnownBug,
    log::Tenure,
    mailbox::{Context, Outlet, Port},
    messages::{
        HeartbeatAnswered, HeartbeatNow, PeerMoved, RaftEvent, RoundAcked, StepDown, StopActor, Tick,
    },
    metrics::Timer,
    protocol::StepDownReason,
    transport::{Responder, ResponseSink, RpcError},
    types::{Heartbeat, Request, Response, Server},
};

/// How many unanswered heartbeats are remembered; the oldest are forgotten first.
const UNANSWERED_MAX: usize = 64;

/// See the module.
pub(crate) struct Heartbeater {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    peer: Server,
    session: u64,
    acked: Outlet<RoundAcked>,
    answers: Arc<dyn ResponseSink>,
    /// The newest read round; every heartbeat carries it.
    round: u64,
    sent: u64,
    /// The heartbeats without an answer, oldest first.
    unanswered: VecDeque<Unanswered>,
    /// When the next one leaves, at the first tick from then on.
    due: Duration,
    /// When the newest one that was answered had been sent.
    answered: Option<Duration>,
    /// Whether the last one to come to an end had no answer.
    failing: bool,
    round_trips: Timer,
}

/// One heartbeat that was sent. What its answer proves is taken from here, not from what the peer repeats.
struct Unanswered {
    number: u64,
    round: u64,
    sent_at: Duration,
}

impl Heartbeater {
    pub(crate) fn new(
        node: Rc<Node>,
        tenure: Rc<Tenure>,
        peer: Server,
        session: u64,
        acked: Outlet<RoundAcked>,
        own: Port<Self>,
    ) -> Self {
        let answers = Arc::new(Answers { port: own });
        let round_trips = node.metrics.heartbeats(&peer.id);
        Self {
            node,
            tenure,
            peer,
            session,
            acked,
            answers,
            round: 0,
            sent: 0,
            unanswered: VecDeque::new(),
            due: Duration::ZERO,
            answered: None,
            failing: false,
            round_trips,
        }
    }

    /// Out of turn; the next one is due an interval from now.
    fn beat_at_once(&mut self) {
        let now = self.node.now();
        self.beat(now);
        self.due = now + self.node.reloadable().heartbeat_interval();
    }

    fn beat(&mut self, now: Duration) {
        if !self.tenure.is_live() {
            return;
        }
        self.sent += 1;
        self.node.board.counters.heartbeats_sent.add(1);
        self.round_trips.start(self.sent);
        if self.unanswered.len() == UNANSWERED_MAX {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(Unanswered { number: self.sent, round: self.round, sent_at: now });
        let heartbeat =
            Heartbeat { term: self.tenure.term(), leader: self.node.id.clone(), round: self.round };
        let responder = Responder::new(self.answers.clone(), self.sent);
        self.node.links.send(&self.peer.id, &self.peer.address, Request::Heartbeat(heartbeat), responder);
    }
}

impl Heartbeater {
    /// One came to its end. Tells observers when the peer falls silent, and when it answers again.
    fn note_contact(&mut self, sent_at: Duration, answered: bool) {
        if answered {
            self.answered = self.answered.max(Some(sent_at));
        } else {
            self.node.board.counters.heartbeats_failed.add(1);
        }
        if std::mem::replace(&mut self.failing, !answered) == answered {
            let peer = self.peer.id.clone();
            let last_contact = self.answered.map(|sent_at| self.node.recent().saturating_sub(sent_at));
            self.node.observers.tell(|| {
                if answered {
                    RaftEvent::HeartbeatResumed { peer }
                } else {
                    RaftEvent::HeartbeatFailed { peer, last_contact }
                }
            });
        }
    }
}

impl Actor for Heartbeater {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.beat_at_once();
    }
}

impl Handler<Tick> for Heartbeater {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, _: &mut Self::Context) {
        let interval = self.node.reloadable().heartbeat_interval();
        // It may have become shorter.
        self.due = self.due.min(now + interval);
        if now >= self.due {
            self.beat(now);
            // From when it was due and not from now: a tick that comes a little late would delay all that
            // follow (openraft 5e15946d). What was missed altogether is not made up for.
            self.due = if now < self.due + interval { self.due + interval } else { now + interval };
        }
    }
}

impl Handler<HeartbeatNow> for Heartbeater {
    type Result = ();

    fn handle(&mut self, HeartbeatNow { round }: HeartbeatNow, _: &mut Self::Context) {
        self.round = self.round.max(round);
        self.beat_at_once();
    }
}

impl Handler<HeartbeatAnswered> for Heartbeater {
    type Result = ();

    fn handle(&mut self, message: HeartbeatAnswered, _: &mut Self::Context) {
        let at = self.unanswered.iter().position(|heartbeat| heartbeat.number == message.request);
        let Some(sent) = at.and_then(|at| self.unanswered.remove(at)) else { return };
        if !self.tenure.is_live() {
            return;
        }
        self.note_contact(sent.sent_at, message.result.is_ok());
        if message.result.is_ok() {
            self.round_trips.answered(message.request);
        }
        let Ok(Response::Heartbeat(answer)) = message.result else { return };
        let term = self.tenure.term();
        if answer.term > term {
            let reason = StepDownReason::HigherTerm;
            self.node.ports().consensus.step_down.send_now(StepDown { term, seen: answer.term, reason });
        } else if answer.follows
            && (answer.incarnation == self.peer.incarnation || KnownBug::WipedNodeTakesPart.is_back())
        {
            let Unanswered { round, sent_at, .. } = sent;
            let sticks_for = Duration::from_millis(answer.sticks_ms);
            self.acked.send_now(RoundAcked { session: self.session, round, sent_at, sticks_for });
        }
    }
}

impl Handler<PeerMoved> for Heartbeater {
    type Result = ();

    fn handle(&mut self, PeerMoved { address }: PeerMoved, _: &mut Self::Context) {
        self.peer.address = address;
        self.beat_at_once();
    }
}

impl Handler<StopActor> for Heartbeater {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        actix::ActorContext::stop(ctx);
    }
}

struct Answers {
    port: Port<Heartbeater>,
}

impl ResponseSink for Answers {
    fn respond(&self, request: u64, result: Result<Response, RpcError>) {
        self.port.send_now(HeartbeatAnswered { request, result });
    }
}
