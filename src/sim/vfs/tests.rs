//! The disk does to files what disks do.

use super::*;

const FILE: &str = "d/a";

fn with_file(content: &[u8]) -> (SimVfs, Box<dyn VfsFile>) {
    let disk = SimVfs::new();
    disk.create_dir_all(Path::new("d")).unwrap();
    let mut file = disk.create(Path::new(FILE)).unwrap();
    file.write_at(0, &[IoSlice::new(content)]).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    (disk, file)
}

#[test]
fn power_loss_keeps_what_was_synced_and_any_part_of_the_rest() {
    let (disk, mut file) = with_file(&[1; 2048]);
    file.write_at(512, &[IoSlice::new(&[2; 1024])]).unwrap();
    let mut sectors = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let after = disk.fork();
        after.power_loss(seed);
        let content = after.content(Path::new(FILE));
        assert_eq!((&content[..512], &content[1536..]), (&[1; 512][..], &[1; 512][..]));
        sectors.insert(content[512..1024].iter().all(|byte| *byte == 1));
        sectors.insert(content[512..1024].iter().all(|byte| *byte == 2));
    }
    assert_eq!(sectors.len(), 2, "both fates occur");
}

#[test]
fn a_name_is_durable_only_after_its_directory_is_synced() {
    let (disk, _) = with_file(b"x");
    disk.rename(Path::new(FILE), Path::new("d/b")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let after = disk.fork();
        after.power_loss(seed);
        seen.insert(after.files());
    }
    assert_eq!(seen.len(), 2, "a renaming survives or not, and never half");
    disk.sync_dir(Path::new("d")).unwrap();
    disk.power_loss(1);
    assert_eq!(disk.files(), [Path::new("d/b")]);
}

#[test]
fn old_handles_and_locks_die_with_their_process() {
    let (disk, mut file) = with_file(b"x");
    let held = disk.lock(Path::new("d/LOCK")).unwrap();
    assert!(matches!(disk.lock(Path::new("d/LOCK")).unwrap(), Lock::Busy(_)));
    disk.kill();
    assert!(file.write_at(0, &[IoSlice::new(b"y")]).is_err());
    let again = disk.lock(Path::new("d/LOCK")).unwrap();
    drop(held);
    assert!(matches!(disk.lock(Path::new("d/LOCK")).unwrap(), Lock::Busy(_)), "{again:?} still holds it");
    assert_eq!(disk.content(Path::new(FILE)), b"x");
}

#[test]
fn a_failed_sync_keeps_or_reverts_what_is_read_and_never_makes_it_durable() {
    for (failure, read) in [(SyncFailure::KeepsCache, b"new"), (SyncFailure::Reverts, b"old")] {
        let (disk, mut file) = with_file(b"old");
        disk.inject(Fault::at(Operation::Sync, Effect::FailSync(failure)));
        file.write_at(0, &[IoSlice::new(b"new")]).unwrap();
        assert!(file.sync_data().is_err());
        assert_eq!(disk.content(Path::new(FILE)), read);
        assert_eq!(disk.syncs_after_failure(), 0);
        file.sync_data().unwrap();
        assert_eq!(disk.syncs_after_failure(), 1);
        disk.power_loss(3);
        assert_eq!(disk.content(Path::new(FILE)), b"old");
    }
}

#[test]
fn faults_strike_once_and_where_they_were_planned() {
    let (disk, mut file) = with_file(b"x");
    disk.inject(Fault::at(Operation::Write, Effect::Fail(io::ErrorKind::Other)).on("other"));
    disk.inject(Fault::at(Operation::Write, Effect::Fail(io::ErrorKind::StorageFull)).after(1));
    let mut write = || file.write_at(0, &[IoSlice::new(b"y")]).map_err(|error| error.kind());
    assert_eq!([write(), write(), write()], [Ok(()), Err(io::ErrorKind::StorageFull), Ok(())]);
    let before = disk.operations();
    disk.inject(Fault::power_off_at(1));
    assert!(write().is_ok() && write().is_err() && write().is_err());
    assert!(disk.is_off() && disk.operations() == before + 2);
}

#[test]
fn a_full_disk_refuses_to_grow_and_takes_what_fits() {
    let (disk, mut file) = with_file(&[0; 100]);
    disk.set_capacity(Some(150));
    assert_eq!(file.allocate(200).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.allocate(150).unwrap();
    file.write_at(140, &[IoSlice::new(&[1; 10])]).unwrap();
    assert_eq!(disk.used(), 150);
}

#[test]
fn a_stalled_operation_waits_for_its_hook() {
    let (disk, mut file) = with_file(b"x");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (hooked, inner) = (seen.clone(), disk.clone());
    let hook = StallHook::new(move |_| hooked.lock().unwrap().push(inner.operations()));
    disk.inject(Fault::at(Operation::Sync, Effect::Stall(hook)));
    let before = disk.operations();
    file.sync_data().unwrap();
    file.sync_data().unwrap();
    assert_eq!(*seen.lock().unwrap(), [before]);
}
