//! Panics within runs. A node that a fault makes panic is a part of the run and nobody's news; a run that itself
//! panics is a failure, of which the words must not be lost.

use std::{
    collections::BTreeMap,
    panic,
    sync::{Mutex, PoisonError},
    thread,
};

use raftix::sim::{Plan, Report, kv::KvWorkload, run};

/// The newest panic of each run that is under way, by the name of its thread.
static LAST: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// How [`run`] names the thread of a seed.
fn thread_of(seed: u64) -> String {
    format!("sim-{seed}")
}

/// Has panics within runs remembered, and printed only if `loud`. All others are printed as ever.
pub(crate) fn watch(loud: bool) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or_default();
        let of_a_run = name.starts_with("sim-");
        if of_a_run {
            last().insert(name.to_owned(), panic.to_string());
        }
        // A worker panics when its run did, and tells so as a failure.
        if loud || !(of_a_run || name.starts_with("worker-")) {
            print(panic);
        }
    }));
}

fn last() -> std::sync::MutexGuard<'static, BTreeMap<String, String>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a plan; the words of its panic if it does not come to an end.
pub(crate) fn run_plan(plan: Plan) -> Result<Report, String> {
    let name = thread_of(plan.seed);
    let report = panic::catch_unwind(|| run(KvWorkload::default(), plan));
    let panicked = last().remove(&name);
    report.map_err(|_| panicked.unwrap_or_else(|| "it says nothing".to_owned()))
}
