//! The simulator: a cluster of the very actors that run in production, on one thread, in virtual time, under
//! every fault, watched after every event. Feature `sim`.
//!
//! docs/simulator.md tells how to use it, what it checks and what it has caught. A service tests its own state
//! machine with it by a [`Workload`]:
//!
//! ```
//! use std::time::Duration;
//! use raftix::sim::{Plan, Verdict, kv::KvWorkload, run};
//!
//! let plan = Plan::draw(7, (3, 3), Duration::from_secs(20));
//! let report = run(KvWorkload::default(), plan.clone());
//! assert_eq!(report.violation(), None);
//! // The same seed, the same run.
//! assert_eq!(report.trace.hash(), run(KvWorkload::default(), plan).trace.hash());
//! ```
//!
//! | part | what |
//! |---|---|
//! | [`Plan`] | what a seed means: nodes, set-up, faults and their times |
//! | [`run()`] | carries a plan out and judges it |
//! | [`network`], [`vfs`] | what nodes live on, and what can go wrong with it |
//! | [`history`] | what clients asked and were told, and its checkers |
//! | [`kv`] | the simulator's own state machine |
//! | [`shrink()`] | leaves out what a failure does not need |

mod activity;
mod changes;
mod chaos;
mod clients;
mod doors;
mod fault;
pub mod history;
pub mod kv;
mod links;
pub mod network;
mod node;
mod observed;
mod oracle;
mod pace;
mod plan;
mod report;
mod restores;
mod run;
mod sessions;
mod shrink;
mod trace;
pub mod vfs;
mod workload;
mod world;

pub use activity::{Activities, Activity};
pub use fault::{Fault, Planned, Target};
pub use oracle::Violation;
pub use plan::{LeaseThreat, Plan};
pub use report::{Report, Verdict};
pub use run::{run, run_prepared};
pub use shrink::shrink;
pub use trace::{Event, Trace};
pub use workload::{Client, Workload};
