//! What all runs together come to, and whether that is good enough.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use raftix::sim::{Activities, Activity, Plan, Report, Verdict};
use xxhash_rust::xxh3::Xxh3;

/// With fewer seeds a kind of fault may well not come up.
const SEEDS_FOR_EVERY_KIND: u64 = 100;
/// More rejected seeds than one in so many mean that faults, or clients, do not get through.
const ONE_REJECTED_IN: u64 = 10;

/// What a kind of fault does to messages, which is counted apart.
const EFFECTS: &[(&str, &[&str])] = &[
    (
        "weather",
        &["message lost", "message doubled", "message reordered", "frame damaged", "connection broken"],
    ),
    ("partition", &["message cut off"]),
    ("partial partition", &["message cut off"]),
    ("clog", &["message held back"]),
];

/// A seed that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) seed: u64,
    pub(crate) law: String,
    pub(crate) what: String,
    /// `None` if the run panicked.
    pub(crate) report: Option<Report>,
}

/// See the module. Runs may be added in any order.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    /// How many were rejected for which reason.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// By seed.
    pub(crate) failed: BTreeMap<u64, Failed>,
    pub(crate) virtual_time: Duration,
    pub(crate) activities: Activities,
    pub(crate) retried: u64,
    pub(crate) sessions_expired: u64,
    /// How often each kind of fault struck.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Kinds that should have struck.
    pub(crate) enabled: BTreeSet<&'static str>,
    hashes: BTreeMap<u64, u64>,
}

impl Tally {
    /// Adds a run, or the words of its panic.
    pub(crate) fn add(&mut self, seed: u64, run: Result<Report, String>) {
        let report = match run {
            Ok(report) => report,
            Err(what) => return self.fail(seed, "a run does not panic", what, None),
        };
        self.virtual_time += report.virtual_time;
        for activity in Activity::ALL {
            self.activities.add(activity, report.activities.of(activity));
        }
        self.retried += report.retried;
        self.sessions_expired += report.sessions_expired;
        self.hashes.insert(seed, report.trace.hash());
        for (kind, count) in &report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.enabled.extend(enabled(&report.plan));
        match report.verdict.clone() {
            Verdict::Passed => self.passed += 1,
            Verdict::Rejected(why) => *self.rejected.entry(without_count(&why)).or_default() += 1,
            Verdict::Failed(violation) => self.fail(seed, violation.law, violation.what, Some(report)),
        }
    }

    fn fail(&mut self, seed: u64, law: &str, what: String, report: Option<Report>) {
        self.failed.insert(seed, Failed { seed, law: law.to_owned(), what, report });
    }

    pub(crate) fn rejections(&self) -> u64 {
        self.rejected.values().sum()
    }

    pub(crate) fn seeds(&self) -> u64 {
        self.passed + self.rejections() + self.failed.len() as u64
    }

    /// Kinds of faults that some run had and that never struck.
    pub(crate) fn never_struck(&self) -> Vec<&'static str> {
        let struck = |kind: &str| self.faults.get(kind).is_some_and(|count| *count > 0);
        self.enabled.iter().copied().filter(|kind| !struck(kind)).collect()
    }

    /// The hashes of all traces in the order of their seeds, as one.
    pub(crate) fn trace_hash(&self) -> u64 {
        let mut hasher = Xxh3::new();
        for (seed, hash) in &self.hashes {
            hasher.update(&seed.to_le_bytes());
            hasher.update(&hash.to_le_bytes());
        }
        hasher.digest()
    }

    /// Why these runs are not good enough, each cause in a line; nothing if they are.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let (seeds, rejected, failed) = (self.seeds(), self.rejections(), self.failed.len());
        let mut complaints = Vec::new();
        if failed > 0 {
            complaints.push(format!("{failed} of {seeds} seeds failed"));
        }
        if rejected * ONE_REJECTED_IN > seeds {
            complaints.push(format!(
                "{rejected} of {seeds} seeds were rejected, more than one in {ONE_REJECTED_IN}"
            ));
        }
        let never = self.never_struck();
        if seeds >= SEEDS_FOR_EVERY_KIND && !never.is_empty() {
            complaints.push(format!("enabled and never struck: {}", never.join(", ")));
        }
        complaints
    }
}

