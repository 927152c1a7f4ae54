//! Random runs, true ones and ones that were tampered with, held against the definition.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::support::*;
use crate::{
    sim::{
        history::{
            History, Operation, Outcome,
            linearizable::Verdict,
            log_order::{self, Violation},
        },
        kv::{Kv, KvReply},
    },
    types::LogId,
};

/// Something that did not happen so. The numbers choose where, and are taken modulo what there is.
#[derive(Clone, Debug)]
enum Tamper {
    /// A write was refused, whoever saw it.
    Refuse(usize),
    /// Nobody was told how a write ended.
    Forget(usize),
    /// Two clients were told each other's answers or replies.
    SwapTold(usize, usize),
    /// Two events that followed each other come the other way round.
    SwapEvents(usize),
    /// A command is not in the log.
    Drop(usize),
    /// Two commands stand in each other's place.
    SwapEntries(usize, usize),
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let n = || 0..100_usize;
    prop_oneof![
        n().prop_map(Tamper::Refuse),
        n().prop_map(Tamper::Forget),
        (n(), n()).prop_map(|(one, other)| Tamper::SwapTold(one, other)),
        n().prop_map(Tamper::SwapEvents),
        n().prop_map(Tamper::Drop),
        (n(), n()).prop_map(|(one, other)| Tamper::SwapEntries(one, other)),
    ]
}

fn small() -> impl Strategy<Value = (u64, Shape)> {
    let shape = (2..5_usize, 1..3_usize, 1..9_usize, 0..60_u32, 0..40_u32);
    (any::<u64>(), shape).prop_map(|(seed, (clients, keys, operations, unknown_percent, wrong_percent))| {
        (seed, Shape { clients, keys, operations, unknown_percent, wrong_percent })
    })
}

impl Tamper {
    fn with(&self, operations: &mut [Operation<Kv>], log: &mut Vec<(LogId, u64)>) {
        match *self {
            Self::Refuse(n) => set_outcome(operations, n, || Outcome::Refused),
            Self::Forget(n) => set_outcome(operations, n, || Outcome::Unknown),
            Self::SwapTold(one, other) => swap_told(operations, one, other),
            Self::SwapEvents(n) => swap_events(operations, n),
            Self::Drop(n) if !log.is_empty() => drop(log.remove(n % log.len())),
            Self::SwapEntries(one, other) if !log.is_empty() => {
                let (one, other) = (one % log.len(), other % log.len());
                (log[one].1, log[other].1) = (log[other].1, log[one].1);
            }
            Self::Drop(_) | Self::SwapEntries(..) => {}
        }
    }
}

/// Sets that of one operation whose client was told something.
fn set_outcome(operations: &mut [Operation<Kv>], n: usize, outcome: impl Fn() -> Outcome<Kv>) {
    let told = |operation: &&mut Operation<Kv>| matches!(operation.outcome, Outcome::Applied { .. });
    let mut told: Vec<_> = operations.iter_mut().filter(told).collect();
    let count = told.len().max(1);
    if let Some(operation) = told.get_mut(n % count) {
        operation.outcome = outcome();
    }
}

/// Swaps answers with answers and replies with replies; positions stay.
fn swap_told(operations: &mut [Operation<Kv>], one: usize, other: usize) {
    let count = operations.len();
    let Ok([one, other]) = operations.get_disjoint_mut([one % count, other % count]) else { return };
    match (&mut one.outcome, &mut other.outcome) {
        (Outcome::Applied { reply: one, .. }, Outcome::Applied { reply: other, .. }) => {
            std::mem::swap(one, other)
        }
        (Outcome::Answered { answer: one, .. }, Outcome::Answered { answer: other, .. }) => {
            std::mem::swap(one, other);
        }
        (Outcome::Applied { reply: KvReply::Replaced(one), .. }, Outcome::Answered { answer: other, .. }) => {
            std::mem::swap(one, other);
        }
        _ => {}
    }
}

