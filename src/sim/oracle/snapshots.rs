//! Between a node and its snapshots: what is published is seen, and what a start finds is held against it.

use std::io;

use super::{Oracle, State, Violation};
use crate::{
    storage::{
        StorageError,
        snapshot::{SnapshotDescription, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore},
    },
    types::{LogBase, LogId, LogIndex},
};

/// A snapshot store that tells the oracle what passes.
pub(crate) struct WatchedSnapshots {
    inner: Box<dyn SnapshotStore>,
    node: usize,
    oracle: Oracle,
}

impl WatchedSnapshots {
    pub(crate) fn new(inner: Box<dyn SnapshotStore>, node: usize, oracle: Oracle) -> Self {
        Self { inner, node, oracle }
    }
}

impl SnapshotStore for WatchedSnapshots {
    fn recover(&mut self) -> Result<Vec<SnapshotMeta>, StorageError> {
        let found = self.inner.recover()?;
        let newest = found.first().map_or(LogId::ZERO, |meta| meta.description.last);
        self.oracle.note("snapshots", Some(self.node), [found.len() as u64, newest.index.0, newest.term.0]);
        self.oracle.check(|state| state.found_snapshots(self.node, &found));
        Ok(found)
    }

    fn create(&mut self, description: SnapshotDescription) -> Result<Box<dyn SnapshotSink>, StorageError> {
        let inner = self.inner.create(description)?;
        Ok(Box::new(WatchedSink { inner, node: self.node, oracle: self.oracle.clone() }))
    }

    fn open(&mut self, last: LogId) -> Result<Box<dyn SnapshotSource>, StorageError> {
        self.inner.open(last)
    }

    fn retain(&mut self, count: usize) -> Result<(), StorageError> {
        // Some of them may be gone although it fails.
        self.oracle.check(|state| {
            let snapshots = &mut state.nodes[self.node].snapshots;
            snapshots.drain(..snapshots.len().saturating_sub(count));
            Ok(())
        });
        self.inner.retain(count)
    }
}

/// What is being written to a watched store.
struct WatchedSink {
    inner: Box<dyn SnapshotSink>,
    node: usize,
    oracle: Oracle,
}

impl io::Write for WatchedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl SnapshotSink for WatchedSink {
    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn publish(self: Box<Self>, expected: Option<(u64, u32)>) -> Result<SnapshotMeta, StorageError> {
        let meta = self.inner.publish(expected)?;
        let last = meta.description.last;
        self.oracle.note("snapshot", Some(self.node), [last.index.0, last.term.0, meta.bytes]);
        self.oracle.check(|state| state.published(self.node, last, expected.is_some()));
        Ok(meta)
    }
}

impl Oracle {
    /// A state machine whose state has this digest after the command at `at` is being written.
    pub(crate) fn captured(&self, node: usize, at: LogIndex, digest: u64) {
        self.note("capture", Some(node), [at.0, digest, 0]);
        self.check(|state| state.holds_state(node, at, digest));
    }

    /// The state machine of `node` was given a state of which the last command is `at`.
    pub(crate) fn restored(&self, node: usize, at: LogIndex, digest: u64) {
        self.note("restore", Some(node), [at.0, digest, 0]);
        self.check(|state| {
            state.holds_state(node, at, digest)?;
            let watched = &mut state.nodes[node];
            watched.applied = state.ledger.applied().partition_point(|command| command.at.index <= at);
            watched.applied_index = at;
            Ok(())
        });
    }

    /// What became of snapshots and logs so far.
    pub(crate) fn compactions(&self) -> Compactions {
        self.state().compactions
    }
}

/// How often snapshots were published and logs went for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compactions {
    /// Snapshots of a node's own state that were published.
    pub(crate) taken: u64,
    /// Snapshots of leaders that were published.
    pub(crate) received: u64,
    /// Fronts of logs that went.
    pub(crate) purged: u64,
    /// Logs that began anew behind a snapshot.
    pub(crate) reset: u64,
    /// Snapshots of leaders behind which a log began anew.
    pub(crate) installed: u64,
}

