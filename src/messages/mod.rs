//! One file per Go channel or conversation: plain data, no logic. docs/channels.md is the table of them.
//!
//! An imperative name is a request that may be refused (`Apply`, `Append`); a past tense name is a fact
//! that may not (`Flushed`, `CommitAdvanced`). Four lines say what each is: its *Go* counterpart, *from → to*,
//! its *reply*, and what follows from its *loss*.

mod apply;
mod apply_indexed;
mod bootstrap;
mod client;
mod client_read;
mod commit;
mod fsm;
mod install;
mod leadership;
mod membership;
mod observe;
mod read;
mod replicate;
mod restore;
mod rpc;
mod session;
mod settings;
mod snapshot;
mod storage;
mod tick;
mod transfer;

pub use apply_indexed::*;
pub use bootstrap::Bootstrap;
pub use client::*;
pub use client_read::*;
pub use membership::{AddNonvoter, AddVoter, Configuration, DemoteVoter, GetConfiguration, RemoveServer};
pub use observe::{EventKind, Observation, Observe, ObserverHandle, ObserverId, RaftEvent, StopObserving};
pub use restore::Restore;
pub use session::*;
pub use settings::{GetConfig, ReloadConfig};
pub use snapshot::Snapshot;
pub use transfer::TransferLeadership;

pub(crate) use apply::*;
pub(crate) use bootstrap::{Decided, FormCluster, Greeted, IdentitySaved, MemberGreeted, SaveIdentity};
pub(crate) use commit::*;
pub(crate) use fsm::*;
pub(crate) use install::*;
pub(crate) use leadership::*;
pub(crate) use membership::{
    CatchUp, CaughtUpTo, ChangeCluster, ClusterChanged, NewcomerGreeted, PeerMoved, Permit, ReplicationEnded,
    SetVoters, StopAt,
};
pub(crate) use observe::ObserverCounts;
pub(crate) use read::*;
pub(crate) use replicate::*;
pub(crate) use restore::{
    FeedingEnded, PieceApplied, PieceSettled, ProposePiece, ReadStaged, RestoreFeeder, SnapshotStaged,
    StageSnapshot, StagedRead, StateReplaced,
};
pub(crate) use rpc::*;
pub(crate) use settings::ConfigReloaded;
pub(crate) use snapshot::{
    SnapshotAnswered, SnapshotBegun, SnapshotTaken, SnapshotWritten, SnapshotsClosed, TakeSnapshot,
};
pub(crate) use storage::*;
pub(crate) use tick::*;
pub(crate) use transfer::*;
