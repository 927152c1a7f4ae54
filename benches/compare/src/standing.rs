//! How far a row of a report came: figures of the same rounds, over one another.

use crate::{
    fail_over,
    job::Sut,
    limit,
    outcome::Outcome,
    ratio::{Ratio, median},
    record::Round,
    report::{CellReport, Report},
    subject::Subject,
    targets::{Beside, Bound, Figure, Target},
    text::{short, speed},
};

/// A row of a report, reckoned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    /// Whose figures, with the setting where there are several.
    pub(crate) whose: String,
    pub(crate) figures: String,
    /// What they are held against.
    pub(crate) beside: String,
    pub(crate) beside_figures: String,
    pub(crate) ratio: Option<Ratio>,
}

/// Whether a target is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    /// In the middle round, not in each, or not each has a number.
    MetInTheMiddle,
    NotMet,
    NotMeasured,
    /// Nothing was asked.
    Told,
}

impl Verdict {
    pub(crate) fn of(bound: Bound, ratio: Option<Ratio>, is_whole: bool) -> Self {
        let (worst, middle) = match (bound, ratio) {
            (Bound::Told, _) => return Self::Told,
            (_, None) => return Self::NotMeasured,
            (Bound::AtLeast(least), Some(ratio)) => (ratio.min >= least, ratio.median >= least),
            (Bound::AtMost(most), Some(ratio)) => (ratio.max <= most, ratio.median <= most),
        };
        match (worst && is_whole, middle) {
            (true, _) => Self::Met,
            (false, true) => Self::MetInTheMiddle,
            (false, false) => Self::NotMet,
        }
    }
}

/// Who is measured with which setting.
type Key<'a> = (Subject, &'a str);

pub(crate) fn of(report: &Report, cell: &CellReport, target: &Target) -> Standing {
    let figure = target.figure;
    let whose = cell.best(Subject::System(target.whose), figure, |_| true);
    let beside = Against::new(report, cell, target);
    let ratio = whose.and_then(|whose| {
        Ratio::paired(cell.rounds.iter().filter_map(|round| {
            let outcome = valid(round, whose)?;
            Some((figure.of(outcome), beside.value(cell, figure, round, outcome)?))
        }))
    });
    // Of what is offered everybody reaches all.
    let ratio = ratio.filter(|_| cell.offered_per_s == 0.0);
    let named = |sut: Sut, key: Option<Key<'_>>| match key {
        Some((_, setting)) if sut != Sut::Raftix => format!("{sut}, {setting}"),
        _ => sut.name().to_owned(),
    };
    Standing {
        whose: named(target.whose, whose),
        figures: whose.map_or_else(|| "no number".to_owned(), |key| figures(cell, key)),
        beside: beside.name(cell, target),
        beside_figures: beside.figures(cell, figure, whose),
        ratio,
    }
}

/// What a figure is held against, looked up once for all rounds.
struct Against<'a> {
    beside: Beside,
    /// Who it is, with the setting that counts.
    who: Option<Key<'a>>,
    /// The rounds of another cell.
    other: Option<&'a CellReport>,
}

impl<'a> Against<'a> {
    fn new(report: &'a Report, cell: &'a CellReport, target: &Target) -> Self {
        let (figure, beside) = (target.figure, target.beside);
        let best = |sut, part: &str| cell.best(Subject::System(sut), figure, |name| name.contains(part));
        let other = match beside {
            Beside::Cell(id) => report.cells.iter().find(|cell| cell.id == id),
            _ => None,
        };
        let who = match beside {
            Beside::Peer(sut, part) => best(sut, part),
            Beside::Smaller { peer, .. } => best(peer, ""),
            Beside::Shipped(sut, shipped) => cell.best(Subject::System(sut), figure, |name| name == shipped),
            Beside::BestPeer => cell.best_peer(figure),
            Beside::Limit => cell.best(Subject::Limit, figure, |_| true),
            Beside::Cell(_) => {
                other.and_then(|other| other.best(Subject::System(target.whose), figure, |_| true))
            }
            _ => None,
        };
        Self { beside, who, other }
    }

    /// What it is in one round, in which this is what stands beside it.
    fn value(&self, cell: &CellReport, figure: Figure, round: &Round, ours: &Outcome) -> Option<f64> {
        let theirs = |round: &Round| Some(figure.of(valid(round, self.who?)?));
        let positive = |number: f64| (number > 0.0).then_some(number);
        match self.beside {
            Beside::Peer(..) | Beside::Shipped(..) | Beside::BestPeer | Beside::Limit => theirs(round),
            Beside::Smaller { times, of_limit, .. } => {
                let limit = cell.best(Subject::Limit, figure, |_| true)?;
                let limit = figure.of(valid(round, limit)?);
                Some((theirs(round)? * times).min(limit * of_limit))
            }
            Beside::Flushes => Some(1e6 / positive(ours.flush_us)? * cell.clients as f64),
            Beside::Applies => Some(1e6 / positive(ours.apply_us)?),
            Beside::FlushAndRoundTrip => Some(positive(ours.flush_us)? + round_trip_us(round)?),
            Beside::ElectionTimeout => Some(fail_over::ELECTION_TIMEOUT.as_secs_f64() * 1e6),
            Beside::Cell(_) => {
                let same = |other: &&Round| other.pass == round.pass && round.pass > 0;
                theirs(self.other?.rounds.iter().find(same)?)
            }
            Beside::Nothing => Some(1.0),
        }
    }

