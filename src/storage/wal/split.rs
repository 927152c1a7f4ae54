//! Cuts a large batch into records, so that damage in one leaves the ones before it whole.

use bytes::Bytes;

use super::record;
use crate::types::{ENTRY_HEADER_BYTES, EntryBatch, EntryRef, LogIndex};

/// A batch up to this size is one record; beyond it, a record ends with the entry that reaches it.
const RECORD_BYTES: usize = 64 << 10;
/// Bytes of an entry's time, if it has one.
const STAMP_BYTES: usize = 8;

/// The entries of one record.
pub(super) struct Part {
    pub(super) first: LogIndex,
    pub(super) bytes: Bytes,
}

/// The room that [`split`]'s records take at most.
pub(super) fn room(batch: &EntryBatch) -> u64 {
    let records = batch.len() / RECORD_BYTES + 1;
    (batch.len() + records * (record::HEADER_BYTES + record::ALIGN)) as u64
}

/// The batch in parts, without copying.
pub(super) fn split(batch: &EntryBatch) -> Vec<Part> {
    if batch.len() <= RECORD_BYTES {
        return vec![Part { first: batch.first(), bytes: batch.bytes().clone() }];
    }
    let mut parts = Vec::with_capacity(batch.len() / RECORD_BYTES + 1);
    let (mut first, mut start, mut end) = (batch.first(), 0, 0);
    for entry in batch.iter() {
        end += encoded_len(&entry);
        if end - start >= RECORD_BYTES {
            parts.push(Part { first, bytes: batch.bytes().slice(start..end) });
            (first, start) = (entry.index.next(), end);
        }
    }
    if start < batch.len() {
        parts.push(Part { first, bytes: batch.bytes().slice(start..) });
    }
    parts
}

fn encoded_len(entry: &EntryRef<'_>) -> usize {
    let stamp = if entry.appended_at_ns.is_some() { STAMP_BYTES } else { 0 };
    ENTRY_HEADER_BYTES + (stamp + entry.extensions.len() + entry.data.len()).next_multiple_of(record::ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{EntryBuffer, EntryKind, Term};

    #[test]
    fn a_large_batch_becomes_records_that_are_batches_themselves() {
        let mut buffer = EntryBuffer::default();
        (0..3000).for_each(|length| buffer.push(EntryKind::Command, &vec![7; length % 200]));
        let batch = buffer.seal(LogIndex(9), Term(2));
        let parts = split(&batch);
        assert!(parts.len() > 3);
        assert!(parts.iter().map(|part| record::len(part.bytes.len()) as u64).sum::<u64>() <= room(&batch));
        let mut next = LogIndex(9);
        for part in parts {
            let read = EntryBatch::verify(part.bytes).unwrap();
            assert_eq!((part.first, read.first()), (next, next));
            next = read.last().next();
        }
        assert_eq!(next, batch.last().next());
    }
}
