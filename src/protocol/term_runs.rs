//! The terms of a log as runs: where each begins, over the position that compaction left behind.
//!
//! Answers "which term has the entry at i" without touching an entry, for any i the log holds. Both
//! sides of replication compare their logs through it (Raft §5.3).

use std::{collections::VecDeque, fmt};

use crate::types::{LogId, LogIndex, Term};

/// First index of each run of entries with the same term, behind a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermRuns {
    /// The last entry that is gone from the front; committed, as all before it.
    base: LogId,
    /// Ascending in index and in term; the first begins at `base.index + 1` and its term is at least
    /// `base.term`. Empty exactly if the log is.
    runs: VecDeque<(LogIndex, Term)>,
    /// Index of the last entry; at least `base.index`. Kept with its term, never apart from it
    /// (hashicorp/raft 538e56c read the two in two steps).
    last: LogIndex,
}

impl TermRuns {
    /// An empty log behind `base`.
    pub fn new(base: LogId) -> Self {
        Self { base, runs: VecDeque::new(), last: base.index }
    }

    /// The position that compaction left behind; zero if nothing is gone.
    pub fn base(&self) -> LogId {
        self.base
    }

    /// Position of the last entry; the base if there is none.
    pub fn last(&self) -> LogId {
        LogId::new(self.runs.back().map_or(self.base.term, |run| run.1), self.last)
    }

    /// The term of the entry at `index`, the base's own for the base; `None` before it and beyond the
    /// last entry.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.run_at(index).map(|(term, _)| term)
    }

    /// The term of the entry at `index`, and the last index up to which it does not change.
    pub(super) fn run_at(&self, index: LogIndex) -> Option<(Term, LogIndex)> {
        if index == self.base.index {
            return Some((self.base.term, index));
        }
        if index < self.base.index || index > self.last {
            return None;
        }
        let after = self.runs.partition_point(|run| run.0 <= index);
        let end = self.runs.get(after).map_or(self.last, |run| run.0.prev());
        self.runs.get(after.checked_sub(1)?).map(|run| (run.1, end))
    }

    /// Adds entries up to `last`, whose runs of terms begin as `runs` says. What lies at or before the
    /// present end is passed over, so that the runs of a whole request do for its new part.
    ///
    /// # Panics
    /// If the runs leave a gap or their terms fall: a broken invariant.
    pub fn append(&mut self, last: LogIndex, runs: impl Iterator<Item = (LogIndex, Term)>) {
        let mut open: Option<Term> = None;
        for (first, term) in runs {
            if let Some(open) = open.filter(|_| first > self.last.next()) {
                self.extend_same_term(first.prev(), open);
            }
            assert!(first <= self.last.next(), "entry {} is missing before {first}", self.last.next());
            open = Some(term);
        }
        if let Some(open) = open.filter(|_| last > self.last) {
            self.extend_same_term(last, open);
        }
        assert!(last == self.last, "entries up to {last} were to be added to {self}");
    }

    /// Adds entries of one term up to `last`.
    ///
    /// # Panics
    /// If the log would shrink or `term` is lower than that of the last entry: a broken invariant.
    pub fn extend_same_term(&mut self, last: LogIndex, term: Term) {
        let end = self.last();
        assert!(last >= end.index && term >= end.term, "{term} up to {last} does not continue {self}");
        if last == end.index {
            return;
        }
        if self.runs.is_empty() || term > end.term {
            self.runs.push_back((end.index.next(), term));
        }
        self.last = last;
    }

    /// Forgets every entry from `from` on.
    ///
    /// # Panics
    /// If that reaches the base, which is committed: a broken invariant.
    pub fn truncate(&mut self, from: LogIndex) {
        assert!(from > self.base.index, "{from} is compacted, so it is committed: {self}");
        self.runs.truncate(self.runs.partition_point(|run| run.0 < from));
        self.last = self.last.min(from.prev());
    }

    /// Moves the base up to `base`, an entry of this log. An older base changes nothing.
    ///
    /// # Panics
    /// If the log does not hold `base`: a broken invariant.
    pub fn compact(&mut self, base: LogId) {
        if base.index <= self.base.index {
            return;
        }
        assert!(self.term_at(base.index) == Some(base.term), "{base} is not in {self}");
        let first = base.index.next();
        let gone = self.runs.partition_point(|run| run.0 <= first);
        self.runs.drain(..gone.saturating_sub(1));
        match self.runs.front_mut() {
            Some(front) if first <= self.last => front.0 = first,
            _ => self.runs.clear(),
        }
        self.base = base;
    }

    /// Forgets every entry and starts anew behind `base`.
    pub fn reset(&mut self, base: LogId) {
        *self = Self::new(base);
    }

    /// The last position of this log whose index and term are both no larger than those of `at_most`.
    ///
    /// A log that agrees with this one somewhere at or before `at_most` agrees no later than here, since
    /// terms never fall along a log. The follower makes its hint with it and the leader answers with
    /// it, so that each round skips whole terms on both sides instead of one index (hashicorp/raft#73).
    /// If only compacted entries qualify, their terms are not known: the answer lies before the base and
    /// bounds where agreement may be.
    pub fn agreement_before(&self, at_most: LogId) -> LogId {
        if at_most.index < self.base.index {
            return LogId::new(at_most.term.min(self.base.term), at_most.index);
        }
        let runs = self.runs.partition_point(|run| run.0 <= at_most.index && run.1 <= at_most.term);
        let end = self.runs.get(runs).map_or(self.last, |run| run.0.prev()).min(at_most.index);
        match runs.checked_sub(1).and_then(|run| self.runs.get(run)) {
            Some(run) => LogId::new(run.1, end),
            None if self.base.term <= at_most.term => self.base,
            None => LogId::new(at_most.term, self.base.index.prev()),
        }
    }
}

