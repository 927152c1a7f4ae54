//! Fail-over: under load the leader is cut off from the others, which is what a machine that dies looks like to them,
//! and the time is taken until another node has answered a write. `go/driver/failover.go` is its counterpart.
//!
//! Who is cut off is healed before the next. Commands that were under way may be applied without an answer, so that
//! here the nodes' states are compared with each other and not with what was acknowledged.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::{join, join_all};
use tokio::time::{sleep, timeout};

use crate::{
    child::{Nodes, caught_up},
    digest::Position,
    job::{Job, NODES},
    outcome::Outcome,
};

/// The least time without a leader before a node stands: each waits between this and twice as much, in every system,
/// and heartbeats come at a third or less.
pub(crate) const ELECTION_TIMEOUT: Duration = Duration::from_millis(150);

/// Between two looks for a new leader, and two attempts to write.
const STEP: Duration = Duration::from_millis(1);
/// How long one write may take before it is tried elsewhere.
const WRITE: Duration = Duration::from_millis(250);
/// How long a cluster may be without a leader before the run has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between healing one leader and cutting off the next.
const REST: Duration = Duration::from_millis(700);

/// A system of which one node can be cut off.
pub(crate) trait Cuttable: Nodes {
    /// Whether node `number` leads, as far as it knows.
    fn leads(&self, number: usize) -> bool;

    /// Replicates a command through this node.
    fn write_at(&self, number: usize, command: Bytes) -> impl Future<Output = Result<Position, String>>;

    /// Nothing goes to this node or comes from it.
    fn cut(&self, number: usize);

    /// Everything does again.
    fn heal(&self, number: usize);
}

/// What the load and the one who cuts share.
#[derive(Default)]
struct State {
    cut: Cell<Option<usize>>,
    finished: Cell<bool>,
    acked: Cell<u64>,
    last: Cell<u64>,
}

/// Cuts off as many leaders as the job says. Operations a second are one over the median time without a leader.
pub(crate) async fn run<S: Cuttable>(job: &Job, system: &S) -> Outcome {
    let state = State::default();
    let times = RefCell::new(Vec::new());
    let cutting = async {
        let result = cut_all(job, system, &state, &times).await;
        state.finished.set(true);
        result
    };
    let load = join_all((0..job.clients).map(|_| client(job, system, &state)));
    let (result, _) = join(cutting, load).await;
    let mut outcome = Outcome {
        setting: job.setting.clone(),
        error: result.err().unwrap_or_default(),
        ..Outcome::default()
    };
    let mut times = times.into_inner();
    times.sort_unstable();
    if let (Some(last), Some(middle)) = (times.last(), times.get(times.len() / 2)) {
        let us = |time: &Duration| time.as_secs_f64() * 1e6;
        (outcome.p50_us, outcome.p99_us, outcome.p999_us) = (us(middle), us(last), us(last));
        outcome.ops_per_s = 1e6 / outcome.p50_us;
    }
    (outcome.acked, outcome.index) = (state.acked.get(), state.last.get());
    agree(job, system, &state, &mut outcome).await;
    outcome
}

async fn agree<S: Cuttable>(job: &Job, system: &S, state: &State, outcome: &mut Outcome) {
    // What was under way when the load ended settles.
    sleep(REST).await;
    let mut digests = Vec::new();
    for number in 0..NODES {
        match caught_up(job, system, number, state.last.get()).await {
            Ok(machine) if !machine.disordered => digests.push(machine.digest),
            Ok(_) => digests.clear(),
            Err(error) => outcome.error = error,
        }
    }
    outcome.agree = digests.len() == NODES
        && digests.iter().all(|digest| *digest == digests[0] && digest.count >= outcome.acked);
}

async fn cut_all<S: Cuttable>(
    job: &Job,
    system: &S,
    state: &State,
    times: &RefCell<Vec<Duration>>,
) -> Result<(), String> {
    for _ in 0..job.cuts {
        sleep(REST).await;
        let leader = find(system, None).await?;
        system.cut(leader);
        state.cut.set(Some(leader));
        let began = Instant::now();
        loop {
            let next = find(system, Some(leader)).await?;
            if let Ok(Ok(at)) = timeout(WRITE, system.write_at(next, command(job))).await {
                state.acked.set(state.acked.get() + 1);
                state.last.set(state.last.get().max(at.index));
                break;
            }
        }
        times.borrow_mut().push(began.elapsed());
        state.cut.set(None);
        system.heal(leader);
    }
    Ok(())
}

/// A node that leads and is not `besides`.
async fn find<S: Cuttable>(system: &S, besides: Option<usize>) -> Result<usize, String> {
    let looking = async {
        loop {
            if let Some(leader) = leader(system, besides) {
                return leader;
            }
            sleep(STEP).await;
        }
    };
    timeout(PATIENCE, looking).await.map_err(|_| format!("no leader for {PATIENCE:?}"))
}

fn leader<S: Cuttable>(system: &S, besides: Option<usize>) -> Option<usize> {
    (0..NODES).find(|number| Some(*number) != besides && system.leads(*number))
}

async fn client<S: Cuttable>(job: &Job, system: &S, state: &State) {
    while !state.finished.get() {
        if let Some(leader) = leader(system, state.cut.get())
            && let Ok(Ok(at)) = timeout(WRITE, system.write_at(leader, command(job))).await
        {
            state.acked.set(state.acked.get() + 1);
            state.last.set(state.last.get().max(at.index));
        } else {
            sleep(STEP).await;
        }
    }
}

fn command(job: &Job) -> Bytes {
    vec![7; job.payload].into()
}
