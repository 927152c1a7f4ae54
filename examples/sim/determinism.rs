//! Whether one seed gives one run: each is run here, after other seeds and beside them, and again in a fresh
//! process that logs differently.

use std::{
    env,
    process::{Command, Stdio},
};

use raftix::sim::Trace;
use serde::Deserialize;

use crate::{args::Options, panics, pool, summary::Told};

/// Why there is no telling, or what differs.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is read of the other process's line.
#[derive(Deserialize)]
struct Line {
    trace: Option<Told>,
}

/// Says on stderr what differs; whether nothing does.
pub(crate) fn check(options: &Options) -> Result<bool, Failure> {
    let seeds = options.range()?;
    let count = seeds.end - seeds.start;
    // The first seed, too, has to come after another.
    let before = panics::run_plan(options.plan(seeds.start ^ 1));
    before.map_err(|words| format!("seed {}: {words}", seeds.start ^ 1))?;
    let mut differences = 0;
    let compare = |seed| compare(options, seed);
    pool::each(seeds, options.jobs(), compare, |result| {
        let Some((seed, Err(difference))) = result else { return };
        differences += 1;
        eprintln!("seed {seed}: {difference}");
    })?;
    println!("{count} seeds run twice, {differences} of them differently");
    Ok(differences == 0)
}

fn compare(options: &Options, seed: u64) -> Result<(), Failure> {
    let here = panics::run_plan(options.plan(seed))?.trace;
    let there = run_elsewhere(options, seed)?;
    match here.differs_by(&there) {
        None => Ok(()),
        Some(event) => {
            let (here, there) = (here.events(), there.events());
            Err(format!(
                "the two runs differ, by event {event} at the latest, of {here} here and {there} elsewhere"
            )
            .into())
        }
    }
}

/// The trace of a seed in a process of its own.
fn run_elsewhere(options: &Options, seed: u64) -> Result<Trace, Failure> {
    // Formatting what is logged must not change anything: one of the two does, the other does not.
    let quiet = env::var_os("RUST_LOG").is_none_or(|level| level.is_empty() || level == "off");
    let output = Command::new(env::current_exe()?)
        .args(options.arguments(seed))
        .args(["--json", "--milestones"])
        .env("RUST_LOG", if quiet { "debug" } else { "off" })
        .stderr(Stdio::null())
        .output()?;
    // Its status says whether the run passed, which is not the question here.
    let line: Line = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the other process ({}) prints no result: {error}", output.status))?;
    Ok(line.trace.ok_or("the run panics in the other process")?.into())
}
