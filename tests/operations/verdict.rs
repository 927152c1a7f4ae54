//! What must hold when a run is over: the clients' history has an order that explains it, and every acknowledged write
//! stands on every node where the client was told.

use std::{collections::BTreeMap, fs, path::Path};

use raftix::{
    sim::history::{Action, Event, History, Outcome, linearizable, log_order},
    types::{LogId, LogIndex},
};

use crate::{
    disks::DiskLog,
    recording::acknowledged,
    register::{Register, Registers},
};

/// Some order explains everything that clients saw, beginning with the values that keys had `before`.
pub(crate) fn assert_linearizable(
    name: &str,
    history: &History<Registers>,
    before: BTreeMap<String, String>,
) {
    let verdict = linearizable::check(&Register::of(history, before), history, linearizable::STEPS_MAX);
    if !verdict.is_linearizable() {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("operations-{name}.jsonl"));
        fs::write(&file, history.to_json_lines()).unwrap();
        panic!("{name}: {verdict}; the history is in {}", file.display());
    }
}

/// A whole log holds every write once, where its client was told, in an order that clients could see, and none that
/// was refused.
pub(crate) fn assert_in_order(history: &History<Registers>, log: &DiskLog) {
    assert_eq!(log.first, LogIndex(1), "the log of {} is whole", log.id);
    let (writes, ids) = writes(history);
    let id = |value: &str| ids.get(value).copied().unwrap_or_else(|| panic!("nobody wrote {value}"));
    let places: Vec<(LogId, u64)> = log.sets.iter().map(|(at, set)| (*at, id(&set.value))).collect();
    if let Err(violation) = log_order::check(Registers::default(), &writes, &places) {
        panic!("the log of {}: {violation}", log.id);
    }
}

/// Every acknowledged write from the log's first entry on stands where the client was told. How many there are.
pub(crate) fn assert_kept(history: &History<Registers>, log: &DiskLog) -> usize {
    let stands: BTreeMap<_, _> = log.sets.iter().map(|(at, set)| (*at, set)).collect();
    let behind_first = acknowledged(history).filter(|(at, _)| at.index >= log.first);
    behind_first.fold(0, |count, (at, set)| {
        assert_eq!(stands.get(&at), Some(&set), "lost on {}: what was acknowledged at {at}", log.id);
        count + 1
    })
}

/// The writes alone, and the number of each by its value: reads do not say what they were answered as of, so the log
/// says nothing of them.
fn writes(history: &History<Registers>) -> (History<Registers>, BTreeMap<&str, u64>) {
    let mut writes = History::new();
    let mut ids = BTreeMap::new();
    for (stamp, event) in history.events() {
        match event {
            Event::Invoked(operation) => {
                let Action::Apply(set) = &operation.action else { continue };
                let id =
                    writes.invoked(stamp, operation.client, operation.node.clone(), operation.action.clone());
                ids.insert(set.value.as_str(), id);
            }
            Event::Returned(operation) => {
                let Action::Apply(set) = &operation.action else { continue };
                let outcome = match operation.outcome {
                    Outcome::Applied { at, .. } => Outcome::Applied { at, reply: () },
                    Outcome::Refused => Outcome::Refused,
                    Outcome::Answered { .. } | Outcome::Unknown => Outcome::Unknown,
                };
                writes.returned(stamp, ids[set.value.as_str()], outcome);
            }
        }
    }
    (writes, ids)
}

#[cfg(test)]
mod tests {
    use raftix::types::Term;

    use super::*;
    use crate::register::{Get, Set};

    fn at(index: u64) -> LogId {
        LogId::new(Term(1), LogIndex(index))
    }

    fn set(value: &str) -> Set {
        Set { key: "a".into(), value: value.into() }
    }

    /// Writes of `1` and `2`, one after the other, and a read that was told `read`.
    fn history(read: Option<&str>) -> History<Registers> {
        let mut history = History::new();
        for (stamp, value, index) in [(1, "1", 2), (3, "2", 3)] {
            let id = history.invoked(stamp, 1, "n1".into(), Action::Apply(set(value)));
            history.returned(stamp + 1, id, Outcome::Applied { at: at(index), reply: () });
        }
        let id = history.invoked(5, 2, "n1".into(), Action::Query(Get { key: "a".into() }));
        let answer = read.map(str::to_owned);
        history.returned(6, id, Outcome::Answered { at: LogIndex::ZERO, answer });
        history
    }

    fn log(first: u64, sets: &[(u64, &str)]) -> DiskLog {
        let sets: Vec<_> = sets.iter().map(|(index, value)| (at(*index), set(value))).collect();
        let last = sets.last().map_or(at(0), |(at, _)| *at);
        DiskLog { id: "n1".into(), first: LogIndex(first), last, sets }
    }

    #[test]
    fn what_happened_is_right() {
        let history = history(Some("2"));
        assert_linearizable("right", &history, BTreeMap::new());
        assert_in_order(&history, &log(1, &[(2, "1"), (3, "2")]));
        assert_eq!(assert_kept(&history, &log(3, &[(3, "2")])), 1);
    }

    #[test]
    #[should_panic = "not linearizable"]
    fn a_stale_read_is_found() {
        assert_linearizable("stale", &history(Some("1")), BTreeMap::new());
    }

    #[test]
    #[should_panic = "was acknowledged at 3"]
    fn a_lost_write_is_found_in_a_whole_log() {
        assert_in_order(&history(Some("2")), &log(1, &[(2, "1")]));
    }

    #[test]
    #[should_panic = "lost on n1"]
    fn a_lost_write_is_found_behind_a_snapshot() {
        assert_kept(&history(Some("2")), &log(3, &[]));
    }

    #[test]
    fn an_open_write_may_be_seen_late_and_one_that_was_refused_never() {
        let ended = |outcome: Outcome<Registers>| {
            let mut history = history(Some("2"));
            let id = history.invoked(7, 1, "n1".into(), Action::Apply(set("3")));
            history.returned(8, id, outcome);
            for (stamp, told) in [(9, "2"), (11, "3")] {
                let id = history.invoked(stamp, 2, "n1".into(), Action::Query(Get { key: "a".into() }));
                history.returned(
                    stamp + 1,
                    id,
                    Outcome::Answered { at: LogIndex::ZERO, answer: Some(told.into()) },
                );
            }
            let model = Register::of(&history, BTreeMap::new());
            linearizable::check(&model, &history, linearizable::STEPS_MAX).is_linearizable()
        };
        assert!(ended(Outcome::Unknown));
        assert!(!ended(Outcome::Refused));
    }
}
