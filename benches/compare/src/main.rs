//! Raftix beside its peers, on one machine in one sitting. README.md says how to run and read it.
//!
//! | file | what |
//! |---|---|
//! | `args` | the command line, and the job that a child is given |
//! | `cells` | what is measured, with which settings of each system |
//! | `comparison` | rounds, order, repetition |
//! | `runner` | a child for each measurement; kills and restarts the durable ones |
//! | `child`, `load`, `fail_over`, `digest` | within a child: measure, drive, check |
//! | `sut/` | the systems; those in Go have their programs under `go/` |
//! | `limit/` | the same shape of work without Raft |
//! | `floors` | what the machine can do at the moment |
//! | `ratio`, `report`, `table` | what came of it |
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

mod args;
mod cells;
mod child;
mod comparison;
mod digest;
mod fail_over;
mod floors;
mod limit;
mod load;
mod ratio;
mod report;
mod runner;
mod sut;
mod table;

use std::process::ExitCode;

use args::{Arguments, Child};
use child::Outcome;
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.child {
        Some(Child::Child { sut, job }) => tell(sut::run(*sut, job), &job.setting),
        Some(Child::Limit { job }) => tell(limit::run(job), &job.setting),
        None => match comparison::run(&arguments.comparison) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// The line that the parent waits for. What still runs in this process is not waited for.
fn tell(result: Result<Outcome, String>, setting: &str) -> ! {
    let outcome =
        result.unwrap_or_else(|error| Outcome { setting: setting.to_owned(), error, ..Outcome::default() });
    child::say(&outcome);
    std::process::exit(i32::from(!outcome.error.is_empty()))
}
