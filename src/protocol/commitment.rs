//! Match indexes → commit index (Raft §5.3, §5.4.2).

use super::quorum_index;
use crate::types::LogIndex;

/// The match index of every voter, keyed by the session of its replicator.
#[derive(Clone, Debug)]
pub struct Commitment {
    start: LogIndex,
    commit: LogIndex,
    matches: Vec<(u64, LogIndex)>,
    sorted: Vec<LogIndex>,
}

impl Commitment {
    /// A tenure whose first entry is `start`: nothing before it is committed by counting (Figure 8).
    pub fn new(start: LogIndex, commit: LogIndex) -> Self {
        Self { start, commit, matches: Vec::new(), sorted: Vec::new() }
    }

    /// Sets whose matches count; those that stay keep theirs.
    pub fn set_voters(&mut self, sessions: impl IntoIterator<Item = u64>) -> Option<LogIndex> {
        let old = std::mem::take(&mut self.matches);
        let known =
            |session| old.iter().find(|known| known.0 == session).map_or(LogIndex::ZERO, |known| known.1);
        self.matches = sessions.into_iter().map(|session| (session, known(session))).collect();
        self.recount()
    }

    /// A voter has everything up to `index`. The commit index, if it rose.
    pub fn matched(&mut self, session: u64, index: LogIndex) -> Option<LogIndex> {
        let known = self.matches.iter_mut().find(|known| known.0 == session)?;
        if index <= known.1 {
            return None;
        }
        known.1 = index;
        self.recount()
    }

    /// The commit index.
    pub fn commit(&self) -> LogIndex {
        self.commit
    }

    fn recount(&mut self) -> Option<LogIndex> {
        self.sorted.clear();
        self.sorted.extend(self.matches.iter().map(|known| known.1));
        let index = quorum_index(&mut self.sorted);
        if index < self.start || index <= self.commit {
            return None;
        }
        self.commit = index;
        Some(index)
    }
}
