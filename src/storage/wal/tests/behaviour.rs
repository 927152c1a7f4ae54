//! What the log promises, one by one.

use std::io;

use super::*;
use crate::storage::vfs::RealVfs;

fn last(image: &Image) -> (u64, u64) {
    (image.recovered.last.index.0, image.recovered.last.term.0)
}

#[test]
fn a_flush_is_one_write_and_one_sync_however_many_appends_it_covers() {
    let (disk, mut wal) = fresh();
    let before = (disk.count(Operation::Write), disk.count(Operation::Sync), disk.operations());
    for first in 0..10 {
        wal.append(&batch(first * 3 + 1, 1, 3, 20)).unwrap();
    }
    wal.save_vote(&vote(2, "n2")).unwrap();
    assert_eq!(disk.operations(), before.2, "nothing is written before the flush");
    wal.flush().unwrap();
    wal.flush().unwrap();
    let after = (disk.count(Operation::Write), disk.count(Operation::Sync), disk.operations());
    assert_eq!(after, (before.0 + 1, before.1 + 1, before.2 + 2));
}

#[test]
fn a_conflict_truncation_and_a_kill_leave_a_log_that_opens() {
    let (disk, mut wal) = fresh();
    wal.append(&batch(1, 1, 30, 300)).unwrap();
    wal.flush().unwrap();
    wal.truncate(LogIndex(11)).unwrap();
    wal.append(&batch(11, 2, 2, 10)).unwrap();
    wal.flush().unwrap();
    disk.kill();
    let (mut wal, image, repairs) = reopen(&disk).unwrap();
    assert_eq!((last(&image), repairs.len()), ((12, 2), 0));
    wal.truncate(LogIndex(1)).unwrap();
    wal.flush().unwrap();
    disk.kill();
    assert_eq!(last(&reopen(&disk).unwrap().1), (0, 0));
}

#[test]
fn a_sync_that_failed_is_never_tried_again_and_what_it_covered_is_not_relied_on() {
    for failure in [SyncFailure::KeepsCache, SyncFailure::Reverts] {
        let (disk, mut wal) = fresh();
        wal.append(&batch(1, 1, 2, 10)).unwrap();
        wal.flush().unwrap();
        disk.inject(Fault::at(Operation::Sync, Effect::FailSync(failure)));
        wal.append(&batch(3, 1, 2, 10)).unwrap();
        assert!(matches!(wal.flush(), Err(StorageError::Io { operation: "sync", .. })));
        let operations = disk.operations();
        assert!(wal.flush().is_err() && wal.save_vote(&vote(9, "n9")).is_err());
        assert!(wal.append(&batch(5, 1, 1, 1)).is_err() && wal.read(LogIndex(1), LogIndex(1), 1).is_err());
        drop(wal);
        assert_eq!((disk.operations(), disk.syncs_after_failure()), (operations, 0));
        disk.kill();
        // The page cache may still show what the disk never took: it is written anew, so it stays.
        let shown = reopen(&disk).unwrap().1;
        assert_eq!(last(&shown).0, if failure == SyncFailure::KeepsCache { 4 } else { 2 });
        for seed in 0..20 {
            let after = disk.fork();
            after.power_loss(seed);
            assert_eq!(reopen(&after).unwrap().1, shown);
        }
    }
}

#[test]
fn a_full_disk_refuses_entries_takes_votes_and_goes_on_when_there_is_room() {
    let (disk, mut wal) = fresh();
    disk.set_capacity(Some(disk.used() + SEGMENT));
    let mut next = 1;
    let refused = loop {
        match wal.append(&batch(next, 1, 1, 500)) {
            Ok(()) => next += 1,
            Err(error) => break error,
        }
        wal.flush().unwrap();
    };
    assert!(matches!(refused, StorageError::Full { .. }), "{refused}");
    let mut term = 0;
    // A segment this small has room for a handful, one of the usual size for a hundred thousand.
    for _ in 0..5 {
        term += 1;
        wal.save_vote(&vote(term, "n2")).unwrap();
        wal.flush().unwrap();
        assert!(wal.append(&batch(next, 1, 1, 500)).is_err(), "the reserve is for votes");
    }
    // A snapshot lets the log be purged: that alone makes room.
    wal.purge(&base(next - 1, 1)).unwrap();
    wal.flush().unwrap();
    wal.append(&batch(next, 1, 1, 500)).unwrap();
    wal.flush().unwrap();
    disk.set_capacity(None);
    wal.append(&batch(next + 1, 1, 40, 500)).unwrap();
    wal.flush().unwrap();
    disk.kill();
    let image = reopen(&disk).unwrap().1;
    assert_eq!((image.recovered.vote, image.entries.len()), (vote(term, "n2"), 41));
}

