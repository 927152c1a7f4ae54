//! What came of a comparison beside what Raftix is meant to reach, as Markdown for docs/performance.md.

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    report::{CellReport, Report},
    standing::{self, Standing, Verdict},
    table,
    targets::{self, Bound, Target},
    text::{spread, write_table},
};

/// How many targets are met; a table with a row for each, and for each cell that has none; the ratios of all cells; what
/// is to be known.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    let rows: Vec<Row<'_>> = report.cells.iter().flat_map(|cell| rows(report, cell)).collect();
    summary(&mut text, report, &rows);
    let head = ["cell", "whose", "compared", "beside", "ratio, median (min to max)", "target", ""];
    write_table(&mut text, head.map(str::to_owned).into(), rows.iter().map(Row::cells).collect());
    text.push_str("\nThroughput of Raftix over each peer's best setting; a * claims nothing:\n\n");
    table::write_ratios(&mut text, report);
    text.push('\n');
    let mut notes = String::new();
    table::notes(&mut notes, report);
    for note in notes.lines() {
        let _ = writeln!(text, "- {note}");
    }
    text
}

/// Where, what and how it was measured.
fn head(text: &mut String, report: &Report) {
    let versions: Vec<String> =
        report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let rounds: BTreeSet<usize> = report.cells.iter().map(|cell| cell.rounds.len()).collect();
    let rounds: Vec<String> = rounds.iter().map(usize::to_string).collect();
    let _ =
        writeln!(text, "{}. {}. Rounds: {}, of\n", report.machine, versions.join(", "), rounds.join(" or "));
    for command in &report.commands {
        let _ = writeln!(text, "    cargo run --release -p compare -- {command}");
    }
    text.push('\n');
}

/// A target with how far Raftix came.
struct Row<'a> {
    cell: &'a CellReport,
    target: Target,
    standing: Standing,
    verdict: Verdict,
}

fn rows<'a>(report: &'a Report, cell: &'a CellReport) -> impl Iterator<Item = Row<'a>> {
    targets::of(&cell.cell).into_iter().map(move |target| {
        let standing = standing::of(report, cell, &target);
        let is_whole = !cell.failed.contains_key(target.whose.name());
        let verdict = Verdict::of(target.bound, standing.ratio, is_whole);
        Row { cell, target, standing, verdict }
    })
}

impl Row<'_> {
    fn cells(&self) -> Vec<String> {
        let with = |name: &str, figures: &str| match (name, figures) {
            (name, "") => name.to_owned(),
            (name, figures) => format!("{name}: {figures}"),
        };
        vec![
            self.cell.id.clone(),
            with(&self.standing.whose, &self.standing.figures),
            self.target.figure.name(&self.cell.cell.job).to_owned(),
            with(&self.standing.beside, &self.standing.beside_figures),
            self.standing.ratio.map_or_else(|| "-".to_owned(), spread),
            match self.target.bound {
                Bound::AtLeast(least) => format!("≥ {least}"),
                Bound::AtMost(most) => format!("≤ {most}"),
                Bound::Told => String::new(),
            },
            match self.verdict {
                Verdict::Met => "met",
                Verdict::MetInTheMiddle => "met, not in every round",
                Verdict::NotMet => "**not met**",
                Verdict::NotMeasured => "not measured",
                Verdict::Told => "",
            }
            .to_owned(),
        ]
    }
}

