//! Starting a node and holding on to it: the builder and the handle.
//!
//! The top of the tree: it may use every other room, and no other room uses it.

mod builder;
mod client_session;
mod handle;
mod inbound;
mod open;
mod recover;
mod start;
mod surroundings;
#[cfg(test)]
mod tests;
mod wiring;

pub use crate::actors::storage::FlushGate;
pub use builder::{Placement, RaftBuilder};
pub use client_session::ClientSession;
pub use handle::Raft;
#[cfg(feature = "peers-json")]
pub use recover::read_peers_json;
pub use recover::{RecoveredServer, Recovery, recover_cluster};

pub use crate::board::{Leadership, LeadershipWatch, Member, ServerRole, Statistics, Status};

#[cfg(any(test, feature = "sim"))]
pub(crate) use {
    start::start_in,
    surroundings::{Surroundings, WatchStores},
};
