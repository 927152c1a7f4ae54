//! The example `archive` as its users run it: real processes whose state is larger than what may be held in memory,
//! real sockets, real files, `kill -9`.
//!
//! Conditions are awaited, never slept for; every process is killed when its test ends.

mod install;
mod support;
