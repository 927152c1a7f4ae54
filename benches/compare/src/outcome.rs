//! What one measurement tells: a line of JSON from a child to its parent. `go/driver/report.go` prints the same.

use std::fs;

use serde::{Deserialize, Serialize};

/// What a child tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    pub(crate) setting: String,
    /// Operations a second; entries or megabytes where the task is no load.
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) cpu_us_per_op: f64,
    /// How many commands were acknowledged, warm-up included.
    pub(crate) acked: u64,
    /// The highest index among them.
    pub(crate) index: u64,
    /// The sum of their digest.
    pub(crate) sum: String,
    /// Whether every node holds just those.
    pub(crate) agree: bool,
    pub(crate) recover_ms: f64,
    /// How long a flush of the fastest slow log took, in the middle of it.
    pub(crate) flush_us: f64,
    /// How long a slow state machine took for a command.
    pub(crate) apply_us: f64,
    /// By how many entries the leader's log was durable ahead of its state machine, at most.
    pub(crate) ahead: u64,
    /// How many linearizable reads were answered, warm-up included.
    pub(crate) reads: u64,
    /// How many rounds of heartbeats were begun for them, where the system counts them.
    pub(crate) read_rounds: u64,
    /// How many reads were looked at, whether a round began after they came.
    pub(crate) reads_checked: u64,
    /// For how many of those none did.
    pub(crate) reads_without_round: u64,
    /// The most memory that the process with all nodes ever had, where the task is no load.
    pub(crate) peak_mib: f64,
    /// Why there is no number.
    pub(crate) error: String,
}

impl Outcome {
    /// A run that failed, or after which the nodes differ, has no number.
    pub(crate) fn is_valid(&self) -> bool {
        self.error.is_empty() && self.agree
    }

    /// Why there is none, in words.
    pub(crate) fn failure(&self) -> &str {
        if self.error.is_empty() && !self.agree { "the nodes' states differ" } else { &self.error }
    }
}

/// Prints the line that the parent waits for.
pub(crate) fn say(outcome: &Outcome) {
    println!("{}", serde_json::to_string(outcome).expect("an outcome is plain data"));
}

/// The most memory that this process ever had.
pub(crate) fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0.0) / 1024.0
}
