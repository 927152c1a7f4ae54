//! The command line: of the comparison, and of the child that measures one cell with one system.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::child::NODES;

/// Raftix beside its peers, on one machine in one sitting.
#[derive(Clone, Debug, Parser)]
#[command(name = "compare", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
}

/// What is compared.
#[derive(Clone, Debug, Args)]
pub(crate) struct Comparison {
    /// `gate`, `all`, `list`, or beginnings of cells' names, by commas.
    #[arg(long, default_value = "gate")]
    pub(crate) cells: String,
    /// Which systems run beside Raftix.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Sut::ALL)]
    pub(crate) sut: Vec<Sut>,
    /// How often each cell is measured with each system.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Milliseconds before each measurement.
    #[arg(long, default_value_t = 1000)]
    pub(crate) warm_ms: u64,
    /// Milliseconds of each measurement.
    #[arg(long, default_value_t = 3000)]
    pub(crate) run_ms: u64,
    /// How often a round of a cell is repeated when the machine was disturbed meanwhile.
    #[arg(long, default_value_t = 1)]
    pub(crate) redo: usize,
    /// Where durable logs go, on the disk that is to be measured.
    #[arg(long, default_value = "target/compare")]
    pub(crate) data: PathBuf,
    /// Where the figures go as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

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

/// What a child does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Child {
    /// Measures one cell with one system and prints a line of JSON.
    #[command(hide = true)]
    Child {
        /// The system.
        #[arg(long, value_enum)]
        sut: Sut,
        #[command(flatten)]
        job: Job,
    },
    /// Measures the limit of a cell: a pipe in the shape of Raft, without any.
    #[command(hide = true)]
    Limit {
        #[command(flatten)]
        job: Job,
    },
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

impl Job {
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

    #[test]
    fn a_job_is_read_back_from_its_flags() {
        let parse = |flags: Vec<String>| {
            let line = ["compare".to_owned(), "child".to_owned(), "--sut=etcd".to_owned()];
            match Arguments::parse_from(line.into_iter().chain(flags)).child {
                Some(Child::Child { job, .. }) => job,
                other => panic!("{other:?}"),
            }
        };
        let job = Job {
            reads: true,
            hold: true,
            data: "d".into(),
            rate: 2.5,
            log: Log::Disk,
            flush_us: vec![1, 2, 3],
            apply_us: 4,
            cuts: 5,
            ..parse(Vec::new())
        };
        assert_eq!(format!("{:?}", parse(job.flags())), format!("{job:?}"));
    }
}
