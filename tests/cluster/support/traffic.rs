//! What passes between the nodes of a world: watched for two leaders in a term and for leaders that speak on in a
//! term that is over for them, and delayed on demand.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use raftix::{
    transport::{
        Identity, Inbound, Link, Responder, ResponseSink, RpcError, Transport, TransportError,
        memory::MemoryTransport,
    },
    types::{Lane, NodeId, Request, Response, Term},
};
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

/// The network's watcher. A clone is the same one.
#[derive(Clone, Default)]
pub(crate) struct Traffic {
    state: Arc<Mutex<State>>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct State {
    leaders: BTreeMap<Term, NodeId>,
    /// The highest term that a node has answered in since it was started.
    answered: BTreeMap<NodeId, Term>,
    violations: Vec<String>,
    heartbeats: u64,
    /// Where each piece of a snapshot began that was sent, and how long it was.
    pieces: Vec<(u64, usize)>,
    delay: Option<(fastrand::Rng, Duration, Duration)>,
    /// What is on its way, by when it arrives and the order it left in.
    queue: BTreeMap<(Instant, u64), Box<dyn FnOnce() + Send>>,
    sent: u64,
    /// When the last request of a lane arrives: the next one comes no earlier.
    lanes: BTreeMap<(NodeId, NodeId, Lane), Instant>,
    carrier: Option<AbortHandle>,
}

impl Traffic {
    /// Lets every request and every answer take up to `max`, drawn from `seed`.
    ///
    /// Requests of one lane keep their order; answers do not.
    pub(crate) fn delay(&self, seed: u64, max: Duration) {
        self.delay_between(seed, Duration::ZERO, max);
    }

    /// Lets every request and every answer take just so long.
    pub(crate) fn delay_exactly(&self, latency: Duration) {
        self.delay_between(0, latency, latency);
    }

    fn delay_between(&self, seed: u64, min: Duration, max: Duration) {
        let traffic = self.clone();
        let carrier = tokio::task::spawn_local(async move { traffic.carry().await });
        let mut state = self.state();
        state.delay = Some((fastrand::Rng::with_seed(seed), min, max));
        state.carrier = Some(carrier.abort_handle());
    }

    /// Carries nothing any more.
    pub(crate) fn stop(&self) {
        if let Some(carrier) = self.state().carrier.take() {
            carrier.abort();
        }
    }

    /// Who led in which term, as seen by what was sent.
    pub(crate) fn leaders(&self) -> BTreeMap<Term, NodeId> {
        self.state().leaders.clone()
    }

    /// How many heartbeats were sent so far.
    pub(crate) fn heartbeats(&self) -> u64 {
        self.state().heartbeats
    }

    /// The pieces of snapshots that were sent so far: where each began, and how long it was.
    pub(crate) fn pieces(&self) -> Vec<(u64, usize)> {
        self.state().pieces.clone()
    }

    /// # Panics
    /// If two nodes led in one term, or one spoke as a leader after it had answered in a later term.
    pub(crate) fn check(&self) {
        assert!(self.state().violations.is_empty(), "{:?}", self.state().violations);
    }

