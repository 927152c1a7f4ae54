//! Files of earlier versions.

use std::io::IoSlice;

use super::{
    layout::{Footer, Layout},
    *,
};
/// The front of a file up to index 1 as that version had it, by byte as docs/snapshot.md says.
fn header(version: u32, cluster: &[u8]) -> Vec<u8> {
    let membership = upto(1).membership.encode();
    let mut bytes = b"raftix\0\x03".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((48 + cluster.len() as u32 + membership.len() as u32).to_le_bytes());
    bytes.extend(BLOCK.to_le_bytes());
    for number in [1_u64, id(1).term.0, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(cluster);
    bytes.extend(membership);
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A disk with the snapshot up to index 1 behind that header.
fn disk_with(header: &[u8]) -> SimVfs {
    let (disk, content) = (SimVfs::new(), content(1));
    let layout = Layout::new(header, BLOCK);
    let mut bytes = header.to_vec();
    for (number, block) in content.chunks(BLOCK as usize).enumerate() {
        bytes.extend(block);
        bytes.extend(layout.block_checksum(number as u64, crc32c::crc32c(block)).to_le_bytes());
    }
    let footer = Footer { bytes: content.len() as u64, checksum: crc32c::crc32c(&content) };
    bytes.extend(layout.encode_footer(footer));
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).unwrap();
    let mut file = disk.create(&dir.join(name_of(id(1)))).unwrap();
    file.write_at(0, &[IoSlice::new(&bytes)]).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(dir).unwrap();
    disk
}

#[test]
fn a_file_of_version_1_is_read_and_names_no_cluster() {
    let disk = disk_with(&header(1, &[0; 8]));
    let mut store = open_store(&disk);
    let found = store.recover().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].description, SnapshotDescription { cluster: ClusterId::NONE, ..upto(1) });
    assert_eq!(read(&mut store, 1).unwrap(), content(1));
    publish(&mut store, 2).unwrap();
    let clusters: Vec<ClusterId> =
        open_store(&disk).recover().unwrap().iter().map(|meta| meta.description.cluster).collect();
    assert_eq!(clusters, [ClusterId(9), ClusterId::NONE], "the next one names it");
}

#[test]
fn a_file_of_version_2_is_as_the_page_says() {
    let disk = disk_with(&header(2, &9_u128.to_le_bytes()));
    let mut store = open_store(&disk);
    assert_eq!(store.recover().unwrap()[0].description, upto(1));
    assert_eq!(read(&mut store, 1).unwrap(), content(1));
}

#[test]
fn a_file_of_a_version_to_come_is_left_out() {
    let disk = disk_with(&header(3, &9_u128.to_le_bytes()));
    let mut store = open_store(&disk);
    assert_eq!(store.recover().unwrap(), []);
    assert!(read(&mut store, 1).unwrap_err().contains("format version"));
}
