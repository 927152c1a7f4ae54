//! The task of an actor, which tells the probe when the actor runs, rests, ends or panics.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix::{Actor, dev::ContextFut};

use crate::inspect::ActorState;

use super::{InspectedContext, kin::Kinship, probe::Probe};

pub(super) struct Watched<A: Actor<Context = InspectedContext<A>>> {
    actor: ContextFut<A, InspectedContext<A>>,
    probe: Arc<Probe>,
    /// Set while the actor is polled. Still set on drop, it panicked.
    running: bool,
    /// Dropped last, after the mailbox: the actor has kin until nothing can be sent to it.
    _kinship: Kinship,
}

impl<A: Actor<Context = InspectedContext<A>>> Watched<A> {
    pub(super) fn new(
        actor: ContextFut<A, InspectedContext<A>>,
        probe: Arc<Probe>,
        kinship: Kinship,
    ) -> Self {
        Self { actor, probe, running: false, _kinship: kinship }
    }
}

impl<A: Actor<Context = InspectedContext<A>>> Future for Watched<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.probe.enter(ActorState::Busy);
        this.running = true;
        let poll = Pin::new(&mut this.actor).poll(task);
        this.running = false;
        this.probe.enter(if poll.is_ready() { ActorState::Stopped } else { ActorState::Idle });
        poll
    }
}

impl<A: Actor<Context = InspectedContext<A>>> Drop for Watched<A> {
    fn drop(&mut self) {
        self.probe.enter(if self.running { ActorState::Panicked } else { ActorState::Stopped });
    }
}

impl<A: Actor<Context = InspectedContext<A>>> fmt::Debug for Watched<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.probe).finish()
    }
}
