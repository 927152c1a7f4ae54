//! The connecting side: one lane to one peer. Connects when something is sent, pauses after a failure,
//! and answers every responder it was given exactly once.
//!
//! Never sends a request twice. Its task is another file, `dial`, which knows it as a [`Line`].

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::{AbortHandle, spawn_local},
    time::Instant,
};

use super::{
    Closed, Shared,
    dial::{self, Line, Target},
    outbox::{Outbox, Rejected},
    waiting::{Asked, Waiting},
};
use crate::{
    transport::{Link, Responder, RpcError},
    types::{Request, Response},
    wire::{self, FrameKind},
};

/// The lane and what waits on it. Its links hold it; its task and the transport know it weakly.
pub(super) struct Channel {
    pub(super) shared: Rc<Shared>,
    pub(super) target: Target,
    state: RefCell<State>,
}

struct State {
    phase: Phase,
    waiting: Waiting,
    /// How long the next pause will be at most.
    pause: Duration,
}

enum Phase {
    /// There is no connection, and nobody asked for one.
    Idle,
    /// There is a connection, or an attempt at one.
    Active { outbox: Arc<Outbox>, task: AbortHandle },
    /// The last one failed; the next begins no earlier than `until`.
    Pausing { until: Instant, why: String },
}

impl Channel {
    pub(super) fn new(shared: Rc<Shared>, target: Target) -> Rc<Self> {
        let pause = shared.options.reconnect_min;
        let state = State { phase: Phase::Idle, waiting: Waiting::default(), pause };
        Rc::new(Self { shared, target, state: RefCell::new(state) })
    }

    fn send(self: &Rc<Self>, request: &Request, responder: Responder) {
        if let Err((why, responder)) = self.queue(request, responder) {
            responder.respond(Err(RpcError::NotSent(why)));
        }
    }

    /// Queues the request, or gives the responder back with the reason.
    fn queue(self: &Rc<Self>, request: &Request, responder: Responder) -> Result<(), (String, Responder)> {
        let options = &self.shared.options;
        let outbox = match self.outbox() {
            Ok(outbox) => outbox,
            Err(why) => return Err((why, responder)),
        };
        let waiting = &mut self.state.borrow_mut().waiting;
        if waiting.count() >= options.requests_in_flight_max {
            return Err(("too many requests wait for an answer".into(), responder));
        }
        let pushed = outbox.push(options.write_buffer_bytes_max, |out| {
            wire::encode_request(out, waiting.next_id(), request, options.frame_limits())
        });
        match pushed {
            Ok(start) => {
                waiting.push(Asked { kind: FrameKind::of_request(request), start, responder });
                Ok(())
            }
            Err(Rejected::Full) => Err(("the write buffer is full".into(), responder)),
            Err(Rejected::Closed) => Err(("the connection is being closed".into(), responder)),
            Err(Rejected::Frame(error)) => Err((error.to_string(), responder)),
        }
    }

    /// The outbox of the connection, which is begun if there is none and none is paused for.
    fn outbox(self: &Rc<Self>) -> Result<Arc<Outbox>, String> {
        if self.shared.is_stopped() {
            return Err("this node is not running".into());
        }
        let phase = &mut self.state.borrow_mut().phase;
        match phase {
            Phase::Active { outbox, .. } => return Ok(outbox.clone()),
            Phase::Pausing { until, why } if Instant::now() < *until => return Err(why.clone()),
            Phase::Idle | Phase::Pausing { .. } => {}
        }
        let outbox = Arc::new(Outbox::default());
        let line: Weak<dyn Line> = Rc::downgrade(self) as Weak<Self>;
        let task = dial::run(self.shared.clone(), self.target.clone(), outbox.clone(), line);
        *phase = Phase::Active { outbox: outbox.clone(), task: spawn_local(task).abort_handle() };
        Ok(outbox)
    }

    /// Ends whatever there is.
    pub(super) fn close(&self, why: &str) {
        self.finish(why, Phase::Idle);
    }

    fn finish(&self, why: &str, next: Phase) {
        let mut state = self.state.borrow_mut();
        let mut written = 0;
        if let Phase::Active { outbox, task } = std::mem::replace(&mut state.phase, next) {
            task.abort();
            outbox.close();
            written = outbox.written();
        }
        let asked = state.waiting.drain();
        drop(state);
        for Asked { start, responder, .. } in asked {
            let why = why.to_owned();
            let error = if start < written { RpcError::Lost(why) } else { RpcError::NotSent(why) };
            responder.respond(Err(error));
        }
    }
}

impl Line for Channel {
    fn answer(&self, id: u64, kind: FrameKind, result: Result<Response, RpcError>) -> Result<(), Closed> {
        let mut state = self.state.borrow_mut();
        let asked = state.waiting.take(id, kind).ok_or(Closed::Protocol("an answer nobody asked for"))?;
        // The two understand each other: what comes now is a new trouble.
        state.pause = self.shared.options.reconnect_min;
        drop(state);
        asked.responder.respond(result);
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.state.borrow().waiting.is_empty()
    }

    fn ended(&self, closed: &Closed) {
        if matches!(closed, Closed::Renewed) {
            return self.close("connecting anew");
        }
        let options = &self.shared.options;
        let pause = {
            let pause = &mut self.state.borrow_mut().pause;
            // Asking again and again does not help against a refusal.
            let longest = if closed.is_refusal() { options.reconnect_max } else { *pause };
            *pause = longest.saturating_mul(2).min(options.reconnect_max);
            self.shared.jitter(longest)
        };
        let why = format!("{}: {closed}", self.target.address);
        self.finish(&why, Phase::Pausing { until: Instant::now() + pause, why: why.clone() });
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close("the link was dropped");
    }
}

/// A share in a channel.
pub(super) struct ChannelLink(pub(super) Rc<Channel>);

impl Link for ChannelLink {
    fn send(&self, request: Request, responder: Responder) {
        self.0.send(&request, responder);
    }
}

/// The channels of a transport, so that links to the same target share one.
#[derive(Default)]
pub(super) struct Channels(RefCell<BTreeMap<Target, Weak<Channel>>>);

impl Channels {
    pub(super) fn get(&self, shared: &Rc<Shared>, target: Target) -> Rc<Channel> {
        let mut channels = self.0.borrow_mut();
        channels.retain(|_, channel| channel.strong_count() > 0);
        if let Some(channel) = channels.get(&target).and_then(Weak::upgrade) {
            return channel;
        }
        let channel = Channel::new(shared.clone(), target.clone());
        channels.insert(target, Rc::downgrade(&channel));
        channel
    }

    pub(super) fn close(&self, why: &str) {
        let channels = self.0.take();
        channels.values().filter_map(Weak::upgrade).for_each(|channel| channel.close(why));
    }
}
