//! One lie each, and what the checker that has the log calls it.

use super::support::*;
use crate::{
    sim::{
        history::{
            History,
            Outcome::{Refused, Unknown},
            log_order::{self, Violation},
        },
        kv::{Kv, KvReply::*},
    },
    types::{LogId, LogIndex, Term},
};

fn check(history: &History<Kv>, log: &[(u64, u64)]) -> Result<(), Violation> {
    let log: Vec<(LogId, u64)> = log.iter().map(|&(index, id)| (at(index), id)).collect();
    log_order::check(Kv::default(), history, &log)
}

/// Two writes, a read between them, and one after.
fn truth() -> History<Kv> {
    history([
        (1, 1, Some(3), put("1;"), replaced(2, None)),
        (2, 4, Some(6), get(), saw(3, Some("1;"))),
        (1, 7, Some(9), append("2;"), applied(5, Appended("1;2;".into()))),
        (2, 10, Some(12), get(), saw(5, Some("1;2;"))),
    ])
}

/// What a lie begins with, so that a table of them reads well.
#[track_caller]
fn lie(history: &History<Kv>, log: &[(u64, u64)]) -> String {
    check(history, log).expect_err("a lie").to_string()
}

const WRITE: &str = "operation 0 (client 1 asked n1: Put { key: \"a\", value: \"1;\" })";
const READ: &str = "operation 1 (client 2 asked n1: Get { key: \"a\" })";

#[test]
fn the_truth_is_welcome() {
    assert_eq!(check(&truth(), &[(2, 0), (5, 2)]), Ok(()));
    assert_eq!(check(&history([]), &[]), Ok(()));
}

#[test]
fn an_acknowledged_write_that_is_nowhere_is_lost() {
    let history = history([(1, 1, Some(3), put("1;"), replaced(2, None))]);
    assert_eq!(lie(&history, &[]), format!("lost: {WRITE} was acknowledged at 2@1 and stands nowhere"));
}

#[test]
fn a_write_stands_where_it_was_said_to_stand() {
    let history = history([(1, 1, Some(3), put("1;"), replaced(2, None))]);
    assert_eq!(
        lie(&history, &[(3, 0)]),
        format!("misplaced: {WRITE} was acknowledged at 2@1 and stands at 3@1")
    );
    let other_term = [(LogId::new(Term(2), LogIndex(2)), 0)];
    let violation = log_order::check(Kv::default(), &history, &other_term).unwrap_err();
    assert!(
        matches!(violation, Violation::Misplaced { stands, .. } if stands.term == Term(2)),
        "{violation}"
    );
}

#[test]
fn no_write_stands_twice() {
    for outcome in [replaced(2, None), Unknown] {
        let history = history([(1, 1, Some(3), put("1;"), outcome)]);
        assert_eq!(lie(&history, &[(2, 0), (3, 0)]), format!("doubled: {WRITE} stands at 2@1 and at 3@1"));
    }
}

#[test]
fn a_refused_write_stands_nowhere() {
    let history = history([(1, 1, Some(3), put("1;"), Refused)]);
    assert_eq!(check(&history, &[]), Ok(()));
    assert_eq!(
        lie(&history, &[(2, 0)]),
        format!("refused and applied: {WRITE} was refused and stands at 2@1")
    );
}

#[test]
fn an_unknown_write_may_stand_or_not() {
    let history = history([(1, 1, Some(3), put("1;"), Unknown), (2, 4, None, put("2;"), Unknown)]);
    for log in [&[][..], &[(2, 0)], &[(2, 1)], &[(2, 0), (3, 1)], &[(2, 1), (3, 0)]] {
        assert_eq!(check(&history, log), Ok(()));
    }
}

#[test]
fn nothing_stands_that_nobody_asked_for() {
    let history = history([(2, 1, Some(3), get(), saw(1, None))]);
    let nobody = |id| format!("out of nowhere: 2@1 holds operation {id}, and no client asked to apply that");
    assert_eq!(lie(&history, &[(2, 7)]), nobody(7));
    assert_eq!(lie(&history, &[(2, 0)]), nobody(0), "a query");
}

