//! The mailbox of an actor that has no address: only those write to it who were given a port, the actors of its node
//! and the node's threads.
//!
//! actix's mailbox serves addresses that anybody may hold and that may have to wait for room; a message takes two
//! allocations and some fifteen locked instructions on its way through it. Here nobody waits for room, since admission
//! is counted at the front door. A message takes its envelope and a lock for which hardly anybody contends, and wakes
//! the actor only if it sleeps. All else is actix's: the envelopes, the context, and the future that runs the actor, of
//! whose spawned futures the mailbox is the first.
//!
//! Order, stopping, panics and the end of the last port are as for an actor with an address.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as TaskContext, Poll, Waker},
};

use actix::{
    Actor,
    dev::{Envelope, EnvelopeProxy},
    fut::ActorFuture,
};

use super::Context;

/// See the module. Nothing of it is ever locked while foreign code runs.
pub(super) struct Post<A: Actor>(Mutex<State<A>>);

struct State<A: Actor> {
    waiting: VecDeque<Envelope<A>>,
    /// Wakes the actor.
    waker: Option<Waker>,
    /// It has found nothing, and has not been woken since.
    asleep: bool,
    ports: usize,
    /// The actor has ended.
    closed: bool,
}

impl<A: Actor> State<A> {
    fn wake(&mut self) {
        if mem::take(&mut self.asleep)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}

impl<A: Actor> Post<A> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            waiting: VecDeque::new(),
            waker: None,
            asleep: false,
            ports: 0,
            closed: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what waits. `Ready(false)` if nothing does and nobody is left to write; if `Pending`, `waker` is
    /// called for the next message.
    fn collect(&self, taken: &mut VecDeque<Envelope<A>>, waker: &Waker) -> Poll<bool> {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            mem::swap(&mut state.waiting, taken);
            return Poll::Ready(true);
        }
        if state.ports == 0 {
            return Poll::Ready(false);
        }
        state.asleep = true;
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        Poll::Pending
    }
}

/// Who may write to it. The actor ends with the last of them.
pub(super) struct Slot<A: Actor>(Arc<Post<A>>);

impl<A: Actor> Slot<A> {
    pub(super) fn new(post: &Arc<Post<A>>) -> Self {
        post.state().ports += 1;
        Self(Arc::clone(post))
    }

    /// Queues a message; it is lost if the actor has ended.
    pub(super) fn put(&self, envelope: Envelope<A>) {
        let mut state = self.0.state();
        if state.closed {
            // What it holds may have something to say when it is dropped.
            drop(state);
            return;
        }
        state.waiting.push_back(envelope);
        state.wake();
    }

    pub(super) fn connected(&self) -> bool {
        !self.0.state().closed
    }
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl<A: Actor> Drop for Slot<A> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ports -= 1;
        if state.ports == 0 {
            state.wake();
        }
    }
}

/// Hands the actor what waits for it, as long as there are ports. The first future of its context.
pub(super) struct Delivery<A: Actor> {
    post: Arc<Post<A>>,
    /// Taken over and not handled yet.
    taken: VecDeque<Envelope<A>>,
}

impl<A: Actor> Delivery<A> {
    pub(super) fn new(post: &Arc<Post<A>>) -> Self {
        Self { post: Arc::clone(post), taken: VecDeque::new() }
    }
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Delivery<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let this = self.get_mut();
        loop {
            while let Some(mut envelope) = this.taken.pop_front() {
                envelope.handle(actor, ctx);
                if ctx.is_held() {
                    return Poll::Pending;
                }
            }
            match this.post.collect(&mut this.taken, task.waker()) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<A: Actor> Drop for Delivery<A> {
    fn drop(&mut self) {
        let mut state = self.post.state();
        state.closed = true;
        state.waker = None;
        let left = mem::take(&mut state.waiting);
        drop(state);
        // What they hold may have something to say, to this mailbox too.
        drop(left);
    }
}

#[cfg(test)]
mod tests;
