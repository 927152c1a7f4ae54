//! What came of a comparison, as data: for each cell the best setting of each system, and the ratios.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    cells::{self, Cell},
    job::{Job, Sut, Task},
    limit,
    machine::Machine,
    outcome::Outcome,
    ratio::{Ratio, median},
    record::{CellRounds, Record, Round},
    subject::Subject,
    targets::Figure,
};

/// Everything that is told at the end. As JSON it is a [`Record`] too.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) commands: Vec<String>,
    pub(crate) cells: Vec<CellReport>,
    /// Cells and systems that were not measured, each with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// One cell.
#[derive(Debug, Serialize)]
pub(crate) struct CellReport {
    pub(crate) id: String,
    pub(crate) unit: &'static str,
    pub(crate) clients: usize,
    pub(crate) payload: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) offered_per_s: f64,
    pub(crate) entries: u64,
    pub(crate) state_mib: u64,
    pub(crate) results: BTreeMap<&'static str, Figures>,
    /// Raftix over the peer, in operations per second.
    pub(crate) ratio: BTreeMap<&'static str, Ratio>,
    pub(crate) limit: BTreeMap<&'static str, Limit>,
    /// Rounds in which the machine was disturbed, with the reason.
    pub(crate) disturbed: Vec<String>,
    /// Systems that have no number here, with the reason.
    pub(crate) failed: BTreeMap<&'static str, String>,
    /// Everything that was measured.
    pub(crate) rounds: Vec<Round>,
    /// The cell itself.
    #[serde(skip)]
    pub(crate) cell: Cell,
}

/// Of a system's best setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) setting: String,
    pub(crate) rounds: usize,
    /// Or of what the cell's unit is.
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
    /// How many rounds of heartbeats a thousand linearizable reads took, where the system counts them.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) rounds_per_1000_reads: f64,
    /// How many reads were looked at in all, whether a round began after they came,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) reads_checked: f64,
    /// and for how many of those none did.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) reads_without_round: f64,
    /// The most memory that the process with all nodes ever had, where the task is no load.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) peak_mib: f64,
    /// Medians of the other settings, in operations per second.
    pub(crate) others: BTreeMap<String, f64>,
}

/// The same shape of work without Raft.
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

/// What a cell's figures count.
fn unit(job: &Job) -> &'static str {
    match job.task {
        Task::Load => "operations",
        Task::CatchUp | Task::Restart => "entries",
        Task::Install => "MB",
    }
}

impl Report {
    /// What a record comes to, its cells in their usual order.
    pub(crate) fn new(record: &Record) -> Result<Self, String> {
        let known = cells::all();
        if let Some(strange) =
            record.cells.iter().find(|rounds| !known.iter().any(|cell| cell.id == rounds.id))
        {
            return Err(format!("no cell is called {}", strange.id));
        }
        let report = |cell: Cell| {
            let rounds = record.cells.iter().find(|rounds| rounds.id == cell.id)?;
            Some(CellReport::new(cell, rounds))
        };
        Ok(Self {
            machine: record.machine.clone(),
            versions: record.versions.clone(),
            commands: record.commands.clone(),
            cells: known.into_iter().filter_map(report).collect(),
            left_out: record.left_out.clone(),
        })
    }
}

impl CellReport {
    fn new(cell: Cell, measured: &CellRounds) -> Self {
        let rounds = &measured.rounds;
        let subjects: BTreeSet<Subject> =
            rounds.iter().flat_map(|round| round.outcomes.keys().copied()).collect();
        let disturbed = rounds.iter().enumerate().filter_map(|(number, round)| {
            round.disturbance.as_ref().map(|why| format!("round {}: {why}", number + 1))
        });
        let mut report = Self {
            id: cell.id.clone(),
            unit: unit(&cell.job),
            clients: cell.job.clients,
            payload: cell.job.payload,
            offered_per_s: cell.job.rate,
            entries: measured.entries,
            state_mib: measured.state_mib,
            results: BTreeMap::new(),
            ratio: BTreeMap::new(),
            limit: BTreeMap::new(),
            disturbed: disturbed.collect(),
            failed: BTreeMap::new(),
            rounds: rounds.clone(),
            cell,
        };
        let ours = report.figures(Subject::OURS);
        for subject in subjects {
            if let Some(why) = failure(subject, rounds) {
                report.failed.insert(subject.name(), why);
            }
            let Some(figures) = report.figures(subject) else { continue };
            let ratio = ours.as_ref().and_then(|ours| {
                Ratio::paired(pairs(rounds, (Subject::OURS, &ours.setting), (subject, &figures.setting)))
            });
            report.add(subject, figures, ratio);
        }
        report
    }

