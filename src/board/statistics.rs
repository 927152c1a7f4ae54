//! What a node has done since it started, counted where it is done and once for each batch, never for each
//! entry. Readable from any thread.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use super::Board;

/// One counter. Its writers are the actors of one node, all on one thread, so that no addition needs the bus to
/// itself: a locked one costs as much as thirty plain ones, and a write passes some thirty counters.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(self.get().wrapping_add(amount), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters and what is read of them, from one list.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a node has done since it started.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Leaderships of this node that ended, by the reason.
            pub step_downs: BTreeMap<String, u64>,
        }

        /// Where [`Statistics`] are counted.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            fn read(&self, step_downs: BTreeMap<String, u64>) -> Statistics {
                Statistics { $($name: self.$name.get(),)+ step_downs }
            }
        }

        impl Statistics {
            /// What each counter counts, in the order of [`counters`](Self::counters).
            #[cfg(feature = "metrics")]
            pub(crate) const HELP: &'static [(&'static str, &'static str)] =
                &[$((stringify!($name), concat!($($doc),+)),)+];

            /// Every counter but [`step_downs`](Self::step_downs), with its name.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Times it asked whether it would be elected.
    pre_votes_started,
    /// Elections it stood in.
    elections_started,
    /// Elections it won.
    elections_won,
    /// Votes it gave to others. One given again counts again.
    votes_granted,
    /// Entries added to its log, as leader or as follower.
    entries_appended,
    /// Bytes of the entries added to its log.
    bytes_appended,
    /// Batches of entries added to its log: as many writes to it at most.
    batches_appended,
    /// Times entries at the end of its log were replaced by a leader's.
    truncations,
    /// Flushes of its log that were reported done.
    flushes,
    /// Entries that its state machine is done with.
    entries_applied,
    /// Bytes of the entries that its state machine is done with.
    bytes_applied,
    /// Reports of its state machine; the entries of one share a pass of replies.
    batches_applied,
    /// Snapshots of its own state that were published.
    snapshots_taken,
    /// Leaders' snapshots that it installed.
    snapshots_installed,
    /// Snapshots that a follower said it has installed.
    snapshots_sent,
    /// AppendEntries sent to followers.
    appends_sent,
    /// Entries in AppendEntries; one that goes to several followers, or again, counts each time.
    entries_sent,
    /// Bytes of the entries in AppendEntries.
    bytes_sent,
    /// AppendEntries that a follower refused because its log differs.
    appends_conflicted,
    /// AppendEntries without an answer.
    appends_lost,
    /// Heartbeats sent.
    heartbeats_sent,
    /// Heartbeats without an answer.
    heartbeats_failed,
    /// Rounds of heartbeats that confirmed reads.
    read_rounds,
    /// Reads answered by its lease alone.
    lease_reads,
    /// Commands handed to the leader elsewhere.
    commands_forwarded,
    /// Commands refused because too many waited.
    commands_overloaded,
}

impl Board {
    pub(crate) fn statistics(&self) -> Statistics {
        let step_downs = self.state().step_downs.clone();
        self.counters.read(step_downs)
    }

    /// A leadership of this node has ended.
    pub(crate) fn count_step_down(&self, reason: impl fmt::Display) {
        let mut state = self.state();
        *state.step_downs.entry(reason.to_string()).or_default() += 1;
    }
}

/// One aligned line a counter.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step_downs = self.step_downs.iter().map(|(why, count)| (format!("stepped down: {why}"), *count));
        let counters = self.counters().map(|(name, count)| (name.replace('_', " "), count));
        let rows: Vec<(String, u64)> = counters.chain(step_downs).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        rows.iter().try_for_each(|(name, count)| writeln!(f, "{name:<width$}  {count:>12}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read_shown_and_survives_json() {
        let counters = Counters::default();
        counters.entries_appended.add(3);
        counters.entries_appended.add(4);
        let statistics = counters.read([("disk full".to_owned(), 2)].into());
        assert_eq!((statistics.entries_appended, statistics.flushes), (7, 0));
        let shown = statistics.to_string();
        let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).map(str::trim_end);
        assert!(line("entries appended").is_some_and(|line| line.ends_with("  7")), "{shown}");
        assert!(line("stepped down: disk full").is_some_and(|line| line.ends_with("  2")), "{shown}");
        let json = serde_json::to_string(&statistics).unwrap();
        assert_eq!(serde_json::from_str::<Statistics>(&json).unwrap(), statistics);
    }
}
