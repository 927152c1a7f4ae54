//! Snapshot files against a disk that fails.

use std::io::{Read, Write};

use super::{layout::FOOTER_BYTES, sink::SYNC_BYTES, *};
use crate::{
    sim::vfs::{Effect, Fault, Operation, SimVfs, SyncFailure},
    types::{ClusterId, Incarnation, LogIndex, Membership, Server, Suffrage, Term},
};

mod power;
mod rot;
mod versions;

const DIR: &str = "n1/snapshots";
/// Small blocks, so that a small content has many.
const BLOCK: u32 = 64;

fn open_store(disk: &SimVfs) -> FileSnapshotStore {
    FileSnapshotStore::with(Arc::new(disk.clone()), Path::new(DIR), None, BLOCK)
}

/// A recovered store on a new disk.
fn fresh() -> (SimVfs, FileSnapshotStore) {
    let disk = SimVfs::new();
    let mut store = open_store(&disk);
    assert_eq!(store.recover().unwrap(), []);
    (disk, store)
}

fn id(index: u64) -> LogId {
    LogId::new(Term(1 + index / 10), LogIndex(index))
}

fn upto(index: u64) -> SnapshotDescription {
    let server = Server {
        id: "n1".into(),
        address: format!("a:{index}"),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(7),
    };
    let membership = Membership::new([server]).unwrap();
    SnapshotDescription { last: id(index), membership, membership_index: LogIndex(1), cluster: ClusterId(9) }
}

/// What a snapshot up to `index` holds: several blocks, the last one not full.
fn content(index: u64) -> Vec<u8> {
    (0..300 + index as usize).map(|at| (at as u64 * 31 + index) as u8).collect()
}

fn publish(store: &mut FileSnapshotStore, index: u64) -> Result<SnapshotMeta, StorageError> {
    let mut sink = store.create(upto(index))?;
    // What a write fails with, publish repeats.
    let written = sink.write_all(&content(index));
    let published = sink.publish(None);
    assert!(written.is_ok() || published.is_err());
    published
}

fn read(store: &mut FileSnapshotStore, index: u64) -> Result<Vec<u8>, String> {
    let mut source = store.open(id(index)).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    source.read_to_end(&mut content).map_err(|error| error.to_string())?;
    Ok(content)
}

fn indexes(found: &[SnapshotMeta]) -> Vec<u64> {
    found.iter().map(|meta| meta.description.last.index.0).collect()
}

#[test]
fn a_full_disk_refuses_the_snapshot_and_keeps_nothing_of_it() {
    let (disk, mut store) = fresh();
    publish(&mut store, 1).unwrap();
    let used = disk.used();
    // Wherever the room ends: in the header, in a block, in the footer.
    for room in 0..used {
        disk.set_capacity(Some(used + room));
        let refused = publish(&mut store, 2);
        assert!(matches!(refused, Err(StorageError::Full { .. })), "{room}: {refused:?}");
        assert_eq!(disk.used(), used, "the rest is removed");
    }
    disk.set_capacity(None);
    publish(&mut store, 2).unwrap();
    assert_eq!(read(&mut store, 2).unwrap(), content(2), "it goes on when there is room");
}

#[test]
fn a_failed_sync_of_the_content_gives_the_snapshot_up_and_no_other() {
    let (disk, mut store) = fresh();
    publish(&mut store, 1).unwrap();
    disk.inject(Fault::at(Operation::Sync, Effect::FailSync(SyncFailure::KeepsCache)));
    assert!(matches!(publish(&mut store, 2), Err(StorageError::Io { .. })));
    assert_eq!(disk.files().len(), 1, "the rest is removed");
    publish(&mut store, 3).unwrap();
    assert_eq!(disk.syncs_after_failure(), 0, "a file that failed is not synced again");
    disk.power_loss(1);
    assert_eq!(indexes(&open_store(&disk).recover().unwrap()), [3, 1]);
}

#[test]
fn after_a_failed_sync_of_the_names_nothing_that_may_be_lost_takes_the_place_of_what_is_durable() {
    let (disk, mut store) = fresh();
    publish(&mut store, 1).unwrap();
    disk.inject(Fault::at(Operation::SyncDir, Effect::Fail(io::ErrorKind::Other)));
    assert!(matches!(publish(&mut store, 2), Err(StorageError::Io { .. })));
    assert!(store.retain(1).is_err(), "it would remove the durable one");
    assert!(publish(&mut store, 3).is_err());
    assert_eq!(read(&mut store, 1).unwrap(), content(1), "reading goes on");
    disk.kill();
    let mut again = open_store(&disk);
    assert_eq!(indexes(&again.recover().unwrap()), [2, 1]);
    disk.power_loss(1);
    assert_eq!(indexes(&open_store(&disk).recover().unwrap()), [2, 1], "recovery made it durable");
}

#[test]
fn a_small_write_costs_no_operation_and_a_large_content_goes_out_by_and_by() {
    let disk = SimVfs::new();
    let mut store = FileSnapshotStore::new(Arc::new(disk.clone()), Path::new(DIR));
    store.recover().unwrap();
    let mut sink = store.create(upto(1)).unwrap();
    let writes = disk.count(Operation::Write);
    (0..1000).for_each(|_| sink.write_all(&[7; 200]).unwrap());
    assert_eq!(disk.count(Operation::Write), writes, "a block is not full yet");
    let chunk = vec![8; 1 << 20];
    (0..20).for_each(|_| sink.write_all(&chunk).unwrap());
    let bytes = sink.bytes();
    assert_eq!(
        disk.count(Operation::Write) - writes,
        bytes / u64::from(BLOCK_BYTES),
        "a write for each block"
    );
    assert_eq!(disk.count(Operation::Sync), bytes / SYNC_BYTES);
    assert_eq!(sink.publish(None).unwrap().bytes, bytes);
}

#[test]
fn what_describes_no_snapshot_is_refused_before_anything_is_written() {
    let (disk, mut store) = fresh();
    let mut beyond = upto(1);
    beyond.last.index = LogIndex(u64::MAX);
    assert!(matches!(store.create(beyond), Err(StorageError::Misuse(_))));
    assert_eq!(disk.files().len(), 0);
}

#[test]
fn only_what_is_ours_is_removed() {
    let (disk, mut store) = fresh();
    let stranger = Path::new(DIR).join("notes.tmp");
    disk.create(&stranger).unwrap();
    drop(disk.create(&Path::new(DIR).join(temporary_name(id(5), 3))).unwrap());
    publish(&mut store, 1).unwrap();
    publish(&mut store, 2).unwrap();
    store.retain(1).unwrap();
    assert_eq!(indexes(&open_store(&disk).recover().unwrap()), [2]);
    assert_eq!(disk.files(), [Path::new(DIR).join(name_of(id(2))), stranger]);
}
