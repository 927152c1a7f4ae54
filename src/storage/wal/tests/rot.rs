//! Bytes change where they lie, in a directory whose segments were recycled.

use super::*;
use crate::storage::data_dir::DataDir;
use crate::types::Incarnation;

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

/// A small directory: recycled segments, a conflict, votes; with or without a further flush behind the
/// one that holds the last vote.
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
    wal.save_vote(&vote(4, "n3")).unwrap();
    wal.truncate(LogIndex(next - 2)).unwrap();
    wal.append(&batch(next - 2, 3, 2, 30)).unwrap();
    wal.append(&batch(next, 4, 1, 700)).unwrap();
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

fn each_byte(disk: &SimVfs, acknowledged: &Image) -> [u64; 3] {
    let mut outcomes = [0; 3];
    for file in disk.files() {
        for offset in 0..disk.content(&file).len() as u64 {
            let rotten = disk.fork();
            rotten.flip(&file, offset, 1 << (offset % 8));
            outcomes[outcome(&rotten, acknowledged, &format!("{} byte {offset}", file.display()))] += 1;
        }
    }
    outcomes
}

#[test]
fn each_flipped_byte_is_harmless_or_refused_or_withholds_the_node() {
    let (disk, acknowledged) = directory();
    let outcomes = each_byte(&disk, &acknowledged);
    assert!(outcomes.iter().all(|times| *times > 100), "all three occur: {outcomes:?}");
}
