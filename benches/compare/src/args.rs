//! The command line: of the comparison, and of the child that measures one cell with one system.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::job::{Job, Sut};

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
    /// `gate`, `targets`, `all`, `list`, or beginnings of cells' names, by commas.
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
    /// How many commands the log has that a newcomer or a restart takes in (W8, W11).
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) entries: u64,
    /// How large the state is that a newcomer gets as a snapshot (W9), in MiB.
    #[arg(long, default_value_t = 1024)]
    pub(crate) state_mib: u64,
    /// Where the figures go as JSON, anew after each round of each cell.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Go on with the rounds that the file of `--json` has.
    #[arg(long, requires = "json")]
    pub(crate) resume: bool,
    /// Measure nothing: print what these files hold, beside the targets, in Markdown.
    #[arg(long, num_args = 1.., value_name = "JSON")]
    pub(crate) report: Vec<PathBuf>,
}

impl Comparison {
    /// The part of the command line that the figures depend on.
    pub(crate) fn command(&self) -> String {
        let suts: Vec<&str> = self.sut.iter().map(|sut| sut.name()).collect();
        format!(
            "--cells {} --rounds {} --warm-ms {} --run-ms {} --entries {} --state-mib {} --sut {}",
            self.cells,
            self.rounds,
            self.warm_ms,
            self.run_ms,
            self.entries,
            self.state_mib,
            suts.join(",")
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Log, Task};

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
            task: Task::CatchUp,
            entries: 6,
            state_mib: 7,
            ..parse(Vec::new())
        };
        assert_eq!(format!("{:?}", parse(job.flags())), format!("{job:?}"));
    }
}