/// Swaps the `n`th event with the one after it, unless both are of one operation.
fn swap_events(operations: &mut [Operation<Kv>], n: usize) {
    let mut stamps: Vec<&mut u64> = operations
        .iter_mut()
        .flat_map(|operation| std::iter::once(&mut operation.invoked).chain(operation.returned.as_mut()))
        .collect();
    stamps.sort();
    let n = n % stamps.len();
    if n + 1 < stamps.len() {
        let (one, other) = stamps.split_at_mut(n + 1);
        std::mem::swap(one[n], other[0]);
    }
    for operation in operations {
        if let Some(returned) = operation.returned.as_mut().filter(|returned| **returned < operation.invoked)
        {
            std::mem::swap(returned, &mut operation.invoked);
        }
    }
}

fn tampered(seed: u64, shape: Shape, tampers: &[Tamper]) -> Execution {
    let Execution { history, mut log } = execute(seed, shape);
    let mut operations = history.into_operations();
    tampers.iter().for_each(|tamper| tamper.with(&mut operations, &mut log));
    operations.sort_by_key(|operation| operation.invoked);
    let ids: BTreeMap<u64, u64> =
        operations.iter().enumerate().map(|(place, operation)| (operation.id, place as u64)).collect();
    operations.iter_mut().for_each(|operation| operation.id = ids[&operation.id]);
    log.iter_mut().for_each(|entry| entry.1 = ids[&entry.1]);
    Execution { history: History::of(operations), log }
}

/// Only what was invoked before `stamp`.
fn invoked_before(history: History<Kv>, stamp: u64) -> Vec<Operation<Kv>> {
    history.into_operations().into_iter().filter(|operation| operation.invoked < stamp).collect()
}

/// The history as clients knew it just before `stamp`.
fn known_before(history: History<Kv>, stamp: u64) -> History<Kv> {
    let mut operations = invoked_before(history, stamp);
    for operation in &mut operations {
        if operation.returned.is_some_and(|returned| returned >= stamp) {
            (operation.returned, operation.outcome) = (None, Outcome::Unknown);
        }
    }
    History::of(operations)
}

proptest! {
    #[test]
    fn both_checkers_accept_what_really_happened(
        seed: u64, clients in 1..9_usize, keys in 1..4_usize, unknown_percent in 0..40_u32,
    ) {
        let shape = Shape { clients, keys, operations: 150, unknown_percent, wrong_percent: 0 };
        let Execution { history, log } = execute(seed, shape);
        prop_assert_eq!(log_order::check(Kv::default(), &history, &log), Ok(()));
        prop_assert_eq!(verdict(&history), Verdict::Linearizable);
    }

    #[test]
    fn a_history_is_linearizable_exactly_if_some_order_of_all_explains_it(
        (seed, shape) in small(), tampers in proptest::collection::vec(tamper(), 0..3),
    ) {
        let history = tampered(seed, shape, &tampers).history;
        prop_assert_eq!(verdict(&history).is_linearizable(), is_linearizable(&history), "{:#?}", history);
    }

    #[test]
    fn a_counterexample_ends_with_the_first_return_that_nothing_explains(
        (seed, shape) in small(), tampers in proptest::collection::vec(tamper(), 0..3),
    ) {
        let history = || tampered(seed, shape, &tampers).history;
        if let Verdict::NotLinearizable(found) = verdict(&history()) {
            prop_assert!(!is_linearizable(&History::of(invoked_before(history(), found.returned))), "{found}");
            prop_assert!(is_linearizable(&known_before(history(), found.returned)), "{found}");
        }
    }

    #[test]
    fn what_no_order_explains_is_refused_with_the_log_too(
        (seed, shape) in small(), tampers in proptest::collection::vec(tamper(), 0..3),
    ) {
        let Execution { history, log } = tampered(seed, shape, &tampers);
        let checked = log_order::check(Kv::default(), &history, &log);
        prop_assert!(checked.is_err() || is_linearizable(&history), "{:#?}\n{log:?}", history);
    }

    #[test]
    fn real_time_is_kept_exactly_if_each_pair_keeps_it(
        (seed, shape) in small(), tampers in proptest::collection::vec(tamper(), 0..3),
    ) {
        let Execution { history, log } = tampered(seed, shape, &tampers);
        let is_kept = keeps_real_time(&history, &log);
        match log_order::check(Kv::default(), &history, &log) {
            Ok(()) | Err(Violation::WrongReply { .. } | Violation::WrongAnswer { .. }) => prop_assert!(is_kept),
            Err(Violation::Reordered { .. } | Violation::Stale { .. }) => prop_assert!(!is_kept),
            Err(_) => {}
        }
    }
}
