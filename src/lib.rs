//! Raft consensus as an actix actor system: spawn a [`RaftSystem`], send it [`Apply`], await the reply. Behind it a tree
//! of actors replicates a durable log to the other nodes and applies it, everywhere in the same order, to your
//! [`StateMachine`].
//!
//! # The smallest program
//!
//! ```rust
//! use actix::Message;
//! use raftix::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! /// Add to the total; the answer is the new total.
//! #[derive(Message, Serialize, Deserialize)]
//! #[rtype(result = "u64")]
//! struct Add(u64);
//!
//! /// Ask for the total.
//! #[derive(Message)]
//! #[rtype(result = "u64")]
//! struct Total;
//!
//! #[derive(Default)]
//! struct Counter(u64);
//!
//! impl StateMachine for Counter {
//!     type Command = Add;
//!     type Query = Total;
//!
//!     fn apply(&mut self, _: LogId, Add(amount): Add) -> u64 {
//!         self.0 += amount;
//!         self.0
//!     }
//!
//!     fn query(&self, _: Total) -> u64 {
//!         self.0
//!     }
//! }
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let raft = RaftSystem::builder("n1").in_memory().state_machine(Counter::default()).start().await?;
//!     raft.leader_elected().await; // a future, not a sleep
//!     assert_eq!(raft.send(Apply(Add(40))).await??, 40);
//!     assert_eq!(raft.send(Apply(Add(2))).await??, 42);
//!     assert_eq!(raft.send(Read(Total)).await??, 42); // linearizable, without a log entry
//!     println!("{:?}", raft.status());
//!     raft.send(Shutdown).await?;
//!     Ok(())
//! }
//! ```
//!
//! With `data_dir`, `listen` and `peers` on the builder the same program is a node of a durable cluster; `apply` and
//! `query` stay as they are.
//!
//! # Start here
//!
//! | | |
//! |---|---|
//! | [`RaftSystem`] | the actor; [`RaftSystem::builder`] describes a node, [`Raft`] is the handle of a running one |
//! | [`StateMachine`] | the one trait to implement |
//! | [`Apply`], [`Read`] | replicate a command; ask a question whose answer is never stale |
//! | [`ClientSession`] | commands that are applied once, however often they are sent |
//! | [`ApplyError`] | refused, so definitely not applied and given back; or *outcome unknown* |
//! | [`Config`] | timing and limits, each with a safe default |
//!
//! # Write your own
//!
//! [`LogStore`](storage::LogStore) is where the log is kept, [`Transport`](transport::Transport) how nodes reach each other.
//! Both are plain traits with a numbered contract, and [`storage::conformance`] and [`transport::conformance`] are
//! those contracts as tests that any implementation can run.
//!
//! # Look inside
//!
//! [`Raft::mailboxes`] shows what every actor does and what waits for it, as [`inspect`] describes; [`mailbox`] is how.
//! With the feature `metrics` a node tells [its metrics](docs::metrics) to the facade of that name.
//! The actors follow hashicorp/raft channel by channel.
//! ARCHITECTURE.md is the map; every message stands in [the table of channels](docs::channels); [the log](docs::wal),
//! [the snapshots](docs::snapshot) and [the wire](docs::wire) are described by byte.
//!
//! # Layout
//!
//! | room | what |
//! |---|---|
//! | [`types`] | identifiers, entries encoded once, membership, requests between nodes |
//! | [`protocol`] | the Raft paper as pure structs: no I/O, clock or thread |
//! | [`log`] | the log as the protocol thread sees it |
//! | [`messages`] | one file per Go channel or conversation |
//! | `actors` | one file per actor: message → rule → effects |
//! | [`mailbox`] | ports, signals, credits and probes: the only room that knows actix's internals |
//! | [`storage`] | stores behind traits, the write-ahead log, the file system behind a seam |
//! | [`transport`], [`wire`] | TCP and in-memory networks; frames |
//! | [`inspect`] | what the probes saw, as data and text |
//! | `metrics` | (feature `metrics`) what a node tells the facade of that name |
//! | [`system`] | the builder and the handle of a node |
//! | `sim` | (feature `sim`) clusters in virtual time under every fault, with oracles |
//! | `known_bug` | (feature `known-bugs`, for tests only) switches that bring known bugs back |
//! | [`config`], [`error`], [`state_machine`] | what can be set, how requests fail, what a service implements |

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod actors;
mod board;
mod clock;
pub mod config;
pub mod error;
pub mod inspect;
#[cfg(feature = "known-bugs")]
pub mod known_bug;
#[cfg(not(feature = "known-bugs"))]
#[allow(unreachable_pub, reason = "public where the bugs can be brought back")]
mod known_bug;
pub mod log;
pub mod mailbox;
pub mod messages;
mod metrics;
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
pub use config::{Config, ReloadableConfig};
pub use error::{
    ApplyError, BootstrapError, ChangeError, Fatal, ObserveError, ReadError, RecoverError, RestoreError,
    SnapshotError, StartError, TransferError, UnknownReason,
};
pub use messages::{
    AddNonvoter, AddVoter, Apply, ApplyBatch, ApplyInSession, ApplyIndexed, ApplyWithin, Barrier, Bootstrap,
    CloseSession, Configuration, DemoteVoter, EventKind, GetConfig, GetConfiguration, GetStatus, Indexed,
    InspectMailboxes, LeaseRead, Observation, Observe, ObserverHandle, ObserverId, OpenSession, RaftEvent,
    Read, ReadWithin, ReloadConfig, RemoveServer, Restore, Shutdown, Snapshot, StaleRead, StaleReadFrom,
    StopObserving, TransferLeadership, VerifyLeader,
};
pub use state_machine::{Answer, DecodeError, Reply, StateMachine, StateSnapshot};
#[cfg(feature = "peers-json")]
pub use system::read_peers_json;
pub use system::{
    ClientSession, Leadership, LeadershipWatch, Member, Placement, Raft, RaftBuilder, RecoveredServer,
    Recovery, ServerRole, Statistics, Status, recover_cluster,
};

/// What a service usually needs.
pub mod prelude {
    pub use crate::{
        AddNonvoter, AddVoter, Apply, ApplyBatch, ApplyError, ChangeError, ClientSession, CloseSession,
        Config, DemoteVoter, Fatal, GetConfiguration, GetStatus, InspectMailboxes, OpenSession, Raft,
        RaftSystem, Read, ReadError, RemoveServer, Restore, RestoreError, ServerRole, Shutdown, Snapshot,
        SnapshotError, StaleRead, StartError, StateMachine, StateSnapshot, Status,
        types::{LogId, LogIndex, NodeId, SessionId, Term},
    };
}

/// The pages of the repository that describe the inside, for those who read this documentation.
#[cfg(all(doc, not(doctest)))]
#[allow(rustdoc::invalid_rust_codeblocks, reason = "their indented blocks are pictures")]
pub mod docs {
    #[doc = include_str!("../docs/channels.md")]
    pub mod channels {}
    #[doc = include_str!("../docs/metrics.md")]
    pub mod metrics {}
    #[doc = include_str!("../docs/snapshot.md")]
    pub mod snapshot {}
    #[doc = include_str!("../docs/wal.md")]
    pub mod wal {}
    #[doc = include_str!("../docs/wire.md")]
    pub mod wire {}
}
