//! Which index has which term, in as many steps as there were terms.

use std::collections::VecDeque;

use crate::types::{EntryBatch, LogIndex, Term};

/// The first index of each run of entries with the same term, ascending in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TermRuns(VecDeque<(LogIndex, Term)>);

impl TermRuns {
    /// Takes in entries behind the last ones.
    pub(super) fn append(&mut self, batch: &EntryBatch) {
        if batch.first_term() == batch.last_term() {
            self.note(batch.first(), batch.first_term());
        } else {
            batch.iter().for_each(|entry| self.note(entry.index, entry.term));
        }
    }

    fn note(&mut self, index: LogIndex, term: Term) {
        if self.0.back().is_none_or(|(_, last)| *last != term) {
            self.0.push_back((index, term));
        }
    }

    /// Forgets everything from `from` on.
    pub(super) fn truncate(&mut self, from: LogIndex) {
        while self.0.back().is_some_and(|(first, _)| *first >= from) {
            self.0.pop_back();
        }
    }

    /// Forgets everything up to `upto`; `last` is the end of the log.
    pub(super) fn purge(&mut self, upto: LogIndex, last: LogIndex) {
        let mut cut = None;
        while self.0.front().is_some_and(|(first, _)| *first <= upto) {
            cut = self.0.pop_front();
        }
        if let Some((_, term)) = cut
            && last > upto
            && self.0.front().is_none_or(|(first, _)| *first > upto.next())
        {
            self.0.push_front((upto.next(), term));
        }
    }

    /// The term at `index`, which the log holds.
    pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
        let behind = self.0.partition_point(|(first, _)| *first <= index);
        Some(self.0.get(behind.checked_sub(1)?)?.1)
    }

    /// The last index up to `last` whose term is not above `term`, if the log holds one.
    pub(super) fn last_within(&self, term: Term, last: LogIndex) -> Option<LogIndex> {
        let behind = self.0.partition_point(|(first, run)| *first <= last && *run <= term);
        behind.checked_sub(1)?;
        Some(self.0.get(behind).map_or(last, |(first, _)| first.prev().min(last)))
    }

    /// The runs as a list.
    pub(super) fn to_vec(&self) -> Vec<(LogIndex, Term)> {
        self.0.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(list: &[(u64, u64)]) -> TermRuns {
        TermRuns(list.iter().map(|(index, term)| (LogIndex(*index), Term(*term))).collect())
    }

    #[test]
    fn a_purge_inside_a_run_moves_its_start() {
        let mut some = runs(&[(1, 1), (5, 2), (9, 4)]);
        some.purge(LogIndex(6), LogIndex(10));
        assert_eq!(some, runs(&[(7, 2), (9, 4)]));
        some.purge(LogIndex(8), LogIndex(10));
        assert_eq!(some, runs(&[(9, 4)]));
        some.purge(LogIndex(10), LogIndex(10));
        assert_eq!(some, runs(&[]));
    }

    #[test]
    fn terms_are_found_by_index() {
        let some = runs(&[(1, 1), (5, 2), (9, 4)]);
        assert_eq!(some.term_at(LogIndex(8)), Some(Term(2)));
        assert_eq!(some.term_at(LogIndex(9)), Some(Term(4)));
        assert_eq!(some.term_at(LogIndex(0)), None);
        assert_eq!(some.last_within(Term(3), LogIndex(20)), Some(LogIndex(8)));
        assert_eq!(some.last_within(Term(4), LogIndex(20)), Some(LogIndex(20)));
        assert_eq!(some.last_within(Term(4), LogIndex(3)), Some(LogIndex(3)));
        assert_eq!(some.last_within(Term(0), LogIndex(20)), None);
    }
}