    fn name(&self, cell: &CellReport, target: &Target) -> String {
        let setting = self.who.map(|(_, setting)| format!(", {setting}")).unwrap_or_default();
        match target.beside {
            Beside::Peer(sut, part) if part.is_empty() || self.who.is_some() => format!("{sut}{setting}"),
            Beside::Peer(sut, part) => format!("{sut} with {part}"),
            Beside::Shipped(sut, _) => format!("{sut} as its own bench ships{setting}"),
            Beside::BestPeer => match self.who {
                Some((subject, setting)) => format!("{}, {setting}", subject.name()),
                None => "the best peer".to_owned(),
            },
            Beside::Limit => self.who.map_or("the limit", |(_, name)| name).to_owned(),
            Beside::Smaller { peer, times, of_limit } => {
                let limit = limit::name(&cell.cell.job).unwrap_or("the limit");
                format!("the smaller of {times} × {peer}{setting} and {of_limit} × {limit}")
            }
            Beside::Flushes => "one of each client in each flush".to_owned(),
            Beside::Applies => "one in each apply".to_owned(),
            Beside::FlushAndRoundTrip => "a fast flush and a round trip".to_owned(),
            Beside::ElectionTimeout => "the election timeout".to_owned(),
            Beside::Cell(id) => format!("writes, {id}"),
            Beside::Nothing => String::new(),
        }
    }

    fn figures(&self, cell: &CellReport, figure: Figure, whose: Option<Key<'_>>) -> String {
        let missing = || "-".to_owned();
        match self.beside {
            Beside::Peer(..) | Beside::Shipped(..) | Beside::BestPeer | Beside::Limit => {
                self.who.map_or_else(missing, |who| figures(cell, who))
            }
            Beside::Cell(_) => {
                let there = self.other.zip(self.who);
                there.map_or_else(missing, |(other, who)| figures(other, who))
            }
            Beside::Nothing => String::new(),
            Beside::ElectionTimeout => format!("{} ms", fail_over::ELECTION_TIMEOUT.as_millis()),
            Beside::Smaller { .. } | Beside::Flushes | Beside::Applies | Beside::FlushAndRoundTrip => {
                let values = cell
                    .rounds
                    .iter()
                    .filter_map(|round| self.value(cell, figure, round, valid(round, whose?)?));
                let Some(middle) = median(&values.collect::<Vec<_>>()) else { return missing() };
                match figure {
                    Figure::Throughput if middle < 1e3 => format!("{}/s", short(middle)),
                    Figure::Throughput => format!("{} k/s", short(middle / 1e3)),
                    _ => format!("{} ms", short(middle / 1e3)),
                }
            }
        }
    }
}

/// The round trip over loopback, before and after a round.
fn round_trip_us(round: &Round) -> Option<f64> {
    let probes: Vec<f64> = round.floors.iter().map(|floors| floors.round_trip_us).collect();
    median(&probes)
}

fn valid<'a>(round: &'a Round, (subject, setting): Key<'_>) -> Option<&'a Outcome> {
    round.outcome(subject, setting).filter(|outcome| outcome.is_valid())
}

/// How a system did with one setting: in an open loop what is offered is reached, and the latency tells.
fn figures(cell: &CellReport, key: Key<'_>) -> String {
    let outcomes: Vec<&Outcome> = cell.rounds.iter().filter_map(|round| valid(round, key)).collect();
    let middle = |of: fn(&Outcome) -> f64| {
        let numbers: Vec<f64> = outcomes.iter().map(|outcome| of(outcome)).collect();
        median(&numbers).unwrap_or(0.0)
    };
    let (ops, p50) = (middle(|outcome| outcome.ops_per_s), middle(|outcome| outcome.p50_us));
    let p99 = middle(|outcome| outcome.p99_us);
    if cell.offered_per_s > 0.0 {
        format!("p50 {} µs, p99 {} µs", short(p50), short(p99))
    } else if cell.cell.job.cuts > 0 {
        format!("{} ms, longest {} ms", short(p50 / 1e3), short(p99 / 1e3))
    } else {
        speed(cell.unit, ops, p50)
    }
}
