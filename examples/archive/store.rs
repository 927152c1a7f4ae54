//! The replicated state: an archive of blobs, one behind the other in a file. It may be far larger than memory.
//!
//! Three things make that simple. The file only grows, so that the archive as of some moment is the same file with the
//! length of that moment: a snapshot copies nothing, and neither does a reader. The file has no name: a node that starts
//! again gets its state from Raft, the newest snapshot first and then the commands behind it, so nothing of an earlier
//! life may be in the way, and nothing is left behind. And what replaces the state is written to another file, so that
//! whoever reads the old one goes on reading it.
//!
//! The price is that a start copies the snapshot once. A state machine that keeps its state by itself, and knows up to
//! which entry, may do without: `Config::no_snapshot_restore_on_start`.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix::Message;
use bytes::Bytes;
use raftix::prelude::*;
use serde::{Deserialize, Serialize};

/// The largest blob, in bytes.
pub(crate) const BLOB_BYTES_MAX: u64 = 1 << 20;

/// How much is copied at once, in bytes: all the memory that a snapshot of any length takes here.
const COPY_BYTES: usize = 256 << 10;

/// Put this blob behind all others.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "Place")]
pub(crate) struct Append(pub(crate) Bytes);

/// Where a blob is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Ask for the archive as it is now. The answer is read at leisure, without the state machine.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Edition")]
pub(crate) struct Look;

/// What an archive holds, in three numbers: the same on every node that has applied as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// How many blobs.
    pub(crate) blobs: u64,
    /// How long they are together.
    pub(crate) bytes: u64,
    /// CRC-32C of all of them.
    pub(crate) checksum: u32,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Where its files are.
    dir: PathBuf,
    now: Edition,
}

impl Archive {
    /// An empty one, with its file in `dir`.
    ///
    /// # Errors
    /// If there cannot be a file.
    pub(crate) fn empty(dir: &Path) -> io::Result<Self> {
        let file = Arc::new(tempfile::tempfile_in(dir)?);
        Ok(Self { dir: dir.to_owned(), now: Edition { file, summary: Summary::default() } })
    }
}

impl StateMachine for Archive {
    type Command = Append;
    type Query = Look;

    /// # Panics
    /// If the file cannot be written. That stops the node, as it should: its state would not be what the others' is.
    fn apply(&mut self, _: LogId, Append(blob): Append) -> Place {
        let Edition { file, summary } = &mut self.now;
        let place = Place { offset: summary.bytes, length: blob.len() as u64 };
        file.write_all_at(&blob, place.offset).expect("the archive's file can be written");
        summary.take_in(&blob);
        summary.blobs += 1;
        place
    }

    fn query(&self, _: Look) -> Edition {
        self.now.clone()
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(self.now.clone()))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        let promised = Summary::read(reader)?;
        let mut restored = Self::empty(&self.dir)?.now;
        restored.summary.blobs = promised.blobs;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            restored.file.write_all_at(&buffer[..read], restored.summary.bytes)?;
            restored.summary.take_in(&buffer[..read]);
        }
        restored.check(promised)?;
        self.now = restored;
        Ok(())
    }
}

/// The archive as of one moment. What the file holds beyond its length came later, and does not concern it.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    file: Arc<File>,
    summary: Summary,
}

impl Edition {
    /// What is at `place`, if all of it is within the archive.
    ///
    /// # Errors
    /// Of the file; `InvalidInput` if the place is not one that a blob can be at.
    pub(crate) fn read(&self, Place { offset, length }: Place) -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|_| length <= BLOB_BYTES_MAX);
        if end.is_none_or(|end| end > self.summary.bytes) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no such blob"));
        }
        let mut blob = vec![0; length as usize];
        self.file.read_exact_at(&mut blob, offset)?;
        Ok(blob)
    }

    /// Reads all of it, and says what it is.
    ///
    /// # Errors
    /// Of the file; `InvalidData` if it is not what was appended.
    pub(crate) fn verify(&self) -> io::Result<Summary> {
        self.copy_to(&mut io::sink())?;
        Ok(self.summary)
    }

    /// Writes all blobs, and makes sure that they are what was appended.
    fn copy_to(&self, writer: &mut dyn io::Write) -> io::Result<()> {
        let mut copied = Self { file: self.file.clone(), summary: Summary::default() };
        copied.summary.blobs = self.summary.blobs;
        let mut buffer = vec![0; COPY_BYTES];
        while copied.summary.bytes < self.summary.bytes {
            let left = self.summary.bytes - copied.summary.bytes;
            let part = &mut buffer[..usize::try_from(left).map_or(COPY_BYTES, |left| left.min(COPY_BYTES))];
            self.file.read_exact_at(part, copied.summary.bytes)?;
            writer.write_all(part)?;
            copied.summary.take_in(part);
        }
        copied.check(self.summary)
    }

    fn check(&self, promised: Summary) -> io::Result<()> {
        if self.summary == promised {
            return Ok(());
        }
        let what = format!("{:?} where {promised:?} was to be", self.summary);
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }
}

