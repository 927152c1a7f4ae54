//! The room with inspection: what stands in for actix's context, and the probes it feeds.
//!
//! A message is noted when it is packed for the mailbox, on its sender's thread, and struck off when its actor takes
//! it out or its mailbox is dropped. So a depth is the number of notes in being and cannot be negative.
//!
//! | file | holds |
//! |---|---|
//! | `context.rs` | the context, and the envelope that notes and strikes off |
//! | `ledger.rs` | the notes of the messages that wait at one actor |
//! | `kin.rs` | whose ledger a message belongs in that was sent through a bare `Addr` |
//! | `probe.rs` | all that is known of one actor instance |
//! | `watched.rs` | the task, which tells the probe when the actor runs, rests, ends or panics |
//! | `inspector.rs` | the probes of a node |

mod context;
mod inspector;
mod kin;
mod ledger;
mod probe;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::Arc;

use actix::{Actor, dev::channel::AddressReceiver};
use tokio::task::JoinHandle;

use super::{Port, port_of, post::Post};

use context::InspectedContext;
pub use inspector::Inspector;
use probe::Probe;

/// The context of every actor here. This build inspects, so it carries the actor's probe.
pub type Context<A> = InspectedContext<A>;

/// What a port carries beside the address.
pub(super) type ProbeHandle = Arc<Probe>;

pub(super) fn probe_of<A: Actor<Context = Context<A>>>(ctx: &Context<A>) -> ProbeHandle {
    Arc::clone(ctx.probe())
}

pub(super) fn spawn<A: Actor<Context = Context<A>>>(
    receiver: AddressReceiver<A>,
    post: Option<Arc<Post<A>>>,
    inspector: &Inspector,
    name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> (Port<A>, JoinHandle<()>) {
    let kinship = kin::join::<A>();
    let probe = Arc::new(Probe::new(name.into(), &kinship));
    let mut ctx = InspectedContext::new(receiver, post, Arc::clone(&probe));
    let port = port_of(&ctx);
    let actor = build(&mut ctx);
    inspector.register(Arc::clone(&probe));
    let task = tokio::task::spawn_local(watched::Watched::new(ctx.into_future(actor), probe, kinship));
    (port, task)
}
