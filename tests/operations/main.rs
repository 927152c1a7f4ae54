//! What operators do, and what happens to them, while 64 clients write: the example `kv` as real processes, with real
//! disks and sockets, and a history of every request that is checked when it is over.
//!
//! | file | what |
//! |---|---|
//! | `register` | what clients see of the service, and its rules for the checkers |
//! | `connection`, `clients` | the clients: one request at a time each, sent exactly once |
//! | `recording` | what they asked and were told, in one order; the times of acknowledgements |
//! | `operator` | what is asked of a node until it is done |
//! | `disks` | what stands in the log of a stopped node |
//! | `verdict` | what must hold when it is over |
//! | `scene` | nodes under load: the frame of every scenario |
//!
//! Each scenario has a short run, which `cargo test` does and which asserts no times, and a whole one, whose figures
//! are in docs/operations.md:
//!
//! ```text
//! cargo build --release --example kv
//! cargo test --release --test operations -- --ignored --nocapture --test-threads 1
//! ```

mod clients;
mod connection;
mod disks;
mod failover;
mod operator;
mod recording;
mod recovery;
mod register;
mod replacing;
mod scene;
mod snapshots;
#[path = "../process_support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests of processes use the rest")]
mod support;
mod times;
mod transfers;
mod verdict;
mod wiped;
