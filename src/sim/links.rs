//! The ways between the nodes of a run: which faults lie on them now.
//!
//! Faults overlap, so each is kept with its end, and what the network is told follows from all that are there.

use std::{collections::BTreeSet, time::Duration};

use super::network::{Conditions, SimNetwork};

/// See the module.
pub(super) struct Links {
    pub(super) network: SimNetwork,
    addresses: Vec<String>,
    /// Directions that are lost or held back, by the number of the fault.
    faults: Vec<(u64, Closed)>,
    next: u64,
}

enum Closed {
    Cut(Vec<(usize, usize)>),
    Deaf(Vec<(usize, usize)>),
    Clog(usize, usize),
    Weather(Conditions),
}

impl Links {
    pub(super) fn new(network: SimNetwork, addresses: Vec<String>) -> Self {
        Self { network, addresses, faults: Vec::new(), next: 0 }
    }

    /// Loses what goes these ways, until [`end`](Self::end) is told the number.
    pub(super) fn cut(&mut self, ways: Vec<(usize, usize)>) -> u64 {
        self.begin(Closed::Cut(ways))
    }

    /// Loses what goes these ways, and yet lets their senders connect, so that what goes back arrives.
    pub(super) fn deafen(&mut self, ways: Vec<(usize, usize)>) -> u64 {
        self.begin(Closed::Deaf(ways))
    }

    /// Holds back what goes this way.
    pub(super) fn clog(&mut self, from: usize, to: usize) -> u64 {
        self.begin(Closed::Clog(from, to))
    }

    /// Makes every way as bad as this.
    pub(super) fn weather(&mut self, per_mille: [u16; 5], latency: Duration) -> u64 {
        let [loss, duplication, reordering, corruption, reset] =
            per_mille.map(|rate| f64::from(rate) / 1000.0);
        let latency_max = latency.max(Duration::from_millis(1));
        let calm = Conditions::default();
        self.begin(Closed::Weather(Conditions {
            latency_max,
            loss,
            duplication,
            reordering,
            corruption,
            reset,
            spike_probability: 0.002,
            ..calm
        }))
    }

    fn begin(&mut self, fault: Closed) -> u64 {
        self.next += 1;
        self.faults.push((self.next, fault));
        self.tell();
        self.next
    }

    /// The fault of this number is over.
    pub(super) fn end(&mut self, number: u64) {
        self.faults.retain(|(known, _)| *known != number);
        self.tell();
    }

    /// Nothing is wrong any more.
    pub(super) fn mend_all(&mut self) {
        self.faults.clear();
        self.tell();
    }

    /// Breaks every connection of a node.
    pub(super) fn reset(&self, n: usize) {
        for other in &self.addresses {
            self.network.reset(&self.addresses[n], other);
        }
    }

    fn tell(&self) {
        let mut cut = BTreeSet::<(usize, usize)>::new();
        let mut deaf = BTreeSet::<(usize, usize)>::new();
        let mut clogged = BTreeSet::new();
        let mut conditions = Conditions::default();
        for (_, fault) in &self.faults {
            match fault {
                Closed::Cut(ways) => cut.extend(ways),
                Closed::Deaf(ways) => deaf.extend(ways),
                Closed::Clog(from, to) => {
                    clogged.insert((*from, *to));
                }
                Closed::Weather(worse) => conditions = *worse,
            }
        }
        self.network.set_all(conditions);
        for (from, to) in self.ways() {
            let (a, b) = (self.addresses[from].as_str(), self.addresses[to].as_str());
            if cut.contains(&(from, to)) {
                self.network.cut(a, b)
            } else {
                self.network.mend(a, b)
            }
            if deaf.contains(&(from, to)) {
                self.network.set_conditions(a, b, Conditions { loss: 1.0, ..conditions });
            }
            if clogged.contains(&(from, to)) { self.network.clog(a, b) } else { self.network.unclog(a, b) }
        }
    }

    /// Every direction between two nodes.
    pub(super) fn ways(&self) -> Vec<(usize, usize)> {
        let count = self.addresses.len();
        (0..count).flat_map(|a| (0..count).map(move |b| (a, b))).filter(|(a, b)| a != b).collect()
    }
}