#[test]
fn a_log_on_a_full_disk_opens_without_a_reserve() {
    let (disk, mut wal) = fresh();
    wal.append(&batch(1, 1, 3, 100)).unwrap();
    wal.flush().unwrap();
    disk.kill();
    disk.set_capacity(Some(disk.used()));
    let (mut wal, image, _) = reopen(&disk).unwrap();
    assert_eq!(image.entries.len(), 3);
    wal.save_vote(&vote(2, "n1")).unwrap();
    wal.flush().unwrap();
}

#[test]
fn a_node_on_a_full_disk_can_be_restarted_and_vote() {
    let disk = SimVfs::new();
    let open = || {
        let options = WalOptions { segment_bytes: 128 << 10, ..options() };
        let mut wal = Wal::open(Arc::new(disk.clone()), Path::new("n1/wal"), options);
        wal.recover().map(|recovered| (wal, recovered))
    };
    let (mut wal, _) = open().unwrap();
    wal.append(&batch(1, 1, 3, 100)).unwrap();
    wal.flush().unwrap();
    disk.set_capacity(Some(disk.used()));
    for term in 2..5 {
        disk.kill();
        let (mut wal, recovered) = open().unwrap();
        assert_eq!(
            (recovered.last.index.0, recovered.vote.term.0),
            (3, if term == 2 { 0 } else { term - 1 })
        );
        wal.save_vote(&vote(term, "n1")).unwrap();
        wal.flush().unwrap();
    }
}

#[test]
fn what_a_recycled_segment_held_never_comes_back() {
    let (disk, mut wal) = fresh();
    for round in 0..8 {
        wal.append(&batch(round * 8 + 1, 1, 8, 300)).unwrap();
        wal.flush().unwrap();
        wal.purge(&base(round * 8 + 8, 1)).unwrap();
        wal.flush().unwrap();
    }
    wal.append(&batch(65, 2, 1, 10)).unwrap();
    wal.flush().unwrap();
    let newest = disk.files().into_iter().rfind(|file| {
        let content = disk.content(file);
        content[HEADER_PAGE_BYTES as usize..].iter().any(|byte| *byte != 0)
    });
    let stale = disk.content(&newest.unwrap());
    let holds = |text: &[u8]| stale.windows(text.len()).any(|window| window == text);
    assert!((1..64).any(|index| holds(format!("{index}@1 ").as_bytes())), "its blocks still hold entries");
    disk.kill();
    let (_, image, repairs) = reopen(&disk).unwrap();
    assert_eq!((last(&image), image.entries.len(), repairs), ((65, 2), 1, Vec::new()));
}

#[test]
fn purged_segments_are_used_again_and_the_directory_does_not_grow() {
    let (disk, mut wal) = fresh();
    let mut most = 0;
    for round in 0..200 {
        wal.append(&batch(round * 4 + 1, 1, 4, 300)).unwrap();
        wal.flush().unwrap();
        wal.purge(&base(round * 4 + 2, 1)).unwrap();
        wal.flush().unwrap();
        most = most.max(disk.used());
    }
    assert!(most <= 7 * SEGMENT, "{most}");
    assert!(disk.count(Operation::Allocate) < 8, "{}", disk.count(Operation::Allocate));
}

#[test]
fn opening_again_and_again_does_not_fill_the_disk() {
    let (disk, mut wal) = fresh();
    wal.append(&batch(1, 1, 2, 100)).unwrap();
    wal.flush().unwrap();
    for _ in 0..30 {
        disk.kill();
        assert_eq!(last(&reopen(&disk).unwrap().1), (2, 1));
    }
    assert!(disk.used() <= 5 * SEGMENT, "{:?}", disk.files());
}

#[test]
fn a_batch_larger_than_a_segment_gets_a_larger_one() {
    let (disk, mut wal) = fresh();
    wal.append(&batch(1, 1, 2, 10)).unwrap();
    let large = batch(3, 1, 100, 1500);
    wal.append(&large).unwrap();
    wal.append(&batch(103, 1, 2, 10)).unwrap();
    let read = wal.read(LogIndex(3), LogIndex(102), usize::MAX).unwrap();
    assert_eq!(read.iter().map(|part| part.bytes().to_vec()).collect::<Vec<_>>().concat(), large.bytes()[..]);
    wal.flush().unwrap();
    disk.kill();
    assert_eq!(last(&reopen(&disk).unwrap().1), (104, 1));
}

