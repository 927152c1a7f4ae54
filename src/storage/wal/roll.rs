//! How the log makes room: flushes, goes on in the next segment, gives up what is no longer needed.

use super::{
    Open, Sealed, Wal,
    active::{Active, size_for},
    control::{Commit, Head},
};
use crate::storage::StorageError;

impl Wal {
    /// Makes sure that records of `bytes` in all can be added, and that after that one segment less
    /// than `spares` is in reserve.
    pub(super) fn make_room(&mut self, bytes: u64, spares: usize) -> Result<(), StorageError> {
        let fits = self.opened().active.fits(bytes);
        let wanted = if fits { spares - 1 } else { spares };
        self.ensure_spares(wanted)?;
        if self.opened().active.fits(bytes) {
            return Ok(());
        }
        self.flush_pending()?;
        self.go_on_in_next_segment(bytes)
    }

    /// Waits for spare segments. If there is no room for one, what was purged is given up at once.
    fn ensure_spares(&mut self, count: usize) -> Result<(), StorageError> {
        if self.opened().spares.ready() >= count {
            return Ok(());
        }
        match self.opened().spares.ensure(count) {
            Err(StorageError::Full { .. }) if self.opened().has_superfluous() => {
                self.flush_records()?;
                self.opened().spares.ensure(count)
            }
            done => done,
        }
    }

    fn go_on_in_next_segment(&mut self, bytes: u64) -> Result<(), StorageError> {
        let open = self.open.as_mut().expect("only a recovered log is ready");
        let head = Head {
            previous: Some(open.active.cut()),
            vote: self.state.vote.clone(),
            withheld: self.state.withheld,
            last: self.state.last,
            base: self.state.base.clone(),
        };
        let sequence = open.active.pending.next_sequence();
        let segment = open.spares.take(size_for(&head, bytes))?;
        let next = Active::begin(segment, &head, sequence, 0);
        let sealed = std::mem::replace(&mut open.active, next).segment;
        open.sealed.push_back(Sealed { ordinal: sealed.ordinal, size: sealed.size });
        Ok(())
    }

    /// Makes what waits durable, if anything does.
    pub(super) fn flush_pending(&mut self) -> Result<(), StorageError> {
        if self.opened().active.pending.is_empty() {
            return Ok(());
        }
        self.flush_records()
    }

    /// Makes what waits durable, then gives up what is no longer needed.
    pub(super) fn flush_records(&mut self) -> Result<(), StorageError> {
        let open = self.open.as_mut().expect("only a recovered log is ready");
        let commit = Commit {
            first_sequence: open.active.pending.first_sequence(),
            vote: self.state.vote.clone(),
            withheld: self.state.withheld,
            last: self.state.last,
        };
        open.active.flush(&self.folder, &commit)?;
        let needed = self.state.index.oldest_segment().unwrap_or(open.active.ordinal());
        for gone in open.give_up(needed) {
            self.reader.forget(gone.ordinal);
            open.spares.retire(gone.ordinal, gone.size);
        }
        open.spares.top_up()
    }
}

impl Open {
    /// Whether a further flush would free a segment.
    fn has_superfluous(&self) -> bool {
        self.sealed.front().is_some_and(|oldest| oldest.ordinal < self.floor)
    }

    /// After a flush: the segments that may go. `needed` is the oldest that the log still needs.
    ///
    /// The head of the segment that becomes the oldest is not in the last flush then, where damage could
    /// leave nothing to begin from: the floor of the flush before was no higher than its active segment.
    fn give_up(&mut self, needed: u64) -> Vec<Sealed> {
        let mut gone = Vec::new();
        while let Some(oldest) = self.sealed.front()
            && oldest.ordinal < self.floor
        {
            gone.extend(self.sealed.pop_front());
        }
        self.floor = needed;
        gone
    }
}
