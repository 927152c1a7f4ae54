//! Runs the simulator: clusters in virtual time under every fault, seed by seed, each of them checked.
//!
//! ```text
//! cargo run --release --features sim --example sim -- --seeds 1000 --nodes 3..7
//! cargo run --release --features sim --example sim -- --seed 17
//! cargo run --release --features sim --example sim -- --determinism 20
//! ```
//!
//! The status is 0 only if no seed failed, no more than one in ten was rejected (too little happened in it to
//! mean anything), and, from 100 seeds on, every kind of fault that some run had did strike. What is wrong is
//! said on stderr. For each failure there is the law that did not hold, the faults that it takes, the newest
//! events and the command that repeats it.
#![allow(clippy::disallowed_methods, reason = "people want to know how long it takes in real time")]

mod args;
mod determinism;
mod failure;
mod panics;
mod pool;
mod progress;
mod summary;
mod tally;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::{
    args::Options,
    progress::Progress,
    summary::{Line, Summary, Told},
    tally::Tally,
};

fn main() -> ExitCode {
    let options = Options::parse();
    // Nodes complain of every fault, which is no news here.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    panics::watch(options.seed.is_some());
    let good = match options.determinism {
        Some(_) => determinism::check(&options),
        None => simulate(&options),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the seeds and tells of them; whether they are good enough.
fn simulate(options: &Options) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let seeds = options.range()?;
    if let (Some(seed), false) = (options.seed, options.json) {
        print_plan(options, seed)?;
    }
    let mut tally = Tally::default();
    let mut trace = None;
    let mut progress = Progress::start(seeds.end - seeds.start);
    let work = |seed| panics::run_plan(options.plan(seed));
    pool::each(seeds, options.jobs(), work, |result| {
        if let Some((seed, run)) = result {
            if options.milestones {
                trace = run.as_ref().ok().map(|report| Told::from(&report.trace));
            }
            tally.add(seed, run);
        }
        progress.show(&tally);
    })?;
    let wall = progress.end();
    let failures = failure::all(options, &tally);
    let summary = Summary { options, tally: &tally, failures: &failures, wall };
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&Line::new(&summary, trace))?)?;
    } else {
        write!(out, "{summary}")?;
    }
    let complaints = tally.complaints();
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    Ok(complaints.is_empty())
}

/// What a seed means.
fn print_plan(options: &Options, seed: u64) -> io::Result<()> {
    let plan = options.plan(seed);
    let mut out = io::stdout().lock();
    writeln!(out, "seed {seed}: {} nodes; {}", plan.nodes, plan.kinds.join(", "))?;
    plan.faults.iter().try_for_each(|fault| writeln!(out, "{fault}"))?;
    writeln!(out)
}
