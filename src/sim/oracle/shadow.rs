//! What a node's disk has been told to hold, and what of it the node may rely on.

use crate::types::{LogId, LogIndex, Term, Vote};

/// An entry on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) term: Term,
    pub(super) content: u64,
}

/// What stands for an entry that a reset passed over: only a snapshot has it.
const UNSEEN: Mark = Mark { term: Term::ZERO, content: 0 };

/// The log and the vote of one disk, by what was asked of the store and answered by it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    /// Every entry written, flushed or not, from index 1 on. Those up to the base are on the disk no more.
    entries: Vec<Mark>,
    /// How many of them a loss of power cannot take any more.
    durable: usize,
    /// The last entry that a snapshot stands for.
    base: LogId,
    /// The base that was durable last: what was purged behind it may come back.
    durable_base: LogIndex,
    /// What a reset that is not durable yet has replaced.
    replaced: Option<Replaced>,
    /// The record that is durable, then those written since.
    votes: Vec<Vote>,
    /// Whether anything was written since the last flush.
    unflushed: bool,
    /// What entries were held by what this disk has lost for good: they counted when they were committed.
    ghosts: Vec<(LogId, Vec<Mark>)>,
}

/// A log that may or may not have been replaced.
#[derive(Clone, Debug)]
struct Replaced {
    entries: Vec<Mark>,
    durable: usize,
    base: LogId,
}

impl Replaced {
    /// Whether a start may find `marks` behind `base`, where the base `durable_base` is durable.
    fn may_recover(&self, base: LogIndex, marks: &[Mark], durable_base: LogIndex) -> bool {
        let from = before(base.next());
        let promised = self.entries.get(from..self.durable).unwrap_or_default();
        (durable_base..=self.base.index).contains(&base) && marks.starts_with(promised)
    }
}

impl Shadow {
    pub(super) fn append(&mut self, first: LogIndex, marks: impl Iterator<Item = Mark>) {
        self.entries.truncate(before(first));
        self.entries.extend(marks);
        self.unflushed = true;
    }

    /// Forgets everything from `from` on, at once: what was promised of it is void, whether or not it survives.
    pub(super) fn truncate(&mut self, from: LogIndex) {
        self.entries.truncate(before(from));
        self.durable = self.durable.min(self.entries.len());
        self.unflushed = true;
    }

    /// The front up to `base` goes; a snapshot stands for it.
    pub(super) fn purge(&mut self, base: LogId) {
        self.base = self.base.max(base);
        self.unflushed = true;
    }

    /// Everything goes; a snapshot up to `base` stands for it.
    pub(super) fn reset(&mut self, base: LogId) {
        let entries = std::mem::replace(&mut self.entries, vec![UNSEEN; before(base.index.next())]);
        self.replaced = Some(Replaced { entries, durable: self.durable, base: self.base });
        (self.durable, self.base, self.unflushed) = (0, base, true);
    }

    pub(super) fn save_vote(&mut self, vote: &Vote) {
        if self.votes.is_empty() {
            self.votes.push(self.durable_vote());
        }
        self.votes.push(vote.clone());
        self.unflushed = true;
    }

    /// Everything written is durable. The votes that became so.
    pub(super) fn flushed(&mut self) -> Vec<Vote> {
        self.durable = self.entries.len();
        self.durable_base = self.base.index;
        self.replaced = None;
        self.unflushed = false;
        let votes = self.votes.get(1..).map(<[Vote]>::to_vec).unwrap_or_default();
        self.votes.drain(..self.votes.len().saturating_sub(1));
        votes
    }

    /// A process found these entries behind `base` on the disk, and made them durable.
    pub(super) fn recovered(&mut self, base: LogId, entries: Vec<Mark>, vote: Vote) {
        self.entries.resize(before(base.index.next()), UNSEEN);
        self.entries.extend(entries);
        self.durable = self.entries.len();
        (self.base, self.durable_base, self.replaced) = (base, base.index, None);
        self.votes = vec![vote];
        self.unflushed = false;
    }

    /// The disk lost what it held, for good.
    pub(super) fn lost(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.ghosts.push((self.base, entries[..self.durable].to_vec()));
        *self = Self { ghosts: std::mem::take(&mut self.ghosts), ..Self::default() };
    }

    pub(super) fn has_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Everything up to here is durable.
    pub(super) fn durable(&self) -> LogIndex {
        LogIndex(self.durable as u64)
    }

    /// Whether a start may find `marks` behind `base`: everything that is durable, and what was purged or replaced since
    /// the last flush or not.
    pub(super) fn may_recover_entries(&self, base: LogIndex, marks: &[Mark]) -> bool {
        let now = Replaced { entries: self.entries.clone(), durable: self.durable, base: self.base };
        let (now_from, was) = match &self.replaced {
            Some(was) => (self.base.index, was.may_recover(base, marks, self.durable_base)),
            None => (self.durable_base, false),
        };
        was || now.may_recover(base, marks, now_from)
    }

    /// The term of the last entry before `index`; zero before the first.
    pub(super) fn term_before(&self, index: LogIndex) -> Term {
        if index == self.base.index.next() {
            return self.base.term;
        }
        before(index).checked_sub(1).and_then(|at| self.entries.get(at)).map_or(Term::ZERO, |mark| mark.term)
    }

