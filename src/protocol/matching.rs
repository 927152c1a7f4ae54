//! Whether an AppendEntries fits a follower's log, and what of it is new (Raft §5.3).
//!
//! Decides from terms and indexes alone; changes nothing. A leader that is in the wrong about a committed
//! entry is told apart from one that only has to look further back.

use super::TermRuns;
use crate::{
    known_bug::KnownBug,
    types::{AppendEntries, LogId, LogIndex, Term},
};

/// What a follower has to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Refuse: the log does not hold the entry before the request.
    Conflict {
        /// Where the logs may agree: the leader need look no later than here. Always before the refused
        /// position in term or in index, so that every round makes way.
        hint: LogId,
    },
    /// Stop the node: the request contradicts a committed entry, which no correct leader does
    /// (hashicorp/raft truncates applied entries here).
    CommittedConflict {
        /// Where.
        at: LogIndex,
    },
    /// Take it.
    Accept {
        /// Remove everything from here on first: the first entry that truly conflicts. Entries that are
        /// here already stay, else a crash could lose what was acknowledged (hashicorp/raft 0f31a01).
        truncate_from: Option<LogIndex>,
        /// Append the request's entries from here on.
        append_from: Option<LogIndex>,
        /// The last index of the request: up to here the log then equals the leader's. Commit and
        /// acknowledge no further; what lies behind may be a stale suffix (hashicorp/raft commits it).
        proven: LogIndex,
    },
}

/// Whether a request's entries follow one another and its `prev`, with terms that never fall and are
/// not beyond the leader's. What is not must be refused before [`check_append`] sees it.
pub fn is_contiguous(request: &AppendEntries) -> bool {
    let mut end = request.prev;
    if end.index == LogIndex::ZERO && end != LogId::ZERO {
        return false;
    }
    for batch in request.entries.batches() {
        if end.index.0.checked_add(1) != Some(batch.first().0) || batch.first_term() < end.term {
            return false;
        }
        end = batch.last_id();
    }
    end.term <= request.term
}

/// Checks a request behind `prev` whose entries reach `last` (`prev.index` if there are none) and whose
/// runs of terms begin as `entries` says, against a log with `runs`, committed up to `commit`.
///
/// What is compacted is committed and counts as equal, so a request that begins before the base is no
/// conflict (hashicorp/raft#86, and its "log not found" for retransmitted entries), unless it has a later term than the
/// base there: terms never fall along a log, so the leader's does not hold the base. A cluster that was recovered from
/// several survivors whose logs differ gets here.
///
/// The usual request, whose `prev` is the last entry, costs nothing.
pub fn check_append(
    runs: &TermRuns,
    commit: LogIndex,
    prev: LogId,
    entries: impl Iterator<Item = (LogIndex, Term)>,
    last: LogIndex,
) -> Verdict {
    let end = runs.last();
    let last = last.max(prev.index);
    if prev == end {
        return accept(None, (last > prev.index).then(|| prev.index.next()), last);
    }
    let (base, commit) = (runs.base(), commit.max(runs.base().index));
    let differs = |term| term != prev.term && !KnownBug::PrevTermNotCompared.is_back();
    if prev.index >= base.index && runs.term_at(prev.index).is_none_or(differs) {
        if prev.index <= commit {
            return Verdict::CommittedConflict { at: prev.index };
        }
        return Verdict::Conflict { hint: runs.agreement_before(prev) };
    }
    if prev.index < base.index && prev.term > base.term {
        return Verdict::CommittedConflict { at: prev.index };
    }
    match first_conflict(runs, entries, last) {
        Some(at) if at <= commit => Verdict::CommittedConflict { at },
        Some(at) => accept(Some(at), Some(at), last),
        None if KnownBug::OverlapTruncates.is_back() && last > prev.index => {
            let from = prev.index.max(commit).next();
            accept((from <= end.index).then_some(from), (from <= last).then_some(from), last)
        }
        None => accept(None, (last > end.index).then(|| end.index.next()), last),
    }
}

