//! What came of a comparison beside what Raftix is meant to reach, as Markdown for docs/performance.md.

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    job::Sut,
    ratio::Ratio,
    report::{CellReport, Figures, Report},
    table,
    targets::{self, Beside, Target},
    text::{speed, spread, write_table},
};

/// A table with a row for each target, and one for each cell that has none; then what is to be known.
pub(crate) fn render(report: &Report) -> String {
    let versions: Vec<String> =
        report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let rounds: BTreeSet<usize> = report.cells.iter().map(|cell| cell.rounds.len()).collect();
    let rounds: Vec<String> = rounds.iter().map(usize::to_string).collect();
    let mut text = format!(
        "{}. {}. Medians of {} rounds of\n\n",
        report.machine,
        versions.join(", "),
        rounds.join(" or ")
    );
    for command in &report.commands {
        let _ = writeln!(text, "    cargo run --release -p compare -- {command}");
    }
    text.push('\n');
    let head = ["cell", "Raftix", "beside", "", "Raftix over it, median (min to max)", "target", ""];
    let rows = report.cells.iter().flat_map(rows).collect();
    write_table(&mut text, head.map(str::to_owned).into(), rows);
    text.push('\n');
    let mut notes = String::new();
    table::notes(&mut notes, report);
    for note in notes.lines() {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn rows(cell: &CellReport) -> Vec<Vec<String>> {
    let ours = cell.results.get(Sut::Raftix.name());
    let figures = ours.map_or_else(|| "no number".to_owned(), |ours| figures(cell, ours));
    let row = |standing: Standing, target: Option<Target>| {
        let verdict = target.map_or("", |target| verdict(standing.ratio, target.least));
        vec![
            cell.id.clone(),
            figures.clone(),
            standing.beside,
            standing.figures,
            standing.ratio.map_or_else(|| "-".to_owned(), spread),
            target.map_or_else(String::new, |target| format!("≥ {}", decimal(target.least))),
            verdict.to_owned(),
        ]
    };
    let targets = targets::of(&cell.cell);
    if targets.is_empty() {
        return vec![row(standing(cell, Beside::BestPeer), None)];
    }
    targets.into_iter().map(|target| row(standing(cell, target.beside), Some(target))).collect()
}

/// In an open loop what is offered is reached, and the latency tells.
fn figures(cell: &CellReport, figures: &Figures) -> String {
    if cell.offered_per_s > 0.0 {
        return format!("p99 {:.0} µs", figures.p99_us);
    }
    speed(cell.unit, figures.ops_per_s, figures.p50_us)
}

/// Up to two digits behind the point, without zeros at the end.
fn decimal(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What Raftix is held against, and how far it came.
struct Standing {
    beside: String,
    figures: String,
    ratio: Option<Ratio>,
}

fn standing(cell: &CellReport, beside: Beside) -> Standing {
    let peer = |name: &str, theirs: Option<&Figures>| Standing {
        beside: theirs.map_or_else(|| name.to_owned(), |theirs| format!("{name}, {}", theirs.setting)),
        figures: theirs.map_or_else(|| "-".to_owned(), |theirs| figures(cell, theirs)),
        // Of what is offered both reach all, so that its ratio says nothing.
        ratio: cell.ratio.get(name).copied().filter(|_| cell.offered_per_s == 0.0),
    };
    match beside {
        Beside::Peer(sut) => peer(sut.name(), cell.results.get(sut.name())),
        Beside::BestPeer => match cell.best_peer() {
            Some((name, theirs)) => peer(name, Some(theirs)),
            None => peer("-", None),
        },
        Beside::Limit => {
            let limit = cell.limit.iter().next();
            Standing {
                beside: limit.map_or("-", |(name, _)| *name).to_owned(),
                figures: limit.map_or_else(
                    || "-".to_owned(),
                    |(_, limit)| speed(cell.unit, limit.ops_per_s, limit.p50_us),
                ),
                ratio: limit.and_then(|(_, limit)| limit.reached),
            }
        }
        Beside::Flushes => of_sleeps(cell, "its flushes", |ours| ours.flush_us / cell.clients as f64),
        Beside::Applies => of_sleeps(cell, "its applies", |ours| ours.apply_us),
    }
}

/// Operations for each sleep of this many microseconds.
fn of_sleeps(cell: &CellReport, what: &str, sleep_us: impl Fn(&Figures) -> f64) -> Standing {
    let ours = cell.results.get(Sut::Raftix.name());
    let ratio = ours.map(|ours| {
        let of = |ops_per_s: f64| ops_per_s * sleep_us(ours) / 1e6;
        Ratio { median: of(ours.ops_per_s), min: of(ours.ops_per_s_min), max: of(ours.ops_per_s_max) }
    });
    Standing { beside: what.to_owned(), figures: String::new(), ratio }
}

fn verdict(ratio: Option<Ratio>, least: f64) -> &'static str {
    match ratio {
        None => "not measured",
        Some(ratio) if ratio.min >= least => "met",
        Some(ratio) if ratio.median >= least => "met, not in every round",
        Some(_) => "**not met**",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        cells,
        outcome::Outcome,
        record::{Record, Round},
        subject::Subject,
    };

    fn report(id: &str, figures: &[(Subject, &str, f64)]) -> String {
        let cell = cells::all().into_iter().find(|cell| cell.id == id).expect("there is such a cell");
        let mut round = Round::default();
        for (subject, setting, ops_per_s) in figures {
            let outcome = Outcome { ops_per_s: *ops_per_s, p50_us: 1e6, agree: true, ..Outcome::default() };
            round.outcomes.insert(*subject, BTreeMap::from([((*setting).to_owned(), outcome)]));
        }
        let mut record = Record::here();
        record.rounds_of(&cell).expect("nothing was measured").push(round);
        render(&Report::new(&record).expect("the cell is known"))
    }

    fn row<'a>(text: &'a str, with: &str) -> Vec<&'a str> {
        let line = text.lines().find(|line| line.starts_with('|') && line.contains(with));
        line.expect("there is such a row").split('|').map(str::trim).collect()
    }

    #[test]
    fn a_cell_has_a_row_for_each_target_with_whether_it_was_met() {
        let openraft = Subject::System(Sut::Openraft);
        let figures = [
            (Subject::OURS, "shipped", 900.0),
            (openraft, "one-runtime", 300.0),
            (Subject::Limit, "F6", 2000.0),
        ];
        let text = report("W1-c64", &figures);
        assert_eq!(row(&text, "openraft, one")[5..8], ["3.00 (3.00 to 3.00)", "≥ 2", "met"]);
        assert_eq!(row(&text, "F6")[5..8], ["0.45 (0.45 to 0.45)", "≥ 0.7", "**not met**"]);
        assert_eq!(row(&text, "hashicorp")[5..8], ["-", "≥ 8", "not measured"]);
    }

    #[test]
    fn a_cell_without_a_target_stands_beside_the_best_peer() {
        let etcd = Subject::System(Sut::Etcd);
        let text = report("W6-c64", &[(Subject::OURS, "shipped", 900.0), (etcd, "ready", 300.0)]);
        assert_eq!(row(&text, "etcd, ready")[5..8], ["3.00 (3.00 to 3.00)", "", ""]);
    }
}
