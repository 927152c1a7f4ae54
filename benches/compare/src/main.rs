//! Raftix beside its peers, on one machine in one sitting. README.md says how to run and read it.
//!
//! | file | what |
//! |---|---|
//! | `job`, `outcome` | what a child is given and what it tells; all else stands on these |
//! | `args` | the command line |
//! | `cells`, `settings`, `targets`, `selection` | what is measured, how each system is set, what Raftix should reach |
//! | `comparison` | rounds, order, repetition |
//! | `runner` | a child for each measurement; kills and restarts the durable ones |
//! | `child`, `load`, `fail_over`, `newcomer`, `digest`, `state`, `sleeps` | within a child: drive, measure, check |
//! | `sut/` | the systems; those in Go have their programs under `go/` |
//! | `limit/` | the same shape of work without Raft |
//! | `floors`, `machine` | what the machine can do at the moment, and which it is |
//! | `record`, `ratio`, `report`, `text`, `standing`, `table`, `markdown` | what came of it |
//!
//! Imports run one way, from the end of this table to its front; `comparison` and this file are above all.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

mod args;
mod cells;
mod child;
mod comparison;
mod digest;
mod fail_over;
mod floors;
mod job;
mod limit;
mod load;
mod machine;
mod markdown;
mod newcomer;
mod outcome;
mod ratio;
mod record;
mod report;
mod runner;
mod selection;
mod settings;
mod sleeps;
mod standing;
mod state;
mod subject;
mod sut;
mod table;
mod targets;
mod text;

use std::process::ExitCode;

use args::{Arguments, Child, Comparison};
use clap::Parser;
use outcome::Outcome;
use record::Record;
use report::Report;

/// Of all systems in Rust, as in a service with thousands of requests at once.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.child {
        Some(Child::Child { sut, job }) => tell(sut::run(*sut, job), &job.setting),
        Some(Child::Limit { job }) => tell(limit::run(job), &job.setting),
        None => match compare(&arguments.comparison) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn compare(options: &Comparison) -> Result<(), String> {
    if options.report.is_empty() {
        return comparison::run(options);
    }
    let mut records = options.report.iter().map(|path| Record::read(path));
    let mut record = records.next().unwrap_or_else(|| Ok(Record::here()))?;
    records.try_for_each(|other| record.merge(other?))?;
    print!("{}", markdown::render(&Report::new(&record)?));
    Ok(())
}

/// The line that the parent waits for. What still runs in this process is not waited for.
fn tell(result: Result<Outcome, String>, setting: &str) -> ! {
    let outcome =
        result.unwrap_or_else(|error| Outcome { setting: setting.to_owned(), error, ..Outcome::default() });
    outcome::say(&outcome);
    std::process::exit(i32::from(!outcome.error.is_empty()))
}