    /// The figures of a system's setting that counts.
    fn figures(&self, subject: Subject) -> Option<Figures> {
        let (_, setting) = self.best(subject, Figure::Throughput, |_| true)?;
        let mut best = figures(subject, setting, &self.rounds)?;
        let settings: BTreeSet<&str> = self.rounds.iter().flat_map(|round| round.settings(subject)).collect();
        let others = settings.into_iter().filter(|other| *other != setting);
        let others = others.filter_map(|other| figures(subject, other, &self.rounds));
        best.others = others.map(|other| (other.setting.clone(), other.ops_per_s)).collect();
        Some(best)
    }

    fn add(&mut self, subject: Subject, figures: Figures, ratio: Option<Ratio>) {
        match subject {
            Subject::Limit => {
                let name = limit::name(&self.cell.job).unwrap_or("limit");
                let limit = Limit { ops_per_s: figures.ops_per_s, p50_us: figures.p50_us, reached: ratio };
                self.limit.insert(name, limit);
            }
            Subject::System(_) => {
                self.results.insert(subject.name(), figures);
                let ratio = ratio.filter(|_| subject != Subject::OURS);
                self.ratio.extend(ratio.map(|ratio| (subject.name(), ratio)));
            }
        }
    }

    /// A system's setting that counts for a figure, of those that are wanted.
    pub(crate) fn best(
        &self,
        subject: Subject,
        figure: Figure,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<(Subject, &str)> {
        let settings: BTreeSet<&str> = self.rounds.iter().flat_map(|round| round.settings(subject)).collect();
        let ranked = settings.into_iter().filter(|setting| is_wanted(setting)).filter_map(|setting| {
            let key = (subject, setting);
            Some((key, self.rank(key, figure)?))
        });
        ranked.max_by(|one, two| one.1.total_cmp(&two.1)).map(|(key, _)| key)
    }

    /// The peer that counts for a figure.
    pub(crate) fn best_peer(&self, figure: Figure) -> Option<(Subject, &str)> {
        let peers = Sut::ALL.into_iter().map(Subject::System).filter(|subject| *subject != Subject::OURS);
        let best = peers.filter_map(|peer| self.best(peer, figure, |_| true));
        let ranked = best.filter_map(|key| Some((key, self.rank(key, figure)?)));
        ranked.max_by(|one, two| one.1.total_cmp(&two.1)).map(|(key, _)| key)
    }

    /// The more, the better: of time the less counts, in an open loop that of the slowest.
    fn rank(&self, (subject, setting): Key<'_>, figure: Figure) -> Option<f64> {
        let outcomes = self.rounds.iter().filter_map(|round| round.outcome(subject, setting));
        let numbers = outcomes.filter(|outcome| outcome.is_valid()).map(|outcome| match figure {
            _ if self.offered_per_s > 0.0 => -outcome.p99_us,
            Figure::Median | Figure::Longest => -figure.of(outcome),
            _ => outcome.ops_per_s,
        });
        median(&numbers.collect::<Vec<_>>())
    }
}

type Key<'a> = (Subject, &'a str);

