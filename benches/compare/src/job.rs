//! What is measured: one workload with one system, as the flags that a child is given. Everything else here stands on
//! this.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

/// How many nodes every cell has.
pub(crate) const NODES: usize = 3;

/// How long a node may take to apply what another acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);
/// And for each entry that there was before it,
const PATIENCE_PER_ENTRY: Duration = Duration::from_micros(200);
/// and for each MiB of a snapshot.
const PATIENCE_PER_MIB: Duration = Duration::from_millis(100);

/// A system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Sut {
    Raftix,
    Openraft,
    #[value(name = "raft-rs")]
    RaftRs,
    Hashicorp,
    Etcd,
}

impl Sut {
    pub(crate) const ALL: [Self; 5] =
        [Self::Raftix, Self::Openraft, Self::RaftRs, Self::Hashicorp, Self::Etcd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raftix => "raftix",
            Self::Openraft => "openraft",
            Self::RaftRs => "raft-rs",
            Self::Hashicorp => "hashicorp",
            Self::Etcd => "etcd",
        }
    }

    /// Which release is measured.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::Raftix => "0.1.0",
            Self::Openraft => "0.10.0-alpha.37",
            Self::RaftRs => "0.7.0",
            Self::Hashicorp => "1.8.0",
            Self::Etcd => "3.7.0",
        }
    }
}

impl std::fmt::Display for Sut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How the nodes reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Memory,
    Tcp,
}

/// Where the nodes keep their logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    Memory,
    Disk,
    /// In memory, with a flush that takes as long as a slow disk's.
    Slow,
}

/// What is done with the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Clients send operations for some time.
    Load,
    /// The last node comes when there are entries, and gets them all.
    CatchUp,
    /// The same when a snapshot stands for the entries.
    Install,
    /// Nodes with entries on their disks are killed and start again.
    Restart,
}

/// What one child measures. `go/driver/options.go` reads the same flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct Job {
    #[arg(long, default_value_t = 64)]
    pub(crate) clients: usize,
    #[arg(long, default_value_t = 256)]
    pub(crate) payload: usize,
    #[arg(long, value_enum, default_value = "memory")]
    pub(crate) transport: Transport,
    #[arg(long, value_enum, default_value = "memory")]
    pub(crate) log: Log,
    /// Clients on a thread of their own.
    #[arg(long)]
    pub(crate) own_thread: bool,
    /// Linearizable reads instead of writes.
    #[arg(long)]
    pub(crate) reads: bool,
    /// Operations a second that are offered; 0 is a closed loop.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) rate: f64,
    /// Microseconds that a flush of each node's slow log takes.
    #[arg(long, value_delimiter = ',', default_values_t = [5000; NODES])]
    pub(crate) flush_us: Vec<u64>,
    /// Microseconds that a state machine takes for a command.
    #[arg(long, default_value_t = 0)]
    pub(crate) apply_us: u64,
    /// How many leaders are cut off from the others; 0 is the usual load.
    #[arg(long, default_value_t = 0)]
    pub(crate) cuts: usize,
    #[arg(long, value_enum, default_value = "load")]
    pub(crate) task: Task,
    /// How many commands are written before anything is measured, where the task is not a load.
    #[arg(long, default_value_t = 0)]
    pub(crate) entries: u64,
    /// How large the state machines' state is beside what they know of commands, in MiB.
    #[arg(long, default_value_t = 0)]
    pub(crate) state_mib: u64,
    /// Which of the system's settings.
    #[arg(long, default_value = "")]
    pub(crate) setting: String,
    #[arg(long, default_value_t = 1000)]
    pub(crate) warm_ms: u64,
    #[arg(long, default_value_t = 3000)]
    pub(crate) run_ms: u64,
    /// Where durable logs are.
    #[arg(long, default_value = "target/compare/child")]
    pub(crate) data: PathBuf,
    /// Start from the data that is there, and digest up to this index.
    #[arg(long, default_value_t = 0)]
    pub(crate) recover: u64,
    /// Go on writing after the result until killed.
    #[arg(long)]
    pub(crate) hold: bool,
}

impl Task {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Job {
    /// Whether the last node comes later, to a cluster of the others.
    pub(crate) const fn grows(&self) -> bool {
        matches!(self.task, Task::CatchUp | Task::Install) && self.recover == 0
    }

    /// How many nodes are there at first.
    pub(crate) const fn founders(&self) -> usize {
        if self.grows() { NODES - 1 } else { NODES }
    }

    /// How long the last node may take to get what there is.
    pub(crate) fn patience(&self) -> Duration {
        PATIENCE
            + PATIENCE_PER_ENTRY * u32::try_from(self.entries).unwrap_or(u32::MAX)
            + PATIENCE_PER_MIB * u32::try_from(self.state_mib).unwrap_or(u32::MAX)
    }

    /// The flags that give a child this job.
    pub(crate) fn flags(&self) -> Vec<String> {
        let name = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        let mut flags: Vec<String> = [
            ("--clients", self.clients.to_string()),
            ("--payload", self.payload.to_string()),
            ("--transport", name(&self.transport)),
            ("--log", name(&self.log)),
            ("--rate", self.rate.to_string()),
            ("--flush-us", self.flush_us.iter().map(u64::to_string).collect::<Vec<_>>().join(",")),
            ("--apply-us", self.apply_us.to_string()),
            ("--cuts", self.cuts.to_string()),
            ("--task", self.task.name()),
            ("--entries", self.entries.to_string()),
            ("--state-mib", self.state_mib.to_string()),
            ("--setting", self.setting.clone()),
            ("--warm-ms", self.warm_ms.to_string()),
            ("--run-ms", self.run_ms.to_string()),
            ("--data", self.data.display().to_string()),
            ("--recover", self.recover.to_string()),
        ]
        .into_iter()
        .map(|(flag, value)| format!("{flag}={value}"))
        .collect();
        let switches = [("--own-thread", self.own_thread), ("--reads", self.reads), ("--hold", self.hold)];
        flags.extend(switches.iter().filter(|(_, on)| *on).map(|(flag, _)| (*flag).to_owned()));
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_named_are_the_versions_built() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let lock = std::fs::read_to_string(format!("{root}/Cargo.lock")).expect("the lock file is there");
        for (crate_name, sut) in [("raftix", Sut::Raftix), ("openraft", Sut::Openraft), ("raft", Sut::RaftRs)]
        {
            let pinned = format!("name = \"{crate_name}\"\nversion = \"{}\"", sut.version());
            assert!(lock.contains(&pinned), "{sut} is not {}", sut.version());
        }
        let modules = include_str!("../go/go.mod");
        for (module, sut) in
            [("github.com/hashicorp/raft", Sut::Hashicorp), ("go.etcd.io/raft/v3", Sut::Etcd)]
        {
            assert!(
                modules.contains(&format!("{module} v{}\n", sut.version())),
                "{sut} is not {}",
                sut.version()
            );
        }
    }
}
