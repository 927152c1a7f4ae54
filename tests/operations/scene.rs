//! The frame of every scenario: nodes that run, 64 clients that write, and at the end the verdict.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use raftix::sim::history::{Action, History, Outcome};

use crate::{
    clients::{Load, read_everything},
    disks::{DiskLog, log_of},
    recording::Recording,
    register::Registers,
    support::{Cluster, signal},
    verdict::{assert_in_order, assert_kept, assert_linearizable},
};

/// One scene has the machine: five nodes and 64 clients are enough for it.
static STAGE: Mutex<()> = Mutex::new(());

/// Nodes under load.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) load: Load,
    name: &'static str,
    _stage: MutexGuard<'static, ()>,
}

impl Scene {
    /// `count` nodes with these further arguments, and the clients at work.
    pub(crate) fn start(name: &'static str, count: usize, arguments: &[&str]) -> Self {
        let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cluster = Cluster::new(count);
        cluster.nodes.iter_mut().for_each(|node| node.with(arguments));
        cluster.start_all();
        let load = Load::start("a", &cluster.nodes);
        load.wait_for_writes();
        Self { cluster, load, name, _stage: stage }
    }

    /// The nodes, the clients, and the right to the machine.
    pub(crate) fn into_parts(self) -> (Cluster, Load, MutexGuard<'static, ()>) {
        (self.cluster, self.load, self._stage)
    }

    /// Some node but the one at `at`.
    pub(crate) fn other_than(&self, at: usize) -> usize {
        (at + 1) % self.cluster.nodes.len()
    }

    /// The end of a scene in which nobody shortened a log: it is known of every write where it stands.
    pub(crate) fn end(self, did: &str) {
        let (history, logs) = self.end_of_any(did);
        for log in &logs {
            assert_in_order(&history, log);
        }
    }

    /// Stops the clients, reads every key through every node, stops the nodes, and judges.
    pub(crate) fn end_of_any(self, did: &str) -> (History<Registers>, Vec<DiskLog>) {
        let Self { cluster, load, name, _stage } = self;
        let took = load.recording().elapsed();
        let (history, logs) = close(cluster, load.stop());
        assert_linearizable(name, &history, BTreeMap::new());
        for log in &logs {
            assert_kept(&history, log);
        }
        println!("{name}: {did}. {}", summary(&history, took));
        (history, logs)
    }
}

/// Reads every key that was written through every node, so that the history has it, and stops the nodes. Their logs.
pub(crate) fn close(mut cluster: Cluster, recording: Recording) -> (History<Registers>, Vec<DiskLog>) {
    cluster.nodes.iter().for_each(|node| node.wait_until_ready());
    let keys = recording.keys();
    read_everything(&recording, &cluster.nodes, &keys);
    cluster.nodes.iter_mut().for_each(|node| signal("TERM", node.process().id()));
    for node in &mut cluster.nodes {
        let (status, said) = node.wait_for_end();
        assert_eq!(status.code(), Some(0), "{}: {said}", node.id);
    }
    (recording.into_history(), cluster.nodes.iter().map(log_of).collect())
}

/// How the clients fared.
pub(crate) fn summary(history: &History<Registers>, took: Duration) -> String {
    let (mut acknowledged, mut answered, mut refused, mut open) = (0, 0, 0, 0);
    for operation in history.operations() {
        match (&operation.action, &operation.outcome) {
            (_, Outcome::Applied { .. }) => acknowledged += 1,
            (_, Outcome::Answered { .. }) => answered += 1,
            (Action::Apply(_), Outcome::Refused) => refused += 1,
            (Action::Apply(_), Outcome::Unknown) => open += 1,
            (Action::Query(_), _) => {}
        }
    }
    format!(
        "In {:.1} s {acknowledged} writes acknowledged, {refused} refused, {open} of unknown outcome, {answered} reads answered",
        took.as_secs_f64()
    )
}
