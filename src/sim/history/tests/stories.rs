//! Short histories told by hand, and what the checker that takes nobody's word says of them.

use super::support::*;
use crate::sim::{
    history::{
        Outcome::{Refused, Unknown},
        linearizable::{self, Verdict},
    },
    kv::{KvModel, KvReply::*},
};

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// The operation that nothing explains, and the states before it returned.
#[track_caller]
fn refuted(verdict: super::support::Verdict) -> (u64, Vec<Option<String>>) {
    match verdict {
        Verdict::NotLinearizable(found) => (found.operation, found.states),
        other => panic!("{other}"),
    }
}

#[test]
fn nothing_is_explained_by_nothing() {
    assert_eq!(verdict(&history([])), Verdict::Linearizable);
}

#[test]
fn reads_during_a_write_may_see_it_or_not_but_not_one_after_the_other() {
    let reads = |first, second| {
        history([
            (1, 1, Some(20), put("1;"), replaced(2, None)),
            (2, 2, Some(4), get(), saw(2, first)),
            (3, 6, Some(8), get(), saw(2, second)),
        ])
    };
    assert!(verdict(&reads(None, None)).is_linearizable());
    assert!(verdict(&reads(None, Some("1;"))).is_linearizable());
    assert!(verdict(&reads(Some("1;"), Some("1;"))).is_linearizable());
    assert_eq!(refuted(verdict(&reads(Some("1;"), None))), (2, vec![some("1;")]));
}

#[test]
fn a_stale_read_is_refuted_in_words() {
    let history = history([
        (1, 1, Some(3), put("1;"), replaced(2, None)),
        (2, 4, Some(6), get(), saw(1, None)),
        (3, 7, Some(9), get(), saw(2, Some("1;"))),
    ]);
    assert_eq!(
        verdict(&history).to_string(),
        "not linearizable: operation 1 (client 2 asked n1: Get { key: \"a\" }) was answered as of 1: None, at 6; \
         nothing explains that. Before, \"a\" could be Some(\"1;\"), after some of the operations [0, 1]"
    );
}

#[test]
fn a_lost_update_is_refuted() {
    let history = history([
        (1, 1, Some(5), put("1;"), replaced(2, None)),
        (2, 2, Some(6), put("2;"), replaced(3, None)),
    ]);
    assert_eq!(refuted(verdict(&history)), (1, vec![some("1;")]));
}

#[test]
fn a_command_that_was_applied_twice_is_refuted() {
    let history = history([
        (1, 1, Some(3), append("1;"), applied(2, Appended("1;".into()))),
        (2, 4, Some(6), append("2;"), applied(4, Appended("1;1;2;".into()))),
    ]);
    assert_eq!(refuted(verdict(&history)), (1, vec![some("1;")]));
}

#[test]
fn appends_that_change_places_are_refuted() {
    let history = history([
        (1, 1, Some(3), append("1;"), applied(2, Appended("1;".into()))),
        (2, 4, Some(6), append("2;"), applied(3, Appended("1;2;".into()))),
        (3, 7, Some(9), get(), saw(3, Some("2;1;"))),
    ]);
    assert_eq!(refuted(verdict(&history)), (2, vec![some("1;2;")]));
}

#[test]
fn an_unknown_write_may_show_up_long_after_its_client_gave_up() {
    let history = history([
        (1, 1, Some(3), put("1;"), Unknown),
        (2, 4, Some(6), get(), saw(1, None)),
        (2, 7, Some(9), put("2;"), replaced(2, None)),
        (2, 10, Some(12), get(), saw(3, Some("1;"))),
    ]);
    assert!(verdict(&history).is_linearizable());
}

#[test]
fn an_unknown_write_need_never_show_up() {
    let history = history([
        (1, 1, None, put("1;"), Unknown),
        (2, 4, Some(6), put("2;"), replaced(2, None)),
        (2, 7, Some(9), get(), saw(2, Some("2;"))),
    ]);
    assert!(verdict(&history).is_linearizable());
}