impl State {
    /// Every node's state after the same command is the same.
    fn holds_state(&mut self, node: usize, at: LogIndex, digest: u64) -> Result<(), Violation> {
        let (known, first) = *self.states.entry(at).or_insert((digest, node));
        if known == digest {
            return Ok(());
        }
        let what = format!("n{} has another state after {at} than n{}", node + 1, first + 1);
        Err(Violation::new("a snapshot is the state at its index", what))
    }

    fn published(&mut self, node: usize, last: LogId, received: bool) -> Result<(), Violation> {
        self.is_committed(node, last, "publishes a snapshot up to")?;
        let watched = &mut self.nodes[node];
        watched.snapshots.retain(|known| *known != last);
        watched.snapshots.push(last);
        watched.snapshots.sort_unstable();
        if received {
            watched.received = last;
            self.compactions.received += 1;
        } else {
            self.compactions.taken += 1;
        }
        Ok(())
    }

    fn is_committed(&self, node: usize, id: LogId, what: &str) -> Result<(), Violation> {
        if self.ledger.committed_term(id.index) == Some(id.term) {
            return Ok(());
        }
        let what = format!("n{} {what} {id}, which is not committed", node + 1);
        Err(Violation::new("snapshot ≤ commit", what))
    }

    /// What was published is there, unless newer ones were and it was removed, or a bit has turned.
    fn found_snapshots(&mut self, node: usize, found: &[SnapshotMeta]) -> Result<(), Violation> {
        let found: Vec<LogId> = found.iter().rev().map(|meta| meta.description.last).collect();
        let watched = &mut self.nodes[node];
        let rotten = std::mem::take(&mut watched.rotten_snapshots);
        let lost = watched.snapshots.iter().copied().find(|known| !found.contains(known));
        if let Some(lost) = lost.filter(|_| !rotten) {
            let what = format!("n{} does not find its snapshot up to {lost}", node + 1);
            return Err(Violation::new("durable means durable", what));
        }
        watched.snapshots.clone_from(&found);
        found.into_iter().try_for_each(|last| self.is_committed(node, last, "finds a snapshot up to"))
    }

    /// The front of a log goes: nothing of it is to be needed by anybody ever again.
    pub(super) fn purges(&mut self, node: usize, base: &LogBase) -> Result<(), Violation> {
        let last = base.last;
        self.is_committed(node, last, "purges its log up to")?;
        let watched = &mut self.nodes[node];
        let commit = watched.seen.commit;
        let held = watched.snapshots.iter().any(|snapshot| snapshot.index >= last.index);
        if last.index > commit || last.index > watched.shadow.durable() || !held {
            let what = format!(
                "n{} purges up to {last}: committed up to {commit}, durable up to {}, snapshots {:?}",
                node + 1,
                watched.shadow.durable(),
                watched.snapshots
            );
            return Err(Violation::new("what is compacted is in a snapshot", what));
        }
        watched.shadow.purge(last);
        self.compactions.purged += 1;
        Ok(())
    }

    /// A log begins anew behind a snapshot.
    pub(super) fn resets(&mut self, node: usize, base: &LogBase) -> Result<(), Violation> {
        self.is_committed(node, base.last, "resets its log to")?;
        let watched = &mut self.nodes[node];
        if !watched.snapshots.contains(&base.last) {
            let what = format!("n{} resets its log to {} without a snapshot of it", node + 1, base.last);
            return Err(Violation::new("what is compacted is in a snapshot", what));
        }
        watched.shadow.reset(base.last);
        // One that a crash makes begin anew once more was installed once.
        let installed = watched.received == base.last;
        if installed {
            watched.received = LogId::ZERO;
        }
        self.compactions.reset += 1;
        self.compactions.installed += u64::from(installed);
        Ok(())
    }
}