    /// Wraps a node's way to the network.
    pub(crate) fn transport(&self, inner: MemoryTransport, own: &str) -> WatchedTransport {
        // A term that a crash kept from the disk is one it may not know any more.
        self.state().answered.remove(&NodeId::from(own));
        WatchedTransport { inner, own: own.into(), traffic: self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, sender: &NodeId, request: &Request) {
        let (term, leader) = match request {
            Request::AppendEntries(request) => (request.term, &request.leader),
            Request::Heartbeat(request) => (request.term, &request.leader),
            Request::InstallSnapshot(request) => (request.term, &request.leader),
            _ => return,
        };
        let mut state = self.state();
        state.heartbeats += u64::from(matches!(request, Request::Heartbeat(_)));
        if let Request::InstallSnapshot(request) = request {
            state.pieces.push((request.offset, request.data.len()));
        }
        let known = state.leaders.entry(term).or_insert_with(|| leader.clone()).clone();
        if known != *leader || leader != sender {
            state.violations.push(format!("term {term}: {sender} speaks for {leader}, {known} leads"));
        }
        if let Some(later) = state.answered.get(sender).copied().filter(|later| *later > term) {
            state.violations.push(format!("{sender} leads on in term {term} after it answered in {later}"));
        }
    }

    /// `own` answers: from here on no earlier term is its own.
    fn note_answer(&self, own: &NodeId, result: &Result<Response, RpcError>) {
        let term = match result {
            Ok(Response::AppendEntries(answer)) => answer.term,
            Ok(Response::Heartbeat(answer)) => answer.term,
            Ok(Response::InstallSnapshot(answer)) => answer.term,
            Ok(Response::RequestVote(answer)) => answer.term,
            _ => return,
        };
        let mut state = self.state();
        let answered = state.answered.entry(own.clone()).or_default();
        *answered = term.max(*answered);
    }

    /// Does `action` after a delay, or at once if there is none.
    fn later(&self, lane: Option<(NodeId, NodeId, Lane)>, action: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        let now = Instant::now();
        let drawn = state.delay.as_mut().map(|(rng, min, max)| *min + (*max - *min).mul_f64(rng.f64()));
        let due = drawn.map_or(now, |delay| now + delay);
        let due = match lane {
            Some(lane) => {
                let last = state.lanes.entry(lane).or_insert(now);
                *last = due.max(*last);
                *last
            }
            None => due,
        };
        if due == now {
            drop(state);
            return action();
        }
        state.sent += 1;
        let number = state.sent;
        state.queue.insert((due, number), Box::new(action));
        drop(state);
        self.wake.notify_one();
    }

    async fn carry(&self) {
        loop {
            let next = self.state().queue.first_key_value().map(|(key, _)| *key);
            let Some(key) = next else {
                self.wake.notified().await;
                continue;
            };
            if key.0 <= Instant::now() {
                let action = self.state().queue.remove(&key);
                action.into_iter().for_each(|action| action());
                continue;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(key.0) => {}
                () = self.wake.notified() => {}
            }
        }
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").field("leaders", &self.leaders()).finish_non_exhaustive()
    }
}

/// A node's way to the network.
pub(crate) struct WatchedTransport {
    inner: MemoryTransport,
    own: NodeId,
    traffic: Traffic,
}

impl Transport for WatchedTransport {
    fn start(&mut self, inbound: Arc<dyn Inbound>) -> Result<String, TransportError> {
        self.inner.start(Arc::new(SlowInbound { inner: inbound, traffic: self.traffic.clone() }))
    }

    fn link(&self, id: &NodeId, address: &str, lane: Lane) -> Box<dyn Link> {
        let inner = self.inner.link(id, address, lane);
        Box::new(WatchedLink { inner, own: self.own.clone(), traffic: self.traffic.clone() })
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

struct WatchedLink {
    inner: Box<dyn Link>,
    own: NodeId,
    traffic: Traffic,
}

impl Link for WatchedLink {
    fn send(&self, request: Request, responder: Responder) {
        self.traffic.note(&self.own, &request);
        self.inner.send(request, responder);
    }
}

struct SlowInbound {
    inner: Arc<dyn Inbound>,
    traffic: Traffic,
}

impl Inbound for SlowInbound {
    fn deliver(&self, from: &Identity, request: Request, responder: Responder) {
        let (inner, from) = (self.inner.clone(), from.clone());
        let lane = (from.id.clone(), inner.identity().id, request.lane());
        let own = inner.identity().id;
        let sink = SlowAnswer { traffic: self.traffic.clone(), own, responder: Mutex::new(Some(responder)) };
        let responder = Responder::new(Arc::new(sink), 0);
        self.traffic.later(Some(lane), move || inner.deliver(&from, request, responder));
    }

    fn identity(&self) -> Identity {
        self.inner.identity()
    }
}

struct SlowAnswer {
    traffic: Traffic,
    own: NodeId,
    responder: Mutex<Option<Responder>>,
}

impl ResponseSink for SlowAnswer {
    fn respond(&self, _: u64, result: Result<Response, RpcError>) {
        self.traffic.note_answer(&self.own, &result);
        let responder = self.responder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(responder) = responder {
            self.traffic.later(None, move || responder.respond(result));
        }
    }
}
