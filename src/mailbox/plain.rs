//! The room without inspection: actix's own context, and probes that are nothing.

use actix::{Actor, Addr, AsyncContext, dev::channel::AddressReceiver};
use tokio::task::JoinHandle;

use crate::inspect::{InspectionDisabled, MailboxReport};

/// The context of every actor here. This build does not inspect, so it is actix's own.
pub type Context<A> = actix::Context<A>;

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
    _inspector: &Inspector,
    _name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> (Addr<A>, ProbeHandle, JoinHandle<()>) {
    let mut ctx = Context::with_receiver(receiver);
    let addr = ctx.address();
    let actor = build(&mut ctx);
    (addr, ProbeHandle, tokio::task::spawn_local(ctx.into_future(actor)))
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::mailbox::Port;

    struct Anyone;

    impl Actor for Anyone {
        type Context = Context<Self>;
    }

    #[test]
    fn a_port_is_an_address_and_a_probe_is_nothing() {
        assert_eq!(size_of::<Port<Anyone>>(), size_of::<actix::Addr<Anyone>>());
        assert_eq!((size_of::<ProbeHandle>(), size_of::<Inspector>()), (0, 0));
    }

    #[test]
    fn a_report_says_why_there_is_none() {
        let refused = Inspector::new("n1").report().expect_err("compiled out");
        assert!(refused.to_string().contains("feature `inspect`"));
    }
}
