//! Reads entries back from segments, every byte checked again.

use bytes::Bytes;

use super::{
    index::Place,
    record::{Kind, len},
    scan::record_at,
    segment::{Folder, Owner, SegmentFile},
};
use crate::{
    storage::{StorageError, io_error},
    types::EntryBatch,
};

/// Keeps the segment it read last open: a follower that catches up reads one after the other.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: Option<SegmentFile>,
}

impl Reader {
    /// Closes a segment that is about to go.
    pub(super) fn forget(&mut self, ordinal: u64) {
        self.open.take_if(|segment| segment.ordinal == ordinal);
    }

    /// Reads records that lie one behind the other in one segment, with one call.
    pub(super) fn read(
        &mut self,
        folder: &Folder,
        owner: &Owner,
        places: &[Place],
    ) -> Result<Vec<EntryBatch>, StorageError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(Vec::new()) };
        let segment = self.segment(folder, owner, first.segment)?;
        let start = first.offset();
        let size = last.offset() + len(last.payload_bytes as usize) as u64 - start;
        let mut bytes = vec![0; size as usize];
        let failed = |error| io_error("read", &folder.path(first.segment), error);
        segment.file.read_at(start, &mut bytes).map_err(failed)?;
        let (bytes, id) = (Bytes::from(bytes), segment.id);
        places.iter().map(|place| verify(folder, &bytes, id, start, place)).collect()
    }

    fn segment(
        &mut self,
        folder: &Folder,
        owner: &Owner,
        ordinal: u64,
    ) -> Result<&mut SegmentFile, StorageError> {
        match &mut self.open {
            Some(open) if open.ordinal == ordinal => {}
            other => *other = Some(folder.open(ordinal, owner)?),
        }
        Ok(self.open.as_mut().expect("opened above"))
    }
}

fn verify(
    folder: &Folder,
    bytes: &Bytes,
    id: u64,
    start: u64,
    place: &Place,
) -> Result<EntryBatch, StorageError> {
    let damaged = |what: String| super::corrupt(folder.text(place.segment), place.offset(), what);
    let at = (place.offset() - start) as usize;
    let record = record_at(bytes, id, at, place.offset())
        .filter(|record| record.header.kind == Kind::Entries && record.header.first == place.first)
        .ok_or_else(|| damaged("the record that was written here is gone".to_owned()))?;
    EntryBatch::verify(record.payload).map_err(|damage| damaged(damage.to_string()))
}
