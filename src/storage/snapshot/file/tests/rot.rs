//! Bytes change where they lie.

use proptest::prelude::*;

use super::*;

fn directory() -> (SimVfs, PathBuf) {
    let (disk, mut store) = fresh();
    publish(&mut store, 1).unwrap();
    publish(&mut store, 2).unwrap();
    disk.kill();
    (disk, Path::new(DIR).join(name_of(id(2))))
}

#[test]
fn each_flipped_byte_is_found_and_never_given() {
    let (disk, file) = directory();
    let (size, header) = (disk.content(&file).len(), Header { description: upto(2), block_bytes: BLOCK });
    let (front, end) = (header.encode().len(), size - FOOTER_BYTES);
    for offset in 0..size {
        let rotten = disk.fork();
        rotten.flip(&file, offset as u64, 1 << (offset % 8));
        let mut store = open_store(&rotten);
        let found = indexes(&store.recover().unwrap());
        assert_eq!(read(&mut store, 1).unwrap(), content(1), "the other one is whole");
        if offset < front || offset >= end {
            assert_eq!(found, [1], "byte {offset}: left out");
            assert!(matches!(store.open(id(2)), Err(StorageError::Corrupt { .. })));
            continue;
        }
        assert_eq!(found, [2, 1], "byte {offset}: its description is whole");
        let mut source = store.open(id(2)).unwrap();
        let mut given = Vec::new();
        let error = source.read_to_end(&mut given).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "byte {offset}");
        assert!(error.to_string().contains("snapshot"), "it names the file: {error}");
        // Whole blocks before the damage, and nothing of the damaged one.
        let block = (offset - front) / (BLOCK as usize + 4);
        assert_eq!(given, content(2)[..block * BLOCK as usize], "byte {offset}");
        // A source goes on with what is whole.
        let mut one = [0];
        for (at, expected) in content(2).iter().enumerate() {
            match source.read_at(at as u64, &mut one) {
                Ok(read) => assert_eq!((read, one[0], at / BLOCK as usize != block), (1, *expected, true)),
                Err(_) => assert_eq!(at / BLOCK as usize, block),
            }
        }
    }
}

#[test]
fn each_length_but_its_own_is_found() {
    let (disk, file) = directory();
    let size = disk.content(&file).len() as u64;
    for length in (0..size).chain(size + 1..size + 100) {
        let cut = disk.fork();
        cut.open(&file).unwrap().set_len(length).unwrap();
        assert_eq!(indexes(&open_store(&cut).recover().unwrap()), [1], "{length} bytes");
    }
}

#[test]
fn a_file_under_the_name_of_another_is_found() {
    let (disk, file) = directory();
    disk.rename(&file, &Path::new(DIR).join(name_of(id(9)))).unwrap();
    let mut store = open_store(&disk);
    assert_eq!(indexes(&store.recover().unwrap()), [1]);
    assert!(matches!(store.open(id(9)), Err(StorageError::Corrupt { .. })));
}

#[test]
fn a_damaged_one_never_takes_the_place_of_a_whole_one() {
    let (disk, file) = directory();
    disk.flip(&file, 30, 1);
    let mut store = open_store(&disk);
    store.recover().unwrap();
    store.retain(1).unwrap();
    assert_eq!(read(&mut store, 1).unwrap(), content(1));
    publish(&mut store, 3).unwrap();
    store.retain(1).unwrap();
    assert_eq!(disk.files(), [Path::new(DIR).join(name_of(id(3)))], "behind a whole one it goes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_file_holds_reading_it_ends_in_its_content_or_an_error(
        damage in proptest::collection::vec((any::<u16>(), 1u8..), 1..8),
        cut in proptest::option::of(any::<u16>()),
    ) {
        let (disk, file) = directory();
        let size = disk.content(&file).len() as u64;
        for (offset, mask) in damage {
            disk.flip(&file, u64::from(offset) % size, mask);
        }
        if let Some(length) = cut {
            disk.open(&file).unwrap().set_len(u64::from(length) % (2 * size)).unwrap();
        }
        let mut store = open_store(&disk);
        store.recover().unwrap();
        if let Ok(read) = read(&mut store, 2) {
            prop_assert_eq!(read, content(2));
        }
    }

    #[test]
    fn whatever_is_written_in_whatever_pieces_is_read(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
        reads in proptest::collection::vec((0u64..1700, 0usize..300), 1..8),
    ) {
        let (_, mut store) = fresh();
        let mut sink = store.create(upto(1)).unwrap();
        pieces.iter().for_each(|piece| sink.write_all(piece).unwrap());
        let whole = pieces.concat();
        let meta = sink.publish(Some((whole.len() as u64, crc32c::crc32c(&whole)))).unwrap();
        prop_assert_eq!(meta.bytes, whole.len() as u64);
        let mut source = store.open(id(1)).unwrap();
        for (offset, length) in reads {
            let mut bytes = vec![0; length];
            let read = source.read_at(offset, &mut bytes).unwrap();
            let from = (offset as usize).min(whole.len());
            prop_assert_eq!(&bytes[..read], &whole[from..(from + length).min(whole.len())]);
        }
        let mut read = Vec::new();
        source.read_to_end(&mut read).unwrap();
        prop_assert_eq!(read, whole);
    }
}
