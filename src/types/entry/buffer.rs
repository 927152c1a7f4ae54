//! The write side of a batch: entries that have no index yet.

use std::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    ENTRY_HEADER_BYTES, EntryBatch, EntryKind, FLAG_STAMPED, LogIndex, STAMP_BYTES, Term, entry_len,
    header_at, padding, parse, variable_len,
};

/// How much is allocated at a time for batches to come: room for several of them, within these bounds.
const BATCHES_AT_A_TIME: usize = 8;
const ROOM_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 20;

/// Entries being collected before they have an index: the write side of an [`EntryBatch`].
#[derive(Debug, Default)]
pub struct EntryBuffer {
    bytes: BytesMut,
    count: u64,
    /// Whether an entry in it is to be stamped.
    wants_time: bool,
    /// How many of them are configurations.
    configurations: u64,
}

impl EntryBuffer {
    /// An empty buffer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(bytes), ..Self::default() }
    }

    /// Takes out what was collected. What comes next is written behind it in the same allocation if one as large, and a
    /// quarter more, has room there, and else in a new one: batches share them, and one lives as long as the last in it,
    /// which is why none is greater than a mebibyte until a batch is. A batch that outgrows its room half-way is copied,
    /// and what it had filled is memory that nothing uses.
    pub fn split(&mut self) -> Self {
        let bytes = self.bytes.split();
        let Self { bytes: mut room, count, wants_time, configurations } = std::mem::take(self);
        let next = bytes.len() + bytes.len() / 4;
        if room.capacity() < next {
            let several = next.saturating_mul(BATCHES_AT_A_TIME);
            room = BytesMut::with_capacity(several.clamp(*ROOM_BYTES.start(), *ROOM_BYTES.end()));
        }
        self.bytes = room;
        Self { bytes, count, wants_time, configurations }
    }

    /// Adds an entry whose data `write` appends. Returns the data's length in bytes; if `write` fails
    /// nothing is added.
    ///
    /// # Errors
    /// Whatever `write` returns.
    pub fn push_with<X>(
        &mut self,
        kind: EntryKind,
        write: impl FnOnce(&mut BytesMut) -> Result<(), X>,
    ) -> Result<usize, X> {
        let start = self.bytes.len();
        let stamp = if kind.is_stamped() { STAMP_BYTES } else { 0 };
        self.bytes.extend_from_slice(&[0; ENTRY_HEADER_BYTES]);
        self.bytes.put_bytes(0, stamp);
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let variable = self.bytes.len() - start - ENTRY_HEADER_BYTES;
        let data = variable - stamp;
        self.bytes.put_bytes(0, padding(variable));
        let header = &mut self.bytes[start..start + ENTRY_HEADER_BYTES];
        header[4..8].copy_from_slice(&(data as u32).to_le_bytes());
        header[24] = kind as u8;
        if kind.is_stamped() {
            header[25] = FLAG_STAMPED;
            self.wants_time = true;
        }
        self.configurations += u64::from(kind == EntryKind::Configuration);
        self.count += 1;
        Ok(data)
    }

    /// Adds an entry with `data`.
    pub fn push(&mut self, kind: EntryKind, data: &[u8]) {
        let Ok(_) = self.push_with(kind, |bytes| {
            bytes.extend_from_slice(data);
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Takes the last entry away again, which was of this kind and had `data` bytes of data.
    pub fn pop(&mut self, kind: EntryKind, data: usize) {
        let variable = data + if kind.is_stamped() { STAMP_BYTES } else { 0 };
        let entry = ENTRY_HEADER_BYTES + variable + padding(variable);
        self.bytes.truncate(self.bytes.len() - entry);
        self.configurations -= u64::from(kind == EntryKind::Configuration);
        self.count -= 1;
    }

    /// How many entries it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes they take.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether an entry in it may need the time of appending: see [`stamp`](Self::stamp).
    pub fn wants_time(&self) -> bool {
        self.wants_time
    }

    /// Writes the time of appending, Unix nanoseconds, into every entry that has room for it.
    pub fn stamp(&mut self, appended_at_ns: i64) {
        let mut offset = 0;
        while let Some(length) = entry_len(&self.bytes, offset) {
            if self.bytes[offset + 25] & FLAG_STAMPED != 0 {
                let at = offset + ENTRY_HEADER_BYTES;
                self.bytes[at..at + STAMP_BYTES].copy_from_slice(&appended_at_ns.to_le_bytes());
            }
            offset += length;
        }
    }

    /// Kind and data of each entry, in order: to give back what was refused.
    pub fn data(&self) -> impl Iterator<Item = (EntryKind, &[u8])> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            let (entry, end) = parse(&self.bytes, offset)?;
            offset = end;
            Some((entry.kind, entry.data))
        })
    }

    /// Kind and data of each entry, in order, as slices of one buffer: to send them elsewhere.
    pub fn into_data(self) -> Vec<(EntryKind, Bytes)> {
        let bytes = self.bytes.freeze();
        let mut data = Vec::with_capacity(usize::try_from(self.count).unwrap_or_default());
        let mut offset = 0;
        while let Some((entry, end)) = parse(&bytes, offset) {
            data.push((entry.kind, bytes.slice_ref(entry.data)));
            offset = end;
        }
        data
    }

    /// Gives the entries the indexes from `first` on and the term `term`, and freezes them.
    pub fn seal(mut self, first: LogIndex, term: Term) -> EntryBatch {
        let mut offset = 0;
        let mut index = first;
        while let Some(header) = header_at(&self.bytes, offset) {
            let variable = variable_len(header);
            let end = offset + ENTRY_HEADER_BYTES + variable;
            let entry = &mut self.bytes[offset..end];
            entry[8..16].copy_from_slice(&index.0.to_le_bytes());
            entry[16..24].copy_from_slice(&term.0.to_le_bytes());
            let checksum = crc32c::crc32c(&entry[4..]);
            entry[..4].copy_from_slice(&checksum.to_le_bytes());
            index = index.next();
            offset = end + padding(variable);
        }
        EntryBatch {
            bytes: self.bytes.freeze(),
            first,
            count: self.count,
            first_term: term,
            last_term: term,
            configures: self.configurations > 0,
        }
    }
}
