//! Bugs that other implementations of Raft had, each as the test that would have caught it here.
//!
//! `regress_<id>_…` is the test of the row `<id>` of docs/known-bugs.md, which also names the rows that other
//! tests show already. Each runs at the cheapest level that really shows the behaviour: a rule alone, a log on a
//! simulated disk, or nodes on paused time.

#[path = "../cluster/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the world belongs to tests/cluster; not all of it is needed here"
)]
mod support;

mod elections;
mod forgetful;
mod lifecycle;
mod pipeline;
mod reads;
mod replication;
mod storage;
mod votes;
