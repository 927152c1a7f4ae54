//! The same names where the feature is off: nothing behind them, so that who calls them needs no `cfg`.

use crate::{clock::Clock, types::NodeId};

/// Measures nothing.
#[derive(Debug)]
pub(crate) struct Timer;

impl Timer {
    pub(crate) fn start(&self, _: u64) {}
    pub(crate) fn stop(&self, _: u64) {}
    pub(crate) fn answered(&self, _: u64) {}
    pub(crate) fn abandon(&self) {}
}

/// Publishes nothing.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) flush: Timer,
    pub(crate) commit: Timer,
    pub(crate) apply: Timer,
    pub(crate) snapshot: Timer,
}

impl Metrics {
    pub(crate) fn new(_: &NodeId, _: Clock) -> Self {
        Self { flush: Timer, commit: Timer, apply: Timer, snapshot: Timer }
    }

    pub(crate) fn heartbeats(&self, _: &NodeId) -> Timer {
        Timer
    }

    pub(crate) fn appends(&self, _: &NodeId) -> Timer {
        Timer
    }

    pub(crate) fn ended(&self) {}
}