/// The kinds that a plan has, with what they do to messages.
fn enabled(plan: &Plan) -> impl Iterator<Item = &'static str> {
    let effects = |kind: &'static str| {
        EFFECTS
            .iter()
            .filter(move |(cause, _)| *cause == kind)
            .flat_map(|(_, effects)| effects.iter().copied())
    };
    plan.kinds.iter().flat_map(move |kind| std::iter::once(*kind).chain(effects(kind)))
}

/// A reason without the number that differs from run to run: `2 leader changes of at least 3`.
fn without_count(why: &str) -> String {
    let parts = why.split_once(" of at least ").and_then(|(little, least)| {
        let (_, what) = little.split_once(' ')?;
        Some(format!("fewer than {least} {what}"))
    });
    parts.unwrap_or_else(|| why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, rejected: u64) -> Tally {
        let rejected = [("fewer than 3 leader changes".to_owned(), rejected)].into();
        let mut tally = Tally { passed, rejected, ..Tally::default() };
        tally.enabled.insert("kill");
        tally.faults.insert("kill", 1);
        tally
    }

    #[test]
    fn up_to_one_rejected_seed_in_ten_is_good_enough() {
        assert_eq!(tally(10, 0).complaints(), [""; 0]);
        assert_eq!(tally(90, 10).complaints(), [""; 0]);
        assert_eq!(tally(89, 11).complaints(), ["11 of 100 seeds were rejected, more than one in 10"]);
        assert_eq!(tally(0, 1).complaints().len(), 1);
    }

    #[test]
    fn one_failed_seed_is_not_good_enough() {
        let mut tally = tally(999, 0);
        tally.add(7, Err("index out of bounds".to_owned()));
        assert_eq!(tally.complaints(), ["1 of 1000 seeds failed"]);
        assert_eq!(tally.failed[&7].what, "index out of bounds");
    }

    #[test]
    fn from_a_hundred_seeds_on_every_enabled_kind_must_strike() {
        let without = |passed, kind| {
            let mut tally = tally(passed, 0);
            tally.enabled.insert(kind);
            tally.complaints()
        };
        assert_eq!(without(99, "rot"), [""; 0]);
        assert_eq!(without(100, "rot"), ["enabled and never struck: rot"]);
        let mut zero = tally(100, 0);
        zero.faults.insert("kill", 0);
        zero.faults.insert("link overflow", 0);
        assert_eq!(zero.complaints(), ["enabled and never struck: kill"]);
    }

    #[test]
    fn a_kind_brings_what_it_does_to_messages() {
        let mut plan = Plan::draw(1, (3, 3), Duration::from_secs(1));
        plan.kinds = vec!["kill", "clog", "partial partition"];
        let kinds: Vec<_> = enabled(&plan).collect();
        assert_eq!(kinds, ["kill", "clog", "message held back", "partial partition", "message cut off"]);
        plan.kinds = vec!["weather"];
        assert_eq!(enabled(&plan).count(), 6);
    }

    #[test]
    fn reasons_are_counted_without_their_numbers() {
        assert_eq!(without_count("2 leader changes of at least 3"), "fewer than 3 leader changes");
        assert_eq!(without_count("a voter is gone"), "a voter is gone");
    }

    #[test]
    fn the_hash_of_all_traces_knows_the_seeds_and_not_the_order_they_ended_in() {
        let hash = |hashes: &[(u64, u64)]| {
            Tally { hashes: hashes.iter().copied().collect(), ..Tally::default() }.trace_hash()
        };
        assert_eq!(hash(&[(1, 5), (2, 6)]), hash(&[(2, 6), (1, 5)]));
        assert_ne!(hash(&[(1, 5), (2, 6)]), hash(&[(1, 6), (2, 5)]));
    }
}
