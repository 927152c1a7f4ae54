//! The only room that knows actix's internals: how the actors of a node are spawned, addressed and watched.
//!
//! Built in debug mode or with the feature `inspect`, each actor's [`Context`] has a probe that [`Inspector::report`]
//! reads without queueing behind the mailbox it describes. Built otherwise all of that is gone. Clients reach the front door through actix's mailbox; the actors behind it, which have no address, through one
//! of this room's (`post.rs`).
//!
//! What shapes this room, each shown by a test in `facts.rs`: a mailbox's capacity does not bound it, so ours have
//! none and admission is counted in [`Credits`]; a mailbox is drained before timers and spawned futures get their
//! turn, so what is to be done once per burst is such a future ([`when_drained`]), and a busy actor's timers starve; a
//! request whose caller has gone is skipped; a panic is seen by nobody but the holder of [`Spawned::task`].
//!
//! | part | for |
//! |---|---|
//! | [`spawn`], [`spawn_unaddressed`], [`Port`], [`port_of`] | running an actor and sending to it |
//! | [`interlude`] | stepping aside in the middle of a burst |
//! | [`Outlet`] | sending to whoever takes a message |
//! | [`Parked`], [`Park`] | answering later, without a future or a task per request |
//! | [`Signal`], [`Latch`] | Go's `chan struct{}` of capacity 1 |
//! | [`Credits`] | a bound on what is admitted, in requests and bytes |
//! | [`Inspector`] | the probes of a node |
//!
//! Never knows a message of Raftix, never starts a thread.

mod context;
mod credits;
#[cfg(test)]
mod facts;
#[cfg(any(debug_assertions, feature = "inspect"))]
mod inspected;
mod interlude;
mod outlet;
mod parked;
#[cfg(not(any(debug_assertions, feature = "inspect")))]
mod plain;
mod port;
mod post;
mod signal;

#[cfg(any(debug_assertions, feature = "inspect"))]
use inspected as mode;
#[cfg(not(any(debug_assertions, feature = "inspect")))]
use plain as mode;

pub use context::Context;
pub use credits::{CreditGuard, Credits};
pub use interlude::interlude;
pub use mode::Inspector;
pub use outlet::Outlet;
pub use parked::{Park, Parked, ReplySender};
pub use port::{Port, Spawned, port_of, spawn, spawn_unaddressed, when_drained};
pub use signal::{Latch, Signal};
