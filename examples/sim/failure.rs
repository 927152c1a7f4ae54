//! What there is to know about a seed that failed.

use std::fmt;

use raftix::sim::{Report, Verdict, shrink};
use serde::Serialize;

use crate::{
    args::Options,
    panics,
    tally::{Failed, Tally},
};

/// How many failures are shrunk: the first ones are enough to begin with, and each takes long.
const SHRUNK_MAX: usize = 3;
/// How many runs may go into one.
const SHRINK_RUNS_MAX: u32 = 60;
/// How many of the newest events are shown.
const TAIL_EVENTS: usize = 40;

/// A failure as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) law: String,
    pub(crate) what: String,
    /// The faults, by time; those that it takes, if it was shrunk.
    pub(crate) schedule: Vec<String>,
    pub(crate) repeat: String,
    /// How many faults there were before it was shrunk.
    #[serde(skip)]
    planned: usize,
    /// The newest events.
    #[serde(skip)]
    tail: Vec<String>,
}

/// Makes failures tellable, the first ones as small as they get.
pub(crate) fn all(options: &Options, tally: &Tally) -> Vec<Failure> {
    let in_order = tally.failed.values().enumerate();
    in_order.map(|(at, failed)| tell(options, failed, at < SHRUNK_MAX)).collect()
}

fn tell(options: &Options, failed: &Failed, shrinks: bool) -> Failure {
    let Failed { seed, law, what, report } = failed;
    let planned = options.plan(*seed).faults;
    let smallest = report.as_ref().map(|report| if shrinks { smallest(report) } else { report.clone() });
    let faults = smallest.as_ref().map_or(&planned, |report| &report.plan.faults);
    let events: Vec<_> = smallest.iter().flat_map(|report| report.trace.tail()).collect();
    let newest = &events[events.len().saturating_sub(TAIL_EVENTS)..];
    Failure {
        seed: *seed,
        law: law.clone(),
        what: what.clone(),
        schedule: faults.iter().map(ToString::to_string).collect(),
        repeat: options.repeat(*seed),
        planned: planned.len(),
        tail: newest.iter().map(ToString::to_string).collect(),
    }
}

/// The report of the smallest run that breaks the same law.
fn smallest(report: &Report) -> Report {
    eprintln!("seed {}: leaving out the faults that it does not take", report.plan.seed);
    shrink(report.clone(), SHRINK_RUNS_MAX, |plan| {
        // A run that panics breaks another law, if any: what was left out has to stay.
        panics::run_plan(plan).unwrap_or_else(|_| Report { verdict: Verdict::Passed, ..report.clone() })
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, law, what, schedule, repeat, planned, tail } = self;
        writeln!(f, "seed {seed} FAILED: {law}: {what}")?;
        if schedule.len() < *planned {
            writeln!(f, "  {} faults of {planned} are enough:", schedule.len())?;
        } else {
            writeln!(f, "  its {planned} faults:")?;
        }
        schedule.iter().try_for_each(|fault| writeln!(f, "  {fault}"))?;
        if !tail.is_empty() {
            writeln!(f, "  the last events with these (time, node, event, what it is about):")?;
        }
        tail.iter().try_for_each(|event| writeln!(f, "  {event}"))?;
        writeln!(f, "  again: {repeat}")
    }
}
