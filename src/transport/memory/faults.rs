//! Which ways of a memory network are closed. Plain data; never calls a node.

use std::collections::BTreeSet;

/// The faults of one network.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Nodes without a network.
    disconnected: BTreeSet<String>,
    /// Directions `(from, to)` in which everything is lost.
    cuts: BTreeSet<(String, String)>,
    /// Whether answers are watched: from the first fault on, so that networks without any pay nothing.
    watched: bool,
}

impl Faults {
    pub(super) fn watch(&mut self) {
        self.watched = true;
    }

    pub(super) fn disconnect(&mut self, address: &str) {
        self.watched = true;
        self.disconnected.insert(address.to_owned());
    }

    pub(super) fn reconnect(&mut self, address: &str) {
        self.disconnected.remove(address);
    }

    pub(super) fn cut(&mut self, from: &str, to: &str) {
        self.watched = true;
        self.cuts.insert((from.to_owned(), to.to_owned()));
    }

    pub(super) fn heal(&mut self) {
        self.disconnected.clear();
        self.cuts.clear();
    }

    /// Whether answers must be watched.
    pub(super) fn watched(&self) -> bool {
        self.watched
    }

    /// Whether the node at `address` has no network.
    pub(super) fn is_disconnected(&self, address: &str) -> bool {
        self.disconnected.contains(address)
    }

    /// Whether what goes from `from` to `to` is lost on the way.
    pub(super) fn is_cut(&self, from: &str, to: &str) -> bool {
        // An empty set spares the two strings of the key.
        !self.cuts.is_empty() && self.cuts.contains(&(from.to_owned(), to.to_owned()))
    }
}
