//! What the log keeps, gives out and refuses.

use super::*;
use crate::types::EntryKind;

fn buffer(commands: &[&str]) -> EntryBuffer {
    let mut buffer = EntryBuffer::default();
    for command in commands {
        buffer.push(EntryKind::Command, command.as_bytes());
    }
    buffer
}

fn batch(first: u64, term: u64, commands: &[&str]) -> EntryBatch {
    buffer(commands).seal(LogIndex(first), Term(term))
}

fn log() -> Log {
    Log::new(&Recovered::default(), 1 << 20)
}

fn leading(log: &mut Log, tenure: &Tenure, commands: &[&str]) -> Ticket {
    log.append_own(tenure, buffer(commands)).unwrap().unwrap().1
}

#[test]
fn a_revoked_tenure_appends_nothing() {
    let mut log = log();
    let tenure = Tenure::new(Term(2));
    leading(&mut log, &tenure, &["a"]);
    tenure.revoke();
    assert!(log.append_own(&tenure, buffer(&["b"])).unwrap().is_none());
    assert_eq!(log.last(), LogId::new(Term(2), LogIndex(1)));
}

#[test]
fn each_committed_entry_is_handed_off_once() {
    let mut log = log();
    leading(&mut log, &Tenure::new(Term(1)), &["a", "b", "c"]);
    assert_eq!(log.hand_off(1 << 20), Slice::Empty);
    assert!(log.commit_to(LogIndex(2)));
    let Slice::Entries(entries) = log.hand_off(1 << 20) else { panic!() };
    assert_eq!((entries.first(), entries.last()), (Some(LogIndex(1)), Some(LogIndex(2))));
    assert_eq!(log.hand_off(1 << 20), Slice::Empty);
    assert!(!log.commit_to(LogIndex(1)));
    assert!(log.commit_to(LogIndex(99)));
    assert_eq!(log.commit(), LogIndex(3));
}

#[test]
fn a_conflict_truncates_and_lowers_the_durable_index_until_the_new_entries_are_flushed() {
    let mut log = log();
    let ticket = leading(&mut log, &Tenure::new(Term(1)), &["a", "b", "c"]);
    assert!(log.flushed(ticket));
    let appended = log.follow(LogId::new(Term(1), LogIndex(1)), batch(2, 2, &["x"]).into()).unwrap();
    let Appended::Accepted { truncated, new, proven, .. } = appended else { panic!("{appended:?}") };
    assert_eq!((truncated, new.count(), proven), (Some(LogIndex(2)), 1, LogIndex(2)));
    assert_eq!((log.durable(), log.last()), (LogIndex(1), LogId::new(Term(2), LogIndex(2))));
    let (cut, written) = (log.issue(LogIndex(1), 0), log.issue(LogIndex(2), 0));
    assert!(!log.flushed(cut), "the truncation alone makes nothing durable that replaced the old entries");
    assert_eq!(log.durable(), LogIndex(1));
    assert!(log.flushed(written));
    assert_eq!(log.durable(), LogIndex(2));
}

#[test]
fn a_flush_between_two_batches_of_one_request_covers_the_first_alone() {
    let mut log = log();
    let mut entries = Entries::none();
    entries.push(batch(1, 1, &["a", "b"]));
    entries.push(batch(3, 1, &["c"]));
    assert!(matches!(log.follow(LogId::ZERO, entries.clone()).unwrap(), Appended::Accepted { .. }));
    let tickets: Vec<Ticket> = entries.batches().iter().map(|batch| log.issue(batch.last(), 0)).collect();
    log.flushed(tickets[0]);
    assert_eq!(log.durable(), LogIndex(2));
    log.flushed(tickets[1]);
    assert_eq!(log.durable(), LogIndex(3));
}

#[test]
fn entries_that_are_there_already_are_not_appended_again() {
    let mut log = log();
    leading(&mut log, &Tenure::new(Term(1)), &["a", "b"]);
    let again = log.follow(LogId::ZERO, batch(1, 1, &["a", "b", "c"]).into()).unwrap();
    let Appended::Accepted { truncated: None, new, proven: LogIndex(3), .. } = again else {
        panic!("{again:?}")
    };
    assert_eq!((new.first(), new.count()), (Some(LogIndex(3)), 1));
}

#[test]
fn a_committed_entry_is_never_truncated() {
    let mut log = log();
    leading(&mut log, &Tenure::new(Term(1)), &["a", "b"]);
    log.commit_to(LogIndex(2));
    let conflict = log.follow(LogId::new(Term(1), LogIndex(1)), batch(2, 2, &["x"]).into()).unwrap();
    assert!(matches!(conflict, Appended::CommittedConflict { at: LogIndex(2) }));
}

