//! A published snapshot file while it is read: a block at a time, each checked before a byte of it is given.

use std::{io, path::Path};

use super::layout::{CHECKSUM_BYTES, FIXED_BYTES, FOOTER_BYTES, Header, Layout};
use crate::storage::{
    StorageError,
    snapshot::{SnapshotMeta, SnapshotSource, damaged},
    vfs::VfsFile,
};

/// See [`SnapshotSource`].
pub(super) struct FileSource {
    file: Box<dyn VfsFile>,
    name: String,
    layout: Layout,
    meta: SnapshotMeta,
    /// Where [`io::Read`] goes on.
    position: u64,
    /// The block that was read last, with its checksum behind it.
    block: Vec<u8>,
    loaded: Option<u64>,
}

impl FileSource {
    /// Reads what the file begins and ends with.
    pub(super) fn open(mut file: Box<dyn VfsFile>, path: &Path) -> Result<Self, StorageError> {
        let name = path.display().to_string();
        let io = |source| StorageError::Io { operation: "read", file: name.clone(), source };
        let damage = |offset, what: &str| damaged(name.clone(), offset, what);
        let size = file.size().map_err(io)?;
        let mut fixed = [0; FIXED_BYTES];
        let end = size.checked_sub(FOOTER_BYTES as u64).filter(|end| *end >= FIXED_BYTES as u64);
        let end = end.ok_or_else(|| damage(size, "it is too short"))?;
        file.read_at(0, &mut fixed).map_err(io)?;
        let length = Header::length(&fixed).map_err(|what| damage(0, what))?;
        if length as u64 > end {
            return Err(damage(size, "it is too short"));
        }
        let mut header = vec![0; length];
        file.read_at(0, &mut header).map_err(io)?;
        let Header { description, block_bytes } = Header::decode(&header).map_err(|what| damage(0, what))?;
        let layout = Layout::new(&header, block_bytes);
        let mut footer = [0; FOOTER_BYTES];
        file.read_at(end, &mut footer).map_err(io)?;
        let footer = layout.decode_footer(&footer).map_err(|what| damage(end, what))?;
        if layout.footer_at(footer.bytes) != Some(end) {
            return Err(damage(end, "its length is not what its end says"));
        }
        let meta = SnapshotMeta { description, bytes: footer.bytes, checksum: footer.checksum };
        Ok(Self { file, name, layout, meta, position: 0, block: Vec::new(), loaded: None })
    }

    /// Reads and checks a block, unless it is there.
    fn load(&mut self, number: u64) -> io::Result<()> {
        if self.loaded == Some(number) {
            return Ok(());
        }
        self.loaded = None;
        let at = self.layout.block_at(number);
        let content = self.layout.content_of(number, self.meta.bytes);
        self.block.resize(content + CHECKSUM_BYTES, 0);
        self.file.read_at(at, &mut self.block)?;
        let (content, stored) = self.block.split_at(content);
        if *stored != self.layout.block_checksum(number, crc32c::crc32c(content)).to_le_bytes() {
            let damage = damaged(self.name.clone(), at, "the checksum of a block does not match");
            return Err(io::Error::new(io::ErrorKind::InvalidData, damage));
        }
        self.loaded = Some(number);
        Ok(())
    }
}

impl io::Read for FileSource {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // No further than one block, so that what comes before damage is given.
        let (_, within) = self.layout.locate(self.position);
        let room = bytes.len().min(self.layout.block_bytes() - within);
        let read = self.read_at(self.position, &mut bytes[..room])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl SnapshotSource for FileSource {
    fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = self.meta.bytes.saturating_sub(offset);
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        let mut done = 0;
        while done < wanted {
            let (number, within) = self.layout.locate(offset + done as u64);
            self.load(number)?;
            let content = &self.block[within..self.block.len() - CHECKSUM_BYTES];
            let taken = content.len().min(wanted - done);
            bytes[done..done + taken].copy_from_slice(&content[..taken]);
            done += taken;
        }
        Ok(done)
    }
}