#[test]
fn a_log_whose_positions_fall_is_none() {
    let history = history([(1, 1, None, put("1;"), Unknown), (1, 2, None, put("2;"), Unknown)]);
    assert_eq!(lie(&history, &[(3, 0), (2, 1)]), "the log is in no order: 2@1 comes after 3@1");
    assert_eq!(lie(&history, &[(3, 0), (3, 1)]), "the log is in no order: 3@1 comes after 3@1");
    let terms = [(LogId::new(Term(2), LogIndex(2)), 0), (LogId::new(Term(1), LogIndex(3)), 1)];
    assert!(log_order::check(Kv::default(), &history, &terms).is_err());
}

#[test]
fn a_write_that_began_after_another_was_over_comes_after_it() {
    let writes =
        |second| history([(1, 1, Some(3), put("1;"), replaced(3, None)), (2, 4, Some(6), put("2;"), second)]);
    let second = "operation 1 (client 2 asked n1: Put { key: \"a\", value: \"2;\" })";
    let reordered =
        format!("reordered: {second} stands at 2, but {WRITE} at 3 had returned before it was invoked");
    assert_eq!(lie(&writes(replaced(2, None)), &[(2, 1), (3, 0)]), reordered);
    assert_eq!(lie(&writes(Unknown), &[(2, 1), (3, 0)]), reordered, "an unknown one too");
    assert_eq!(check(&writes(replaced(4, Some("1;"))), &[(3, 0), (4, 1)]), Ok(()));
}

#[test]
fn a_write_during_another_may_come_before_it() {
    let history = history([
        (1, 1, Some(5), put("1;"), replaced(3, Some("2;"))),
        (2, 4, Some(6), put("2;"), replaced(2, None)),
    ]);
    assert_eq!(check(&history, &[(2, 1), (3, 0)]), Ok(()));
}

#[test]
fn a_read_is_as_of_everything_that_was_over_when_it_began() {
    let history =
        history([(1, 1, Some(3), put("1;"), replaced(2, None)), (2, 4, Some(6), get(), saw(1, None))]);
    let stale =
        format!("stale: {READ} was answered as of 1, but {WRITE} at 2 had returned before it was invoked");
    assert_eq!(lie(&history, &[(2, 0)]), stale);
}

#[test]
fn a_read_is_not_older_than_one_that_was_over_when_it_began() {
    let reads = |first, second| {
        history([(1, 1, Some(3), get(), saw(first, None)), (2, 4, Some(6), get(), saw(second, None))])
    };
    assert!(matches!(check(&reads(5, 4), &[]), Err(Violation::Stale { .. })));
    assert_eq!(check(&reads(5, 5), &[]), Ok(()));
}

#[test]
fn a_write_that_began_after_a_read_was_over_is_not_in_what_it_saw() {
    let history =
        history([(2, 1, Some(3), get(), saw(2, None)), (1, 4, Some(6), put("1;"), replaced(2, None))]);
    assert!(matches!(check(&history, &[(2, 1)]), Err(Violation::Reordered { .. })));
}

#[test]
fn a_reply_is_the_one_that_the_log_gives() {
    let history = history([(1, 1, Some(3), put("1;"), replaced(2, Some("0;")))]);
    let wrong = "told Replaced(Some(\"0;\")), and the log gives Replaced(None)";
    assert_eq!(lie(&history, &[(2, 0)]), format!("wrong reply: {WRITE} at 2@1 was {wrong}"));
}

#[test]
fn an_answer_is_the_one_that_the_log_gives_at_that_position() {
    let read = |index, value| {
        history([(1, 1, Some(9), put("1;"), replaced(3, None)), (2, 2, Some(8), get(), saw(index, value))])
    };
    assert_eq!(check(&read(2, None), &[(3, 0)]), Ok(()));
    assert_eq!(check(&read(3, Some("1;")), &[(3, 0)]), Ok(()));
    assert_eq!(check(&read(9, Some("1;")), &[(3, 0)]), Ok(()), "beyond the last command");
    let wrong = "told Some(\"1;\"), and the log gives None";
    assert_eq!(lie(&read(2, Some("1;")), &[(3, 0)]), format!("wrong answer: {READ} as of 2 was {wrong}"));
    assert!(check(&read(3, None), &[(3, 0)]).is_err());
}
