//! Starting a node and holding on to it: the builder, the handle and what the node publishes.

mod board;
mod builder;
mod handle;
mod inbound;
mod start;

pub use crate::actors::storage::FlushGate;
pub use board::{ServerRole, Status};
pub use builder::{Placement, RaftBuilder};
pub use handle::Raft;

pub(crate) use board::{Board, Standing};
