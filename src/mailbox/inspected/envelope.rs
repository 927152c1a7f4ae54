//! The envelope in which a message waits: noted as long as it does.

use std::any::type_name;

use actix::{
    Actor, Handler, Message,
    dev::{Envelope, EnvelopeProxy, OneshotSender},
};

use super::{kin, ledger::Ticket};
use crate::mailbox::Context;

/// Notes a message and packs it.
pub(in crate::mailbox) fn pack<A, M>(message: M, reply: Option<OneshotSender<M::Result>>) -> Envelope<A>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let ticket = kin::ledger_of::<A>().note(type_name::<M>());
    Envelope::with_proxy(Box::new(Noted { content: Some((message, reply)), ticket }))
}

/// A message in the mailbox, with its note.
struct Noted<M: Message> {
    content: Option<(M, Option<OneshotSender<M::Result>>)>,
    ticket: Ticket,
}

impl<A, M> EnvelopeProxy<A> for Noted<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message,
{
    fn handle(&mut self, actor: &mut A, ctx: &mut Context<A>) {
        let Some((message, reply)) = self.content.take() else { return };
        let note = self.ticket.claim();
        // As actix does: who dropped the request took it back.
        let abandoned = reply.as_ref().is_some_and(|reply| reply.is_closed());
        ctx.probe().taken(note, abandoned);
        if !abandoned {
            ctx.handle(actor, message, reply);
        }
    }
}
