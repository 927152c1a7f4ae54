//! A node that comes when there is something to catch up with: all entries of a log (W8), or a snapshot that stands
//! for them (W9). The time is taken from its start, empty, until its state machine has everything, while nobody writes.
//! `go/driver/newcomer.go` is the counterpart.

use std::{future::Future, time::Instant};

use crate::{
    child::{self, Nodes, caught_up},
    job::{Job, NODES, Task},
    load::{Measured, cpu_seconds},
    outcome::{self, Outcome},
    state,
};

/// A system whose last node comes later.
pub(crate) trait Growing: Nodes {
    /// Lets a snapshot of the leader stand for all entries that there are.
    fn snapshot(&mut self) -> impl Future<Output = Result<(), String>>;

    /// Starts the last node, empty, and has the leader bring it up to date; may return before it is.
    fn grow(&mut self, job: &Job) -> impl Future<Output = Result<(), String>>;
}

/// What it cost to bring the last node up to date.
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
}

/// Measures, with `fill` writing what there is to catch up with, and judges all nodes.
pub(crate) async fn run<S: Growing>(
    job: &Job,
    system: &mut S,
    fill: impl AsyncFn(Job) -> Measured,
) -> Outcome {
    let term = system.term();
    let filled = fill(job.clone()).await;
    if let Some(error) = filled.failure {
        return Outcome { setting: job.setting.clone(), error, ..Outcome::default() };
    }
    let cost = match grow(job, system, filled.last).await {
        Ok(cost) => cost,
        Err(error) => return Outcome { setting: job.setting.clone(), error, ..Outcome::default() },
    };
    let mut outcome = child::judge(job, system, &filled).await;
    // Entries, or megabytes as bandwidths are told in.
    let amount = match job.task {
        Task::Install => state::bytes(job.state_mib) as f64 / 1e6,
        _ => job.entries as f64,
    };
    let us = cost.seconds * 1e6;
    outcome.ops_per_s = amount / cost.seconds;
    (outcome.p50_us, outcome.p99_us, outcome.p999_us) = (us, us, us);
    outcome.cpu_us_per_op = cost.cpu_seconds * 1e6 / amount;
    outcome.peak_mib = outcome::peak_mib();
    if outcome.error.is_empty() {
        outcome.error = objection(job, system, term).await.unwrap_or_default();
    }
    if job.hold && outcome.is_valid() {
        outcome::say(&outcome);
        child::await_the_kill().await;
    }
    outcome
}

async fn grow<S: Growing>(job: &Job, system: &mut S, last: u64) -> Result<Cost, String> {
    // The other follower is no part of it.
    caught_up(job, system, NODES - 2, last).await?;
    if job.task == Task::Install {
        system.snapshot().await?;
    }
    let (began, cpu) = (Instant::now(), cpu_seconds());
    system.grow(job).await?;
    caught_up(job, system, NODES - 1, last).await?;
    Ok(Cost { seconds: began.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - cpu })
}

/// Why the number would not be of what it says.
async fn objection<S: Growing>(job: &Job, system: &S, term: u64) -> Option<String> {
    if system.term() != term {
        return Some("there was an election".to_owned());
    }
    let newcomer = match system.machine(NODES - 1).await {
        Ok(machine) => machine,
        Err(error) => return Some(error),
    };
    match job.task {
        Task::Install if !newcomer.restored => Some("the newcomer got entries and no snapshot".to_owned()),
        Task::CatchUp if newcomer.restored => Some("the newcomer got a snapshot".to_owned()),
        _ => None,
    }
}
