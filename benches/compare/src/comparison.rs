//! The order of a comparison: round by round, cell by cell, each system in its turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{
    args::{Comparison, Job, Log, Sut},
    cells::{self, Cell, UNAVAILABLE},
    child::Outcome,
    floors::{self, Floors, Ticks},
    limit,
    ratio::median,
    report::{Report, Round},
    runner::{Runner, Subject},
    sut::go,
    table,
};

/// How many rounds every setting is tried: durable cells are bimodal, and a disturbed round says nothing.
const ROUNDS_FOR_ALL: usize = 3;
/// A setting that reached less than this part of its system's best by then, in the middle round, is not tried again.
const WORTH_REPEATING: f64 = 0.8;

type Key = (Subject, &'static str);

pub(crate) fn run(options: &Comparison) -> Result<(), String> {
    if options.cells == "list" {
        list();
        return Ok(());
    }
    let cells = cells::select(&options.cells)?;
    fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let runner = Runner { programs: options.data.join("go") };
    let (systems, left_out) = systems(options, &runner);
    let mut rounds: BTreeMap<String, Vec<Round>> = BTreeMap::new();
    for number in 0..options.rounds {
        for cell in &cells {
            let before = rounds.entry(cell.id.clone()).or_default();
            let subjects = turn(number, subjects(cell, &systems, before));
            eprintln!("round {} of {}: {}", number + 1, options.rounds, cell.id);
            before.push(round(options, &runner, cell, &subjects)?);
        }
    }
    let report = Report::new(&cells, &rounds, left_out);
    println!("{}", table::render(&report));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn list() {
    for cell in cells::all() {
        println!("{}", cell.id);
    }
    for (id, why) in UNAVAILABLE {
        println!("{id}: not available: {why}");
    }
}

/// Raftix and the peers that can be measured here; the others with the reason.
fn systems(options: &Comparison, runner: &Runner) -> (Vec<Sut>, BTreeMap<String, String>) {
    let mut left_out = BTreeMap::new();
    let go = [Sut::Hashicorp, Sut::Etcd].iter().any(|sut| options.sut.contains(sut));
    let built = if go { go::build(&runner.programs) } else { Ok(()) };
    let mut systems = vec![Sut::Raftix];
    for sut in options.sut.iter().copied().filter(|sut| *sut != Sut::Raftix) {
        let missing = match sut {
            Sut::Hashicorp | Sut::Etcd => built.clone().err(),
            Sut::RaftRs if !cfg!(feature = "raft-rs") => {
                Some("built without `--features raft-rs`".to_owned())
            }
            _ => None,
        };
        match missing {
            None => systems.push(sut),
            Some(why) => {
                eprintln!("left out: {sut}: {why}");
                left_out.insert(sut.name().to_owned(), why);
            }
        }
    }
    (systems, left_out)
}

/// Who is measured in a cell: every system with every setting at first, then those that may still be its best.
fn subjects(cell: &Cell, systems: &[Sut], before: &[Round]) -> Vec<Key> {
    let all_again = before.len() < ROUNDS_FOR_ALL;
    let mut subjects: Vec<Key> = Vec::new();
    for sut in systems {
        let all = cells::settings(cell, *sut).iter().map(|setting| (Subject::System(*sut), *setting));
        subjects.extend(all.filter(|key| all_again || is_worth_repeating(before, key)));
    }
    if limit::exists(&cell.job) {
        subjects.push((Subject::Limit, "pipe"));
    }
    subjects
}

fn is_worth_repeating(before: &[Round], key: &Key) -> bool {
    let settings: BTreeSet<Key> = before
        .iter()
        .flat_map(|round| round.outcomes.keys().copied())
        .filter(|other| other.0 == key.0)
        .collect();
    let best = settings.iter().map(|other| middle(before, other)).fold(0.0, f64::max);
    middle(before, key) >= best * WORTH_REPEATING
}

/// What was reached in the middle round, of those in which the machine was undisturbed if there are any.
fn middle(rounds: &[Round], key: &Key) -> f64 {
    let number = |round: &Round| {
        let outcome = round.outcomes.get(key)?;
        Some(if outcome.error.is_empty() { outcome.ops_per_s } else { 0.0 })
    };
    let quiet = rounds.iter().filter(|round| round.disturbance.is_none());
    let numbers: Vec<f64> = quiet.filter_map(number).collect();
    let all = || median(&rounds.iter().filter_map(number).collect::<Vec<_>>());
    median(&numbers).or_else(all).unwrap_or(0.0)
}

/// Everybody comes first once.
fn turn(round: usize, mut subjects: Vec<Key>) -> Vec<Key> {
    let count = subjects.len().max(1);
    subjects.rotate_left(round % count);
    subjects
}

/// Measures a cell with everybody; again if the machine was disturbed meanwhile.
fn round(options: &Comparison, runner: &Runner, cell: &Cell, subjects: &[Key]) -> Result<Round, String> {
    let probe = || Floors::probe(&options.data).map_err(|error| format!("floor probe: {error}"));
    let mut tries = 0;
    loop {
        let (before, ticks) = (probe()?, Ticks::now());
        let outcomes = subjects.iter().map(|key| (*key, measure(options, runner, cell, *key))).collect();
        let (disturbance, after) = (Ticks::now().disturbance(&ticks), probe()?);
        let drifted = (!before.is_like(&after, cell.job.log == Log::Disk))
            .then(|| format!("floors went from {before:?} to {after:?}"));
        let round = Round { outcomes, floors: vec![before, after], disturbance: disturbance.or(drifted) };
        if round.disturbance.is_none() || tries == options.redo {
            return Ok(round);
        }
        eprintln!("    again: {}", round.disturbance.as_deref().unwrap_or_default());
        tries += 1;
        floors::settle();
    }
}

fn measure(options: &Comparison, runner: &Runner, cell: &Cell, (subject, setting): Key) -> Outcome {
    let job = Job {
        setting: setting.to_owned(),
        warm_ms: options.warm_ms,
        run_ms: options.run_ms,
        data: options.data.join("child"),
        ..cell.job.clone()
    };
    let outcome = runner.measure(subject, &job);
    let what =
        if outcome.error.is_empty() && !outcome.agree { "the nodes' states differ" } else { &outcome.error };
    eprintln!(
        "    {:<10} {:<26} {:>10.0} op/s  p50 {:>8.1} us  p99 {:>9.1} us  {:>6.2} us of CPU each  {what}",
        subject.name(),
        setting,
        outcome.ops_per_s,
        outcome.p50_us,
        outcome.p99_us,
        outcome.cpu_us_per_op,
    );
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Key = (Subject::System(Sut::Etcd), "ready");
    const SLOW: Key = (Subject::System(Sut::Etcd), "async");

    fn round(fast: f64, slow: f64, disturbance: Option<&str>) -> Round {
        let outcome = |ops_per_s| Outcome { ops_per_s, agree: true, ..Outcome::default() };
        let outcomes = BTreeMap::from([(FAST, outcome(fast)), (SLOW, outcome(slow))]);
        Round { outcomes, disturbance: disturbance.map(str::to_owned), ..Round::default() }
    }

    #[test]
    fn a_setting_far_behind_its_systems_best_is_not_tried_again() {
        let rounds = [round(10.0, 7.0, None), round(10.0, 7.0, None), round(10.0, 12.0, None)];
        assert!(is_worth_repeating(&rounds, &FAST));
        assert!(!is_worth_repeating(&rounds, &SLOW));
    }

    #[test]
    fn one_bad_round_drops_nobody_and_a_disturbed_one_says_nothing() {
        let rounds = [round(1.0, 10.0, None), round(12.0, 10.0, None), round(12.0, 10.0, None)];
        assert!(is_worth_repeating(&rounds, &FAST) && is_worth_repeating(&rounds, &SLOW));
        let rounds =
            [round(1.0, 10.0, Some("stolen")), round(1.0, 10.0, Some("stolen")), round(12.0, 10.0, None)];
        assert!(is_worth_repeating(&rounds, &FAST));
    }

    #[test]
    fn everybody_comes_first_once() {
        let firsts: Vec<Key> = (0..3).map(|round| turn(round, vec![FAST, SLOW])[0]).collect();
        assert_eq!(firsts, [FAST, SLOW, FAST]);
    }
}
