//! Counting in a process of its own, and what only tools can count: the difference between a run and one of twice
//! the operations, so that starting and stopping cancel out.

use std::{env, fs, process::Command};

use crate::{
    cells::{Cell, Place},
    counts::{Counts, INSTRUCTIONS, SYSTEM_CALLS},
};

/// Runs under a tool are slow.
const OPS_DIVISOR: u64 = 10;

/// What the process counts by itself.
pub(crate) fn count(cell: &Cell, ops: u64) -> Result<Counts, String> {
    let out = run(&mut child(&[], cell, ops)?)?;
    serde_json::from_str(out.stdout.trim()).map_err(|error| format!("{}: {error}: {out:?}", cell.id))
}

/// Adds the system calls of all threads.
pub(crate) fn add_system_calls(cell: &Cell, counts: &mut Counts) -> Result<(), String> {
    if cell.place == Place::Memory {
        return Ok(());
    }
    if !is_installed("strace") {
        println!("{}: no system calls: strace is not installed", cell.id);
        return Ok(());
    }
    let total = |ops| {
        let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let path = file.path().display().to_string();
        run(&mut child(&["strace", "-f", "-c", "-U", "calls,name", "-o", &path], cell, ops)?)?;
        let table = fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
        let total = table.lines().rev().find_map(|line| line.trim().strip_suffix("total"));
        total.and_then(|calls| calls.trim().parse::<f64>().ok()).ok_or_else(|| format!("strace said {table}"))
    };
    counts.insert(SYSTEM_CALLS.to_owned(), slope(cell, total)?);
    Ok(())
}

/// Adds the instructions.
pub(crate) fn add_instructions(cell: &Cell, counts: &mut Counts) -> Result<(), String> {
    if cell.place != Place::Memory {
        return Ok(());
    }
    if !is_installed("valgrind") {
        println!("{}: no instructions: valgrind is not installed", cell.id);
        return Ok(());
    }
    let total = |ops| {
        let wrapped = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let out = run(&mut child(&wrapped, cell, ops)?)?;
        let total = out.stderr.lines().find_map(|line| line.split_once("Collected : "));
        total.and_then(|(_, count)| count.trim().parse::<f64>().ok()).ok_or(out.stderr)
    };
    counts.insert(INSTRUCTIONS.to_owned(), slope(cell, total)?);
    Ok(())
}

/// How much each further operation adds.
fn slope(cell: &Cell, total: impl Fn(u64) -> Result<f64, String>) -> Result<f64, String> {
    let ops = cell.ops / OPS_DIVISOR;
    // A tenth of the operations more goes before each, to warm up.
    Ok((total(2 * ops)? - total(ops)?) / (ops as f64 * 1.1))
}

fn child(wrapped: &[&str], cell: &Cell, ops: u64) -> Result<Command, String> {
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match wrapped.split_first() {
        None => Command::new(own),
        Some((tool, flags)) => {
            let mut command = Command::new(tool);
            command.args(flags).arg(own);
            command
        }
    };
    command.args(["count", cell.id, "--ops", &ops.to_string()]);
    Ok(command)
}

#[derive(Debug)]
struct Said {
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Result<Said, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { stdout: text(&output.stdout), stderr: text(&output.stderr) };
    if output.status.success() { Ok(said) } else { Err(format!("{command:?}: {}", said.stderr)) }
}

fn is_installed(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}
