//! What is committed, and how what was counted is held against it.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    cells::Cell,
    counts::{Counts, ceiling, tolerance},
};

/// Counts by cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Baseline(BTreeMap<String, Counts>);

/// What is to be said of one counter.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    /// Only told.
    Told,
    Good,
    /// Less than it was by more than it may be more: worth keeping.
    Better,
    /// The baseline has no such counter.
    New,
    Worse(String),
}

impl Baseline {
    /// The one in this file; an empty one if there is no file.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        match fs::read_to_string(file) {
            Ok(text) => {
                serde_json::from_str(&text).map(Self).map_err(|error| format!("{}: {error}", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", file.display())),
        }
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(&self.0).map_err(|error| error.to_string())?;
        fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))
    }

    /// What was counted is the new measure of it; the rest stays.
    pub(crate) fn take_over(&mut self, counted: &BTreeMap<&str, Counts>) {
        for (cell, counts) in counted {
            let rounded = counts.iter().map(|(name, count)| (name.clone(), (count * 1e4).round() / 1e4));
            self.0.entry((*cell).to_owned()).or_default().extend(rounded);
        }
    }

    /// Tells every counter, and whether none is worse than it may be.
    pub(crate) fn judge(&self, counted: &BTreeMap<&str, Counts>) -> bool {
        println!("{:<20} {:<18} {:>12} {:>12}", "cell", "for each operation", "baseline", "now");
        let (mut worse, mut stale) = (Vec::new(), false);
        for (id, counts) in counted {
            let Ok(cell) = Cell::named(id) else { continue };
            for (name, now) in counts {
                let then = self.0.get(*id).and_then(|counts| counts.get(name)).copied();
                let verdict = judge(&cell, name, then, *now);
                let then = then.map_or_else(|| "-".to_owned(), |then| format!("{then:.4}"));
                let remark = match &verdict {
                    Verdict::Told => "(told, not judged)",
                    Verdict::Good => "",
                    Verdict::Better => "better",
                    Verdict::New => "new",
                    Verdict::Worse(_) => "WORSE",
                };
                println!("{id:<20} {name:<18} {then:>12} {now:>12.4}  {remark}");
                stale |= matches!(verdict, Verdict::Better | Verdict::New);
                if let Verdict::Worse(why) = verdict {
                    worse.push(format!("{id}: {name}: {why}"));
                }
            }
        }
        if stale {
            println!("`--bless` makes what is better or new the baseline");
        }
        for why in &worse {
            eprintln!("worse: {why}");
        }
        if !worse.is_empty() {
            eprintln!(
                "An operation costs more than benches/counters/baseline.json allows. Find what made it so; if the cost \
                 is meant, say in the commit what it buys and renew the file: \
                 cargo run --release -p counters -- --bless"
            );
        }
        worse.is_empty()
    }
}

fn judge(cell: &Cell, name: &str, then: Option<f64>, now: f64) -> Verdict {
    if let Some(most) = ceiling(cell, name).filter(|most| now > *most) {
        return Verdict::Worse(format!("{now:.4}, and never more than {most:.4}"));
    }
    let Some(tolerance) = tolerance(cell, name) else { return Verdict::Told };
    match then {
        None => Verdict::New,
        Some(then) if now > then * (1.0 + tolerance) => Verdict::Worse(format!(
            "{now:.4} where {then:.4} is usual and {:.4} the most",
            then * (1.0 + tolerance)
        )),
        Some(then) if now < then * (1.0 - tolerance) => Verdict::Better,
        Some(_) => Verdict::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(cell: &str, name: &str, then: Option<f64>, now: f64) -> Verdict {
        judge(&Cell::named(cell).expect("a cell"), name, then, now)
    }

    #[test]
    fn what_costs_more_than_it_may_closes_the_gate() {
        assert_eq!(verdict("memory-c64", "allocations", Some(3.0), 3.05), Verdict::Good);
        assert!(matches!(verdict("memory-c64", "allocations", Some(3.0), 3.07), Verdict::Worse(_)));
        assert_eq!(verdict("memory-c64", "allocations", Some(3.0), 2.9), Verdict::Better);
        assert_eq!(verdict("memory-c64", "allocations", None, 3.0), Verdict::New);
    }

    #[test]
    fn no_baseline_lifts_the_ceilings() {
        assert!(matches!(verdict("memory-c64", "allocations", Some(5.0), 5.0), Verdict::Worse(_)));
        assert!(matches!(verdict("memory-7-nodes-c64", "encodes", Some(7.0), 7.0), Verdict::Worse(_)));
    }

    #[test]
    fn what_the_machines_load_moves_is_only_told() {
        assert_eq!(verdict("tcp-c1", "context_switches", Some(1.0), 100.0), Verdict::Told);
    }

    #[test]
    fn blessing_keeps_what_was_not_counted() {
        let counts = |name: &str, count| Counts::from([(name.to_owned(), count)]);
        let mut baseline = Baseline::default();
        baseline.take_over(&BTreeMap::from([("a", counts("x", 1.0)), ("b", counts("y", 2.0))]));
        baseline.take_over(&BTreeMap::from([("a", counts("z", 3.000_01))]));
        let expected = [("a", Counts::from([("x".into(), 1.0), ("z".into(), 3.0)])), ("b", counts("y", 2.0))];
        assert_eq!(baseline.0, expected.map(|(cell, counts)| (cell.to_owned(), counts)).into());
    }
}
