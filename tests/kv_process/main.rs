//! The example `kv` as its users run it: real processes, real sockets, real files, `kill -9`.
//!
//! Everything here talks to the program through its command line, its HTTP interface, signals and the bytes
//! of its log. Conditions are awaited, never slept for; every process is killed when its test ends.

mod damage;
mod keys;
mod majority;
mod metrics;
mod operations;
mod quarantine;
mod recovery;
mod restore;
mod start_stop;
#[path = "../process_support/mod.rs"]
mod support;
mod words;
