//! The part of a segment that is in memory while it is scanned.

use std::io;

use bytes::{Bytes, BytesMut};

use super::segment::SegmentFile;
use crate::storage::vfs::DIRECT_ALIGN_BYTES;

/// How much of a segment is read at once: little enough to stay in the processor's cache until it has been checked, and
/// so much more than a record that little is read twice where a window ends inside one.
pub(super) const WINDOW_BYTES: usize = 512 << 10;

/// What is passed over at once where nothing lies.
pub(super) const BLANK: [u8; DIRECT_ALIGN_BYTES] = [0; DIRECT_ALIGN_BYTES];

/// Bytes of a segment, in memory that is used again as soon as nobody keeps a part of it: to be given fresh memory
/// costs several times what it costs to read into it and to check what was read.
#[derive(Default)]
pub(super) struct Window {
    /// As many as were ever kept at once, and one.
    memories: Vec<Bytes>,
    /// The part of the last of them that was read.
    bytes: Bytes,
    /// Where in the segment that is.
    start: u64,
}

impl Window {
    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Its bytes, and where in them byte `at` of the segment is.
    pub(super) fn at(&self, at: u64) -> (&Bytes, usize) {
        (&self.bytes, (at - self.start) as usize)
    }

    /// Goes on at `at`, with at least `length` bytes if there are as many before `end`.
    ///
    /// Most of a young segment was never written. Read through the system's cache, each page of that becomes one of
    /// the cache, which takes several times what it takes to look at it. So what follows a blank page is read past the
    /// cache, until something else than blank pages shows up. It is read all the same: that the file system calls a
    /// place empty does not prove that nothing was acknowledged there.
    pub(super) fn read(
        &mut self,
        segment: &mut SegmentFile,
        at: u64,
        length: usize,
        end: u64,
    ) -> io::Result<()> {
        let past_cache = at == self.end() && self.bytes.ends_with(&BLANK);
        let stop = (at + length as u64).next_multiple_of(DIRECT_ALIGN_BYTES as u64).min(end);
        let length = (stop - at) as usize;
        let mut memory = self.free_memory(length + DIRECT_ALIGN_BYTES);
        let front = memory.as_ptr().align_offset(DIRECT_ALIGN_BYTES).min(DIRECT_ALIGN_BYTES);
        let bytes = &mut memory[front..front + length];
        if past_cache {
            segment.file.read_past_cache(at, bytes)?;
        } else {
            segment.file.read_at(at, bytes)?;
        }
        let memory = memory.freeze();
        self.bytes = memory.slice(front..front + length);
        self.memories.push(memory);
        self.start = at;
        Ok(())
    }

    /// Memory of at least `length` bytes of which nobody keeps a part.
    fn free_memory(&mut self, length: usize) -> BytesMut {
        self.bytes = Bytes::new();
        let free = self.memories.iter().rposition(Bytes::is_unique);
        let memory = free.and_then(|at| self.memories.swap_remove(at).try_into_mut().ok());
        memory.filter(|memory| memory.len() >= length).unwrap_or_else(|| BytesMut::zeroed(length))
    }