#[test]
fn what_memory_gave_up_is_asked_from_the_store() {
    let mut log = Log::new(&Recovered::default(), 200);
    let tenure = Tenure::new(Term(1));
    for command in ["a", "b", "c"] {
        let ticket = leading(&mut log, &tenure, &[command]);
        log.flushed(ticket);
    }
    assert_eq!(log.read(LogIndex(1), 10, 1 << 20), Slice::Stored { first: LogIndex(1), last: LogIndex(2) });
    assert!(matches!(log.read(LogIndex(3), 10, 1 << 20), Slice::Entries(_)));
    assert_eq!(log.read(LogIndex(4), 10, 1 << 20), Slice::Empty);
}

#[test]
fn a_state_machine_that_stands_still_keeps_no_entries_in_memory_and_misses_none() {
    let mut log = Log::new(&Recovered::default(), 200);
    let tenure = Tenure::new(Term(1));
    let batches: Vec<EntryBatch> = (1..=9).map(|index| batch(index, 1, &["a"])).collect();
    for _ in &batches {
        let ticket = leading(&mut log, &tenure, &["a"]);
        log.flushed(ticket);
    }
    log.commit_to(LogIndex(9));
    let Slice::Stored { first: LogIndex(1), last } = log.hand_off(1 << 20) else { panic!() };
    let stored = log.hand_off_stored(&batches[..last.get() as usize]);
    assert_eq!((stored.first(), stored.last()), (Some(LogIndex(1)), Some(last)));
    let Slice::Entries(rest) = log.hand_off(1 << 20) else { panic!() };
    assert_eq!((rest.first(), rest.last()), (Some(last.next()), Some(LogIndex(9))));
}

#[test]
fn what_is_not_durable_stays_in_memory() {
    let mut log = Log::new(&Recovered::default(), 0);
    leading(&mut log, &Tenure::new(Term(1)), &["a", "b"]);
    log.commit_to(LogIndex(2));
    assert!(matches!(log.hand_off(1 << 20), Slice::Entries(_)));
    assert!(matches!(log.read(LogIndex(1), 10, 1 << 20), Slice::Entries(_)));
}

#[test]
fn a_membership_takes_effect_on_append_and_falls_back_on_truncation() {
    use crate::types::{Incarnation, Server, Suffrage};
    let server = |id: &str| Server {
        id: id.into(),
        address: id.into(),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(1),
    };
    let one = Membership::new([server("a")]).unwrap();
    let two = Membership::new([server("a"), server("b")]).unwrap();
    let mut log = log();
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Configuration, &one.encode());
    buffer.push(EntryKind::Configuration, &two.encode());
    log.append_own(&Tenure::new(Term(1)), buffer).unwrap();
    assert_eq!(log.membership(), &two);
    log.follow(LogId::new(Term(1), LogIndex(1)), batch(2, 2, &["x"]).into()).unwrap();
    assert_eq!(log.membership(), &one);
}

#[test]
fn a_membership_that_does_not_decode_is_refused_with_everything_beside_it() {
    let server = crate::types::Server {
        id: "a".into(),
        address: "a".into(),
        suffrage: crate::types::Suffrage::Voter,
        incarnation: crate::types::Incarnation(1),
    };
    let mut log = log();
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Configuration, &Membership::new([server]).unwrap().encode());
    buffer.push(EntryKind::Configuration, b"no membership");
    assert!(log.append_own(&Tenure::new(Term(1)), buffer).is_err());
    assert!(log.membership().is_empty() && log.last() == LogId::ZERO);
}

fn described(index: u64, term: u64) -> SnapshotDescription {
    SnapshotDescription { last: LogId::new(Term(term), LogIndex(index)), ..SnapshotDescription::default() }
}

/// Entries 1 to 5 of term 1, durable, committed and handed off.
fn applied() -> Log {
    let mut log = log();
    let ticket = leading(&mut log, &Tenure::new(Term(1)), &["a", "b", "c", "d", "e"]);
    log.flushed(ticket);
    log.commit_to(LogIndex(5));
    assert!(matches!(log.hand_off(1 << 20), Slice::Entries(_)));
    log
}

#[test]
fn regress_e4_compaction_removes_the_front_once_and_never_comes_back() {
    let mut log = applied();
    assert_eq!(log.compact(LogIndex::ZERO), None, "nothing to remove");
    let base = log.compact(LogIndex(3)).unwrap();
    assert_eq!((base.last, log.base()), (LogId::new(Term(1), LogIndex(3)), base.last));
    assert_eq!(log.read(LogIndex(3), 10, 1 << 20), Slice::Compacted);
    let Slice::Entries(rest) = log.read(LogIndex(4), 10, 1 << 20) else { panic!() };
    assert_eq!((rest.first(), rest.last()), (Some(LogIndex(4)), Some(LogIndex(5))));
    assert_eq!(log.compact(LogIndex(3)), None);
    assert_eq!(log.compact(LogIndex(2)), None, "the base never moves back");
    assert!(log.compact(LogIndex(5)).is_some());
    assert_eq!((log.last(), log.commit(), log.handed()), (log.base(), LogIndex(5), LogIndex(5)));
    leading(&mut log, &Tenure::new(Term(2)), &["f"]);
    assert!(matches!(log.read(LogIndex(6), 10, 1 << 20), Slice::Entries(_)));
}

