//! Raft consensus as an actix actor system.

pub mod storage;
pub mod transport;
pub mod types;
