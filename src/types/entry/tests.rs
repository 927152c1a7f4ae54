//! What is sealed is read back, and nothing else is.

use super::*;

fn batch(commands: &[&[u8]]) -> EntryBatch {
    let mut buffer = EntryBuffer::default();
    for command in commands {
        buffer.push(EntryKind::Command, command);
    }
    buffer.seal(LogIndex(5), Term(3))
}

#[test]
fn what_was_sealed_is_read_back() {
    let sealed = batch(&[b"", b"a", b"12345678", b"123456789"]);
    let read = EntryBatch::verify(sealed.bytes().clone()).unwrap();
    assert_eq!(read, sealed);
    let data: Vec<_> = read.iter().map(|e| (e.index.0, e.term.0, e.data.to_vec())).collect();
    assert_eq!(data[3], (8, 3, b"123456789".to_vec()));
    assert_eq!((read.first(), read.last(), read.count()), (LogIndex(5), LogIndex(8), 4));
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    // Ends in seven bytes that no checksum covers.
    let mut bytes = batch(&[b"a"]).bytes().to_vec();
    *bytes.last_mut().unwrap() = 1;
    assert_eq!(EntryBatch::verify(bytes.into()).unwrap_err().what, "padding that is not zero");
}

#[test]
fn indexes_at_the_end_of_their_range_are_refused_and_do_not_overflow() {
    let end = |first| {
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Noop, b"");
        buffer.seal(LogIndex(first), Term(1)).bytes().to_vec()
    };
    let last = end(u64::MAX - 1);
    assert!(EntryBatch::verify(last.clone().into()).is_ok());
    let mut beyond = last.clone();
    beyond[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    let checksum = crc32c::crc32c(&beyond[4..]);
    beyond[..4].copy_from_slice(&checksum.to_le_bytes());
    assert!(EntryBatch::verify(beyond.clone().into()).is_err());
    assert!(EntryBatch::verify([beyond, last].concat().into()).is_err());
}

#[test]
fn every_flipped_bit_is_noticed_or_lies_in_padding() {
    let sealed = batch(&[b"abc", b"defgh"]);
    for bit in 0..sealed.len() * 8 {
        let mut bytes = sealed.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = EntryBatch::verify(bytes.into()) {
            assert!(read.iter().eq(sealed.iter()), "bit {bit}");
        }
    }
}

#[test]
fn no_cut_panics_or_passes() {
    let sealed = batch(&[b"abc", b"defgh"]);
    let whole = sealed.prefix(1).len();
    for end in 0..sealed.len() {
        let read = EntryBatch::verify(sealed.bytes().slice(..end));
        assert_eq!(read.is_ok(), end == whole, "cut at {end}");
    }
}

#[test]
fn slices_and_prefixes_hold_just_what_was_asked() {
    let all = batch(&[b"a", b"b", b"c", b"d"]);
    let middle = all.slice(LogIndex(6), LogIndex(7)).unwrap();
    assert_eq!(middle.iter().map(|e| e.data).collect::<Vec<_>>(), [b"b", b"c"]);
    assert_eq!(EntryBatch::verify(middle.bytes().clone()).unwrap(), middle);
    assert_eq!(all.slice(LogIndex(9), LogIndex(20)), None);
    assert_eq!(all.prefix(0).count(), 1);
    assert_eq!(all.prefix(all.len() - 1).count(), 3);
}

#[test]
fn a_refused_write_leaves_no_trace() {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"kept");
    assert!(
        buffer
            .push_with(EntryKind::Command, |b| {
                b.extend_from_slice(b"half");
                Err(())
            })
            .is_err()
    );
    let length = buffer.push_with(EntryKind::Command, |b| {
        b.extend_from_slice(b"gone");
        Ok::<_, ()>(())
    });
    buffer.pop(EntryKind::Command, length.unwrap());
    assert_eq!(buffer.data().collect::<Vec<_>>(), [(EntryKind::Command, &b"kept"[..])]);
}

