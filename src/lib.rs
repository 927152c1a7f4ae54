//! Raft consensus as an actix actor system.

mod actors;
mod board;
mod clock;
pub mod config;
pub mod error;
pub mod inspect;
pub mod log;
pub mod mailbox;
pub mod messages;
pub mod protocol;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod state_machine;
pub mod storage;
pub mod system;
pub mod transport;
pub mod types;
pub mod wire;

pub use actors::raft_system::RaftSystem;
pub use config::Config;
pub use error::{ApplyError, Fatal, ReadError, StartError, UnknownReason};
pub use messages::{
    Apply, ApplyBatch, ApplyWithin, GetStatus, InspectMailboxes, Read, ReadWithin, Shutdown, StaleRead,
};
pub use state_machine::{Answer, Reply, StateMachine};
pub use system::{Placement, Raft, RaftBuilder, ServerRole, Status};

/// What a service usually needs.
pub mod prelude {
    pub use crate::{
        Apply, ApplyBatch, ApplyError, Config, Fatal, GetStatus, InspectMailboxes, Raft, RaftSystem, Read,
        ReadError, ServerRole, Shutdown, StaleRead, StartError, StateMachine, Status,
        types::{LogId, LogIndex, NodeId, Term},
    };
}