impl fmt::Display for TermRuns {
    /// `base 4@1 | 5..=7 t2 | 8..=9 t3`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "base {}", self.base)?;
        for (number, (first, term)) in self.runs.iter().enumerate() {
            let end = self.runs.get(number + 1).map_or(self.last, |next| next.0.prev());
            write!(f, " | {first}..={end} t{term}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The position `index` of `term`.
    pub(crate) fn id(index: u64, term: u64) -> LogId {
        LogId::new(Term(term), LogIndex(index))
    }

    /// A log whose entries behind `base` have these terms.
    pub(crate) fn log(base: LogId, terms: &[u64]) -> TermRuns {
        let mut runs = TermRuns::new(base);
        for (index, term) in (base.index.0 + 1..).zip(terms) {
            runs.extend_same_term(LogIndex(index), Term(*term));
        }
        runs
    }

    #[test]
    fn terms_are_known_from_the_base_to_the_end() {
        let runs = log(id(4, 1), &[2, 2, 2, 3, 3]);
        assert_eq!(runs.to_string(), "base 4@1 | 5..=7 t2 | 8..=9 t3");
        let terms: Vec<Option<u64>> =
            (3..=10).map(|index| runs.term_at(LogIndex(index)).map(Term::get)).collect();
        assert_eq!(terms, [None, Some(1), Some(2), Some(2), Some(2), Some(3), Some(3), None]);
        assert_eq!(runs.last(), id(9, 3));
    }

    #[test]
    fn appending_passes_over_what_is_there() {
        let mut runs = log(LogId::ZERO, &[1, 1, 2]);
        let request = [(2, 1), (3, 2), (5, 4)].map(|(first, term)| (LogIndex(first), Term(term)));
        runs.append(LogIndex(6), request.into_iter());
        assert_eq!(runs, log(LogId::ZERO, &[1, 1, 2, 2, 4, 4]));
    }

    #[test]
    fn appending_nothing_changes_nothing() {
        let mut runs = log(id(4, 1), &[2]);
        runs.append(LogIndex(5), std::iter::empty());
        assert_eq!(runs, log(id(4, 1), &[2]));
    }

    #[test]
    #[should_panic(expected = "is missing")]
    fn a_gap_is_a_broken_invariant() {
        log(LogId::ZERO, &[1]).append(LogIndex(4), std::iter::once((LogIndex(3), Term(1))));
    }

    #[test]
    #[should_panic(expected = "does not continue")]
    fn a_falling_term_is_a_broken_invariant() {
        log(LogId::ZERO, &[3]).extend_same_term(LogIndex(2), Term(2));
    }

    #[test]
    #[should_panic(expected = "committed")]
    fn the_base_is_never_truncated() {
        log(id(4, 1), &[2]).truncate(LogIndex(4));
    }

    #[test]
    fn truncation_and_compaction_cut_through_a_run() {
        let mut runs = log(LogId::ZERO, &[1, 2, 2, 2, 5]);
        runs.truncate(LogIndex(4));
        assert_eq!(runs, log(LogId::ZERO, &[1, 2, 2]));
        runs.compact(id(2, 2));
        assert_eq!(runs, log(id(2, 2), &[2]));
        runs.compact(id(3, 2));
        assert_eq!(runs, log(id(3, 2), &[]));
        runs.compact(id(1, 1));
        assert_eq!(runs.base(), id(3, 2), "the base never moves back");
    }

    #[test]
    fn agreement_is_sought_by_whole_terms() {
        let runs = log(LogId::ZERO, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
        assert_eq!(runs.agreement_before(id(10, 5)), id(7, 5));
        assert_eq!(runs.agreement_before(id(10, 3)), id(3, 1));
        assert_eq!(runs.agreement_before(id(2, 9)), id(2, 1));
        assert_eq!(runs.agreement_before(id(99, 99)), id(10, 6));
        assert_eq!(runs.agreement_before(LogId::ZERO), LogId::ZERO);
    }

    #[test]
    fn agreement_before_the_base_is_bounded_but_not_known() {
        let runs = log(id(4, 3), &[3, 5]);
        assert_eq!(runs.agreement_before(id(6, 4)), id(5, 3));
        assert_eq!(runs.agreement_before(id(4, 4)), id(4, 3));
        assert_eq!(runs.agreement_before(id(2, 4)), id(2, 3));
        assert_eq!(runs.agreement_before(id(9, 2)), id(3, 2), "the base itself is of a later term");
    }

    /// Terms of a log: ascending, from few, so that logs often share some.
    pub(crate) fn terms(length: usize) -> impl Strategy<Value = Vec<u64>> {
        proptest::collection::vec(1_u64..6, 0..length).prop_map(|mut terms| {
            terms.sort_unstable();
            terms
        })
    }

    proptest! {
        #[test]
        fn runs_answer_like_the_plain_list(
            terms in terms(12), cut in 1_u64..14, base in 0_u64..14, bound in (0_u64..14, 0_u64..8),
        ) {
            let mut plain: Vec<u64> = std::iter::once(0).chain(terms.iter().copied()).collect();
            let mut runs = log(LogId::ZERO, &terms);
            runs.truncate(LogIndex(cut));
            plain.truncate(cut as usize);
            let base = base.min(plain.len() as u64 - 1);
            runs.compact(id(base, plain[base as usize]));
            for (index, term) in plain.iter().enumerate() {
                let known = runs.term_at(LogIndex(index as u64)).map(Term::get);
                prop_assert_eq!(known, (index as u64 >= base).then_some(*term));
            }
            prop_assert_eq!(runs.last(), id(plain.len() as u64 - 1, plain[plain.len() - 1]));
            prop_assert_eq!(&runs, &log(runs.base(), &plain[base as usize + 1..]));

            let found = runs.agreement_before(id(bound.0, bound.1));
            prop_assert!(found.index.0 <= bound.0 && found.term.0 <= bound.1);
            let last = (base..plain.len() as u64).rev().find(|i| *i <= bound.0 && plain[*i as usize] <= bound.1);
            match last {
                Some(index) => prop_assert_eq!(found, id(index, plain[index as usize])),
                None => prop_assert!(found.index.0 < base),
            }
        }
    }
}
