//! Whether an AppendEntries fits a follower's log (Raft §5.3).

use super::TermRuns;
use crate::types::{AppendEntries, LogId, LogIndex, Term};

/// What a follower does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The entry before it is not here.
    Conflict {
        /// Look no later than here.
        hint: LogId,
    },
    /// It would change what is committed.
    CommittedConflict {
        /// Where.
        at: LogIndex,
    },
    /// It fits.
    Accept {
        /// Remove everything from here on first.
        truncate_from: Option<LogIndex>,
        /// Append its entries from here on.
        append_from: Option<LogIndex>,
        /// Everything up to here equals the leader's log.
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

/// Checks a request with entries up to `last` whose runs of terms begin as `entries` says.
pub fn check_append(
    runs: &TermRuns,
    commit: LogIndex,
    prev: LogId,
    entries: impl Iterator<Item = (LogIndex, Term)>,
    last: LogIndex,
) -> Verdict {
    let ours = runs.last();
    let base = runs.base();
    if prev.index > base.index && runs.term_at(prev.index) != Some(prev.term) {
        if prev.index <= commit {
            return Verdict::CommittedConflict { at: prev.index };
        }
        return Verdict::Conflict { hint: runs.agreement_before(LogId::new(prev.term, prev.index.prev())) };
    }
    if prev.index == ours.index {
        let append_from = (last > prev.index).then(|| prev.index.next());
        return Verdict::Accept { truncate_from: None, append_from, proven: last };
    }
    let mut entries: Vec<(LogIndex, Term)> = entries.collect();
    entries.retain(|run| run.0 <= last);
    let mut differs = None;
    for (number, (first, term)) in entries.iter().enumerate() {
        let end = entries.get(number + 1).map_or(last, |next| next.0.prev());
        let mut index = (*first).max(base.index.next());
        while index <= end.min(ours.index) && differs.is_none() {
            if runs.term_at(index) != Some(*term) {
                differs = Some(index);
            }
            index = index.next();
        }
    }
    match differs {
        Some(at) if at <= commit => Verdict::CommittedConflict { at },
        Some(at) => Verdict::Accept { truncate_from: Some(at), append_from: Some(at), proven: last },
        None => Verdict::Accept {
            truncate_from: None,
            append_from: (last > ours.index).then(|| ours.index.next()),
            proven: last,
        },
    }
}
