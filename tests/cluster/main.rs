//! Whole clusters of the actors that ship, on one thread with paused time, with a disk that survives what a
//! process does not. One file per topic; `support` is the world they run in.
//!
//! The few tests that measure real time are in `overlap`; they run when no other test of this binary does.

mod support;

mod admission;
mod append_entries;
mod basics;
mod bootstrap;
mod failures;
mod install;
#[cfg(feature = "known-bugs")]
mod known_bugs;
mod membership;
mod operations;
mod overlap;
mod random;
mod reads;
mod restore;
mod sessions;
mod sim_network;
mod snapshots;
mod step_down;
mod transfer;
mod votes;
