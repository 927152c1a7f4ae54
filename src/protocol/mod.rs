//! The Raft paper as pure structs: no actix, I/O, clock, randomness or thread.
//!
//! A type per rule. Time comes as an argument, `Duration` since the node's clock began; randomness as a
//! seed; what is to happen goes out as data. What a peer sends may be refused here but never panics;
//! what another room of this node passes in is asserted, in release builds too.

mod bootstrap;
mod commitment;
mod contact;
mod election;
mod inflight;
mod installation;
pub mod invariants;
mod matching;
mod membership_history;
mod progress;
mod quorum;
mod read_rounds;
mod snapshot_policy;
mod term_runs;
mod transmission;

pub use bootstrap::{Bootstrap, Decision, MismatchReason, QuarantineReason, peers_hash};
pub use commitment::Commitment;
pub use contact::QuorumContact;
pub use election::{Effect, Election, ElectionConfig, LogView, Role, StepDownReason};
pub use inflight::WindowLimits;
pub use installation::{Arrival, Installation};
pub use matching::{Verdict, check_append, is_contiguous};
pub use membership_history::MembershipHistory;
pub use progress::Progress;
pub use quorum::{TallyState, VoteTally, quorum_index};
pub use read_rounds::ReadRounds;
pub use snapshot_policy::{SnapshotPolicy, compaction_base, keep_behind_sent};
pub use term_runs::TermRuns;
pub use transmission::{NextPiece, Transmission};
