//! Each switch of `raftix::known_bug` changes what the code beside it does, and nothing before it is thrown. What
//! takes actors to show is in the tests of clusters.

mod elections;
mod logs;
mod rules;

use std::{collections::BTreeSet, fmt::Debug};

use raftix::known_bug::{KnownBug, bring_back};

/// What `run` comes to without the bug, and with it.
#[track_caller]
fn differs<T: PartialEq + Debug>(bug: KnownBug, run: impl Fn() -> T, sound: T, broken: T) {
    assert_eq!(run(), sound, "without {bug}");
    let back = bring_back(bug);
    assert_eq!(run(), broken, "with {bug}");
    drop(back);
    assert_eq!(run(), sound, "{bug} is gone again");
}

#[test]
fn every_bug_is_found_by_its_name() {
    for bug in KnownBug::ALL {
        assert_eq!(bug.name().parse(), Ok(*bug));
        assert_eq!(bug.to_string(), kebab(&format!("{bug:?}")));
    }
    let names: BTreeSet<&str> = KnownBug::ALL.iter().map(|bug| bug.name()).collect();
    assert_eq!(names.len(), KnownBug::ALL.len());
    assert!("no-such-bug".parse::<KnownBug>().is_err());
}

fn kebab(camel: &str) -> String {
    let dashed = |c: char| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() };
    camel.chars().map(dashed).collect::<String>().trim_start_matches('-').to_owned()
}

#[test]
fn a_bug_is_back_on_one_thread_as_long_as_its_guard_lives() {
    assert!(KnownBug::ALL.iter().all(|bug| !bug.is_back()));
    let back = bring_back(KnownBug::TornVote);
    assert!(KnownBug::TornVote.is_back() && !KnownBug::AckBeforeFlush.is_back());
    assert!(!std::thread::spawn(|| KnownBug::TornVote.is_back()).join().unwrap());
    drop(back);
    assert!(!KnownBug::TornVote.is_back());
}

#[test]
#[should_panic(expected = "is back already")]
fn two_bugs_at_once_would_hide_each_other() {
    let _first = bring_back(KnownBug::TornVote);
    let _second = bring_back(KnownBug::TermNotSaved);
}
