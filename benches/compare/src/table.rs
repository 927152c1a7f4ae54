//! What came of a comparison, for a reader at a terminal.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    job::Sut,
    report::{CellReport, Report},
    text::{short, speed, spread, write_table},
};

/// Two tables, one with figures and one with ratios, and what is to be known about them.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::from("\na second · p50, or the time that all of it took\n\n");
    write_table(&mut text, head(&Sut::ALL), report.cells.iter().map(figures).collect());
    text.push_str("\nRaftix over each peer, median (min to max) of paired rounds; * claims nothing\n\n");
    write_ratios(&mut text, report);
    text.push('\n');
    notes(&mut text, report);
    text
}

/// A row for each cell with what Raftix reached of each peer's throughput, and of the limit's.
pub(crate) fn write_ratios(text: &mut String, report: &Report) {
    write_table(text, head(&Sut::ALL[1..]), report.cells.iter().map(ratios).collect());
}

fn head(suts: &[Sut]) -> Vec<String> {
    let suts = suts.iter().map(|sut| sut.name());
    ["cell"].into_iter().chain(suts).chain(["limit"]).map(str::to_owned).collect()
}

fn figures(cell: &CellReport) -> Vec<String> {
    let mut row = vec![cell.id.clone()];
    let figures = |sut: &Sut| {
        let figures = cell.results.get(sut.name())?;
        Some(speed(cell.unit, figures.ops_per_s, figures.p50_us))
    };
    row.extend(Sut::ALL.iter().map(|sut| figures(sut).unwrap_or_else(|| "-".to_owned())));
    let limit = cell.limit.values().next().map(|limit| speed(cell.unit, limit.ops_per_s, limit.p50_us));
    row.push(limit.unwrap_or_else(|| "-".to_owned()));
    row
}

fn ratios(cell: &CellReport) -> Vec<String> {
    let mut row = vec![cell.id.clone()];
    let limit = cell.limit.values().next().and_then(|limit| limit.reached);
    let peers = Sut::ALL[1..].iter().map(|sut| cell.ratio.get(sut.name()).copied());
    let cells = peers.map(|ratio| (ratio, true)).chain([(limit, false)]);
    row.extend(cells.map(|(ratio, claims)| match ratio {
        None => "-".to_owned(),
        Some(ratio) => {
            let mark = if claims && !ratio.is_faster() { "*" } else { "" };
            format!("{}{mark}", spread(ratio))
        }
    }));
    row
}

/// What is to be known beside the figures, a line each.
pub(crate) fn notes(text: &mut String, report: &Report) {
    for cell in &report.cells {
        for (name, why) in &cell.failed {
            let _ = writeln!(text, "{}: {name} has runs without a number: {why}", cell.id);
        }
        reads(text, cell);
        memory(text, cell);
    }
    settings(text, report);
    recoveries(text, report);
    disturbances(text, report);
    for (what, why) in &report.left_out {
        let _ = writeln!(text, "left out: {what}: {why}");
    }
    let machine = &report.machine;
    let _ = writeln!(text, "all nodes and clients share this machine: {machine}");
}

/// How reads were confirmed, where that is counted.
fn reads(text: &mut String, cell: &CellReport) {
    for (name, figures) in cell.results.iter().filter(|(_, figures)| figures.reads_checked > 0.0) {
        let _ = writeln!(
            text,
            "{}: {name} began {} rounds for 1000 reads; of {:.0} reads that were looked at, {:.0} had no round that \
             began after them",
            cell.id,
            short(figures.rounds_per_1000_reads),
            figures.reads_checked,
            figures.reads_without_round,
        );
    }
}

/// Which setting counts where, of systems that have several.
fn settings(text: &mut String, report: &Report) {
    let mut counting: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for cell in &report.cells {
        for (name, figures) in cell.results.iter().filter(|(_, figures)| !figures.others.is_empty()) {
            counting.entry((name, &figures.setting)).or_default().push(&cell.id);
        }
    }
    for ((name, setting), cells) in counting {
        let _ = writeln!(text, "{name} counts with {setting} in {}", cells.join(", "));
    }
}

/// The most memory of all nodes together, where it was looked at.
fn memory(text: &mut String, cell: &CellReport) {
    let peaks = cell.results.iter().filter(|(_, figures)| figures.peak_mib > 0.0);
    let peaks: Vec<String> =
        peaks.map(|(name, figures)| format!("{name} {:.0} MiB", figures.peak_mib)).collect();
    if !peaks.is_empty() {
        let _ = writeln!(text, "{}: all nodes had at most {}", cell.id, peaks.join(", "));
    }
}

/// How long each system took to be back after a kill, in the cells where it was killed.
fn recoveries(text: &mut String, report: &Report) {
    for sut in Sut::ALL {
        let figures = report.cells.iter().filter_map(|cell| cell.results.get(sut.name()));
        let times: Vec<f64> = figures.map(|figures| figures.recover_ms).filter(|time| *time > 0.0).collect();
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        let most = times.iter().copied().fold(0.0, f64::max);
        let range = match times.len() {
            0 => continue,
            1 => format!("{most:.0}"),
            _ => format!("{least:.0} to {most:.0}"),
        };
        let _ = writeln!(text, "{sut} was back after a kill in {range} ms");
    }
}

/// In how many rounds the machine was not the same all the time, and of how many.
pub(crate) fn disturbed(report: &Report) -> (usize, usize) {
    let disturbed = report.cells.iter().map(|cell| cell.disturbed.len()).sum();
    (disturbed, report.cells.iter().map(|cell| cell.rounds.len()).sum())
}

/// In which cells, in how many rounds of each.
fn disturbances(text: &mut String, report: &Report) {
    if disturbed(report).0 == 0 {
        return;
    }
    let cells = report.cells.iter().filter(|cell| !cell.disturbed.is_empty());
    let cells: Vec<String> = cells
        .map(|cell| format!("{} ({} of {})", cell.id, cell.disturbed.len(), cell.rounds.len()))
        .collect();
    let _ = writeln!(text, "disturbed, as the JSON tells of each round: {}", cells.join(", "));
}
