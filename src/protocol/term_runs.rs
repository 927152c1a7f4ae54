//! The terms of a log, as runs of equal ones.

use std::collections::VecDeque;

use crate::types::{LogId, LogIndex, Term};

/// First index of each run of entries with the same term, behind a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermRuns {
    base: LogId,
    /// Ascending in index and term.
    runs: VecDeque<(LogIndex, Term)>,
    last: LogIndex,
}

impl TermRuns {
    /// An empty log behind `base`.
    pub fn new(base: LogId) -> Self {
        Self { base, runs: VecDeque::new(), last: base.index }
    }

    /// Position of the last compacted entry.
    pub fn base(&self) -> LogId {
        self.base
    }

    /// Position of the last entry.
    pub fn last(&self) -> LogId {
        LogId::new(self.runs.back().map_or(self.base.term, |run| run.1), self.last)
    }

    /// The term of the entry at `index`; the base's own for the base.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index || index > self.last {
            return None;
        }
        let after = self.runs.partition_point(|run| run.0 <= index);
        after.checked_sub(1).and_then(|run| self.runs.get(run)).map(|run| run.1)
    }

    /// Adds entries up to `last`, whose runs begin as said.
    pub fn append(&mut self, last: LogIndex, runs: impl Iterator<Item = (LogIndex, Term)>) {
        for (first, term) in runs {
            let newest = self.last().term;
            assert!(term >= newest, "term {term} after {newest}");
            if self.runs.is_empty() || term > newest {
                self.runs.push_back((first, term));
            }
        }
        assert!(last >= self.last, "a log does not shrink by appending");
        self.last = last;
    }

    /// Adds entries of one term up to `last`.
    pub fn extend_same_term(&mut self, last: LogIndex, term: Term) {
        let first = self.last.next();
        self.append(last, std::iter::once((first, term)));
    }

    /// Forgets everything from `from` on.
    pub fn truncate(&mut self, from: LogIndex) {
        assert!(from > self.base.index, "what is compacted is committed");
        while self.runs.pop_back_if(|run| run.0 >= from).is_some() {}
        self.last = self.last.min(from.prev());
    }

    /// The last position with an index and a term no larger than those of `at_most`.
    pub fn agreement_before(&self, at_most: LogId) -> LogId {
        let mut index = at_most.index.min(self.last).max(self.base.index);
        for run in self.runs.iter().rev() {
            if index < run.0 {
                continue;
            }
            if run.1 <= at_most.term {
                return LogId::new(run.1, index);
            }
            index = run.0.prev();
        }
        self.base
    }
}
