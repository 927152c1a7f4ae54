//! Raft consensus as an actix actor system.

pub mod inspect;
pub mod mailbox;
pub mod protocol;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod storage;
pub mod transport;
pub mod types;
pub mod wire;
