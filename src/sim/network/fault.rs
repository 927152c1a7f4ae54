//! What can go wrong on the way, and how often it did.

use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkFault {
    /// A message vanished.
    Loss,
    /// A copy of a request was delivered.
    Duplication,
    /// A message left the order of its connection.
    Reordering,
    /// Bits of a frame flipped. Unless the codec accepts what became of it, its connection breaks.
    Corruption,
    /// A connection broke.
    Reset,
    /// A message, or an attempt to connect, was lost where the way is cut.
    Cut,
    /// A message was held back where the way is clogged.
    Clog,
    /// A message was late by a spike.
    Spike,
    /// The oldest request of a link was lost, since too many were under way.
    Overflow,
}

impl NetworkFault {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::Corruption,
        Self::Reset,
        Self::Cut,
        Self::Clog,
        Self::Spike,
        Self::Overflow,
    ];

    /// What it is called in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "message lost",
            Self::Duplication => "message doubled",
            Self::Reordering => "message reordered",
            Self::Corruption => "frame damaged",
            Self::Reset => "connection broken",
            Self::Cut => "message cut off",
            Self::Clog => "message held back",
            Self::Spike => "message late",
            Self::Overflow => "link overflow",
        }
    }
}

/// How often each kind struck.
#[derive(Debug)]
pub(super) struct Counts([u64; NetworkFault::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; NetworkFault::ALL.len()])
    }
}

impl Counts {
    pub(super) fn add(&mut self, fault: NetworkFault) {
        self.0[fault as usize] += 1;
    }

    /// The count of every kind, zeros too.
    pub(super) fn all(&self) -> BTreeMap<NetworkFault, u64> {
        NetworkFault::ALL.into_iter().map(|fault| (fault, self.0[fault as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_count_of_its_own() {
        let mut counts = Counts::default();
        for (times, fault) in NetworkFault::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counts.add(fault));
        }
        assert!(counts.all().into_values().eq(0..NetworkFault::ALL.len() as u64));
    }
}
