//! What came of a comparison, for a reader.

use std::fmt::Write;

use crate::{
    args::Sut,
    report::{CellReport, Report},
};

/// Two tables, one with figures and one with ratios, and what is to be known about them.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::from("\nthousands of operations a second · p50 in microseconds\n\n");
    let mut head: Vec<String> = vec!["cell".to_owned()];
    head.extend(Sut::ALL.iter().map(|sut| sut.name().to_owned()));
    head.push("F6".to_owned());
    let rows = report.cells.iter().map(figures).collect();
    write_table(&mut text, head, rows);
    text.push_str("\nRaftix over each peer, median (min to max) of paired rounds; * claims nothing\n\n");
    let mut head: Vec<String> = vec!["cell".to_owned()];
    head.extend(Sut::ALL[1..].iter().map(|sut| sut.name().to_owned()));
    head.push("F6".to_owned());
    let rows = report.cells.iter().map(ratios).collect();
    write_table(&mut text, head, rows);
    text.push('\n');
    notes(&mut text, report);
    text
}

fn figures(cell: &CellReport) -> Vec<String> {
    let mut row = vec![cell.id.clone()];
    row.extend(Sut::ALL.iter().map(|sut| {
        let figures = cell.results.get(sut.name());
        figures
            .map_or_else(|| "-".to_owned(), |f| format!("{} · {}", thousands(f.ops_per_s), short(f.p50_us)))
    }));
    let limit = cell.limit.get("F6");
    row.push(
        limit.map_or_else(|| "-".to_owned(), |f| format!("{} · {}", thousands(f.ops_per_s), short(f.p50_us))),
    );
    row
}

fn ratios(cell: &CellReport) -> Vec<String> {
    let mut row = vec![cell.id.clone()];
    let limit = cell.limit.get("F6").and_then(|limit| limit.reached);
    let peers = Sut::ALL[1..].iter().map(|sut| cell.ratio.get(sut.name()).copied());
    let cells = peers.map(|ratio| (ratio, true)).chain([(limit, false)]);
    row.extend(cells.map(|(ratio, claims)| match ratio {
        None => "-".to_owned(),
        Some(ratio) => {
            let mark = if claims && !ratio.is_faster() { "*" } else { "" };
            format!("{:.2} ({:.2} to {:.2}){mark}", ratio.median, ratio.min, ratio.max)
        }
    }));
    row
}

fn thousands(ops: f64) -> String {
    short(ops / 1e3)
}

/// Three digits, or all of a larger number.
fn short(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

fn write_table(text: &mut String, head: Vec<String>, rows: Vec<Vec<String>>) {
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = all[0].len();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, row) in all.iter().enumerate() {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", padded.join(" | "));
        if number == 0 {
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", lines.join(" | "));
        }
    }
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

fn notes(text: &mut String, report: &Report) {
    for cell in &report.cells {
        for (name, figures) in &cell.results {
            if !figures.others.is_empty() {
                let _ = writeln!(text, "{}: {name} counts with {}", cell.id, figures.setting);
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
    let _ = writeln!(text, "all nodes and clients share this machine: {machine:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut text = String::new();
        write_table(&mut text, vec!["a".into(), "bb".into()], vec![vec!["ccc".into(), "·".into()]]);
        assert_eq!(text, "| a   | bb |\n| --- | -- |\n| ccc | ·  |\n");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([1234.5, 56.78, 3.456].map(short), ["1234", "56.8", "3.46"]);
    }
}
