//! Bytes change where they lie, in a directory whose segments were recycled.

use proptest::prelude::*;

use super::*;
use crate::{storage::data_dir::DataDir, types::Incarnation};

fn open_all(disk: &SimVfs) -> Result<(DataDir, Wal, Image), StorageError> {
    let vfs = Arc::new(disk.clone());
    let draw = || Ok(Incarnation(77));
    let dir = DataDir::open_with(vfs.clone(), Path::new("n1"), &"n1".into(), draw)?;
    let options = WalOptions { segment_bytes: SEGMENT, background: false, ..dir.wal_options(GroupId(3)) };
    let mut wal = Wal::open(vfs, &dir.wal_dir(), options);
    let recovered = wal.recover()?;
    let repairs = recovered.repairs.clone();
    let image = Image::of(&mut wal, recovered);
    assert!(image.recovered.withheld.is_none() || !repairs.is_empty(), "withheld and silent");
    Ok((dir, wal, image))
}

/// A small directory: recycled segments, a conflict, and a last flush that holds a vote between entries.
fn directory() -> (SimVfs, Image) {
    let disk = SimVfs::new();
    let (mut dir, mut wal, _) = open_all(&disk).unwrap();
    dir.set_cluster(ClusterId(5)).unwrap();
    wal.set_cluster(ClusterId(5)).unwrap();
    dir.mark_member().unwrap();
    let mut next = 1;
    for _ in 0..12 {
        wal.append(&batch(next, 1, 4, 300)).unwrap();
        wal.flush().unwrap();
        next += 4;
        wal.purge(&base(next - 3, 1)).unwrap();
        wal.flush().unwrap();
    }
    assert!(disk.count(Operation::Rename) > 6, "segments were recycled");
    wal.truncate(LogIndex(next - 2)).unwrap();
    wal.append(&batch(next - 2, 3, 2, 30)).unwrap();
    wal.append(&batch(next, 4, 1, 700)).unwrap();
    wal.save_vote(&vote(4, "n3")).unwrap();
    wal.append(&batch(next + 1, 4, 2, 10)).unwrap();
    wal.flush().unwrap();
    drop((dir, wal));
    disk.kill();
    // As it opens when nothing is wrong; the copy that was opened is not the one that rots.
    let (_, _, acknowledged) = open_all(&disk.fork()).unwrap();
    assert_eq!(acknowledged.recovered.vote, vote(4, "n3"));
    (disk, acknowledged)
}

