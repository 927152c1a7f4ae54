//! The room with inspection: the probes that a context and its envelopes feed.
//!
//! A message is noted when it is packed for the mailbox, on its sender's thread, and struck off when its actor takes
//! it out or its mailbox is dropped. So a depth is the number of notes in being and cannot be negative.
//!
//! | file | holds |
//! |---|---|
//! | `envelope.rs` | the envelope that notes and strikes off |
//! | `ledger.rs` | the notes of the messages that wait at one actor |
//! | `kin.rs` | whose ledger a message belongs in that was sent through a bare `Addr` |
//! | `probe.rs` | all that is known of one actor instance |
//! | `watched.rs` | the task, which tells the probe when the actor runs, rests, ends or panics |
//! | `inspector.rs` | the probes of a node |

mod envelope;
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

use super::{Context, Port, port_of, post::Post};

pub(super) use envelope::pack;
pub use inspector::Inspector;
use probe::Probe;

/// What a context and a port carry: the actor's probe.
pub(super) type ProbeHandle = Arc<Probe>;

pub(super) fn spawn<A: Actor<Context = Context<A>>>(
    receiver: AddressReceiver<A>,
    post: Option<Arc<Post<A>>>,
    inspector: &Inspector,
    name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> (Port<A>, JoinHandle<()>) {
    let kinship = kin::join::<A>();
    let probe = Arc::new(Probe::new(name.into(), &kinship));
    let mut ctx = Context::new(receiver, post, Arc::clone(&probe));
    let port = port_of(&ctx);
    let actor = build(&mut ctx);
    inspector.register(Arc::clone(&probe));
    let task = tokio::task::spawn_local(watched::Watched::new(ctx.into_future(actor), probe, kinship));
    (port, task)
}
