//! What is told at the end: for people, or as one line of JSON.

use std::{collections::BTreeMap, fmt, time::Duration};

use raftix::sim::{Activity, Trace};
use serde::{Deserialize, Serialize};

use crate::{args::Options, failure::Failure, tally::Tally};

/// All runs, for people.
pub(crate) struct Summary<'a> {
    pub(crate) options: &'a Options,
    pub(crate) tally: &'a Tally,
    pub(crate) failures: &'a [Failure],
    pub(crate) wall: Duration,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.failures {
            writeln!(f, "{failure}")?;
        }
        self.write_counts(f)?;
        self.write_faults(f)
    }
}

impl Summary<'_> {
    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, tally, wall, .. } = self;
        let nodes = options.nodes;
        let with = if options.everything { ", with everything" } else { "" };
        writeln!(f, "clusters of {nodes} nodes, {} s of faults each{with}", options.virtual_seconds)?;
        writeln!(f, "  seeds              {:>10}", tally.seeds())?;
        writeln!(f, "  passed             {:>10}", tally.passed)?;
        writeln!(f, "  rejected           {:>10}", tally.rejections())?;
        for (why, count) in &tally.rejected {
            writeln!(f, "    {count:>8}  {why}")?;
        }
        writeln!(f, "  failed             {:>10}", tally.failed.len())?;
        let (seconds, virtually) = (wall.as_secs_f64().max(f64::EPSILON), tally.virtual_time.as_secs_f64());
        writeln!(f, "  virtual time       {:>10.2} h", virtually / 3600.0)?;
        writeln!(f, "  wall time          {seconds:>10.1} s")?;
        writeln!(f, "  seeds per second   {:>10.2}", tally.seeds() as f64 / seconds)?;
        writeln!(f, "  virtual : wall     {:>10.0}", virtually / seconds)?;
        writeln!(f, "what happened")?;
        for activity in Activity::ALL {
            writeln!(f, "  {:<28} {:>10}", activity.plural(), tally.activities.of(activity))?;
        }
        writeln!(f, "  {:<28} {:>10}", "commands sent again", tally.retried)?;
        writeln!(f, "  {:<28} {:>10}", "commands in ended sessions", tally.sessions_expired)
    }

    /// Counts lie between one and millions, so a bar shows their size and not their share.
    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults injected (each # is twice as many)")?;
        let never = self.tally.never_struck();
        for (kind, count) in &self.tally.faults {
            let bar = "#".repeat(doublings(*count));
            let mark = if never.contains(kind) { "enabled and NEVER STRUCK" } else { bar.as_str() };
            writeln!(f, "{}", format!("  {kind:<24} {count:>10}  {mark}").trim_end())?;
        }
        Ok(())
    }
}

/// How many binary digits a count has.
fn doublings(count: u64) -> usize {
    (u64::BITS - count.leading_zeros()) as usize
}

/// All runs, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    seeds: u64,
    failures: &'a [Failure],
    rejected: u64,
    virtual_seconds: f64,
    wall_seconds: f64,
    trace_hash: String,
    activities: BTreeMap<&'static str, u64>,
    faults: &'a BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Told>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(summary: &Summary<'a>, trace: Option<Told>) -> Self {
        let Summary { tally, failures, wall, .. } = summary;
        Self {
            seeds: tally.seeds(),
            failures,
            rejected: tally.rejections(),
            virtual_seconds: tally.virtual_time.as_secs_f64(),
            wall_seconds: wall.as_secs_f64(),
            trace_hash: format!("{:016x}", tally.trace_hash()),
            activities: Activity::ALL
                .map(|activity| (activity.plural(), tally.activities.of(activity)))
                .into(),
            faults: &tally.faults,
            trace,
        }
    }
}

/// What one process tells another of a trace.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    hash: u64,
    events: u64,
    milestones: Vec<u64>,
}

impl From<&Trace> for Told {
    fn from(trace: &Trace) -> Self {
        Self { hash: trace.hash(), events: trace.events(), milestones: trace.milestones().to_vec() }
    }
}

impl From<Told> for Trace {
    fn from(told: Told) -> Self {
        Self::told(told.hash, told.events, told.milestones)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::failure;

    /// A tally with a run that passed, one that was rejected, and one that panicked.
    fn tell(tell: impl FnOnce(&Summary<'_>)) {
        let options = Options::parse_from(["sim", "--seeds", "3"]);
        let mut tally = Tally::default();
        tally.passed = 1;
        tally.rejected = [("fewer than 3 leader changes".to_owned(), 1)].into();
        tally.virtual_time = Duration::from_millis(2500);
        tally.faults = [("kill", 5), ("rot", 0), ("link overflow", 0)].into();
        tally.enabled = ["kill", "rot"].into();
        tally.activities.add(Activity::Transfer, 7);
        tally.add(2, Err("index out of bounds".to_owned()));
        let failures = failure::all(&options, &tally);
        let wall = Duration::from_millis(500);
        tell(&Summary { options: &options, tally: &tally, failures: &failures, wall });
    }

    #[test]
    fn the_line_of_json_has_what_programs_ask_for() -> serde_json::Result<()> {
        let mut text = Ok(String::new());
        tell(|summary| text = serde_json::to_string(&Line::new(summary, None)));
        let text = text?;
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text)?;
        let keys: Vec<_> = line.as_object().into_iter().flat_map(|line| line.keys()).collect();
        let expected = [
            "activities",
            "failures",
            "faults",
            "rejected",
            "seeds",
            "trace_hash",
            "virtual_seconds",
            "wall_seconds",
        ];
        assert_eq!(keys, expected);
        assert_eq!((&line["seeds"], &line["rejected"]), (&3.into(), &1.into()));
        assert_eq!((&line["virtual_seconds"], &line["wall_seconds"]), (&2.5.into(), &0.5.into()));
        assert_eq!(line["faults"], serde_json::json!({ "kill": 5, "rot": 0, "link overflow": 0 }));
        assert_eq!(line["trace_hash"].as_str().map(str::len), Some(16));
        assert_eq!(line["activities"]["leadership transfers"], 7);
        let failure = &line["failures"][0];
        assert_eq!((&failure["seed"], &failure["what"]), (&2.into(), &"index out of bounds".into()));
        assert!(failure["law"].is_string());
        assert!(failure["schedule"].as_array().is_some_and(|faults| faults.iter().all(|f| f.is_string())));
        assert!(failure["repeat"].as_str().is_some_and(|command| command.contains("--seed 2 ")));
        assert_eq!(failure.as_object().map(serde_json::Map::len), Some(5));
        Ok(())
    }

    #[test]
    fn the_histogram_marks_what_was_enabled_and_never_struck() {
        let mut text = String::new();
        tell(|summary| text = summary.to_string());
        let line =
            |kind: &str| text.lines().find(|line| line.trim_start().starts_with(kind)).unwrap_or_default();
        assert!(line("kill").ends_with("5  ###"), "{text}");
        assert!(line("rot").ends_with("0  enabled and NEVER STRUCK"), "{text}");
        assert!(line("link overflow").ends_with(" 0"), "{text}");
        assert!(text.contains("seed 2 FAILED: a run does not panic: index out of bounds"), "{text}");
    }
}