/// Harmless, withheld, or refused: 0, 1, 2. Anything else fails.
fn outcome(disk: &SimVfs, acknowledged: &Image, what: &str) -> usize {
    let found = match open_all(disk) {
        Ok((_, _, found)) => found,
        Err(StorageError::Corrupt { file, remedy, .. }) => {
            assert!(file.starts_with("n1") && !remedy.is_empty(), "{what}");
            return 2;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    let vote_and_base = |image: &Image| (image.recovered.vote.clone(), image.recovered.base.last);
    assert_eq!(vote_and_base(&found), vote_and_base(acknowledged), "{what}");
    if found.recovered.withheld.is_some() {
        assert_eq!(found.recovered.withheld, Some(acknowledged.recovered.last), "{what}");
        return 1;
    }
    assert_eq!(found, *acknowledged, "{what}");
    0
}

/// Flips a bit in every byte of `file` in turn. How often each outcome occurred.
fn each_byte(disk: &SimVfs, file: &Path, acknowledged: &Image) -> [u64; 3] {
    let mut outcomes = [0; 3];
    for offset in 0..disk.content(file).len() as u64 {
        let rotten = disk.fork();
        rotten.flip(file, offset, 1 << (offset % 8));
        outcomes[outcome(&rotten, acknowledged, &format!("{} byte {offset}", file.display()))] += 1;
    }
    outcomes
}

#[test]
fn each_flipped_byte_is_harmless_or_refused_or_withholds_the_node() {
    let (disk, acknowledged) = directory();
    let mut sum = [0; 3];
    for file in disk.files() {
        let outcomes = each_byte(&disk, &file, &acknowledged);
        (0..3).for_each(|at| sum[at] += outcomes[at]);
    }
    assert!(sum.iter().all(|times| *times > 100), "all three occur: {sum:?}");
}

#[test]
fn each_flipped_byte_of_a_tail_that_was_written_anew_is_harmless_or_refused() {
    let (disk, before) = directory();
    let (dir, mut wal, _) = open_all(&disk).unwrap();
    wal.append(&batch(before.recovered.last.index.0 + 1, 5, 2, 100)).unwrap();
    wal.flush().unwrap();
    drop((dir, wal));
    disk.kill();
    let (dir, mut wal, acknowledged) = open_all(&disk).unwrap();
    let active = wal.opened().active.ordinal();
    let file = wal.folder.path(active);
    drop((dir, wal));
    disk.kill();
    let outcomes = each_byte(&disk, &file, &acknowledged);
    assert!(outcomes[0] > 100 && outcomes[1] == 0 && outcomes[2] > 100, "{outcomes:?}");
}

#[test]
fn a_damaged_last_flush_never_keeps_the_log_from_opening_whatever_was_purged() {
    let (disk, mut wal) = fresh();
    let mut heads = 0;
    for round in 0..40 {
        let next = round * 3 + 1;
        wal.append(&batch(next, 1, 3, 300)).unwrap();
        wal.flush().unwrap();
        heads += check_last_flush(&disk, &mut wal, HEADER_PAGE_BYTES);
        let purge_at = wal.opened().active.pending.end();
        wal.purge(&base(next + 1, 1)).unwrap();
        wal.flush().unwrap();
        check_last_flush(&disk, &mut wal, purge_at);
    }
    assert!(heads > 3, "a head was in the last flush {heads} times");
}

#[test]
fn a_head_that_rots_while_the_log_is_being_read_is_refused() {
    let mut refused = 0;
    for reads in 0..12 {
        let (disk, mut wal) = fresh();
        wal.append(&batch(1, 1, 3, 100)).unwrap();
        wal.flush().unwrap();
        let file = wal.folder.path(wal.state.index.oldest_segment().unwrap());
        drop(wal);
        disk.kill();
        let rotting = disk.clone();
        let hook = StallHook::new(move |path: &Path| rotting.flip(path, HEADER_PAGE_BYTES, 1));
        disk.inject(Fault::at(Operation::Read, Effect::Stall(hook)).on(&file.to_string_lossy()).after(reads));
        refused += match reopen(&disk).map(|(_, image, _)| image.recovered.last.index) {
            Err(StorageError::Corrupt { .. }) => 1,
            Ok(last) => u64::from(last != LogIndex(3)) * 100,
            Err(error) => panic!("after {reads} reads: {error}"),
        };
    }
    // Before it is opened and before it is found to be the newest, before it is opened again and before it is taken in.
    assert_eq!(refused, 4);
}

/// Flips a byte of the record at `offset` if that is in the last flush; whether it was.
fn check_last_flush(disk: &SimVfs, wal: &mut Wal, offset: u64) -> u64 {
    let last = wal.state.last;
    let (ordinal, flushes) = (wal.opened().active.ordinal(), wal.opened().active.flushes);
    let file = wal.folder.path(ordinal);
    if offset == HEADER_PAGE_BYTES && flushes != 1 {
        return 0;
    }
    let rotten = disk.fork();
    rotten.flip(&file, offset, 1);
    let (_, found, _) = reopen(&rotten).unwrap();
    assert_eq!(found.recovered.withheld.unwrap_or(found.recovered.last), last);
    1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_files_hold_opening_them_ends_in_a_log_or_an_error(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u16>(), 1u8..), 1..12),
        cut in proptest::option::of((any::<prop::sample::Index>(), any::<u16>())),
    ) {
        let (disk, _) = directory();
        let files = disk.files();
        for (file, offset, mask) in damage {
            let file = file.get(&files);
            disk.flip(file, u64::from(offset) % disk.content(file).len() as u64, mask);
        }
        if let Some((file, size)) = cut {
            let path: &PathBuf = file.get(&files);
            let mut file = disk.open(path).unwrap();
            let size = u64::from(size) % file.size().unwrap();
            file.set_len(size).unwrap();
        }
        if let Ok((_, mut wal, image)) = open_all(&disk) {
            let next = image.recovered.last.index.0 + 1;
            wal.append(&batch(next, image.recovered.last.term.0.max(9), 1, 1)).unwrap();
            wal.flush().unwrap();
        }
    }
}
