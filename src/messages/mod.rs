//! One file per Go channel or conversation: plain data, no logic. docs/channels.md is the table of them.
//!
//! An imperative name is a request that may be refused (`Apply`, `Append`); a past tense name is a fact
//! that may not (`Flushed`, `CommitAdvanced`). Four lines say what each is: its *Go* counterpart, *from → to*,
//! its *reply*, and what follows from its *loss*.

mod apply;
mod bootstrap;
mod client;
mod commit;
mod fsm;
mod install;
mod leadership;
mod read;
mod replicate;
mod rpc;
mod session;
mod snapshot;
mod storage;
mod tick;

pub use client::*;
pub use session::*;
pub use snapshot::Snapshot;

pub(crate) use apply::*;
pub(crate) use bootstrap::*;
pub(crate) use commit::*;
pub(crate) use fsm::*;
pub(crate) use install::*;
pub(crate) use leadership::*;
pub(crate) use read::*;
pub(crate) use replicate::*;
pub(crate) use rpc::*;
pub(crate) use snapshot::{SnapshotAnswered, SnapshotBegun, SnapshotTaken, SnapshotWritten, TakeSnapshot};
pub(crate) use storage::*;
pub(crate) use tick::*;