#[test]
fn reading_gives_about_what_was_asked_for_and_checks_every_byte() {
    let (disk, mut wal) = fresh();
    for first in 0..20 {
        wal.append(&batch(first * 2 + 1, 1, 2, 400)).unwrap();
        wal.flush().unwrap();
    }
    let some = wal.read(LogIndex(2), LogIndex(40), 2000).unwrap();
    assert_eq!(some[0].first(), LogIndex(2));
    let size: usize = some.iter().map(EntryBatch::len).sum();
    assert!((1000..=2000).contains(&size), "{size}");
    assert_eq!(wal.read(LogIndex(7), LogIndex(40), 0).unwrap()[0].count(), 1);
    assert!(matches!(wal.read(LogIndex(7), LogIndex(41), 0), Err(StorageError::Misuse(_))));
    let oldest = disk.files()[0].clone();
    let at = disk.content(&oldest).windows(4).position(|window| window == b"1@1 ").unwrap();
    disk.flip(&oldest, at as u64, 1);
    assert!(matches!(wal.read(LogIndex(1), LogIndex(40), usize::MAX), Err(StorageError::Corrupt { .. })));
}

#[test]
fn a_lost_file_is_noticed() {
    let (disk, mut wal) = fresh();
    for first in 0..30 {
        wal.append(&batch(first * 2 + 1, 1, 2, 400)).unwrap();
        wal.flush().unwrap();
    }
    drop(wal);
    let files = disk.files();
    // Without the last, the empty reserve, nothing is lost.
    for lost in &files[..files.len() - 1] {
        let without = disk.fork();
        without.remove(lost).unwrap();
        let Err(StorageError::Corrupt { .. }) = reopen(&without).map(|found| found.1) else {
            panic!("{} is gone and nobody says so", lost.display());
        };
    }
    disk.remove(&files[files.len() - 1]).unwrap();
    assert_eq!(last(&reopen(&disk).unwrap().1), (60, 1));
}

#[test]
fn segments_of_another_directory_or_cluster_are_refused() {
    let disk = SimVfs::new();
    let open = |incarnation, cluster| {
        let options =
            WalOptions { incarnation: Incarnation(incarnation), cluster: ClusterId(cluster), ..options() };
        let mut wal = Wal::open(Arc::new(disk.clone()), Path::new("n1/wal"), options);
        wal.recover().map(|_| wal)
    };
    let mut wal = open(1, 0).unwrap();
    wal.set_cluster(ClusterId(7)).unwrap();
    assert!(matches!(wal.set_cluster(ClusterId(8)), Err(StorageError::Foreign { .. })));
    wal.append(&batch(1, 1, 20, 900)).unwrap();
    wal.flush().unwrap();
    wal.append(&batch(21, 1, 20, 900)).unwrap();
    wal.flush().unwrap();
    drop(wal);
    assert!(matches!(open(2, 7), Err(StorageError::Foreign { .. })));
    assert!(matches!(open(1, 8), Err(StorageError::Foreign { .. })));
    open(1, 7).unwrap();
}

#[test]
fn a_member_without_its_log_is_refused() {
    let disk = SimVfs::new();
    let options = WalOptions { must_exist: true, ..options() };
    let mut wal = Wal::open(Arc::new(disk.clone()), Path::new("n1/wal"), options.clone());
    assert!(matches!(wal.recover(), Err(StorageError::Corrupt { .. })));
    open_wal(&disk).recover().unwrap();
    let mut wal = Wal::open(Arc::new(disk.clone()), Path::new("n1/wal"), options);
    wal.recover().unwrap();
}

/// A log whose last flush, of entries 3 and 4, is damaged in the first of them.
fn withheld_log() -> SimVfs {
    let (disk, mut wal) = fresh();
    wal.append(&batch(1, 1, 2, 10)).unwrap();
    wal.flush().unwrap();
    wal.append(&batch(3, 1, 1, 600)).unwrap();
    wal.append(&batch(4, 1, 1, 600)).unwrap();
    wal.save_vote(&vote(2, "n2")).unwrap();
    wal.flush().unwrap();
    drop(wal);
    let newest =
        disk.files().into_iter().rfind(|file| disk.content(file).windows(4).any(|window| window == b"4@1 "));
    let newest = newest.unwrap();
    let at = disk.content(&newest).windows(4).position(|window| window == b"3@1 ").unwrap();
    disk.flip(&newest, at as u64, 1);
    disk.kill();
    disk
}

