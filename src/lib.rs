//! Raft consensus as an actix actor system.

pub mod inspect;
pub mod mailbox;
pub mod protocol;
pub mod storage;
pub mod transport;
pub mod types;
pub mod wire;
