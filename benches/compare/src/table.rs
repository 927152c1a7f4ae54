//! What came of a comparison, for a reader at a terminal.

use std::fmt::Write;

use crate::{
    job::Sut,
    report::{CellReport, Report},
    text::{speed, spread, write_table},
};

/// Two tables, one with figures and one with ratios, and what is to be known about them.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::from("\na second · p50, or the time that all of it took\n\n");
    let head = |suts: &[Sut]| {
        let mut head: Vec<String> = vec!["cell".to_owned()];
        head.extend(suts.iter().map(|sut| sut.name().to_owned()));
        head.push("limit".to_owned());
        head
    };
    write_table(&mut text, head(&Sut::ALL), report.cells.iter().map(figures).collect());
    text.push_str("\nRaftix over each peer, median (min to max) of paired rounds; * claims nothing\n\n");
    write_table(&mut text, head(&Sut::ALL[1..]), report.cells.iter().map(ratios).collect());
    text.push('\n');
    notes(&mut text, report);
    text
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

/// What was reached of what a slow disk or a slow state machine allows.
fn slow_notes(text: &mut String, cell: &CellReport) {
    for (name, figures) in &cell.results {
        let of = |microseconds: f64| figures.ops_per_s * microseconds / 1e6;
        if figures.apply_us > 0.0 {
            let _ = writeln!(
                text,
                "{}: {name} applied {:.3} of what {:.0} us for each allow, durable {} entries ahead",
                cell.id,
                of(figures.apply_us),
                figures.apply_us,
                figures.ahead,
            );
        } else if figures.flush_us > 0.0 && cell.clients == 1 {
            let _ = writeln!(
                text,
                "{}: {name} answered {:.3} times in each fast flush of {:.0} us",
                cell.id,
                of(figures.flush_us),
                figures.flush_us,
            );
        }
    }
}

/// What is to be known beside the figures, a line each.
pub(crate) fn notes(text: &mut String, report: &Report) {
    for cell in &report.cells {
        for (name, figures) in &cell.results {
            if !figures.others.is_empty() {
                let _ = writeln!(text, "{}: {name} counts with {}", cell.id, figures.setting);
            }
            if figures.peak_mib > 0.0 {
                let _ = writeln!(
                    text,
                    "{}: {name} had {:.0} MiB of memory at most, on all nodes",
                    cell.id, figures.peak_mib
                );
            }
            if figures.recover_ms > 0.0 {
                let _ = writeln!(
                    text,
                    "{}: {name} was back in {:.0} ms after a kill",
                    cell.id, figures.recover_ms
                );
            }
        }
        slow_notes(text, cell);
        for (name, why) in &cell.failed {
            let _ = writeln!(text, "{}: {name} has runs without a number: {why}", cell.id);
        }
        for why in &cell.disturbed {
            let _ = writeln!(text, "{}: disturbed, {why}", cell.id);
        }
    }
    for (what, why) in &report.left_out {
        let _ = writeln!(text, "left out: {what}: {why}");
    }
    let machine = &report.machine;
    let _ = writeln!(text, "all nodes and clients share this machine: {machine}");
}