/// The three numbers, then every blob.
impl StateSnapshot for Edition {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        self.summary.write(writer)?;
        self.copy_to(writer)
    }
}

impl Summary {
    fn take_in(&mut self, bytes: &[u8]) {
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        self.bytes += bytes.len() as u64;
    }

    /// The numbers, and their own checksum: a count of blobs shows in no other.
    fn write(&self, writer: &mut dyn io::Write) -> io::Result<()> {
        let mut written = Vec::with_capacity(24);
        written.extend(self.blobs.to_le_bytes());
        written.extend(self.bytes.to_le_bytes());
        written.extend(self.checksum.to_le_bytes());
        written.extend(crc32c::crc32c(&written).to_le_bytes());
        writer.write_all(&written)
    }

    fn read(reader: &mut dyn io::Read) -> io::Result<Self> {
        let (mut numbers, mut checksum) = ([0; 20], [0; 4]);
        reader.read_exact(&mut numbers)?;
        reader.read_exact(&mut checksum)?;
        if crc32c::crc32c(&numbers) != u32::from_le_bytes(checksum) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the summary is damaged"));
        }
        let (mut blobs, mut bytes, mut checksum) = ([0; 8], [0; 8], [0; 4]);
        blobs.copy_from_slice(&numbers[..8]);
        bytes.copy_from_slice(&numbers[8..16]);
        checksum.copy_from_slice(&numbers[16..]);
        Ok(Self {
            blobs: u64::from_le_bytes(blobs),
            bytes: u64::from_le_bytes(bytes),
            checksum: u32::from_le_bytes(checksum),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(archive: &mut Archive, blob: &'static [u8]) -> Place {
        archive.apply(LogId::ZERO, Append(Bytes::from_static(blob)))
    }

    #[test]
    fn a_snapshot_is_the_archive_as_of_its_moment_whatever_comes_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::empty(dir.path()).unwrap();
        append(&mut archive, b"one");
        let place = append(&mut archive, b"two");
        let snapshot = archive.snapshot().unwrap();
        let then = archive.query(Look).verify().unwrap();
        append(&mut archive, b"later");

        let mut content = Vec::new();
        snapshot.persist(&mut content).unwrap();
        let mut restored = Archive::empty(dir.path()).unwrap();
        append(&mut restored, b"gone");
        let before = restored.query(Look);
        restored.restore(&mut content.as_slice()).unwrap();
        assert_eq!(restored.query(Look).verify().unwrap(), then);
        assert_eq!(restored.query(Look).read(place).unwrap(), b"two");
        assert_eq!(before.verify().unwrap().bytes, 4, "a reader keeps what it looks at");
    }

    #[test]
    fn what_was_damaged_or_cut_is_not_restored() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::empty(dir.path()).unwrap();
        append(&mut archive, b"whole");
        let mut content = Vec::new();
        archive.snapshot().unwrap().persist(&mut content).unwrap();
        for damage in 0..content.len() {
            let mut damaged = content.clone();
            damaged[damage] ^= 1;
            assert!(archive.restore(&mut damaged.as_slice()).is_err(), "byte {damage}");
            assert!(archive.restore(&mut &content[..damage]).is_err(), "cut at {damage}");
        }
        assert_eq!(archive.query(Look).verify().unwrap().blobs, 1, "the state is as it was");
    }

    #[test]
    fn only_what_is_in_the_archive_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::empty(dir.path()).unwrap();
        append(&mut archive, b"blob");
        let read = |offset, length| archive.query(Look).read(Place { offset, length });
        assert_eq!(read(1, 3).unwrap(), b"lob");
        for (offset, length) in [(1, 4), (5, 0), (u64::MAX, 1), (0, u64::MAX)] {
            assert!(read(offset, length).is_err(), "{length} from {offset}");
        }
    }
}
