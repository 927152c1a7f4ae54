//! The report as text: one aligned row an actor, what wants attention marked in the first column.

use std::{fmt, time::Duration};

use super::{ActorMailbox, ActorState, MailboxReport};

const HEADER: [&str; 12] = [
    "",
    "ACTOR",
    "STATE",
    "DEPTH",
    "HIGH",
    "OLDEST",
    "WAIT mean",
    "WAIT max",
    "HANDLED",
    "MOST",
    "ABND",
    "DROP",
];
/// Columns of names; the others hold figures and are set flush right.
const TEXT_COLUMNS: [usize; 4] = [0, 1, 2, 9];

impl fmt::Display for MailboxReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.actors.iter().map(row).collect();
        let widths: [usize; 12] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEADER[column].len()]).max().unwrap_or(0)
        });
        writeln!(f, "node {} · {} actors", self.node, rows.len())?;
        write_row(f, &HEADER.map(str::to_owned), &widths)?;
        rows.iter().try_for_each(|row| write_row(f, row, &widths))
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, cells: &[String; 12], widths: &[usize; 12]) -> fmt::Result {
    let mut line = String::new();
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let gap = if column < 2 { " " } else { "  " };
        if TEXT_COLUMNS.contains(&column) {
            line.push_str(&format!("{cell:<width$}{gap}"));
        } else {
            line.push_str(&format!("{cell:>width$}{gap}"));
        }
    }
    writeln!(f, "{}", line.trim_end())
}

fn row(actor: &ActorMailbox) -> [String; 12] {
    let depth = match actor.unaddressed {
        0 => actor.depth.to_string(),
        more => format!("{}+≤{more}", actor.depth),
    };
    let oldest =
        actor.oldest.as_ref().map(|waiting| format!("{} {}", waiting.message, short_time(waiting.age)));
    let most = actor.handled.first().map(|(message, count)| format!("{message} {count}"));
    [
        mark(actor).to_owned(),
        actor.name.clone(),
        state(actor),
        depth,
        actor.high_water.to_string(),
        oldest.unwrap_or_else(|| "–".to_owned()),
        short_time(actor.waited_mean),
        short_time(actor.waited_max),
        actor.handled_total().to_string(),
        most.unwrap_or_else(|| "–".to_owned()),
        actor.abandoned.to_string(),
        actor.dropped.to_string(),
    ]
}

/// `!` before an actor that panicked, or that has left a message waiting for a second.
fn mark(actor: &ActorMailbox) -> &'static str {
    const WAIT_ALARM: Duration = Duration::from_secs(1);
    let late = actor.oldest.as_ref().is_some_and(|waiting| waiting.age >= WAIT_ALARM);
    if late || actor.state == ActorState::Panicked { "!" } else { "" }
}

fn state(actor: &ActorMailbox) -> String {
    match (actor.state, &actor.handling) {
        (ActorState::Busy, Some(now)) => format!("{} {}", now.message, short_time(now.since)),
        (ActorState::Panicked, Some(last)) => format!("panicked in {}", last.message),
        (ActorState::Starting, _) => "starting".to_owned(),
        (ActorState::Idle, _) => "idle".to_owned(),
        (ActorState::Busy, None) => "busy".to_owned(),
        (ActorState::Stopped, _) => "stopped".to_owned(),
        (ActorState::Panicked, None) => "panicked".to_owned(),
    }
}

/// Two significant figures or so, with its unit; a dash for nothing.
fn short_time(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0 => "–".to_owned(),
        1..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        _ => format!("{} min", micros / 60_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Handling, Waiting};

    fn idle(name: &str) -> ActorMailbox {
        ActorMailbox {
            name: name.to_owned(),
            state: ActorState::Idle,
            depth: 0,
            unaddressed: 0,
            high_water: 7,
            oldest: None,
            handled: vec![("Tick".to_owned(), 61)],
            waited_mean: Duration::from_micros(2),
            waited_max: Duration::from_micros(40),
            handling: None,
            abandoned: 0,
            dropped: 0,
        }
    }

    fn report() -> MailboxReport {
        let stuck = ActorMailbox {
            state: ActorState::Busy,
            depth: 12,
            unaddressed: 3,
            oldest: Some(Waiting { message: "FsmMutate".to_owned(), age: Duration::from_millis(2_400) }),
            handling: Some(Handling { message: "FsmMutate".to_owned(), since: Duration::from_secs(30) }),
            ..idle("fsm_applier")
        };
        MailboxReport { node: "n1".to_owned(), actors: vec![idle("consensus"), stuck] }
    }

    #[test]
    fn the_table_is_aligned_and_marks_the_stuck_actor() {
        let expected = "\
node n1 · 2 actors
  ACTOR       STATE             DEPTH  HIGH           OLDEST  WAIT mean  WAIT max  HANDLED  MOST     ABND  DROP
  consensus   idle                  0     7                –       2 µs     40 µs       61  Tick 61     0     0
! fsm_applier FsmMutate 30.0 s  12+≤3     7  FsmMutate 2.4 s       2 µs     40 µs       61  Tick 61     0     0
";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn a_report_survives_json() {
        let json = serde_json::to_string(&report()).expect("plain data");
        assert_eq!(serde_json::from_str::<MailboxReport>(&json).expect("what was written"), report());
    }

    #[test]
    fn times_are_short_and_bear_their_unit() {
        let shown =
            [0, 7, 1_250, 38_000, 2_400_000, 180_000_000].map(|us| short_time(Duration::from_micros(us)));
        assert_eq!(shown, ["–", "7 µs", "1.2 ms", "38 ms", "2.4 s", "3 min"]);
    }
}