#[test]
fn a_node_stays_withheld_over_restarts_until_its_log_has_caught_up() {
    let disk = withheld_log();
    let promised = Some(LogId::new(Term(1), LogIndex(4)));
    for _ in 0..3 {
        let (_, image, repairs) = reopen(&disk).unwrap();
        assert_eq!((last(&image), image.recovered.withheld), ((2, 1), promised));
        assert_eq!(image.recovered.vote, vote(2, "n2"), "the commit record names it");
        assert!(!repairs.is_empty());
        disk.kill();
    }
    let (mut wal, ..) = reopen(&disk).unwrap();
    wal.append(&batch(3, 1, 1, 600)).unwrap();
    wal.flush().unwrap();
    disk.kill();
    let (mut wal, image, _) = reopen(&disk).unwrap();
    assert_eq!((last(&image), image.recovered.withheld), ((3, 1), promised));
    wal.append(&batch(4, 1, 1, 600)).unwrap();
    wal.flush().unwrap();
    disk.kill();
    let (_, image, repairs) = reopen(&disk).unwrap();
    assert_eq!((last(&image), image.recovered.withheld, repairs.len()), ((4, 1), None, 0));
}

#[test]
fn damage_before_the_last_flush_is_refused_with_its_place() {
    let (disk, mut wal) = fresh();
    for first in 0..3 {
        wal.append(&batch(first + 1, 1, 1, 600)).unwrap();
        wal.flush().unwrap();
    }
    let file = disk.files()[0].clone();
    let at = disk.content(&file).windows(4).position(|window| window == b"2@1 ").unwrap();
    disk.flip(&file, at as u64, 0x80);
    disk.kill();
    let Err(StorageError::Corrupt { file: named, offset, remedy, .. }) = reopen(&disk).map(|found| found.1)
    else {
        panic!("rot was taken for a torn tail")
    };
    assert_eq!(named, file.display().to_string());
    assert!(offset <= at as u64 && offset + 1024 > at as u64 && remedy.contains("copy"));
}

#[test]
fn a_write_that_fails_is_fatal_and_nothing_of_it_is_acknowledged() {
    let (disk, mut wal) = fresh();
    disk.inject(Fault::at(Operation::Write, Effect::Fail(io::ErrorKind::StorageFull)));
    wal.append(&batch(1, 1, 1, 1)).unwrap();
    assert!(matches!(wal.flush(), Err(StorageError::Io { operation: "write", .. })));
    assert!(wal.flush().is_err());
    disk.kill();
    assert_eq!(last(&reopen(&disk).unwrap().1), (0, 0));
}

#[test]
fn misuse_is_refused_and_harms_nothing() {
    let (_, mut wal) = fresh();
    wal.append(&batch(1, 3, 2, 1)).unwrap();
    let misused = [
        wal.append(&batch(2, 3, 1, 1)),
        wal.append(&batch(4, 3, 1, 1)),
        wal.append(&batch(3, 2, 1, 1)),
        wal.truncate(LogIndex(0)),
        wal.purge(&base(3, 3)),
        wal.save_vote(&vote(1, "")),
        wal.recover().map(|_| ()),
    ];
    for (at, done) in misused.iter().enumerate() {
        assert!(matches!(done, Err(StorageError::Misuse(_))), "{at}: {done:?}");
    }
    wal.flush().unwrap();
    assert!(matches!(open_wal(&SimVfs::new()).flush(), Err(StorageError::Misuse(_))));
}

#[test]
fn a_helper_thread_prepares_segments_on_the_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = WalOptions { segment_bytes: 32 << 10, background: true, ..WalOptions::default() };
        Wal::open(Arc::new(RealVfs), &dir.path().join("wal"), options)
    };
    let mut wal = open();
    wal.recover().unwrap();
    for round in 0..60 {
        wal.append(&batch(round * 8 + 1, 1, 8, 400)).unwrap();
        wal.flush().unwrap();
        if round % 10 == 9 {
            wal.purge(&base(round * 8, 1)).unwrap();
        }
    }
    wal.flush().unwrap();
    drop(wal);
    let recovered = open().recover().unwrap();
    assert_eq!((recovered.last.index, recovered.base.last.index), (LogIndex(480), LogIndex(472)));
    assert!(recovered.repairs.is_empty());
}