#[test]
#[should_panic(expected = "compaction up to 2")]
fn what_is_not_durable_is_never_compacted() {
    let mut log = log();
    leading(&mut log, &Tenure::new(Term(1)), &["a", "b"]);
    log.commit_to(LogIndex(2));
    log.hand_off(1 << 20);
    log.compact(LogIndex(2));
}

#[test]
fn a_start_from_a_snapshot_hands_off_only_what_is_behind_it() {
    let recovered = Recovered {
        last: LogId::new(Term(1), LogIndex(5)),
        term_runs: vec![(LogIndex(1), Term(1))],
        ..Recovered::default()
    };
    let mut log = Log::new(&recovered, 1 << 20);
    log.restored(&described(3, 1));
    assert_eq!((log.commit(), log.handed()), (LogIndex(3), LogIndex(3)));
    assert_eq!(log.hand_off(1 << 20), Slice::Empty);
    log.commit_to(LogIndex(5));
    assert_eq!(log.hand_off(1 << 20), Slice::Stored { first: LogIndex(4), last: LogIndex(5) });
}

#[test]
fn regress_h36_a_snapshot_whose_last_entry_is_here_leaves_the_log_as_it_is() {
    let mut log = log();
    let ticket = leading(&mut log, &Tenure::new(Term(1)), &["a", "b", "c"]);
    log.flushed(ticket);
    assert!(!log.install(&described(2, 1)), "everything stays");
    assert_eq!((log.last().index, log.commit(), log.handed()), (LogIndex(3), LogIndex(2), LogIndex(2)));
    assert!(!log.install(&described(1, 1)), "nothing moves back");
    assert_eq!(log.commit(), LogIndex(2));
    assert!(log.install(&described(3, 2)), "another entry is here");
    assert_eq!(
        (log.base(), log.last()),
        (LogId::new(Term(2), LogIndex(3)), LogId::new(Term(2), LogIndex(3)))
    );
}

#[test]
fn regress_d3_a_snapshot_ahead_of_the_log_replaces_all_of_it() {
    use crate::types::{Incarnation, Server, Suffrage};
    let (id, address) = ("z".into(), "z".into());
    let newcomer = Server { id, address, suffrage: Suffrage::Voter, incarnation: Incarnation(1) };
    let membership = Membership::new([newcomer]).unwrap();
    let mut log = applied();
    let late = leading(&mut log, &Tenure::new(Term(1)), &["f"]);
    let ahead = SnapshotDescription { membership: membership.clone(), ..described(40, 3) };
    assert!(log.install(&ahead));
    assert_eq!((log.base(), log.last(), log.durable()), (ahead.last, ahead.last, LogIndex(40)));
    assert_eq!((log.commit(), log.handed(), log.membership()), (LogIndex(40), LogIndex(40), &membership));
    assert!(!log.flushed(late), "what was written before says nothing now");
    let next = leading(&mut log, &Tenure::new(Term(3)), &["g"]);
    assert_eq!((log.last().index, log.durable()), (LogIndex(41), LogIndex(40)));
    assert!(log.flushed(next));
}

#[test]
fn regress_d5_a_snapshot_is_of_the_membership_at_its_last_entry() {
    use crate::types::{ClusterId, Incarnation, Server, Suffrage};
    let server = |id: &str| Server {
        id: id.into(),
        address: id.into(),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(1),
    };
    let mut buffer = EntryBuffer::default();
    for ids in [&["a"][..], &["a", "b"]] {
        let membership = Membership::new(ids.iter().map(|id| server(id))).unwrap();
        buffer.push(EntryKind::Configuration, &membership.encode());
        buffer.push(EntryKind::Noop, b"");
    }
    let mut log = log();
    log.append_own(&Tenure::new(Term(1)), buffer).unwrap();
    let described = |index| log.describe(LogId::new(Term(1), LogIndex(index)), ClusterId(7)).unwrap();
    let shape = |index| (described(index).membership.servers().len(), described(index).membership_index.0);
    assert_eq!([1, 2, 3, 4].map(shape), [(1, 1), (1, 1), (2, 3), (2, 3)]);
    assert_eq!(
        log.describe(LogId::new(Term(2), LogIndex(2)), ClusterId(7)),
        None,
        "not an entry of this log"
    );
}
