//! The Raft paper as pure structs: no actix, I/O, clock, randomness or thread.
//!
//! A type per rule. Time comes as an argument, `Duration` since the node's clock began; randomness as a
//! seed; what is to happen goes out as data. What a peer sends may be refused here but never panics;
//! what another room of this node passes in is asserted, in release builds too.

mod inflight;
mod matching;
mod progress;
mod quorum;
mod term_runs;

pub use inflight::WindowLimits;
pub use matching::{Verdict, check_append, is_contiguous};
pub use progress::Progress;
pub use quorum::{TallyState, VoteTally, quorum_index};
pub use term_runs::TermRuns;
