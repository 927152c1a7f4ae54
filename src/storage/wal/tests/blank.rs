//! What was never written is looked at all the same: on the simulated disk, which is always read the ordinary way, and
//! on the real one, where blank pages are read past the cache.

use std::io::IoSlice;

use super::*;
use crate::{
    storage::{
        vfs::{RealVfs, read_file},
        wal::{
            control::Commit,
            record::{header, len},
        },
    },
    types::LogIndex,
};

/// Many windows of a scan.
const LARGE: u64 = 2 << 20;

struct Place {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    _removed: Option<tempfile::TempDir>,
}

fn places() -> [Place; 2] {
    let real = tempfile::tempdir().unwrap();
    [
        Place { vfs: Arc::new(SimVfs::new()), dir: "n1/wal".into(), _removed: None },
        Place { vfs: Arc::new(RealVfs), dir: real.path().join("wal"), _removed: Some(real) },
    ]
}

impl Place {
    /// Two entries, each with a flush of its own; and a segment in reserve.
    fn filled() -> [Self; 2] {
        let places = places();
        for place in &places {
            let (mut wal, _) = place.open().unwrap();
            wal.append(&batch(1, 1, 1, 10)).unwrap();
            wal.flush().unwrap();
            wal.append(&batch(2, 1, 1, 10)).unwrap();
            wal.flush().unwrap();
        }
        places
    }

    fn open(&self) -> Result<(Wal, Recovered), StorageError> {
        let options = WalOptions { segment_bytes: LARGE, ..options() };
        let mut wal = Wal::open(self.vfs.clone(), &self.dir, options);
        let recovered = wal.recover()?;
        Ok((wal, recovered))
    }

    fn files(&self) -> Vec<String> {
        self.vfs.list(&self.dir).unwrap()
    }

    fn id_of(&self, name: &str) -> u64 {
        let content = read_file(&*self.vfs, &self.dir.join(name)).unwrap();
        u64::from_le_bytes(content[24..32].try_into().unwrap())
    }

    /// Puts a flush of one record where none belongs: whole, with a sequence number far ahead.
    fn stray(&self, name: &str, offset: u64) {
        let path = self.dir.join(name);
        let id = self.id_of(name);
        let commit =
            Commit { first_sequence: 1000, last: LogId::new(Term(7), LogIndex(9)), ..Commit::default() };
        let mut file = self.vfs.open(&path).unwrap();
        let mut at = offset;
        for (sequence, kind, payload) in
            [(1000, Kind::Vote, encode_vote(&vote(7, "n3"))), (1001, Kind::Commit, commit.encode())]
        {
            let header = header(sequence, kind, 0, LogIndex::ZERO, &payload).encode(id, at);
            file.write_at(at, &[IoSlice::new(&header), IoSlice::new(&payload)]).unwrap();
            at += len(payload.len()) as u64;
        }
    }
}

/// Near the first record, right before and behind the borders of pages and windows, and at the very end.
fn offsets() -> impl Iterator<Item = u64> {
    let borders = [64 << 10, 512 << 10, (512 << 10) + HEADER_PAGE_BYTES, 1 << 20, LARGE - (8 << 10)];
    let around = borders.into_iter().flat_map(|border| [border - 8, border, border + 8, border + 4088]);
    around.chain([LARGE - 256])
}

#[test]
fn whole_flushes_far_behind_the_last_record_are_refused_however_that_is_read() {
    for place in Place::filled() {
        let newest = place.files()[0].clone();
        for offset in offsets() {
            let mut file = place.vfs.open(&place.dir.join(&newest)).unwrap();
            place.stray(&newest, offset);
            // Two of them: a single one could be the last flush.
            place.stray(&newest, if offset < 1 << 20 { offset + 4096 * 300 } else { offset - 4096 * 200 });
            let Err(StorageError::Corrupt { file: named, .. }) = place.open().map(|(_, found)| found) else {
                panic!("{place:?}: what lies at {offset} was not seen", place = place.dir)
            };
            assert!(named.ends_with(&newest), "{named}");
            // Blank again from behind the two entries on.
            let size = file.size().unwrap();
            file.set_len(16 << 10).unwrap();
            file.set_len(size).unwrap();
        }
        let (_, found) = place.open().unwrap();
        assert_eq!((found.last.index, found.withheld, found.repairs), (LogIndex(2), None, Vec::new()));
    }
}

#[test]
fn what_a_damaged_flush_far_inside_a_reserve_promised_is_kept_however_that_is_read() {
    for offset in offsets() {
        for place in Place::filled() {
            let reserve = place.files()[1].clone();
            place.stray(&reserve, offset);
            let (_, found) = place.open().unwrap();
            let promised = Some(LogId::new(Term(7), LogIndex(9)));
            assert_eq!((found.last.index, found.withheld), (LogIndex(2), promised), "{offset}");
            assert!(found.repairs.iter().any(|repair| repair.contains(&reserve)), "{offset}: {found:?}");
        }
    }
}

#[test]
fn the_helper_thread_frees_what_lies_behind_the_cut() {
    let [_, place] = Place::filled();
    let size = |name: &str| place.vfs.open(&place.dir.join(name)).unwrap().size().unwrap();
    let newest = place.files()[0].clone();
    assert_eq!(size(&newest), LARGE);
    let options = WalOptions { segment_bytes: LARGE, background: true, ..options() };
    let mut wal = Wal::open(place.vfs.clone(), &place.dir, options);
    wal.recover().unwrap();
    // Until the thread is done.
    drop(wal);
    assert!(size(&newest) < HEADER_PAGE_BYTES * 2, "{}", size(&newest));
    assert_eq!(place.open().unwrap().1.last.index, LogIndex(2));
}

#[test]
fn a_log_of_any_size_is_opened_on_the_real_disk_as_on_the_simulated_one() {
    let found = places().map(|place| {
        let mut found = Vec::new();
        let mut next = 1;
        for size in [1, 500, 4000, 70_000, 300_000, 900_000, 3_000_000] {
            let (mut wal, _) = place.open().unwrap();
            wal.append(&batch(next, 1, 3, size / 3)).unwrap();
            wal.flush().unwrap();
            next += 3;
            drop(wal);
            let (mut wal, recovered) = place.open().unwrap();
            found.push(Image::of(&mut wal, recovered));
        }
        let lengths: Vec<u64> = place
            .files()
            .iter()
            .map(|name| place.vfs.open(&place.dir.join(name)).unwrap().size().unwrap())
            .collect();
        assert!(
            lengths.iter().any(|length| !length.is_multiple_of(4096)),
            "some were shortened: {lengths:?}"
        );
        found
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0].last().unwrap().recovered.last.index, LogIndex(21));
}
