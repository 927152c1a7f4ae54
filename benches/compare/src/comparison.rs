//! The order of a comparison: round by round, cell by cell, each system in its turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    args::Comparison,
    cells::{self, Cell, NOT_MEASURED},
    floors::{self, Floors, Ticks},
    job::{Job, Log, Sut, Task},
    limit,
    outcome::Outcome,
    ratio::median,
    record::{Record, Round},
    report::Report,
    runner::Runner,
    selection, settings,
    subject::Subject,
    sut::go,
    table, targets,
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
    let cells: Vec<Cell> = selection::select(&options.cells)?
        .into_iter()
        .map(|cell| cell.sized(options.entries, options.state_mib))
        .collect();
    fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let mut record = begin(options)?;
    let runner = Runner { programs: options.data.join("go") };
    let (systems, left_out) = systems(options, &runner);
    record.left_out.extend(left_out);
    for number in 0..options.rounds {
        let (pass, began) = (milliseconds_now(), Instant::now());
        for cell in &cells {
            let before = record.rounds_of(cell)?;
            if before.len() > number {
                continue;
            }
            let subjects = turn(number, subjects(cell, &systems, before));
            eprintln!("round {} of {}: {}", number + 1, options.rounds, cell.id);
            before.push(Round { pass, ..round(options, &runner, cell, &subjects)? });
            save(options, &record)?;
        }
        tell_what_is_left(options.rounds - number - 1, began.elapsed());
    }
    println!("{}", table::render(&Report::new(&record)?));
    Ok(())
}

/// Since the epoch: of another run there is another number.
fn milliseconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Later rounds are no longer than this one: settings are dropped, never added.
fn tell_what_is_left(rounds: usize, one: Duration) {
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    let (one, left) = (minutes(one), minutes(one * rounds as u32));
    if rounds > 0 {
        eprintln!("that round took {one:.1} minutes; {rounds} are left, {left:.0} minutes at most");
    }
}

/// What the file of an earlier run holds, if this one goes on with it, or nothing.
fn begin(options: &Comparison) -> Result<Record, String> {
    let mut record = Record::here();
    if let Some(path) = options.json.as_deref().filter(|path| options.resume && path.exists()) {
        let mut earlier = Record::read(path)?;
        earlier.merge(record)?;
        record = earlier;
    }
    record.add_commands([options.command()]);
    Ok(record)
}

/// Replaces the file by one with everything measured so far. A run that is ended leaves the one or the other.
fn save(options: &Comparison, record: &Record) -> Result<(), String> {
    let Some(path) = &options.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(&Report::new(record)?).map_err(|error| error.to_string())?;
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn list() {
    for cell in cells::all() {
        println!("{}", cell.id);
    }
    for (id, why) in NOT_MEASURED {
        println!("{id}: not measured: {why}");
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
        let all = settings::of(cell, *sut).iter().map(|setting| (Subject::System(*sut), *setting));
        let is_named = |setting: &str| targets::names(cell, *sut, setting);
        subjects.extend(all.filter(|key| all_again || is_named(key.1) || is_worth_repeating(before, key)));
    }
    subjects.extend(limit::name(&cell.job).map(|name| (Subject::Limit, name)));
    subjects
}

fn is_worth_repeating(before: &[Round], (subject, setting): &Key) -> bool {
    let settings: BTreeSet<&str> = before.iter().flat_map(|round| round.settings(*subject)).collect();
    let best = settings.iter().map(|other| middle(before, *subject, other)).fold(0.0, f64::max);
    middle(before, *subject, setting) >= best * WORTH_REPEATING
}

/// What was reached in the middle round, of those in which the machine was undisturbed if there are any.
fn middle(rounds: &[Round], subject: Subject, setting: &str) -> f64 {
    let number = |round: &Round| {
        let outcome = round.outcome(subject, setting)?;
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
        let mut outcomes: BTreeMap<Subject, BTreeMap<String, Outcome>> = BTreeMap::new();
        for key in subjects {
            let outcome = measure(options, runner, cell, *key);
            outcomes.entry(key.0).or_default().insert(key.1.to_owned(), outcome);
        }
        let (disturbance, after) = (Ticks::now().disturbance(&ticks), probe()?);
        let drifted = (!before.is_like(&after, cell.job.log == Log::Disk))
            .then(|| format!("floors went from {before:?} to {after:?}"));
        let disturbance = disturbance.or(drifted);
        let round = Round { outcomes, floors: vec![before, after], disturbance, ..Round::default() };
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
    let what = outcome.failure();
    if job.task == Task::Load {
        eprintln!(
            "    {:<10} {:<26} {:>10.0} op/s  p50 {:>8.1} us  p99 {:>9.1} us  {:>6.2} us of CPU each  {what}",
            subject.name(),
            setting,
            outcome.ops_per_s,
            outcome.p50_us,
            outcome.p99_us,
            outcome.cpu_us_per_op,
        );
    } else {
        eprintln!(
            "    {:<10} {:<26} {:>10.0} a second in {:>8.1} ms  {:>6.0} MiB at most  {what}",
            subject.name(),
            setting,
            outcome.ops_per_s,
            outcome.p50_us / 1e3,
            outcome.peak_mib,
        );
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Key = (Subject::System(Sut::Etcd), "ready");
    const SLOW: Key = (Subject::System(Sut::Etcd), "async");

    fn round(fast: f64, slow: f64, disturbance: Option<&str>) -> Round {
        let outcome = |ops_per_s| Outcome { ops_per_s, agree: true, ..Outcome::default() };
        let settings = [(FAST.1, fast), (SLOW.1, slow)].map(|(name, ops)| (name.to_owned(), outcome(ops)));
        let outcomes = BTreeMap::from([(FAST.0, settings.into())]);
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
