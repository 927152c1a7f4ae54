//! One cell with one system, in a process of its own: so that no allocator, collector or cache of one
//! measurement is there for the next. `go/driver/report.go` is its counterpart.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    digest::Machine,
    job::{Job, NODES, Task},
    load::Measured,
    outcome::{self, Outcome},
    sleeps::{APPLIES, FLUSHES},
};

/// How often a running system is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A system with its nodes, as seen by those who check it.
pub(crate) trait Nodes {
    /// The state machine of node `number`, and how far it is.
    fn machine(&self, number: usize) -> impl Future<Output = Result<Machine, String>>;

    /// The leader's term.
    fn term(&self) -> u64;

    /// How long the first node took to start, nothing else running: what a restart measures.
    fn opened(&self) -> Duration {
        Duration::ZERO
    }

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
        outcome::say(&outcome);
        if job.task != Task::Load {
            await_the_kill().await;
        }
        run(Job { warm_ms: 0, run_ms: 3_600_000, ..job.clone() }).await;
    }
    outcome
}

/// The parent ends this process.
pub(crate) async fn await_the_kill() -> ! {
    std::future::pending().await
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

/// Compares every node with what the clients were told.
pub(crate) async fn judge<N: Nodes>(job: &Job, nodes: &N, measured: &Measured) -> Outcome {
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
        flush_us: FLUSHES.mean_us(),
        apply_us: APPLIES.mean_us(),
        reads: measured.reads.answered,
        read_rounds: measured.reads.rounds,
        reads_checked: measured.reads.checked,
        reads_without_round: measured.reads.without_round,
        error: measured.failure.clone().unwrap_or_default(),
        ..Outcome::default()
    };
    for number in 0..NODES {
        match caught_up(job, nodes, number, measured.last).await {
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
        match caught_up(job, nodes, number, job.recover).await {
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
    if job.task == Task::Restart {
        let seconds = nodes.opened().as_secs_f64();
        outcome.ops_per_s = job.entries as f64 / seconds;
        (outcome.p50_us, outcome.p99_us, outcome.p999_us) = (seconds * 1e6, seconds * 1e6, seconds * 1e6);
        outcome.peak_mib = outcome::peak_mib();
    }
    outcome
}

/// The machine of a node once it has applied everything up to `index`, or what it is when patience ends.
pub(crate) async fn caught_up<N: Nodes>(
    job: &Job,
    nodes: &N,
    number: usize,
    index: u64,
) -> Result<Machine, String> {
    let until = Instant::now() + job.patience();
    loop {
        let machine = nodes.machine(number).await?;
        if machine.applied >= index || Instant::now() > until {
            return Ok(machine);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
