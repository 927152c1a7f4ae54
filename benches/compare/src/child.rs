//! One cell with one system, in a process of its own: so that no allocator, collector or cache of one
//! measurement is there for the next. Prints one line of JSON; `go/driver/report.go` prints the same.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{args::Job, digest::Machine, load::Measured, sut::slow};

/// How many nodes every cell has.
pub(crate) const NODES: usize = 3;

/// How long the last node may take to apply what the first acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a running system is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a child tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    pub(crate) setting: String,
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) cpu_us_per_op: f64,
    /// How many commands were acknowledged, warm-up included.
    pub(crate) acked: u64,
    /// The highest index among them.
    pub(crate) index: u64,
    /// The sum of their digest.
    pub(crate) sum: String,
    /// Whether every node holds just those.
    pub(crate) agree: bool,
    pub(crate) recover_ms: f64,
    /// How long a flush of the fastest slow log took, in the middle of it.
    pub(crate) flush_us: f64,
    /// How long a slow state machine took for a command.
    pub(crate) apply_us: f64,
    /// By how many entries the leader's log was durable ahead of its state machine, at most.
    pub(crate) ahead: u64,
    /// Why there is no number.
    pub(crate) error: String,
}

/// A system with its nodes, as seen by those who check it.
pub(crate) trait Nodes {
    /// The state machine of node `number`, and how far it is.
    fn machine(&self, number: usize) -> impl Future<Output = Result<Machine, String>>;

    /// The leader's term.
    fn term(&self) -> u64;

    /// By how many entries the leader's log is durable ahead of its state machine now, where that is known.
    fn ahead(&self) -> u64 {
        0
    }
}

/// Measures with `run`, which knows where the clients are; judges; and goes on writing if it is to be killed.
pub(crate) async fn measure<N: Nodes>(
    job: &Job,
    nodes: &N,
    began: Instant,
    run: impl AsyncFn(Job) -> Measured,
) -> Outcome {
    if job.recover > 0 {
        return recovered(job, nodes, began).await;
    }
    let term = nodes.term();
    let (measured, ahead) = watched(nodes, run(job.clone())).await;
    let mut outcome = judge(job, nodes, &measured).await;
    outcome.ahead = ahead;
    if nodes.term() != term && outcome.error.is_empty() {
        outcome.error = "the leader changed".to_owned();
    }
    if job.hold && outcome.error.is_empty() {
        say(&outcome);
        run(Job { warm_ms: 0, run_ms: 3_600_000, ..job.clone() }).await;
    }
    outcome
}

/// Looks now and then, while `run` goes on, how far the leader's log is ahead of its state machine.
async fn watched<N: Nodes>(nodes: &N, run: impl Future<Output = Measured>) -> (Measured, u64) {
    let mut run = pin!(run);
    let mut ahead = 0;
    loop {
        match tokio::time::timeout(LOOK_EVERY, run.as_mut()).await {
            Ok(measured) => return (measured, ahead),
            Err(_) => ahead = ahead.max(nodes.ahead()),
        }
    }
}

/// Prints the line that the parent waits for.
pub(crate) fn say(outcome: &Outcome) {
    println!("{}", serde_json::to_string(outcome).expect("an outcome is plain data"));
}

async fn judge<N: Nodes>(job: &Job, nodes: &N, measured: &Measured) -> Outcome {
    let us = |quantile| measured.times.value_at_quantile(quantile) as f64 / 1e3;
    let mut outcome = Outcome {
        setting: job.setting.clone(),
        ops_per_s: measured.ops as f64 / measured.seconds,
        p50_us: us(0.5),
        p99_us: us(0.99),
        p999_us: us(0.999),
        cpu_us_per_op: measured.cpu_seconds * 1e6 / measured.ops.max(1) as f64,
        acked: measured.acked.count,
        index: measured.last,
        sum: format!("{:016x}", measured.acked.sum),
        agree: true,
        recover_ms: 0.0,
        flush_us: slow::FLUSHES.mean_us(),
        apply_us: slow::APPLIES.mean_us(),
        ahead: 0,
        error: measured.failure.clone().unwrap_or_default(),
    };
    for number in 0..NODES {
        match caught_up(nodes, number, measured.last).await {
            Ok(machine) if machine.digest == measured.acked && !machine.disordered => {}
            Ok(machine) => {
                eprintln!("node {}: {machine:?}, acknowledged {:?}", number + 1, measured.acked);
                outcome.agree = false;
            }
            Err(error) => outcome.error = error,
        }
    }
    outcome
}

async fn recovered<N: Nodes>(job: &Job, nodes: &N, began: Instant) -> Outcome {
    let mut outcome =
        Outcome { setting: job.setting.clone(), index: job.recover, agree: true, ..Outcome::default() };
    let mut first = None;
    for number in 0..NODES {
        match caught_up(nodes, number, job.recover).await {
            Ok(machine) => {
                let prefix = *first.get_or_insert(machine.prefix);
                outcome.agree &=
                    machine.applied >= job.recover && machine.prefix == prefix && !machine.disordered;
                outcome.acked = prefix.count;
                outcome.sum = format!("{:016x}", prefix.sum);
            }
            Err(error) => outcome.error = error,
        }
    }
    outcome.recover_ms = began.elapsed().as_secs_f64() * 1e3;
    outcome
}

/// The machine of a node once it has applied everything up to `index`, or what it is when patience ends.
pub(crate) async fn caught_up<N: Nodes>(nodes: &N, number: usize, index: u64) -> Result<Machine, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let machine = nodes.machine(number).await?;
        if machine.applied >= index || Instant::now() > until {
            return Ok(machine);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
