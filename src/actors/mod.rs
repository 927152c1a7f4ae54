//! One file per actor, each a thin shell: message → rule → effects.
//!
//! ```text
//! RaftSystem                  front door: admission, routing, forwarding, supervision, ordered shutdown
//! ├─ Restorer                 one per restore: feeds a user's snapshot into the log
//! ├─ Consensus                term · vote · role · elections · answers every inbound RPC · follower path
//! │   ├─ Bootstrapper         while the node is blank: greets the peers
//! │   ├─ Joiner               while the node is blank and is to be added to a cluster
//! │   └─ Leader               one per tenure: group commit, reads, check-quorum, membership changes
//! │       ├─ Commitment       match indexes → commit index
//! │       ├─ FollowerReplicator × peer   probe, pipeline
//! │       └─ Heartbeater × peer          never waits for log, disk or entries
//! ├─ Storage                  append, truncate, vote record, flush       (I/O thread when durable)
//! ├─ FsmApplier               applies and answers queries                (own thread unless inline)
//! ├─ Snapshotter              when to snapshot, and the files           (threads of its own when durable)
//! └─ Ticker                   turns time into `Tick` messages, merged when late
//! ```
//!
//! The protocol actors of a node share one thread and one [`Node`](node::Node). No handler awaits
//! another actor, and a completion is a message with an index, never a spawned future.

pub(crate) mod bootstrapper;
pub(crate) mod commitment;
pub(crate) mod consensus;
pub(crate) mod follower_replicator;
pub(crate) mod fsm_applier;
pub(crate) mod heartbeater;
pub(crate) mod joiner;
pub(crate) mod leader;
pub(crate) mod node;
pub(crate) mod observers;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod paced;
pub(crate) mod raft_system;
pub(crate) mod restorer;
pub(crate) mod snapshot_sender;
pub(crate) mod snapshotter;
pub(crate) mod storage;
pub(crate) mod ticker;