    /// Whether a page begins at `at` that is blank: most of a young segment is, and is passed over quickly.
    pub(super) fn is_blank_page(&self, at: u64) -> bool {
        if !at.is_multiple_of(BLANK.len() as u64) {
            return false;
        }
        let (bytes, inside) = self.at(at);
        bytes.get(inside..inside + BLANK.len()) == Some(&BLANK[..])
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::IoSlice,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::storage::vfs::VfsFile;

    const PAGE: usize = DIRECT_ALIGN_BYTES;

    /// How a read went: where it began, how long it was, whether it passed the cache.
    type Read = (u64, usize, bool);

    /// A file that notes how it is read.
    #[derive(Debug)]
    struct Noted {
        content: Vec<u8>,
        reads: Arc<Mutex<Vec<Read>>>,
    }

    impl Noted {
        fn read(&mut self, offset: u64, bytes: &mut [u8], past_cache: bool) -> io::Result<()> {
            self.reads.lock().unwrap().push((offset, bytes.len(), past_cache));
            bytes.copy_from_slice(&self.content[offset as usize..][..bytes.len()]);
            Ok(())
        }
    }

    impl VfsFile for Noted {
        fn size(&mut self) -> io::Result<u64> {
            Ok(self.content.len() as u64)
        }

        fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
            self.read(offset, bytes, false)
        }

        fn read_past_cache(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
            assert!(bytes.as_ptr().addr().is_multiple_of(PAGE) && offset.is_multiple_of(PAGE as u64));
            self.read(offset, bytes, true)
        }

        fn write_at(&mut self, _: u64, _: &[IoSlice<'_>]) -> io::Result<()> {
            unreachable!("it is read")
        }

        fn allocate(&mut self, _: u64) -> io::Result<()> {
            unreachable!("it is read")
        }

        fn set_len(&mut self, _: u64) -> io::Result<()> {
            unreachable!("it is read")
        }

        fn sync_data(&mut self) -> io::Result<()> {
            unreachable!("it is read")
        }

        fn sync_all(&mut self) -> io::Result<()> {
            unreachable!("it is read")
        }
    }

    /// The reads of windows of two pages by somebody who passes blank pages and stops at each byte that is not zero,
    /// and what he found.
    fn walk(content: Vec<u8>) -> (Vec<Read>, Vec<u8>) {
        let reads = Arc::default();
        let size = content.len() as u64;
        let file = Box::new(Noted { content, reads: Arc::clone(&reads) });
        let mut segment = SegmentFile { ordinal: 1, id: 1, size, blank_from: size, file };
        let (mut window, mut at, mut found) = (Window::default(), 0, Vec::new());
        while at < size {
            if at >= window.end() {
                window.read(&mut segment, at, 2 * PAGE, size).unwrap();
            }
            let (bytes, inside) = window.at(at);
            found.extend(bytes.get(inside).filter(|byte| **byte != 0));
            at += if window.is_blank_page(at) { PAGE as u64 } else { 8 };
        }
        let reads = reads.lock().unwrap().clone();
        (reads, found)
    }

    #[test]
    fn what_follows_blank_pages_is_read_past_the_cache_until_something_lies_there() {
        let mut content = vec![0; 11 * PAGE + 80];
        (content[8], content[5 * PAGE + 16], content[11 * PAGE + 72]) = (1, 2, 3);
        let (reads, found) = walk(content);
        let page = PAGE as u64;
        let expected = [
            (0, 2 * PAGE, false),
            (2 * page, 2 * PAGE, true),
            (4 * page, 2 * PAGE, true),
            (6 * page, 2 * PAGE, false),
            (8 * page, 2 * PAGE, true),
            (10 * page, PAGE + 80, true),
        ];
        assert_eq!((&reads[..], &found[..]), (&expected[..], &[1, 2, 3][..]));
    }

    #[test]
    fn what_somebody_keeps_of_a_window_stays_as_it_was_and_other_memory_is_used_again() {
        let content: Vec<u8> = (0..6 * PAGE).map(|at| (at / PAGE) as u8).collect();
        let file = Box::new(Noted { content, reads: Arc::default() });
        let mut segment = SegmentFile { ordinal: 1, id: 1, size: 0, blank_from: 0, file };
        let mut window = Window::default();
        let mut kept = Vec::new();
        for page in 0..6 {
            window.read(&mut segment, page * PAGE as u64, PAGE, 6 * PAGE as u64).unwrap();
            kept.extend((page % 2 == 0).then(|| window.at(page * PAGE as u64).0.clone()));
        }
        assert!(kept.iter().zip([0, 2, 4]).all(|(bytes, page)| bytes[..] == [page; PAGE]));
        assert_eq!(window.memories.len(), 4);
    }
}
