//! The bugs of the log, in memory and on the disk.

use std::{path::Path, sync::Arc};

use raftix::{
    known_bug::KnownBug,
    log::{Log, Slice, Tenure},
    sim::vfs::{Effect, Fault, Operation, SimVfs, SyncFailure},
    storage::{
        LogStore, Recovered, VoteStore,
        wal::{Wal, WalOptions},
    },
    types::{Entries, EntryBatch, EntryBuffer, EntryKind, Incarnation, LogId, LogIndex, Term, Vote},
};

use crate::differs;

fn buffer() -> EntryBuffer {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"command");
    buffer
}

fn entry(index: u64, term: u64) -> EntryBatch {
    buffer().seal(LogIndex(index), Term(term))
}

fn empty_log() -> Log {
    Log::new(&Recovered::default(), usize::MAX)
}

#[test]
fn a_late_flush_counts_for_what_replaced_its_entries() {
    let durable = || {
        let mut log = empty_log();
        let (_, ticket) = log.append_own(&Tenure::new(Term(1)), buffer()).unwrap().unwrap();
        log.follow(LogId::ZERO, Entries::from(entry(1, 2))).unwrap();
        log.flushed(ticket);
        log.durable().get()
    };
    differs(KnownBug::LateFlushCounted, durable, 0, 1);
}

#[test]
fn a_new_leader_hands_an_entry_out_again() {
    let handed = || {
        let mut log = empty_log();
        log.append_own(&Tenure::new(Term(1)), buffer()).unwrap();
        log.commit_to(LogIndex(1));
        log.hand_off(usize::MAX);
        log.append_own(&Tenure::new(Term(2)), buffer()).unwrap();
        log.commit_to(LogIndex(2));
        match log.hand_off(usize::MAX) {
            Slice::Entries(entries) => entries.count(),
            other => panic!("{other:?}"),
        }
    };
    differs(KnownBug::EntryHandedTwice, handed, 1, 2);
}

fn options() -> WalOptions {
    WalOptions { segment_bytes: 8192, background: false, ..WalOptions::default() }
}

fn open(disk: &SimVfs) -> Wal {
    Wal::open(Arc::new(disk.clone()), Path::new("wal"), options())
}

/// A log with entry 1, which is durable.
fn one_entry(disk: &SimVfs) -> Wal {
    let mut wal = open(disk);
    wal.recover().unwrap();
    wal.append(&entry(1, 1)).unwrap();
    wal.flush().unwrap();
    wal
}

/// Where the log ends after a start, and who has its vote; `None` if it does not start.
fn recovered(disk: &SimVfs) -> Option<(u64, Option<u64>, u64)> {
    let found = open(disk).recover().ok()?;
    Some((found.last.index.get(), found.withheld.map(|end| end.index.get()), found.vote.term.get()))
}

#[test]
fn a_failed_sync_is_believed_the_second_time() {
    let flushed = || {
        let disk = SimVfs::new();
        let mut wal = one_entry(&disk);
        wal.append(&entry(2, 1)).unwrap();
        disk.inject(Fault::at(Operation::Sync, Effect::FailSync(SyncFailure::KeepsCache)));
        wal.flush().is_ok()
    };
    differs(KnownBug::FailedSyncTriedAgain, flushed, false, true);
}

#[test]
fn what_recovery_found_in_the_page_cache_goes_with_the_power() {
    let ends = || {
        let losses = (0..16).map(|seed| {
            let disk = SimVfs::new();
            let mut wal = one_entry(&disk);
            wal.append(&entry(2, 1)).unwrap();
            disk.inject(Fault::at(Operation::Sync, Effect::Fail(std::io::ErrorKind::Other)));
            wal.flush().unwrap_err();
            disk.kill();
            assert_eq!(recovered(&disk).unwrap().0, 2);
            disk.power_loss(seed);
            recovered(&disk).unwrap().0
        });
        losses.min().unwrap()
    };
    differs(KnownBug::RecoveredTailNotFlushed, ends, 2, 1);
}

/// A log whose last flush holds entry 2 and a vote in term 5, and the place of the entry's record.
fn last_flush() -> (SimVfs, std::path::PathBuf, u64) {
    let disk = SimVfs::new();
    let mut wal = one_entry(&disk);
    wal.append(&entry(2, 1)).unwrap();
    wal.save_vote(&Vote { term: Term(5), voted_for: Some("n2".into()) }).unwrap();
    wal.flush().unwrap();
    disk.kill();
    let holds = |file: &std::path::PathBuf| find(&disk.content(file), b"command").len() == 2;
    let file = disk.files().into_iter().find(holds).unwrap();
    let at = find(&disk.content(&file), b"command")[1] as u64;
    (disk, file, at)
}

fn find(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    bytes.windows(what.len()).enumerate().filter(|(_, part)| *part == what).map(|(at, _)| at).collect()
}

#[test]
fn a_damaged_end_is_forgotten_or_passed_over() {
    let damaged = || {
        let (disk, file, at) = last_flush();
        disk.flip(&file, at, 1);
        recovered(&disk)
    };
    let withheld = Some((1, Some(2), 5));
    differs(KnownBug::DamagedTailForgotten, damaged, withheld, Some((1, None, 0)));
    differs(KnownBug::RecordBehindDamageTaken, damaged, withheld, Some((1, None, 5)));
}

/// Two segments with the same name and size and another id each; the records of the first, which hold entry 1, are
/// put where those of the second were.
#[test]
fn the_records_of_another_segment_count() {
    let ends = || {
        let (former, present) = (SimVfs::new(), SimVfs::new());
        drop(one_entry(&former));
        let options = WalOptions { incarnation: Incarnation(2), ..options() };
        let mut wal = Wal::open(Arc::new(present.clone()), Path::new("wal"), options.clone());
        wal.recover().unwrap();
        present.kill();
        let file =
            former.files().into_iter().find(|file| !find(&former.content(file), b"command").is_empty());
        let file = file.unwrap();
        let (old, new) = (former.content(&file), present.content(&file));
        for at in 4096..old.len() {
            present.flip(&file, at as u64, old[at] ^ new[at]);
        }
        let mut wal = Wal::open(Arc::new(present.clone()), Path::new("wal"), options);
        wal.recover().unwrap().last.index.get()
    };
    differs(KnownBug::SegmentIdNotChecked, ends, 0, 1);
}
