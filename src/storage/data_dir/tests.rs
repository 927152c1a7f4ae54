//! A directory belongs to one node and keeps what it is told, whenever the power fails.

use super::*;
use crate::{
    sim::vfs::{Effect, Fault, Operation, SimVfs},
    storage::vfs::RealVfs,
};

fn open(path: &Path, node: &str) -> Result<DataDir, StorageError> {
    DataDir::open(Arc::new(RealVfs), path, &node.into())
}

#[test]
fn an_identity_is_drawn_once_and_keeps_what_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n1");
    let mut first = open(&path, "n1").unwrap();
    let drawn = first.identity().clone();
    assert!(!drawn.incarnation.is_none() && drawn.cluster.is_none() && !drawn.member);
    first.set_cluster(ClusterId(7)).unwrap();
    first.mark_member().unwrap();
    assert!(matches!(first.set_cluster(ClusterId(8)), Err(StorageError::Foreign { .. })));
    drop(first);
    let again = open(&path, "n1").unwrap();
    assert_eq!(*again.identity(), Identity { cluster: ClusterId(7), member: true, ..drawn });
}

#[test]
fn a_directory_in_use_or_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let held = open(dir.path(), "n1").unwrap();
    let Err(StorageError::Locked { holder, .. }) = open(dir.path(), "n1") else { panic!("locked twice") };
    assert!(holder.contains(&std::process::id().to_string()));
    drop(held);
    assert!(matches!(open(dir.path(), "n2"), Err(StorageError::Foreign { .. })));
}

#[test]
fn a_log_or_a_snapshot_without_an_identity_is_refused() {
    for file in ["wal/0000000000000001.wal", "snapshots/0000000000000001-0000000000000001.snapshot"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(file);
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, b"").unwrap();
        assert!(matches!(open(dir.path(), "n1"), Err(StorageError::Corrupt { .. })), "{}", file.display());
    }
}

#[test]
fn power_lost_at_any_step_keeps_the_identity_and_what_it_was_told() {
    let path = Path::new("n1");
    for at in 0..12 {
        for seed in 0..8 {
            let disk = SimVfs::new();
            disk.inject(Fault::power_off_at(at));
            let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
            let mut told = None;
            let open = |drawn| DataDir::open_with(vfs.clone(), path, &"n1".into(), || Ok(Incarnation(drawn)));
            if let Ok(mut dir) = open(1) {
                told = Some(dir.identity().clone());
                if dir.set_cluster(ClusterId(7)).is_ok() {
                    told = Some(dir.identity().clone());
                }
                if dir.mark_member().is_ok() {
                    told = Some(dir.identity().clone());
                }
            }
            disk.power_loss(seed);
            let found = open(2).unwrap().identity().clone();
            let Some(told) = told else { continue };
            assert_eq!(found.incarnation, told.incarnation);
            assert!(told.cluster.is_none() || found.cluster == told.cluster);
            assert!(!told.member || found.member);
        }
    }
}

#[test]
fn an_identity_without_room_is_as_before_and_can_be_told_again() {
    let (path, disk) = (Path::new("n1"), SimVfs::new());
    let mut dir =
        DataDir::open_with(Arc::new(disk.clone()), path, &"n1".into(), || Ok(Incarnation(1))).unwrap();
    for operation in [Operation::Create, Operation::Write] {
        disk.inject(Fault::at(operation, Effect::Fail(io::ErrorKind::StorageFull)));
        let before = dir.identity().clone();
        assert!(matches!(dir.set_cluster(ClusterId(7)), Err(StorageError::Full { .. })), "{operation:?}");
        assert_eq!(*dir.identity(), before);
    }
    dir.set_cluster(ClusterId(7)).unwrap();
    assert_eq!(dir.identity().cluster, ClusterId(7));
}

#[test]
fn no_node_starts_from_a_directory_that_is_half_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n1");
    let existing = || DataDir::open_existing(Arc::new(RealVfs), &path, &"n1".into());
    assert!(existing().unwrap().is_none() && !path.exists(), "nothing is made");
    open(&path, "n1").unwrap().set_cluster(ClusterId(7)).unwrap();
    let mut found = existing().unwrap().unwrap();
    assert!(matches!(existing(), Err(StorageError::Locked { .. })));
    found.begin_recovery().unwrap();
    drop(found);
    let Err(StorageError::Corrupt { remedy, .. }) = open(&path, "n1") else { panic!("it opened") };
    assert!(remedy.contains("again"));
    let mut found = existing().unwrap().unwrap();
    found.begin_recovery().unwrap();
    found.join_recovered(ClusterId(8)).unwrap();
    found.finish_recovery().unwrap();
    drop(found);
    let identity = open(&path, "n1").unwrap().identity().clone();
    assert!(identity.cluster == ClusterId(8) && identity.member);
}

#[test]
fn every_flipped_bit_of_an_identity_is_noticed() {
    let identity =
        Identity { node: "n1".into(), incarnation: Incarnation(5), cluster: ClusterId(6), member: true };
    let bytes = encode(&identity);
    assert_eq!(decode(&bytes), Ok(identity));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit}");
    }
    assert!((0..bytes.len()).all(|end| decode(&bytes[..end]).is_err()));
}