fn accept(truncate_from: Option<LogIndex>, append_from: Option<LogIndex>, proven: LogIndex) -> Verdict {
    Verdict::Accept { truncate_from, append_from, proven }
}

/// The first index at which the log holds an entry of another term than the request's.
fn first_conflict(
    runs: &TermRuns,
    entries: impl Iterator<Item = (LogIndex, Term)>,
    last: LogIndex,
) -> Option<LogIndex> {
    let mut entries = entries.peekable();
    while let Some((first, term)) = entries.next() {
        if first < runs.base().index && term > runs.base().term {
            return Some(first);
        }
        let end = entries.peek().map_or(last, |next| next.0.prev());
        let mut index = first.max(runs.base().index);
        while index <= end {
            let (ours, until) = runs.run_at(index)?;
            if ours != term {
                return Some(index);
            }
            index = until.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::term_runs::tests::{id, log, terms},
        *,
    };
    use crate::types::{Entries, EntryBuffer, EntryKind};

    /// A request with entries of these terms behind `prev`, against `runs` committed up to `commit`.
    fn check(runs: &TermRuns, commit: u64, prev: LogId, terms: &[u64]) -> Verdict {
        let entries = (prev.index.0 + 1..).map(LogIndex).zip(terms.iter().copied().map(Term));
        let last = prev.index.plus(terms.len() as u64);
        check_append(runs, LogIndex(commit), prev, entries, last)
    }

    fn accepted(truncate_from: u64, append_from: u64, proven: u64) -> Verdict {
        let index = |index| (index > 0).then_some(LogIndex(index));
        accept(index(truncate_from), index(append_from), LogIndex(proven))
    }

    fn conflict(index: u64, term: u64) -> Verdict {
        Verdict::Conflict { hint: id(index, term) }
    }

    #[test]
    fn entries_behind_the_last_one_are_appended() {
        let runs = log(LogId::ZERO, &[1, 1, 2]);
        assert_eq!(check(&runs, 0, id(3, 2), &[2, 3]), accepted(0, 4, 5));
        assert_eq!(check(&runs, 0, id(3, 2), &[]), accepted(0, 0, 3));
        assert_eq!(check(&log(LogId::ZERO, &[]), 0, LogId::ZERO, &[1]), accepted(0, 1, 1));
    }

    #[test]
    fn what_is_here_already_stays() {
        let runs = log(LogId::ZERO, &[1, 1, 2, 2]);
        assert_eq!(check(&runs, 0, id(1, 1), &[1, 2]), accepted(0, 0, 3), "all duplicates");
        assert_eq!(check(&runs, 0, id(2, 1), &[2, 2, 2]), accepted(0, 5, 5), "duplicates, then new");
        assert_eq!(check(&runs, 0, LogId::ZERO, &[1, 1, 2, 2]), accepted(0, 0, 4));
    }

    #[test]
    fn only_the_first_true_conflict_truncates() {
        let runs = log(LogId::ZERO, &[1, 1, 2, 2]);
        assert_eq!(check(&runs, 0, id(1, 1), &[1, 3, 3]), accepted(3, 3, 4), "duplicate, then conflict");
        assert_eq!(check(&runs, 0, id(2, 1), &[3]), accepted(3, 3, 3), "all conflict");
        assert_eq!(check(&runs, 0, id(2, 1), &[2, 3]), accepted(4, 4, 4), "within a run");
    }

    #[test]
    fn a_suffix_that_the_request_does_not_cover_is_not_proven() {
        let runs = log(LogId::ZERO, &[1, 1, 2, 2]);
        assert_eq!(check(&runs, 0, id(2, 1), &[]), accepted(0, 0, 2));
        assert_eq!(check(&runs, 0, id(1, 1), &[1]), accepted(0, 0, 2));
    }

    #[test]
    fn a_missing_or_different_prev_is_refused_with_a_hint() {
        let runs = log(LogId::ZERO, &[1, 1, 2, 2]);
        assert_eq!(check(&runs, 0, id(9, 3), &[3]), conflict(4, 2), "past the end");
        assert_eq!(check(&runs, 0, id(4, 3), &[3]), conflict(4, 2), "an older entry is here");
        assert_eq!(check(&runs, 0, id(4, 1), &[3]), conflict(2, 1), "a newer entry is here");
        assert_eq!(check(&log(LogId::ZERO, &[]), 0, id(1, 1), &[]), conflict(0, 0));
    }

    #[test]
    fn what_is_compacted_counts_as_equal() {
        let runs = log(id(4, 2), &[2, 3]);
        assert_eq!(check(&runs, 4, id(4, 2), &[2, 3, 3]), accepted(0, 7, 7), "prev is the base");
        assert_eq!(check(&runs, 4, id(2, 1), &[1, 2, 2, 3, 3]), accepted(0, 7, 7), "prev is before it");
        assert_eq!(check(&runs, 4, id(1, 1), &[1]), accepted(0, 0, 2), "all of it is");
        assert_eq!(check(&runs, 4, id(2, 1), &[1, 2, 4]), accepted(5, 5, 5));
        assert_eq!(check(&log(id(4, 2), &[]), 4, id(3, 2), &[2, 2]), accepted(0, 5, 5));
    }

    #[test]
    fn nothing_committed_is_ever_replaced() {
        let runs = log(LogId::ZERO, &[1, 1, 2, 2]);
        let committed = |at| Verdict::CommittedConflict { at: LogIndex(at) };
        assert_eq!(check(&runs, 3, id(2, 1), &[3]), committed(3));
        assert_eq!(check(&runs, 3, id(3, 1), &[3]), committed(3));
        assert_eq!(check(&runs, 2, id(2, 1), &[3]), accepted(3, 3, 3));
        let runs = log(id(4, 2), &[2]);
        assert_eq!(check(&runs, 0, id(4, 1), &[3]), committed(4), "the base is committed");
        assert_eq!(check(&runs, 0, id(3, 1), &[3, 3]), committed(4));
    }

    #[test]
    fn a_log_that_cannot_hold_what_is_compacted_is_not_taken_for_one_that_does() {
        let runs = log(id(4, 2), &[]);
        let committed = |at| Verdict::CommittedConflict { at: LogIndex(at) };
        assert_eq!(check(&runs, 4, id(2, 1), &[3]), committed(3), "it ends before the base, in a later term");
        assert_eq!(check(&runs, 4, id(1, 1), &[2, 3]), committed(3));
        assert_eq!(check(&runs, 4, id(3, 3), &[]), committed(3), "so does what comes before it");
        assert_eq!(check(&runs, 4, id(2, 2), &[2, 2, 3]), accepted(0, 5, 5), "a later term behind the base");
    }

    #[test]
    fn indexes_at_the_end_of_the_range_do_no_harm() {
        let runs = log(id(4, 2), &[2]);
        let prev = id(u64::MAX, u64::MAX);
        assert_eq!(check_append(&runs, LogIndex(4), prev, std::iter::empty(), prev.index), conflict(5, 2));
    }

    /// Figure 7: the leader of term 8 and the six followers (a) to (f).
    #[test]
    fn the_followers_of_figure_7_converge() {
        let leader = log(LogId::ZERO, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
        let followers: [(&[u64], u64, usize); 6] = [
            (&[1, 1, 1, 4, 4, 5, 5, 6, 6], 9, 1),
            (&[1, 1, 1, 4], 4, 1),
            (&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], 10, 0),
            (&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], 10, 0),
            (&[1, 1, 1, 4, 4, 4, 4], 5, 1),
            (&[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], 3, 1),
        ];
        for (terms, agreed, refusals) in followers {
            assert_eq!(probe(&leader, &log(LogId::ZERO, terms), id(10, 6)), (agreed, refusals), "{terms:?}");
        }
    }

    /// Probes back from `prev` as a leader does. The index accepted and how many probes were refused.
    fn probe(leader: &TermRuns, follower: &TermRuns, mut prev: LogId) -> (u64, usize) {
        for refusals in 0.. {
            match check(follower, 0, prev, &[]) {
                Verdict::Accept { proven, .. } => return (proven.get(), refusals),
                Verdict::Conflict { hint } => {
                    let next = leader.agreement_before(hint);
                    assert!(next.index < prev.index, "no way made from {prev}: {follower}");
                    prev = next;
                }
                Verdict::CommittedConflict { .. } => panic!("nothing is committed"),
            }
        }
        unreachable!()
    }

    #[test]
    fn requests_with_holes_are_told() {
        let batch = |first, term| {
            let mut buffer = EntryBuffer::default();
            buffer.push(EntryKind::Command, b"x");
            buffer.seal(LogIndex(first), Term(term))
        };
        let request = |prev, entries: Entries| AppendEntries {
            term: Term(5),
            leader: "n1".into(),
            prev,
            commit: LogIndex::ZERO,
            entries,
        };
        let mut two = Entries::from(batch(3, 2));
        two.push(batch(4, 5));
        assert!(is_contiguous(&request(id(2, 2), two)));
        assert!(is_contiguous(&request(id(2, 2), Entries::none())));
        assert!(!is_contiguous(&request(id(1, 1), batch(3, 2).into())), "a gap");
        assert!(!is_contiguous(&request(id(2, 3), batch(3, 2).into())), "a falling term");
        assert!(!is_contiguous(&request(id(2, 2), batch(3, 6).into())), "beyond the leader's term");
        assert!(!is_contiguous(&request(id(0, 2), Entries::none())), "no entry has index 0");
        assert!(!is_contiguous(&request(id(u64::MAX, 2), batch(3, 2).into())));
    }

    proptest! {
        /// Two logs that share a front part and then differ for ever, as Log Matching has it.
        #[test]
        fn probing_ends_exactly_where_the_logs_agree(
            shared in terms(8), ours in terms(8), theirs in terms(8),
        ) {
            let floor = shared.last().copied().unwrap_or(1);
            // Terms of one leader never occur in both tails.
            let tail = |terms: &[u64], parity| -> Vec<u64> {
                shared.iter().copied().chain(terms.iter().map(|term| floor + 2 * term + parity)).collect()
            };
            let leader = log(LogId::ZERO, &tail(&ours, 0));
            let follower = log(LogId::ZERO, &tail(&theirs, 1));
            let (agreed, refusals) = probe(&leader, &follower, leader.last());
            prop_assert_eq!(agreed, shared.len() as u64);
            prop_assert!(refusals <= 6, "{} rounds", refusals);
        }

        #[test]
        fn accepting_makes_the_logs_equal_up_to_the_proven_index(
            shared in terms(8), ours in terms(8), theirs in terms(8), from in 0_usize..8, base in 0_u64..8,
        ) {
            let floor = shared.last().copied().unwrap_or(1);
            let tail = |terms: &[u64], parity| -> Vec<u64> {
                shared.iter().copied().chain(terms.iter().map(|term| floor + 2 * term + parity)).collect()
            };
            let (leader, follower) = (tail(&ours, 0), tail(&theirs, 1));
            let from = from.min(shared.len());
            let prev = id(from as u64, if from == 0 { 0 } else { leader[from - 1] });
            let mut runs = log(LogId::ZERO, &follower);
            let base = LogIndex(base.min(shared.len() as u64));
            runs.compact(LogId::new(runs.term_at(base).unwrap(), base));

            let Verdict::Accept { truncate_from, append_from, proven } =
                check(&runs, base.0, prev, &leader[from..]) else { panic!("prev is shared") };
            if let Some(from) = truncate_from {
                prop_assert_eq!(from.0, shared.len() as u64 + 1);
                runs.truncate(from);
            }
            if append_from.is_some() {
                let entries = (1_u64..).map(LogIndex).zip(leader.iter().copied().map(Term));
                runs.append(proven, entries.skip(from));
            }
            prop_assert_eq!(proven.0, leader.len() as u64);
            for index in base.0.max(1)..=proven.0 {
                prop_assert_eq!(runs.term_at(LogIndex(index)), Some(Term(leader[index as usize - 1])));
            }
        }
    }
}
