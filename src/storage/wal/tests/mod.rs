//! The log against a disk that fails, with the memory store as its model.

use super::*;
use crate::{
    sim::vfs::{Effect, Fault, Operation, SimVfs, StallHook, SyncFailure},
    storage::memory::MemoryStore,
    types::{EntryBuffer, EntryKind, LogId, Term},
};

mod behaviour;
mod blank;
mod model;
mod power;
mod rot;

/// The smallest segments there are: a page of records each.
const SEGMENT: u64 = SEGMENT_BYTES_MIN;

fn options() -> WalOptions {
    WalOptions { segment_bytes: SEGMENT, background: false, ..WalOptions::default() }
}

fn open_wal(disk: &SimVfs) -> Wal {
    Wal::open(Arc::new(disk.clone()), Path::new("n1/wal"), options())
}

/// A recovered log on a new disk.
fn fresh() -> (SimVfs, Wal) {
    let disk = SimVfs::new();
    let mut wal = open_wal(&disk);
    assert_eq!(wal.recover().unwrap(), Recovered::default());
    (disk, wal)
}

/// A batch whose commands follow from index and term, as they do in a cluster.
fn batch(first: u64, term: u64, count: u64, size: usize) -> EntryBatch {
    let mut buffer = EntryBuffer::default();
    for index in first..first + count {
        let mut command = format!("{index}@{term} ").into_bytes();
        command.resize(command.len() + size, index as u8);
        buffer.push(EntryKind::Command, &command);
    }
    buffer.seal(LogIndex(first), Term(term))
}

fn vote(term: u64, name: &str) -> Vote {
    Vote { term: Term(term), voted_for: Some(name.into()) }
}

fn base(index: u64, term: u64) -> LogBase {
    LogBase { last: LogId::new(Term(term), LogIndex(index)), ..LogBase::default() }
}

/// Everything a store shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Image {
    recovered: Recovered,
    entries: Vec<(LogId, Vec<u8>)>,
}

impl Image {
    fn of(store: &mut impl LogStore, recovered: Recovered) -> Self {
        let (first, last) = (recovered.base.last.index.next(), recovered.last.index);
        let mut entries = Vec::new();
        if first <= last {
            for batch in store.read(first, last, usize::MAX).unwrap() {
                entries.extend(batch.iter().map(|entry| (entry.id(), entry.data.to_vec())));
            }
        }
        let shown: Vec<LogIndex> = entries.iter().map(|(id, _)| id.index).collect();
        let expected: Vec<LogIndex> = (first.0..=last.0).map(LogIndex).collect();
        assert_eq!(shown, expected, "read shows the log that recover described");
        Self { recovered: Recovered { repairs: Vec::new(), ..recovered }, entries }
    }

    fn of_model(model: &MemoryStore) -> Self {
        let mut model = model.clone();
        let recovered = model.recover().unwrap();
        Self::of(&mut model, recovered)
    }

    /// A model that shows this.
    fn to_model(&self) -> MemoryStore {
        let mut model = MemoryStore::new();
        model.reset(&self.recovered.base).unwrap();
        model.save_vote(&self.recovered.vote).unwrap();
        for (id, data) in &self.entries {
            let mut buffer = EntryBuffer::default();
            buffer.push(EntryKind::Command, data);
            model.append(&buffer.seal(id.index, id.term)).unwrap();
        }
        model
    }
}

/// Opens the log on what is left of a disk.
fn reopen(disk: &SimVfs) -> Result<(Wal, Image, Vec<String>), StorageError> {
    let mut wal = open_wal(disk);
    let recovered = wal.recover()?;
    let repairs = recovered.repairs.clone();
    let image = Image::of(&mut wal, recovered);
    Ok((wal, image, repairs))
}
