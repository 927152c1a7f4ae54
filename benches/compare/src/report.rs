//! What came of a comparison, as data: for each cell the best setting of each system, and the ratios.

use std::{collections::BTreeMap, fs};

use serde::Serialize;

use crate::{
    args::Sut,
    cells::{Cell, UNAVAILABLE},
    child::Outcome,
    floors::Floors,
    ratio::{Ratio, median},
    runner::Subject,
};

/// One round of one cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// By who was measured and with which setting.
    pub(crate) outcomes: BTreeMap<(Subject, &'static str), Outcome>,
    pub(crate) floors: Vec<Floors>,
    /// Why the machine was not the same all the time, if it was not.
    pub(crate) disturbance: Option<String>,
}

/// Everything that is told at the end.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<&'static str, &'static str>,
    pub(crate) cells: Vec<CellReport>,
    /// Cells and systems that were not measured, each with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
}

/// One cell.
#[derive(Debug, Serialize)]
pub(crate) struct CellReport {
    pub(crate) id: String,
    pub(crate) clients: usize,
    pub(crate) payload: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) offered_per_s: f64,
    pub(crate) results: BTreeMap<&'static str, Figures>,
    /// Raftix over the peer, in operations per second.
    pub(crate) ratio: BTreeMap<&'static str, Ratio>,
    pub(crate) limit: BTreeMap<&'static str, Limit>,
    /// Of all probes of all rounds.
    pub(crate) floors: Vec<Floors>,
    /// Rounds in which the machine was disturbed, with the reason.
    pub(crate) disturbed: Vec<String>,
    /// Systems that have no number here, with the reason.
    pub(crate) failed: BTreeMap<&'static str, String>,
}

/// Of a system's best setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) setting: &'static str,
    pub(crate) rounds: usize,
    pub(crate) ops_per_s: f64,
    pub(crate) ops_per_s_min: f64,
    pub(crate) ops_per_s_max: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) cpu_us_per_op: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) recover_ms: f64,
    /// How long a flush of the fastest slow log took.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) flush_us: f64,
    /// How long a slow state machine took for a command.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) apply_us: f64,
    /// By how many entries the leader's log was durable ahead of its state machine, at most.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ahead: f64,
    /// Medians of the other settings, in operations per second.
    pub(crate) others: BTreeMap<&'static str, f64>,
}

