//! The room without inspection: a context that adds nothing to actix's own but the mailbox of an actor without an
//! address, and probes that are nothing.

use std::{fmt, sync::Arc};

use actix::{
    Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle,
    dev::{
        AsyncContextParts, ContextFut, ContextParts, Envelope, Mailbox, OneshotSender, ToEnvelope,
        channel::AddressReceiver,
    },
    fut::ActorFuture,
};
use tokio::task::JoinHandle;

use super::{
    Port, port_of,
    post::{Delivery, Post},
};
use crate::inspect::{InspectionDisabled, MailboxReport};

/// The context of every actor here. This build does not inspect.
pub type Context<A> = PlainContext<A>;

/// An actor's context.
pub struct PlainContext<A: Actor<Context = Self>> {
    parts: ContextParts<A>,
    mailbox: Option<Mailbox<A>>,
    /// The mailbox of an actor without an address.
    post: Option<Arc<Post<A>>>,
}

impl<A: Actor<Context = Self>> PlainContext<A> {
    fn new(receiver: AddressReceiver<A>, post: Option<Arc<Post<A>>>) -> Self {
        let mailbox = Mailbox::new(receiver);
        let mut parts = ContextParts::new(mailbox.sender_producer());
        if let Some(post) = &post {
            parts.spawn(Delivery::new(post));
        }
        Self { parts, mailbox: Some(mailbox), post }
    }

    pub(super) fn post(&self) -> Option<&Arc<Post<A>>> {
        self.post.as_ref()
    }

    /// Whether the actor must not be given a message now.
    pub(super) fn is_held(&self) -> bool {
        self.parts.waiting()
    }

    fn into_future(mut self, actor: A) -> ContextFut<A, Self> {
        let mailbox = self.mailbox.take().expect("a context runs once");
        ContextFut::new(self, actor, mailbox)
    }
}

impl<A: Actor<Context = Self>> fmt::Debug for PlainContext<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainContext").field("parts", &self.parts).finish()
    }
}

impl<A: Actor<Context = Self>> ActorContext for PlainContext<A> {
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

impl<A: Actor<Context = Self>> AsyncContext<A> for PlainContext<A> {
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
}

impl<A: Actor<Context = Self>> AsyncContextParts<A> for PlainContext<A> {
    fn parts(&mut self) -> &mut ContextParts<A> {
        &mut self.parts
    }
}

impl<A, M> ToEnvelope<A, M> for PlainContext<A>
where
    A: Actor<Context = Self> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, reply: Option<OneshotSender<M::Result>>) -> Envelope<A> {
        Envelope::new(message, reply)
    }
}

/// The probes of a node. This build does not inspect, so there are none.
#[derive(Clone, Debug)]
pub struct Inspector(());

impl Inspector {
    /// An inspector for the actors of `node`.
    pub fn new(_node: impl Into<String>) -> Self {
        Self(())
    }

    /// What the probes saw.
    ///
    /// # Errors
    /// [`InspectionDisabled`], always, in this build.
    pub fn report(&self) -> Result<MailboxReport, InspectionDisabled> {
        Err(InspectionDisabled)
    }
}

/// What a port carries beside the address: nothing.
#[derive(Clone, Debug)]
pub(super) struct ProbeHandle;

impl ProbeHandle {
    #[inline(always)]
    pub(super) fn sending<R>(&self, send: impl FnOnce() -> R) -> R {
        send()
    }
}

pub(super) fn probe_of<A: Actor<Context = Context<A>>>(_ctx: &Context<A>) -> ProbeHandle {
    ProbeHandle
}

pub(super) fn spawn<A: Actor<Context = Context<A>>>(
    receiver: AddressReceiver<A>,
    post: Option<Arc<Post<A>>>,
    _inspector: &Inspector,
    _name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> (Port<A>, JoinHandle<()>) {
    let mut ctx = PlainContext::new(receiver, post);
    let port = port_of(&ctx);
    let actor = build(&mut ctx);
    (port, tokio::task::spawn_local(ctx.into_future(actor)))
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn a_probe_is_nothing() {
        assert_eq!((size_of::<ProbeHandle>(), size_of::<Inspector>()), (0, 0));
    }

    #[test]
    fn a_report_says_why_there_is_none() {
        let refused = Inspector::new("n1").report().expect_err("compiled out");
        assert!(refused.to_string().contains("feature `inspect`"));
    }
}
