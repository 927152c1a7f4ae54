//! The context of every actor of a node, in the place of actix's own.
//!
//! It runs an actor exactly as actix's does (both leave that to `ContextFut`). It adds the mailbox of an actor without
//! an address, and where the build inspects it tells the actor's probe what the actor handles.

use std::{
    any::type_name,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle,
    dev::{
        AsyncContextParts, ContextFut, ContextParts, Envelope, Mailbox, MessageResponse, OneshotSender,
        ToEnvelope, channel::AddressReceiver,
    },
    fut::ActorFuture,
};

use super::{
    mode::{self, ProbeHandle},
    post::{Delivery, Post},
};

/// An actor's context: what its handlers and `started` are given.
pub struct Context<A: Actor<Context = Self>> {
    parts: ContextParts<A>,
    mailbox: Option<Mailbox<A>>,
    /// The mailbox of an actor without an address.
    post: Option<Arc<Post<A>>>,
    probe: ProbeHandle,
}

impl<A: Actor<Context = Self>> Context<A> {
    pub(super) fn new(receiver: AddressReceiver<A>, post: Option<Arc<Post<A>>>, probe: ProbeHandle) -> Self {
        let mailbox = Mailbox::new(receiver);
        let mut parts = ContextParts::new(mailbox.sender_producer());
        if let Some(post) = &post {
            parts.spawn(Delivery::new(post));
        }
        Self { parts, mailbox: Some(mailbox), post, probe }
    }

    pub(super) fn post(&self) -> Option<&Arc<Post<A>>> {
        self.post.as_ref()
    }

    pub(super) fn probe(&self) -> &ProbeHandle {
        &self.probe
    }

    /// Whether the actor must not be given a message now.
    pub(super) fn is_held(&self) -> bool {
        self.parts.waiting()
    }

    pub(super) fn into_future(mut self, actor: A) -> ContextFut<A, Self> {
        let mailbox = self.mailbox.take().expect("a context runs once");
        ContextFut::new(self, actor, mailbox)
    }

    /// Handles a message under the probe's eyes.
    pub(super) fn handle<M>(&mut self, actor: &mut A, message: M, reply: Option<OneshotSender<M::Result>>)
    where
        A: Handler<M>,
        M: Message,
    {
        let name = type_name::<M>();
        self.probe.begin(name);
        let response = <A as Handler<M>>::handle(actor, message, self);
        response.handle(self, reply);
        self.probe.finish(name);
    }
}

impl<A: Actor<Context = Self>> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("parts", &self.parts).field("probe", &self.probe).finish()
    }
}

impl<A: Actor<Context = Self>> ActorContext for Context<A> {
    fn stop(&mut self) {
        self.parts.stop();
    }

    fn terminate(&mut self) {
        self.parts.terminate();
    }

    fn state(&self) -> ActorState {
        self.parts.state()
    }
}

impl<A: Actor<Context = Self>> AsyncContext<A> for Context<A> {
    fn address(&self) -> Addr<A> {
        self.parts.address()
    }

    fn spawn<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.parts.spawn(future)
    }

    fn wait<F>(&mut self, future: F)
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.parts.wait(future);
    }

    /// actix asks this before it looks into its own mailbox, in which nothing can be without an address.
    fn waiting(&self) -> bool {
        self.post.is_some() || self.parts.waiting()
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.parts.cancel_future(handle)
    }

    // actix's own `notify` calls the handler out of the probe's sight.
    fn notify<M>(&mut self, message: M)
    where
        A: Handler<M>,
        M: Message + 'static,
    {
        if self.state() == ActorState::Stopped {
            tracing::error!("notify called on a stopped actor");
        } else {
            self.spawn(SelfMessage(Some(message)));
        }
    }

    fn notify_later<M>(&mut self, message: M, after: Duration) -> SpawnHandle
    where
        A: Handler<M>,
        M: Message + 'static,
    {
        self.run_later(after, |actor, ctx| ctx.handle(actor, message, None))
    }
}

impl<A: Actor<Context = Self>> AsyncContextParts<A> for Context<A> {
    fn parts(&mut self) -> &mut ContextParts<A> {
        &mut self.parts
    }
}

impl<A, M> ToEnvelope<A, M> for Context<A>
where
    A: Actor<Context = Self> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, reply: Option<OneshotSender<M::Result>>) -> Envelope<A> {
        mode::pack(message, reply)
    }
}

/// A message to oneself that goes past the mailbox.
struct SelfMessage<M>(Option<M>);

/// The message is moved out to be handled; nothing points into it.
impl<M> Unpin for SelfMessage<M> {}

impl<A, M> ActorFuture<A> for SelfMessage<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut Context<A>, _: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(message) = self.get_mut().0.take() {
            ctx.handle(actor, message, None);
        }
        Poll::Ready(())
    }
}