/// The rounds in which both have a number.
fn pairs<'a>(rounds: &'a [Round], ours: Key<'a>, theirs: Key<'a>) -> impl Iterator<Item = (f64, f64)> + 'a {
    rounds.iter().filter_map(move |round| {
        let number = |(subject, setting): Key<'_>| {
            let outcome = round.outcome(subject, setting).filter(|outcome| outcome.is_valid());
            outcome.map(|outcome| outcome.ops_per_s)
        };
        Some((number(ours)?, number(theirs)?))
    })
}

fn failure(subject: Subject, rounds: &[Round]) -> Option<String> {
    let outcomes = rounds.iter().filter_map(|round| round.outcomes.get(&subject)).flatten();
    let failed = outcomes.filter(|(_, outcome)| !outcome.is_valid());
    let whys: Vec<String> =
        failed.map(|(setting, outcome)| format!("{setting}: {}", outcome.failure())).collect();
    (!whys.is_empty()).then(|| whys.join("; "))
}

fn figures(subject: Subject, setting: &str, rounds: &[Round]) -> Option<Figures> {
    let outcomes: Vec<&Outcome> = rounds
        .iter()
        .filter_map(|round| round.outcome(subject, setting))
        .filter(|outcome| outcome.is_valid())
        .collect();
    let of = |get: fn(&Outcome) -> f64| -> Vec<f64> { outcomes.iter().map(|outcome| get(outcome)).collect() };
    let ops = of(|outcome| outcome.ops_per_s);
    Some(Figures {
        setting: setting.to_owned(),
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
        rounds_per_1000_reads: median(&of(|outcome| Figure::RoundsPer1000Reads.of(outcome)))?,
        reads_checked: of(|outcome| outcome.reads_checked as f64).iter().sum(),
        reads_without_round: of(|outcome| outcome.reads_without_round as f64).iter().sum(),
        peak_mib: median(&of(|outcome| outcome.peak_mib))?,
        others: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Sut;

    const OURS: (Subject, &str) = (Subject::OURS, "shipped");
    const SLOW: (Subject, &str) = (Subject::System(Sut::Etcd), "async");
    const FAST: (Subject, &str) = (Subject::System(Sut::Etcd), "ready");

    fn round(figures: &[((Subject, &str), f64)]) -> Round {
        let mut round = Round::default();
        for ((subject, setting), ops_per_s) in figures {
            let outcome = Outcome { ops_per_s: *ops_per_s, agree: true, ..Outcome::default() };
            round.outcomes.entry(*subject).or_default().insert((*setting).to_owned(), outcome);
        }
        round
    }

    fn report(rounds: &[Round]) -> CellReport {
        let mut record = Record::here();
        let cell = &cells::all()[0];
        *record.rounds_of(cell).expect("nothing was measured") = rounds.to_vec();
        Report::new(&record).expect("the cell is known").cells.remove(0)
    }

    #[test]
    fn the_better_setting_of_a_peer_counts_and_is_named() {
        let report = report(&[round(&[(OURS, 30.0), (SLOW, 5.0), (FAST, 10.0)])]);
        assert_eq!(report.results["etcd"].setting, "ready");
        assert_eq!(report.results["etcd"].others["async"], 5.0);
        assert_eq!(report.ratio["etcd"].median, 3.0);
        assert_eq!(report.best_peer(Figure::Throughput), Some(FAST));
    }

    #[test]
    fn a_run_after_which_the_nodes_differ_has_no_number() {
        let mut wrong = round(&[(OURS, 30.0), (FAST, 10.0)]);
        let ours = wrong.outcomes.get_mut(&Subject::OURS).and_then(|settings| settings.get_mut("shipped"));
        ours.expect("it is there").agree = false;
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

    #[test]
    fn what_a_report_writes_is_read_as_a_record() {
        let mut record = Record::here();
        *record.rounds_of(&cells::all()[0]).expect("nothing was measured") = vec![round(&[(OURS, 3.0)])];
        let text = serde_json::to_string(&Report::new(&record).expect("the cell is known"));
        let read: Record = serde_json::from_str(&text.expect("plain data")).expect("it has all of it");
        assert_eq!(read, record);
    }
}
