//! What the user asks for.

use std::{fmt, num::NonZeroUsize, ops::Range, str::FromStr, thread, time::Duration};

use clap::Parser;
use raftix::sim::Plan;

/// A plan splits a cluster in two, which takes two nodes, and names the halves by the bits of a number.
const NODES: Range<usize> = 2..64;

/// Runs clusters under faults, in virtual time, and checks every one of them.
#[derive(Clone, Debug, Parser)]
#[command(name = "sim")]
pub(crate) struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
    /// Only this seed, with everything about it: its schedule of faults, and panics of nodes on stderr.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    pub(crate) seed: Option<u64>,
    /// How many nodes a cluster has: one number, or the least and the greatest.
    #[arg(long, default_value = "3..7")]
    pub(crate) nodes: Nodes,
    /// For how long faults strike in each run.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) virtual_seconds: u64,
    /// Reject every run that has not had at least two each of changes of the membership, snapshots taken and installed,
    /// transfers of leadership, reads by lease and retries in sessions; all of them are made frequent.
    #[arg(long)]
    pub(crate) everything: bool,
    /// How many runs at once; as many as the machine has processors, if not given.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Print one line of JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run so many seeds twice, here after other seeds and in a fresh process, and compare their traces.
    #[arg(long, value_name = "SEEDS", conflicts_with_all = ["seeds", "seed", "json"],
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) determinism: Option<u64>,
    /// Adds what a trace is compared by to the line of JSON: how `--determinism` asks another process.
    #[arg(long, hide = true, requires = "seed")]
    pub(crate) milestones: bool,
}

impl Options {
    /// The seeds to run.
    pub(crate) fn range(&self) -> Result<Range<u64>, String> {
        let (from, count) = match (self.seed, self.determinism) {
            (Some(seed), _) => (seed, 1),
            (None, Some(count)) => (self.from, count),
            (None, None) => (self.from, self.seeds),
        };
        let end = from.checked_add(count).ok_or_else(|| format!("there are no {count} seeds from {from}"))?;
        Ok(from..end)
    }

    /// What `seed` means with these options.
    pub(crate) fn plan(&self, seed: u64) -> Plan {
        let draw = if self.everything { Plan::of_everything } else { Plan::draw };
        draw(seed, (self.nodes.least, self.nodes.most), Duration::from_secs(self.virtual_seconds))
    }

    /// How many workers there are.
    pub(crate) fn jobs(&self) -> usize {
        let all = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.unwrap_or_else(all).get()
    }

    /// The arguments that run `seed` alone, as it is run here.
    pub(crate) fn arguments(&self, seed: u64) -> Vec<String> {
        let Self { nodes, virtual_seconds, .. } = self;
        let line = format!("--seed {seed} --nodes {nodes} --virtual-seconds {virtual_seconds}");
        let everything = self.everything.then_some("--everything");
        line.split(' ').chain(everything).map(str::to_owned).collect()
    }

    /// The command that runs `seed` alone, as it is run here.
    pub(crate) fn repeat(&self, seed: u64) -> String {
        format!("cargo run --release --features sim --example sim -- {}", self.arguments(seed).join(" "))
    }
}

/// The least and the greatest number of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    least: usize,
    most: usize,
}

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number =
                text.trim_start_matches('=').parse().map_err(|_| format!("`{text}` is no number"))?;
            if NODES.contains(&number) {
                return Ok(number);
            }
            Err(format!("{number} is not from {} to {}", NODES.start, NODES.end - 1))
        };
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let nodes = Self { least: number(least)?, most: number(most)? };
        if nodes.least > nodes.most {
            return Err(format!("{least} is more than {most}"));
        }
        Ok(nodes)
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            return write!(f, "{}", self.least);
        }
        write!(f, "{}..{}", self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("sim").chain(line.split_whitespace()))
    }

    #[test]
    fn nodes_are_a_number_or_an_inclusive_range() {
        assert_eq!("3..7".parse(), Ok(Nodes { least: 3, most: 7 }));
        assert_eq!("5".parse(), Ok(Nodes { least: 5, most: 5 }));
        for wrong in ["", "7..3", "1", "3..", "3..64", "three"] {
            assert!(wrong.parse::<Nodes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_repeating_command_means_the_same_plan() -> Result<(), clap::Error> {
        for more in ["", " --everything"] {
            let options = parse(&format!("--seeds 9 --nodes 3..5 --virtual-seconds 30{more}"))?;
            let command = options.repeat(7);
            let (_, arguments) = command.split_once(" -- ").unwrap_or_default();
            let again = parse(arguments)?;
            assert_eq!(again.range(), Ok(7..8));
            assert_eq!(format!("{:?}", again.plan(7)), format!("{:?}", options.plan(7)));
        }
        Ok(())
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for wrong in
            ["--seed 1 --seeds 2", "--seed 1 --determinism 2", "--seeds 0", "--jobs 0", "--milestones"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let last = parse(&format!("--seeds 2 --from {}", u64::MAX));
        assert!(last.is_ok_and(|options| options.range().is_err()));
    }
}