/// How many targets are met, in which cells one is not, and how far that is to be believed.
fn summary(text: &mut String, report: &Report, rows: &[Row<'_>]) {
    let of = |verdict| rows.iter().filter(move |row| row.verdict == verdict);
    let count = |verdict| of(verdict).count();
    let asked = rows.len() - count(Verdict::Told);
    let _ = writeln!(
        text,
        "Of {asked} targets {} are met in every round and {} in the middle one; {} are not met, {} not measured.",
        count(Verdict::Met),
        count(Verdict::MetInTheMiddle),
        count(Verdict::NotMet),
        count(Verdict::NotMeasured),
    );
    let mut short: Vec<&str> = of(Verdict::NotMet).map(|row| row.cell.id.as_str()).collect();
    short.dedup();
    if !short.is_empty() {
        let _ = writeln!(text, "Not met in {}.", short.join(", "));
    }
    let (disturbed, rounds) = table::disturbed(report);
    if disturbed > 0 {
        let _ = writeln!(text, "In {disturbed} of {rounds} rounds of a cell the machine was disturbed.");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        cells,
        floors::Floors,
        job::Sut,
        outcome::Outcome,
        record::{Record, Round},
        subject::Subject,
    };

    const HASHICORP: Subject = Subject::System(Sut::Hashicorp);
    const OPENRAFT: Subject = Subject::System(Sut::Openraft);
    const ETCD: Subject = Subject::System(Sut::Etcd);

    /// So many operations a second, each of the same time.
    fn ops(ops_per_s: f64) -> Outcome {
        Outcome { ops_per_s, p50_us: 1e6, p99_us: 1e6, agree: true, ..Outcome::default() }
    }

    /// Operations one after the other, each of this time.
    fn takes(p50_us: f64) -> Outcome {
        Outcome { p50_us, ..ops(1e6 / p50_us) }
    }

    /// Adds a round to a cell.
    fn add(record: &mut Record, id: &str, pass: u64, outcomes: &[(Subject, &str, Outcome)]) {
        let cell = cells::all().into_iter().find(|cell| cell.id == id).expect("there is such a cell");
        let mut round = Round {
            pass,
            floors: vec![Floors { round_trip_us: 100.0, ..Floors::default() }],
            ..Round::default()
        };
        for (subject, setting, outcome) in outcomes {
            let settings: &mut BTreeMap<_, _> = round.outcomes.entry(*subject).or_default();
            settings.insert((*setting).to_owned(), outcome.clone());
        }
        record.rounds_of(&cell).expect("of the usual size").push(round);
    }

    fn report(id: &str, outcomes: &[(Subject, &str, Outcome)]) -> String {
        let mut record = Record::here();
        add(&mut record, id, 1, outcomes);
        text(&record)
    }

    fn text(record: &Record) -> String {
        render(&Report::new(record).expect("the cells are known"))
    }

    /// What follows the names in the row that has both of these.
    fn row<'a>(text: &'a str, compared: &str, beside: &str) -> [&'a str; 3] {
        let has =
            |line: &&str| line.contains(&format!("| {compared} ")) && line.contains(&format!("| {beside}"));
        let line =
            text.lines().find(has).unwrap_or_else(|| panic!("no {compared} beside {beside} in {text}"));
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        [cells[5], cells[6], cells[7]]
    }

    #[test]
    fn a_cell_has_a_row_for_each_target_with_whether_it_was_met() {
        let outcomes = [
            (Subject::OURS, "shipped", ops(900.0)),
            (HASHICORP, "a", ops(100.0)),
            (Subject::Limit, "F6", ops(2000.0)),
        ];
        let text = report("W1-c64", &outcomes);
        assert_eq!(row(&text, "throughput", "hashicorp, a"), ["9.00", "≥ 8", "met"]);
        assert_eq!(row(&text, "throughput", "F6"), ["0.450", "≥ 0.5", "**not met**"]);
        assert!(
            text.contains("Of 2 targets 1 are met in every round and 0 in the middle one; 1 are not met")
        );
        assert!(text.contains("Not met in W1-c64."));
    }

    #[test]
    fn a_round_without_a_number_is_one_that_did_not_meet_it() {
        let mut record = Record::here();
        let differs = Outcome { agree: false, ..ops(900.0) };
        for (pass, ours) in [(1, ops(900.0)), (2, differs)] {
            let outcomes = [(Subject::OURS, "shipped", ours), (HASHICORP, "a", ops(100.0))];
            add(&mut record, "W1-c64", pass, &outcomes);
        }
        let told = text(&record);
        assert_eq!(row(&told, "throughput", "hashicorp, a"), ["9.00", "≥ 8", "met, not in every round"]);
        assert!(told.contains("raftix has runs without a number: shipped: the nodes' states differ"));
    }

    #[test]
    fn openraft_as_it_ships_stands_apart_from_its_best_setting() {
        let outcomes = [
            (Subject::OURS, "shipped", ops(900.0)),
            (OPENRAFT, "two-runtimes", ops(100.0)),
            (OPENRAFT, "one-runtime", ops(300.0)),
        ];
        let text = report("W1o-c64", &outcomes);
        assert_eq!(row(&text, "throughput", "openraft, one-runtime"), ["3.00", "≥ 2.8", "met"]);
        assert_eq!(row(&text, "throughput", "openraft as its own bench ships"), ["9.00", "≥ 5", "met"]);
        assert_eq!(row(&text, "throughput", "etcd"), ["-", "≥ 3", "not measured"]);
    }

    #[test]
    fn one_client_over_tcp_is_held_against_the_smaller_of_a_peer_and_the_pipe() {
        let outcomes = [
            (Subject::OURS, "shipped", ops(80.0)),
            (HASHICORP, "a", ops(50.0)),
            (ETCD, "ready", ops(40.0)),
            (Subject::Limit, "F6", ops(100.0)),
        ];
        let text = report("W2-c1", &outcomes);
        // 0.7 of the pipe is 70, less than twice the one's 50; one and a half times the other's 40 are 60.
        assert_eq!(row(&text, "throughput", "the smaller of 2 × hashicorp"), ["1.143", "≥ 1", "met"]);
        assert_eq!(row(&text, "throughput", "the smaller of 1.5 × etcd"), ["1.333", "≥ 1", "met"]);
    }

    #[test]
    fn one_client_on_a_disk_is_held_against_latencies_of_the_log_that_is_named() {
        let outcomes = [
            (Subject::OURS, "shipped", takes(300.0)),
            (HASHICORP, "append64-wal", takes(500.0)),
            (HASHICORP, "append1024-bolt", takes(100.0)),
            (ETCD, "ready", takes(250.0)),
        ];
        let text = report("W3-c1", &outcomes);
        assert_eq!(row(&text, "median latency", "hashicorp, append64-wal"), ["0.600", "≤ 0.8", "met"]);
        assert_eq!(row(&text, "median latency", "etcd, ready"), ["1.200", "≤ 1.1", "**not met**"]);
    }

    #[test]
    fn a_slow_disk_is_told_by_its_flushes_as_they_were() {
        let slow = |ops_per_s| Outcome { flush_us: 5_000.0, ..ops(ops_per_s) };
        let text =
            report("W4-tcp-c1", &[(Subject::OURS, "shipped", slow(194.0)), (HASHICORP, "a", slow(98.0))]);
        let flushes = "one of each client in each flush";
        let rows: Vec<&str> = text.lines().filter(|line| line.contains(flushes)).collect();
        assert!(rows[0].contains("raftix") && rows[0].contains("0.970") && rows[0].contains("≥ 0.95 | met"));
        assert!(
            rows[1].contains("hashicorp, a") && rows[1].contains("0.490") && rows[1].contains("≤ 0.55 | met")
        );

        let one_slow = Outcome { flush_us: 1_100.0, ..takes(1_500.0) };
        let text = report("W4b-leader-c1", &[(Subject::OURS, "shipped", one_slow)]);
        // 1100 of a flush and 100 of a round trip.
        assert_eq!(row(&text, "median latency", "a fast flush and"), ["1.250", "≤ 1.3", "met"]);
    }

    #[test]
    fn a_slow_state_machine_is_told_by_its_applies_and_by_what_is_durable_ahead() {
        let slow = Outcome { apply_us: 1_100.0, ahead: 60, ..ops(900.0) };
        let text = report("W5-c64", &[(Subject::OURS, "shipped", slow)]);
        assert_eq!(row(&text, "throughput", "one in each apply"), ["0.990", "≥ 0.95", "met"]);
        assert_eq!(row(&text, "entries durable ahead", ""), ["60.0", "≥ 1", "met"]);
    }

    #[test]
    fn reads_are_held_against_the_writes_of_the_same_pass() {
        let mut record = Record::here();
        let ours = |ops_per_s| [(Subject::OURS, "shipped", ops(ops_per_s))];
        add(&mut record, "W3-c64", 1, &ours(100.0));
        // Another pass, which the reads have not.
        add(&mut record, "W3-c64", 2, &ours(900.0));
        let reads = Outcome { reads: 2000, read_rounds: 50, reads_checked: 250, ..ops(400.0) };
        add(&mut record, "W6-c64", 1, &[(Subject::OURS, "shipped", reads.clone())]);
        let told = text(&record);
        assert_eq!(row(&told, "throughput", "writes, W3-c64"), ["4.00", "≥ 3", "met"]);
        assert_eq!(row(&told, "throughput", "writes, W2-c64"), ["-", "≥ 1", "not measured"]);
        assert_eq!(row(&told, "rounds per 1000 reads", ""), ["25.0", "", ""]);
        assert_eq!(row(&told, "reads without a round after them", ""), ["0.00", "≤ 0", "met"]);

        let unconfirmed = Outcome { reads_without_round: 1, ..reads };
        add(&mut record, "W6-c64", 3, &[(Subject::OURS, "shipped", unconfirmed)]);
        let verdict = row(&text(&record), "reads without a round after them", "")[2].to_owned();
        assert_eq!(verdict, "**not met**");
    }

    #[test]
    fn fail_over_is_held_against_the_best_peer_and_the_timers() {
        let away = |median: f64, longest: f64| Outcome { p99_us: longest, ..takes(median) };
        let outcomes = [
            (Subject::OURS, "shipped", away(200_000.0, 400_000.0)),
            (OPENRAFT, "one-runtime", away(400_000.0, 900_000.0)),
            (ETCD, "ready", away(250_000.0, 300_000.0)),
        ];
        let text = report("W7-c64", &outcomes);
        assert_eq!(row(&text, "median time without a leader", "etcd, ready"), ["0.800", "≤ 1", "met"]);
        assert_eq!(
            row(&text, "longest time without a leader", "the election timeout"),
            ["2.67", "≤ 3", "met"]
        );
    }

    #[test]
    fn a_restart_is_told_by_how_many_times_as_long_as_a_plain_read_it_takes() {
        let text =
            report("W11", &[(Subject::OURS, "shipped", takes(4e6)), (Subject::Limit, "F7", takes(1e6))]);
        assert_eq!(row(&text, "time", "F7"), ["4.00", "≤ 3", "**not met**"]);
    }

    #[test]
    fn a_cell_without_a_target_stands_beside_the_best_peer() {
        let text =
            report("W2-open-r10000", &[(Subject::OURS, "shipped", ops(900.0)), (ETCD, "ready", ops(300.0))]);
        assert_eq!(row(&text, "throughput", "etcd, ready"), ["-", "", ""]);
    }
}
