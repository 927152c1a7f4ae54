//! Which part of the log is on the medium.

use std::collections::VecDeque;

use crate::{known_bug::KnownBug, types::LogIndex};

/// Names one operation given to the store; they finish in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Tickets on their way and the durable index they add up to.
///
/// A finished ticket raises the durable index to what the log ended with when it was issued, but never
/// past the index before the lowest truncation since then: what was cut and written anew is durable
/// only by its own ticket (etcd's append ABA race).
#[derive(Debug)]
pub(super) struct FlushLedger {
    issued: Ticket,
    outstanding: VecDeque<(Ticket, LogIndex, usize)>,
    /// Bytes of entries on their way.
    bytes: usize,
    durable: LogIndex,
}

impl FlushLedger {
    pub(super) fn new(durable: LogIndex) -> Self {
        Self { issued: Ticket(0), outstanding: VecDeque::new(), bytes: 0, durable }
    }

    pub(super) fn durable(&self) -> LogIndex {
        self.durable
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn issue(&mut self, last: LogIndex, bytes: usize) -> Ticket {
        self.issued = Ticket(self.issued.0 + 1);
        self.outstanding.push_back((self.issued, last, bytes));
        self.bytes += bytes;
        self.issued
    }

    pub(super) fn truncated(&mut self, from: LogIndex) {
        if KnownBug::LateFlushCounted.is_back() {
            return;
        }
        self.durable = self.durable.min(from.prev());
        for (_, last, _) in &mut self.outstanding {
            *last = (*last).min(from.prev());
        }
    }

    /// The store was reset to a base at `durable`, durably. What is still on its way to it was before that, and says
    /// nothing of what comes now.
    pub(super) fn reset(&mut self, durable: LogIndex) {
        self.durable = durable;
        for (_, last, _) in &mut self.outstanding {
            *last = LogIndex::ZERO;
        }
    }

    pub(super) fn flushed(&mut self, ticket: Ticket) -> bool {
        let before = self.durable;
        while let Some((_, last, bytes)) = self.outstanding.pop_front_if(|issued| issued.0 <= ticket) {
            self.bytes -= bytes;
            self.durable = self.durable.max(last);
        }
        self.durable > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_covers_everything_up_to_its_ticket() {
        let mut ledger = FlushLedger::new(LogIndex(3));
        let (first, second) = (ledger.issue(LogIndex(5), 10), ledger.issue(LogIndex(9), 10));
        assert!(ledger.flushed(second));
        assert_eq!((ledger.durable(), ledger.outstanding()), (LogIndex(9), 0));
        assert!(!ledger.flushed(first));
    }

    #[test]
    fn a_flush_from_before_a_truncation_says_nothing_about_what_replaced_it() {
        let mut ledger = FlushLedger::new(LogIndex(3));
        let old = ledger.issue(LogIndex(9), 10);
        ledger.truncated(LogIndex(5));
        let rewritten = ledger.issue(LogIndex(8), 10);
        ledger.flushed(old);
        assert_eq!(ledger.durable(), LogIndex(4));
        ledger.flushed(rewritten);
        assert_eq!(ledger.durable(), LogIndex(8));
    }

    #[test]
    fn a_flush_from_before_a_reset_says_nothing_about_what_comes_behind_it() {
        let mut ledger = FlushLedger::new(LogIndex(3));
        let old = ledger.issue(LogIndex(9), 10);
        ledger.reset(LogIndex(5));
        let next = ledger.issue(LogIndex(6), 10);
        ledger.flushed(old);
        assert_eq!((ledger.durable(), ledger.bytes()), (LogIndex(5), 10));
        ledger.flushed(next);
        assert_eq!(ledger.durable(), LogIndex(6));
    }

    #[test]
    fn truncation_lowers_the_durable_index_at_once() {
        let mut ledger = FlushLedger::new(LogIndex(9));
        ledger.truncated(LogIndex(4));
        assert_eq!(ledger.durable(), LogIndex(3));
    }
}
