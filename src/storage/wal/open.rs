//! From what recovery found to a log that can be written: the tail written anew in a new segment,
//! what no longer counts given up.

use std::collections::VecDeque;

use super::{
    Open, Sealed, Wal,
    active::{Active, size_for},
    record::{self, FLAG_COPIED, Kind},
    recovery::{self, Recovery},
    scan::Record,
    segment::{Folder, Owner},
    spares::Spares,
};
use crate::{
    known_bug::KnownBug,
    storage::{Recovered, StorageError, io_error},
};

/// More than the record of a truncation takes.
const TRUNCATE_BYTES: u64 = 64;
/// On a full disk a segment with room for a few dozen votes will do to start with.
const VOTES_BYTES: u64 = 16 << 10;

impl Wal {
    /// Every opening goes on in a new segment. So nothing is ever written behind a cut, no two lives of
    /// the process share a segment, and the last flush, of which an earlier process may have been told
    /// that it failed, is on the disk before it counts.
    pub(super) fn recover_and_go_on(&mut self) -> Result<Recovered, StorageError> {
        let dir = &self.folder.dir;
        self.folder.vfs.create_dir_all(dir).map_err(|e| io_error("create", dir, e))?;
        let mut found = recovery::read(&self.folder, &self.owner, self.must_exist)?;
        let mut spares = Spares::new(self.folder.clone(), self.owner, self.segment_bytes, found.highest + 1);
        spares.adopt(&found.blank)?;

        let tail: u64 = found.tail.iter().map(|record| record::len(record.payload.len()) as u64).sum();
        let size = size_for(&found.head, tail + TRUNCATE_BYTES);
        let segment = match spares.take(size) {
            Err(StorageError::Full { .. }) => spares.make_small(size + VOTES_BYTES)?,
            taken => taken?,
        };
        let active = Active::begin(segment, &found.head, found.sequence, FLAG_COPIED);
        self.state = std::mem::take(&mut found.state);
        self.state.vote.clone_from(&found.head.vote);
        self.state.withheld = found.head.withheld;
        let sealed = sealed(&self.folder, &self.owner, &found)?;
        self.open = Some(Open { active, spares, sealed, floor: 0 });
        self.write_tail(&found)?;
        let mut repairs = std::mem::take(&mut found.repairs);
        let is_flushed = !KnownBug::RecoveredTailNotFlushed.is_back();
        if is_flushed {
            self.flush_records()?;
            // The head must not stay in the last flush: what it replaces is given up now.
            self.flush_records()?;
        }
        if self.background {
            self.opened().spares.work_in_background()?;
        }
        if is_flushed {
            self.give_up_what_was_replaced(&found)?;
        }
        self.reserve(&mut repairs)?;
        if let Some(promised) = found.ahead.withheld {
            let end = found.ahead.last;
            repairs
                .push(format!("the log ends at {end} and had ended at {promised}: no candidate until then"));
        }

        let recovered = found.ahead.recovered(repairs);
        assert_eq!(
            (self.state.last, &self.state.vote, self.state.withheld),
            (recovered.last, &recovered.vote, recovered.withheld),
            "what was written anew is what was found"
        );
        Ok(recovered)
    }

    fn write_tail(&mut self, found: &Recovery) -> Result<(), StorageError> {
        for record in &found.tail {
            self.copy(record)?;
        }
        if let Some(from) = found.truncate {
            self.opened().active.pending.push(Kind::Truncate, FLAG_COPIED, &from.0.to_le_bytes());
            self.state.truncate(from);
        }
        Ok(())
    }

    fn copy(&mut self, record: &Record) -> Result<(), StorageError> {
        let active = &mut self.opened().active;
        let offset = match record.header.kind {
            Kind::Entries => {
                active.pending.push_entries(FLAG_COPIED, record.header.first, record.payload.clone())
            }
            kind => active.pending.push(kind, FLAG_COPIED, &record.payload),
        };
        let ordinal = active.ordinal();
        let mut copy = Record { offset, ..record.clone() };
        copy.header.flags |= FLAG_COPIED;
        self.state.take_in(&self.folder, ordinal, &copy)
    }

    /// Frees the blocks behind the cut and the segments that hold nothing that counts.
    fn give_up_what_was_replaced(&mut self, found: &Recovery) -> Result<(), StorageError> {
        let open = self.open.as_mut().expect("opened above");
        if let (Some(cut), Some(last)) = (found.head.previous, open.sealed.back_mut())
            && cut.ordinal == last.ordinal
            && cut.offset < last.size
        {
            open.spares.shorten(cut);
            last.size = cut.offset;
        }
        for ordinal in &found.abandoned {
            let size = self.folder.open(*ordinal, &self.owner)?.size;
            open.spares.retire(*ordinal, size);
        }
        open.spares.top_up()
    }

    /// Puts a segment in reserve. Without room for one the log opens all the same and takes no entries.
    fn reserve(&mut self, repairs: &mut Vec<String>) -> Result<(), StorageError> {
        let spares = &mut self.opened().spares;
        match spares.ensure(1) {
            Err(StorageError::Full { file }) => {
                repairs.push(format!("no room for {file}: entries are refused until there is"));
            }
            done => done?,
        }
        spares.top_up()
    }
}

fn sealed(folder: &Folder, owner: &Owner, found: &Recovery) -> Result<VecDeque<Sealed>, StorageError> {
    let size = |ordinal: u64| Ok(Sealed { ordinal, size: folder.open(ordinal, owner)?.size });
    found.chain.iter().map(|ordinal| size(*ordinal)).collect()
}
