//! The recording refuses what cannot have happened.

use super::support::*;
use crate::sim::{
    history::{Event, History, Outcome},
    kv::Kv,
};

fn one() -> History<Kv> {
    let mut history = History::new();
    history.invoked(5, 1, "n1".into(), put("1;"));
    history
}

#[test]
fn an_operation_is_unknown_until_it_returns() {
    let mut history = one();
    assert!(matches!(
        history.operations()[0],
        crate::sim::history::Operation { returned: None, outcome: Outcome::Unknown, .. }
    ));
    history.returned(9, 0, replaced(2, None));
    let text = format!("{:?}", history.get(0).unwrap());
    assert_eq!(
        text,
        "[5..9] operation 0 (client 1 asked n1: Put { key: \"a\", value: \"1;\" }): applied at 2@1: Replaced(None)"
    );
    assert!(history.get(1).is_none());
}

#[test]
fn events_come_in_the_order_they_happened() {
    let mut history = one();
    let read = history.invoked(6, 2, "n2".into(), get());
    history.returned(7, read, Outcome::Refused);
    history.returned(8, 0, Outcome::Unknown);
    let events = history.events();
    let events: Vec<_> = events
        .iter()
        .map(|(stamp, event)| match event {
            Event::Invoked(operation) => (*stamp, operation.id, "invoked"),
            Event::Returned(operation) => (*stamp, operation.id, "returned"),
        })
        .collect();
    assert_eq!(events, [(5, 0, "invoked"), (6, 1, "invoked"), (7, 1, "returned"), (8, 0, "returned")]);
}

#[test]
#[should_panic(expected = "an event at 5 after Some(5)")]
fn two_events_never_share_a_stamp() {
    one().returned(5, 0, Outcome::Unknown);
}

#[test]
#[should_panic(expected = "operation 0 returned before 9")]
fn an_operation_returns_once() {
    let mut history = one();
    history.returned(8, 0, Outcome::Unknown);
    history.returned(9, 0, replaced(2, None));
}

#[test]
#[should_panic(expected = "operation 1 was never invoked")]
fn what_nobody_asked_does_not_return() {
    one().returned(8, 1, Outcome::Refused);
}

#[test]
#[should_panic(expected = "operation 0 cannot end like that")]
fn a_command_is_not_answered_like_a_query() {
    one().returned(8, 0, saw(1, None));
}
