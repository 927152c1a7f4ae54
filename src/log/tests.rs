//! What the log keeps, gives out and refuses.

use super::*;

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
    let appended = log.follow(LogId::new(Term(1), LogIndex(1)), &batch(2, 2, &["x"]).into()).unwrap();
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
    assert!(matches!(log.follow(LogId::ZERO, &entries).unwrap(), Appended::Accepted { .. }));
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
    let again = log.follow(LogId::ZERO, &batch(1, 1, &["a", "b", "c"]).into()).unwrap();
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
    let conflict = log.follow(LogId::new(Term(1), LogIndex(1)), &batch(2, 2, &["x"]).into()).unwrap();
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
    log.follow(LogId::new(Term(1), LogIndex(1)), &batch(2, 2, &["x"]).into()).unwrap();
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