/// A pipe without Raft.
#[derive(Debug, Serialize)]
pub(crate) struct Limit {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    /// Raftix over the limit.
    pub(crate) reached: Option<Ratio>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Machine {
    pub(crate) fn here() -> Self {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = text.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = model.and_then(|model| model.split_once(": ")).map_or("unknown", |(_, name)| name);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: cpu.to_owned(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            kernel: kernel.trim().to_owned(),
        }
    }
}

impl Report {
    pub(crate) fn new(
        cells: &[Cell],
        rounds: &BTreeMap<String, Vec<Round>>,
        mut left_out: BTreeMap<String, String>,
    ) -> Self {
        left_out.extend(UNAVAILABLE.iter().map(|(id, why)| ((*id).to_owned(), (*why).to_owned())));
        Self {
            machine: Machine::here(),
            versions: Sut::ALL.iter().map(|sut| (sut.name(), sut.version())).collect(),
            cells: cells.iter().map(|cell| CellReport::new(cell, &rounds[&cell.id])).collect(),
            left_out,
        }
    }
}

impl CellReport {
    fn new(cell: &Cell, rounds: &[Round]) -> Self {
        let mut subjects: Vec<Subject> =
            rounds.iter().flat_map(|round| round.outcomes.keys().map(|(subject, _)| *subject)).collect();
        subjects.sort();
        subjects.dedup();
        let disturbed = rounds.iter().enumerate().filter_map(|(number, round)| {
            round.disturbance.as_ref().map(|why| format!("round {}: {why}", number + 1))
        });
        let mut report = Self {
            id: cell.id.clone(),
            clients: cell.job.clients,
            payload: cell.job.payload,
            offered_per_s: cell.job.rate,
            results: BTreeMap::new(),
            ratio: BTreeMap::new(),
            limit: BTreeMap::new(),
            floors: rounds.iter().flat_map(|round| round.floors.clone()).collect(),
            disturbed: disturbed.collect(),
            failed: BTreeMap::new(),
        };
        let ours = best(Subject::System(Sut::Raftix), rounds, cell);
        for subject in subjects {
            let figures = best(subject, rounds, cell);
            if let Some(why) = failure(subject, rounds) {
                report.failed.insert(subject.name(), why);
            }
            let Some(figures) = figures else { continue };
            let ratio = ours.as_ref().and_then(|ours| {
                let ours = (Subject::System(Sut::Raftix), ours.setting);
                Ratio::paired(pairs(rounds, ours, (subject, figures.setting)))
            });
            match subject {
                Subject::Limit => {
                    let limit =
                        Limit { ops_per_s: figures.ops_per_s, p50_us: figures.p50_us, reached: ratio };
                    report.limit.insert(subject.name(), limit);
                }
                Subject::System(sut) => {
                    report.results.insert(subject.name(), figures);
                    report
                        .ratio
                        .extend(ratio.filter(|_| sut != Sut::Raftix).map(|ratio| (subject.name(), ratio)));
                }
            }
        }
        report
    }
}

/// The rounds in which both have a number.
fn pairs(
    rounds: &[Round],
    ours: (Subject, &'static str),
    theirs: (Subject, &'static str),
) -> impl Iterator<Item = (f64, f64)> {
    rounds.iter().filter_map(move |round| {
        let number = |key| round.outcomes.get(key).filter(|outcome| is_valid(outcome)).map(|o| o.ops_per_s);
        Some((number(&ours)?, number(&theirs)?))
    })
}

/// A run that failed, or after which the nodes differ, has no number.
fn is_valid(outcome: &Outcome) -> bool {
    outcome.error.is_empty() && outcome.agree
}

fn failure(subject: Subject, rounds: &[Round]) -> Option<String> {
    let outcomes = rounds.iter().flat_map(|round| &round.outcomes);
    let failed = outcomes.filter(|((who, _), outcome)| *who == subject && !is_valid(outcome));
    let whys: Vec<String> = failed
        .map(|((_, setting), outcome)| {
            let why = if outcome.error.is_empty() { "the nodes' states differ" } else { &outcome.error };
            format!("{setting}: {why}")
        })
        .collect();
    (!whys.is_empty()).then(|| whys.join("; "))
}

/// The figures of the setting that counts: most operations a second, or in an open loop the lowest p99.
fn best(subject: Subject, rounds: &[Round], cell: &Cell) -> Option<Figures> {
    let mut settings: Vec<&'static str> = rounds
        .iter()
        .flat_map(|r| r.outcomes.keys())
        .filter(|(who, _)| *who == subject)
        .map(|(_, s)| *s)
        .collect();
    settings.sort_unstable();
    settings.dedup();
    let all: Vec<Figures> =
        settings.into_iter().filter_map(|setting| figures(subject, setting, rounds)).collect();
    let rank = |one: &Figures| if cell.job.rate > 0.0 { -one.p99_us } else { one.ops_per_s };
    let mut best = all.iter().max_by(|one, two| rank(one).total_cmp(&rank(two)))?.clone();
    let others = all.iter().filter(|other| other.setting != best.setting);
    best.others = others.map(|other| (other.setting, other.ops_per_s)).collect();
    Some(best)
}

fn figures(subject: Subject, setting: &'static str, rounds: &[Round]) -> Option<Figures> {
    let outcomes: Vec<&Outcome> = rounds
        .iter()
        .filter_map(|round| round.outcomes.get(&(subject, setting)))
        .filter(|outcome| is_valid(outcome))
        .collect();
    let of = |get: fn(&Outcome) -> f64| -> Vec<f64> { outcomes.iter().map(|outcome| get(outcome)).collect() };
    let ops = of(|outcome| outcome.ops_per_s);
    Some(Figures {
        setting,
        rounds: ops.len(),
        ops_per_s: median(&ops)?,
        ops_per_s_min: ops.iter().copied().fold(f64::INFINITY, f64::min),
        ops_per_s_max: ops.iter().copied().fold(0.0, f64::max),
        p50_us: median(&of(|outcome| outcome.p50_us))?,
        p99_us: median(&of(|outcome| outcome.p99_us))?,
        p999_us: median(&of(|outcome| outcome.p999_us))?,
        cpu_us_per_op: median(&of(|outcome| outcome.cpu_us_per_op))?,
        recover_ms: median(&of(|outcome| outcome.recover_ms))?,
        flush_us: median(&of(|outcome| outcome.flush_us))?,
        apply_us: median(&of(|outcome| outcome.apply_us))?,
        ahead: median(&of(|outcome| outcome.ahead as f64))?,
        others: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: (Subject, &str) = (Subject::System(Sut::Raftix), "shipped");
    const SLOW: (Subject, &str) = (Subject::System(Sut::Etcd), "async");
    const FAST: (Subject, &str) = (Subject::System(Sut::Etcd), "ready");

    fn round(figures: &[((Subject, &'static str), f64)]) -> Round {
        let outcome = |ops: f64| Outcome { ops_per_s: ops, agree: true, ..Outcome::default() };
        Round {
            outcomes: figures.iter().map(|(key, ops)| (*key, outcome(*ops))).collect(),
            ..Round::default()
        }
    }

    fn report(rounds: &[Round]) -> CellReport {
        CellReport::new(&crate::cells::all()[0], rounds)
    }

    #[test]
    fn the_better_setting_of_a_peer_counts_and_is_named() {
        let rounds = [round(&[(OURS, 30.0), (SLOW, 5.0), (FAST, 10.0)])];
        let report = report(&rounds);
        assert_eq!(report.results["etcd"].setting, "ready");
        assert_eq!(report.results["etcd"].others["async"], 5.0);
        assert_eq!(report.ratio["etcd"].median, 3.0);
    }

    #[test]
    fn a_run_after_which_the_nodes_differ_has_no_number() {
        let mut wrong = round(&[(OURS, 30.0), (FAST, 10.0)]);
        wrong.outcomes.get_mut(&OURS).expect("it is there").agree = false;
        let report = report(&[wrong]);
        assert!(!report.results.contains_key("raftix") && report.ratio.is_empty());
        assert!(report.failed["raftix"].contains("differ"));
    }

    #[test]
    fn a_ratio_pairs_what_ran_in_the_same_round() {
        let rounds = [
            round(&[(OURS, 10.0), (FAST, 10.0)]),
            round(&[(OURS, 100.0), (FAST, 50.0)]),
            round(&[(OURS, 90.0)]),
        ];
        let ratio = report(&rounds).ratio["etcd"];
        assert_eq!((ratio.min, ratio.max), (1.0, 2.0));
    }
}