#[test]
fn what_depends_on_time_is_stamped_when_it_is_appended_and_nothing_else_is() {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"plain");
    assert!(!buffer.wants_time());
    for kind in [EntryKind::OpenSession, EntryKind::SessionCommand, EntryKind::CloseSession] {
        buffer.push(kind, b"timed");
    }
    buffer.push(EntryKind::SessionCommand, b"gone");
    buffer.pop(EntryKind::SessionCommand, 4);
    assert!(buffer.wants_time());
    buffer.stamp(1_700_000_000_000_000_000);
    let kinds: Vec<_> = buffer.data().map(|(kind, data)| (kind, data.to_vec())).collect();
    let sealed = buffer.seal(LogIndex(5), Term(3));
    let read = EntryBatch::verify(sealed.bytes().clone()).unwrap();
    assert!(read.iter().map(|entry| (entry.kind, entry.data.to_vec())).eq(kinds));
    for entry in read.iter() {
        let stamp = entry.kind.is_stamped().then_some(1_700_000_000_000_000_000);
        assert_eq!(entry.appended_at_ns, stamp, "{entry:?}");
    }
    assert_eq!(read.count(), 4);
}

#[test]
fn what_goes_elsewhere_shares_the_buffer_it_was_collected_in() {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"one");
    buffer.push(EntryKind::SessionCommand, b"");
    buffer.push(EntryKind::SessionCommand, b"three");
    let data = buffer.into_data();
    let told: Vec<_> = data.iter().map(|(kind, data)| (*kind, &data[..])).collect();
    use EntryKind::{Command, SessionCommand};
    assert_eq!(told, [(Command, &b"one"[..]), (SessionCommand, b""), (SessionCommand, b"three")]);
}

#[test]
fn the_memberships_among_the_entries_are_found_whatever_the_batch_was_made_of() {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"a");
    buffer.push(EntryKind::Configuration, b"members");
    buffer.push(EntryKind::Command, b"b");
    let sealed = buffer.seal(LogIndex(5), Term(3));
    let found = |batch: &EntryBatch| batch.configurations().map(|entry| entry.index.0).collect::<Vec<_>>();
    let read = EntryBatch::verify(sealed.bytes().clone()).unwrap();
    assert_eq!((found(&sealed), found(&read)), (vec![6], vec![6]));
    let slice = |first, last| sealed.slice(LogIndex(first), LogIndex(last)).unwrap();
    assert_eq!((found(&slice(5, 6)), found(&slice(6, 7))), (vec![6], vec![6]));
    assert!(found(&slice(5, 5)).is_empty() && found(&slice(7, 7)).is_empty());
    assert_eq!(slice(7, 7), EntryBatch::verify(slice(7, 7).bytes().clone()).unwrap());
}

/// How many allocations so many batches of `bytes` lie in, one byte of them behind the other.
fn allocations(batches: usize, bytes: usize) -> usize {
    let mut buffer = EntryBuffer::with_capacity(64 << 10);
    let (mut allocations, mut end) = (0, std::ptr::null());
    for batch in 0..batches {
        while buffer.len() < bytes {
            buffer.push(EntryKind::Command, &[7; 200]);
        }
        let sealed = buffer.split().seal(LogIndex(batch as u64 + 1), Term(1));
        let place = sealed.bytes().as_ptr_range();
        allocations += usize::from(place.start != end);
        end = place.end;
    }
    allocations
}

#[test]
fn batches_share_an_allocation_and_none_is_moved_from_one_to_the_next() {
    assert_eq!(allocations(64, 1000), 2, "64 KiB hold as many as leave room for a larger one");
    assert_eq!(
        allocations(12, 75_000),
        1 + 2,
        "the first one grows; the others get room for nine of them each"
    );
    assert_eq!(allocations(3, 1_100_000), 3);
}

#[test]
fn what_is_taken_out_of_a_buffer_stays_as_it_is_while_more_is_collected() {
    let mut buffer = EntryBuffer::with_capacity(96);
    buffer.push(EntryKind::SessionCommand, b"first");
    let first = buffer.split();
    assert!(buffer.is_empty() && !buffer.wants_time());
    // Fits behind it no longer.
    (0..3).for_each(|_| buffer.push(EntryKind::Command, b"second"));
    let second = buffer.split();
    assert_eq!((first.count(), first.wants_time(), second.count(), second.wants_time()), (1, true, 3, false));
    let (first, second) = (first.seal(LogIndex(5), Term(3)), second.seal(LogIndex(6), Term(3)));
    for batch in [&first, &second] {
        assert_eq!(EntryBatch::verify(batch.bytes().clone()).unwrap(), *batch);
    }
    assert!(first.iter().map(|entry| entry.data).eq([b"first"]));
    assert!(second.iter().all(|entry| entry.data == b"second"));
}
