//! The task of an actor, which tells the probe when the actor runs, rests, ends or panics.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use actix::{Actor, dev::ContextFut};

use crate::{inspect::ActorState, mailbox::Context};

use super::{kin::Kinship, probe::Probe};

pub(super) struct Watched<A: Actor<Context = Context<A>>> {
    actor: ContextFut<A, Context<A>>,
    probe: Arc<Probe>,
    /// Set while the actor is polled. Still set on drop, it panicked.
    running: bool,
    /// Dropped last, after the mailbox: the actor has kin until nothing can be sent to it.
    _kinship: Kinship,
}

impl<A: Actor<Context = Context<A>>> Watched<A> {
    pub(super) fn new(actor: ContextFut<A, Context<A>>, probe: Arc<Probe>, kinship: Kinship) -> Self {
        Self { actor, probe, running: false, _kinship: kinship }
    }
}

impl<A: Actor<Context = Context<A>>> Future for Watched<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.probe.enter(ActorState::Busy);
        this.running = true;
        let poll = Pin::new(&mut this.actor).poll(task);
        this.running = false;
        this.probe.enter(if poll.is_ready() { ActorState::Stopped } else { ActorState::Idle });
        poll
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Watched<A> {
    fn drop(&mut self) {
        self.probe.enter(if self.running { ActorState::Panicked } else { ActorState::Stopped });
    }
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for Watched<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.probe).finish()
    }
}
