//! What one operation costs in things that can be counted, held against a baseline that is committed. Noise
//! cannot move it: no time is measured. README.md says how to run and read it.
//!
//! | file | what |
//! |---|---|
//! | `cells` | what is counted, on which cluster |
//! | `cluster` | the nodes, and the clients' load |
//! | `command` | a command that counts how often it is encoded and decoded, and its state machine |
//! | `files` | the machine's files, with every write and flush counted |
//! | `counts` | the counters: how they are read, and how far each may move |
//! | `tools` | what only strace and valgrind can count |
//! | `baseline` | what is committed, and the judgement |
#![forbid(unsafe_code)]

mod baseline;
mod cells;
mod cluster;
mod command;
mod counts;
mod files;
mod tools;

use std::{alloc::System, collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use baseline::Baseline;
use cells::Cell;
use counts::Counts;

/// Counts what is asked of the allocator. Some nanoseconds for each; nobody measures time here.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts what an operation costs, and fails if it is more than the baseline says.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    child: Option<Child>,
    /// Beginnings of cells' names, by commas; all if not given.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// Also count system calls with strace and instructions with valgrind, where they are installed.
    #[arg(long)]
    tools: bool,
    /// Write what was counted as the new baseline; what was not counted this time stays.
    #[arg(long)]
    bless: bool,
    /// The baseline.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json"))]
    baseline: PathBuf,
}

#[derive(Clone, Debug, Subcommand)]
enum Child {
    /// Counts one cell and prints a line of JSON: a process of its own, so that nothing else is counted.
    #[command(hide = true)]
    Count {
        /// The cell.
        cell: String,
        /// How many operations.
        #[arg(long)]
        ops: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.child {
        Some(Child::Count { cell, ops }) => count(cell, *ops).map(|()| true),
        None => compare(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn count(cell: &str, ops: u64) -> Result<(), String> {
    let counts = cluster::count(&Cell::named(cell)?, ops)?;
    println!("{}", serde_json::to_string(&counts).map_err(|error| error.to_string())?);
    Ok(())
}

/// Counts, tells, and says whether nothing costs more than it may.
fn compare(arguments: &Arguments) -> Result<bool, String> {
    let mut baseline = Baseline::read(&arguments.baseline)?;
    let mut counted: BTreeMap<&str, Counts> = BTreeMap::new();
    for cell in cells::select(&arguments.cells)? {
        let mut counts = tools::count(&cell, cell.ops)?;
        if arguments.tools {
            tools::add_system_calls(&cell, &mut counts)?;
            tools::add_instructions(&cell, &mut counts)?;
        }
        counted.insert(cell.id, counts);
    }
    if arguments.bless {
        baseline.take_over(&counted);
        baseline.write(&arguments.baseline)?;
    }
    Ok(baseline.judge(&counted))
}
