//! The Raft paper as pure structs: no actix, I/O, clock, randomness or thread.
//!
//! A type per rule. Time comes as an argument, `Duration` since the node's clock began; randomness as a
//! seed; what is to happen goes out as data. What a peer sends may be refused here but never panics;
//! what another room of this node passes in is asserted, in release builds too.

mod bootstrap;
mod catch_up;
mod commitment;
mod contact;
mod election;
mod inflight;
mod installation;
pub mod invariants;
mod lease;
mod matching;
mod membership_change;
mod membership_history;
mod progress;
mod quorum;
mod read_rounds;
mod restoration;
mod restore_feed;
mod sessions;
mod snapshot_policy;
mod term_runs;
mod transfer;
mod transmission;

pub use bootstrap::{Bootstrap, Decision, MismatchReason, QuarantineReason, peers_hash};
pub use catch_up::{CATCH_UP_ROUNDS_MAX, CatchUpRounds, CatchUpState};
pub use commitment::Commitment;
pub use contact::QuorumContact;
pub use election::{Effect, Election, ElectionConfig, LogView, Role, StepDownReason};
pub use inflight::WindowLimits;
pub use installation::{Arrival, Installation};
pub use lease::Lease;
pub use matching::{Verdict, check_append, is_contiguous};
pub use membership_change::{
    NextMembership, compare, greeted_life, has_live_quorum, must_greet, next_membership,
};
pub use membership_history::MembershipHistory;
pub use progress::Progress;
pub use quorum::{TallyState, VoteTally, quorum_index};
pub use read_rounds::ReadRounds;
pub use restoration::{Restoration, RestoreStep};
pub use restore_feed::{FeedPiece, RestoreFeed};
pub use sessions::{SEQUENCES_KEPT, SESSIONS_CEILING, SessionAnswer, Sessions, SessionsDamage};
pub use snapshot_policy::{SnapshotPolicy, compaction_base, keep_behind_sent};
pub use term_runs::TermRuns;
pub use transfer::Transfer;
pub use transmission::{NextPiece, Transmission};
