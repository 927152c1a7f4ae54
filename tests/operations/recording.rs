//! What the clients asked and were told, in one order, and when writes were acknowledged.
//!
//! A request is noted before its first byte is sent, and its answer after the last one has come: the order noted is
//! never stricter than the real one, so what the checkers call wrong is wrong.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use raftix::{
    sim::history::{Action, History, Operation, Outcome},
    types::{LogId, NodeId},
};

use crate::{
    register::{Registers, Set},
    times::now,
};

/// Shared by all clients.
#[derive(Debug)]
pub(crate) struct Recording {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    history: History<Registers>,
    stamp: u64,
    /// When writes were acknowledged, since the start.
    acknowledged: Vec<Duration>,
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self { start: now(), inner: Mutex::default() }
    }

    /// `client` is about to ask `node`. The number of the operation.
    pub(crate) fn invoked(&self, client: u64, node: &str, action: Action<Registers>) -> u64 {
        let mut inner = self.inner();
        inner.stamp += 1;
        let stamp = inner.stamp;
        inner.history.invoked(stamp, client, NodeId::from(node), action)
    }

    /// The client was told. [`Outcome::Unknown`] leaves the operation open for ever: it may take effect at any time
    /// after this, or never.
    pub(crate) fn returned(&self, operation: u64, outcome: Outcome<Registers>) {
        let mut inner = self.inner();
        inner.stamp += 1;
        let stamp = inner.stamp;
        if matches!(outcome, Outcome::Applied { .. }) {
            let now = self.start.elapsed();
            inner.acknowledged.push(now);
        }
        inner.history.returned(stamp, operation, outcome);
    }

    /// How many writes were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.inner().acknowledged.len()
    }

    /// Since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The longest time within these moments in which no write was acknowledged.
    pub(crate) fn longest_gap(&self, from: Duration, to: Duration) -> Duration {
        longest_gap(&self.inner().acknowledged, from, to)
    }

    /// The keys that somebody wrote, or tried to.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        let inner = self.inner();
        let written = |operation: &Operation<Registers>| match &operation.action {
            Action::Apply(Set { key, .. }) => Some(key.clone()),
            Action::Query(_) => None,
        };
        inner.history.operations().iter().filter_map(written).collect()
    }

    /// Everything, when the clients are done.
    pub(crate) fn into_history(self) -> History<Registers> {
        self.inner.into_inner().expect("no client panicked").history
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no client panicked")
    }
}

/// `moments` ascend.
fn longest_gap(moments: &[Duration], from: Duration, to: Duration) -> Duration {
    let within = moments.iter().copied().filter(|moment| (from..to).contains(moment));
    let mut before = from;
    let mut longest = Duration::ZERO;
    for moment in within.chain([to]) {
        longest = longest.max(moment.saturating_sub(before));
        before = moment;
    }
    longest
}

/// Every acknowledged write with the position that the client was told.
pub(crate) fn acknowledged(history: &History<Registers>) -> impl Iterator<Item = (LogId, &Set)> {
    history.operations().iter().filter_map(|operation| match (&operation.action, &operation.outcome) {
        (Action::Apply(set), Outcome::Applied { at, .. }) => Some((*at, set)),
        _ => None,
    })
}

#[test]
fn a_gap_is_measured_to_both_ends_and_in_between() {
    let ms = Duration::from_millis;
    let moments = [1, 10, 12, 30, 90].map(ms);
    assert_eq!(longest_gap(&moments, ms(5), ms(35)), ms(18));
    assert_eq!(longest_gap(&moments, ms(11), ms(80)), ms(50), "to the end");
    assert_eq!(longest_gap(&moments, ms(13), ms(31)), ms(17), "from the beginning");
    assert_eq!(longest_gap(&moments, ms(40), ms(50)), ms(10), "nothing at all");
}
