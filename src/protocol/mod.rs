//! The Raft paper as pure structs: no actix, I/O, clock, randomness or thread.

mod bootstrap;
mod commitment;
mod contact;
mod election;
mod matching;
mod membership_history;
mod progress;
mod quorum;
mod read_rounds;
mod term_runs;

pub use bootstrap::{Bootstrap, Decision, QuarantineReason, peers_hash};
pub use commitment::Commitment;
pub use contact::QuorumContact;
pub use election::{Effect, Election, ElectionConfig, LogView, Role, StepDownReason};
pub use matching::{Verdict, check_append, is_contiguous};
pub use membership_history::MembershipHistory;
pub use progress::{Progress, WindowLimits};
pub use quorum::{TallyState, VoteTally, quorum_index};
pub use read_rounds::ReadRounds;
pub use term_runs::TermRuns;
