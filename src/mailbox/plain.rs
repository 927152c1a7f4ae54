//! The room without inspection: probes that are nothing, and actix's own envelopes.

use std::sync::Arc;

use actix::{
    Actor, Handler, Message,
    dev::{Envelope, OneshotSender, channel::AddressReceiver},
};
use tokio::task::JoinHandle;

use super::{Context, Port, port_of, post::Post};
use crate::inspect::{InspectionDisabled, MailboxReport};

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

/// What a context and a port carry: nothing.
#[derive(Clone, Debug)]
pub(super) struct ProbeHandle;

impl ProbeHandle {
    #[inline(always)]
    pub(super) fn sending<R>(&self, send: impl FnOnce() -> R) -> R {
        send()
    }

    #[inline(always)]
    pub(super) fn begin(&self, _message: &'static str) {}

    #[inline(always)]
    pub(super) fn finish(&self, _message: &'static str) {}
}

pub(super) fn pack<A, M>(message: M, reply: Option<OneshotSender<M::Result>>) -> Envelope<A>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    Envelope::new(message, reply)
}

pub(super) fn spawn<A: Actor<Context = Context<A>>>(
    receiver: AddressReceiver<A>,
    post: Option<Arc<Post<A>>>,
    _inspector: &Inspector,
    _name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> (Port<A>, JoinHandle<()>) {
    let mut ctx = Context::new(receiver, post, ProbeHandle);
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