    /// The vote that survives whatever happens.
    pub(super) fn durable_vote(&self) -> Vote {
        self.votes.first().cloned().unwrap_or(Vote { term: Term::ZERO, voted_for: None })
    }

    /// Whether a start may find this vote: the durable one, or one written behind it.
    pub(super) fn may_recover(&self, vote: &Vote) -> bool {
        *vote == self.durable_vote() || self.votes.contains(vote)
    }

    /// Whether the disk holds the entry, or a snapshot that stands for it: which are of committed entries alone.
    pub(super) fn holds(&self, id: LogId) -> bool {
        let at = before(id.index);
        id.index <= self.base.index || (at < self.durable && self.entries[at].term == id.term)
    }

    /// Whether it held the entry before it lost everything.
    pub(super) fn held(&self, id: LogId) -> bool {
        let at = before(id.index);
        let held = |(base, ghost): &(LogId, Vec<Mark>)| {
            id.index <= base.index || ghost.get(at).is_some_and(|mark| mark.term == id.term)
        };
        self.ghosts.iter().any(held)
    }

    /// Whether the vote of a term stands on the disk, for this candidate.
    pub(super) fn has_durable_vote(&self, term: Term, candidate: &str) -> bool {
        let vote = self.durable_vote();
        vote.term == term && vote.voted_for.is_some_and(|voted| voted.as_str() == candidate)
    }
}

fn before(index: LogIndex) -> usize {
    usize::try_from(index.0.saturating_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(terms: &[u64]) -> Vec<Mark> {
        terms.iter().map(|term| Mark { term: Term(*term), content: 0 }).collect()
    }

    fn id(index: u64, term: u64) -> LogId {
        LogId::new(Term(term), LogIndex(index))
    }

    #[test]
    fn only_what_was_flushed_and_not_cut_since_is_held() {
        let mut shadow = Shadow::default();
        shadow.append(LogIndex(1), marks(&[1, 1, 1]).into_iter());
        assert!(!shadow.holds(id(1, 1)) && shadow.has_unflushed());
        shadow.flushed();
        assert!(shadow.holds(id(3, 1)) && !shadow.holds(id(3, 2)));
        shadow.truncate(LogIndex(2));
        shadow.append(LogIndex(2), marks(&[2]).into_iter());
        assert!(shadow.holds(id(1, 1)) && !shadow.holds(id(2, 1)) && !shadow.holds(id(2, 2)));
        assert_eq!(shadow.term_before(LogIndex(3)), Term(2));
    }

    #[test]
    fn what_is_purged_is_held_and_may_come_back_until_the_next_flush() {
        let mut shadow = Shadow::default();
        shadow.append(LogIndex(1), marks(&[1, 1, 2]).into_iter());
        shadow.flushed();
        shadow.purge(id(2, 1));
        assert!(shadow.holds(id(1, 1)) && shadow.term_before(LogIndex(3)) == Term(1));
        assert!(shadow.may_recover_entries(LogIndex::ZERO, &marks(&[1, 1, 2])));
        assert!(shadow.may_recover_entries(LogIndex(2), &marks(&[2, 2])));
        assert!(!shadow.may_recover_entries(LogIndex(2), &[]), "the third is durable");
        shadow.flushed();
        assert!(!shadow.may_recover_entries(LogIndex(1), &marks(&[1, 2])));
        assert!(!shadow.may_recover_entries(LogIndex(3), &[]), "nobody purged that far");
    }

    #[test]
    fn a_reset_has_happened_or_not_until_the_next_flush() {
        let mut shadow = Shadow::default();
        shadow.append(LogIndex(1), marks(&[1, 1]).into_iter());
        shadow.flushed();
        shadow.reset(id(5, 3));
        assert!(shadow.holds(id(5, 3)) && shadow.durable() == LogIndex::ZERO);
        assert!(shadow.may_recover_entries(LogIndex::ZERO, &marks(&[1, 1])));
        assert!(shadow.may_recover_entries(LogIndex(5), &[]));
        assert!(!shadow.may_recover_entries(LogIndex::ZERO, &marks(&[1])));
        shadow.flushed();
        assert!(!shadow.may_recover_entries(LogIndex::ZERO, &marks(&[1, 1])));
        shadow.append(LogIndex(6), marks(&[3]).into_iter());
        assert!(shadow.holds(id(2, 1)) && !shadow.holds(id(6, 3)) && shadow.durable() == LogIndex(5));
    }

    #[test]
    fn what_a_lost_disk_held_still_counted() {
        let mut shadow = Shadow::default();
        shadow.append(LogIndex(1), marks(&[1]).into_iter());
        shadow.flushed();
        shadow.lost();
        assert!(shadow.held(id(1, 1)) && !shadow.holds(id(1, 1)));
        assert_eq!(shadow.durable(), LogIndex::ZERO);
    }

    #[test]
    fn a_vote_written_behind_the_durable_one_may_or_may_not_be_found() {
        let vote = |term| Vote { term: Term(term), voted_for: None };
        let mut shadow = Shadow::default();
        shadow.save_vote(&vote(1));
        shadow.flushed();
        shadow.save_vote(&vote(2));
        assert!(
            shadow.may_recover(&vote(1)) && shadow.may_recover(&vote(2)) && !shadow.may_recover(&vote(3))
        );
        shadow.flushed();
        assert!(!shadow.may_recover(&vote(1)));
    }
}