#[test]
fn an_unknown_write_takes_effect_once_at_most() {
    let history = history([
        (1, 1, Some(2), put("1;"), Unknown),
        (2, 3, Some(4), get(), saw(2, Some("1;"))),
        (2, 5, Some(6), put("2;"), replaced(3, Some("1;"))),
        (2, 7, Some(8), get(), saw(4, Some("1;"))),
    ]);
    assert_eq!(refuted(verdict(&history)), (3, vec![some("2;")]));
}

#[test]
fn an_unknown_append_does_not_show_up_twice() {
    let history =
        history([(1, 1, Some(2), append("1;"), Unknown), (2, 3, Some(4), get(), saw(3, Some("1;1;")))]);
    assert_eq!(refuted(verdict(&history)), (1, vec![None]));
}

#[test]
fn an_unknown_write_has_no_effect_before_it_is_asked_for() {
    let history = history([(2, 1, Some(3), get(), saw(2, Some("1;"))), (1, 4, None, put("1;"), Unknown)]);
    assert_eq!(refuted(verdict(&history)), (0, vec![None]));
}

#[test]
fn several_unknown_writes_may_have_led_to_what_is_seen() {
    let history = history([
        (1, 1, None, append("1;"), Unknown),
        (2, 2, None, append("2;"), Unknown),
        (3, 3, None, cas(Some("2;1;"), "3;"), Unknown),
        (4, 4, None, append("4;"), Unknown),
        (5, 5, Some(9), get(), saw(5, Some("3;4;"))),
    ]);
    assert!(verdict(&history).is_linearizable());
}

#[test]
fn of_two_that_expect_the_same_one_swaps() {
    let race = |second| {
        history([
            (1, 1, Some(3), put("1;"), replaced(2, None)),
            (1, 4, Some(8), cas(Some("1;"), "2;"), applied(3, Swapped)),
            (2, 5, Some(9), cas(Some("1;"), "3;"), second),
        ])
    };
    assert!(verdict(&race(applied(4, NotSwapped { seen: some("2;") }))).is_linearizable());
    assert!(verdict(&race(Unknown)).is_linearizable());
    assert_eq!(refuted(verdict(&race(applied(4, Swapped)))).0, 2);
    assert_eq!(refuted(verdict(&race(applied(4, NotSwapped { seen: some("1;") })))).0, 2);
}

#[test]
fn a_refused_write_that_shows_up_is_refuted() {
    let history = history([(1, 1, Some(2), put("1;"), Refused), (2, 3, Some(4), get(), saw(2, Some("1;")))]);
    assert_eq!(refuted(verdict(&history)), (1, vec![None]));
}

#[test]
fn a_read_without_an_answer_says_nothing() {
    let history = history([
        (1, 1, Some(3), put("1;"), replaced(2, None)),
        (2, 4, Some(5), get(), Refused),
        (2, 6, Some(7), get(), Unknown),
        (2, 8, None, get(), Unknown),
    ]);
    assert!(verdict(&history).is_linearizable());
}

#[test]
fn positions_in_the_log_are_nothing_to_this_checker() {
    let history =
        history([(1, 1, Some(3), put("1;"), replaced(9, None)), (2, 4, Some(6), get(), saw(1, Some("1;")))]);
    assert!(verdict(&history).is_linearizable());
}

#[test]
fn a_search_that_spends_its_budget_has_decided_nothing() {
    let history = history([
        (1, 1, Some(3), put("1;"), replaced(2, None)),
        (2, 2, Some(6), put("2;"), replaced(3, Some("1;"))),
    ]);
    let check = |steps_max| linearizable::check(&KvModel::of(&history), &history, steps_max);
    assert_eq!(check(1), Verdict::Undecided { key: "a".into(), steps_max: 1 });
    assert!(!check(1).is_linearizable());
    assert_eq!(check(1).to_string(), "undecided: key \"a\" takes more than 1 steps");
    assert!(check(10).is_linearizable());
}
