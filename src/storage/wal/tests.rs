//! The log against a disk that fails.

use super::*;
use crate::{
    storage::vfs::RealVfs,
    types::{EntryBuffer, EntryKind, LogId, Term},
};

fn batch(first: u64, term: u64, commands: &[&[u8]]) -> EntryBatch {
    let mut buffer = EntryBuffer::default();
    commands.iter().for_each(|command| buffer.push(EntryKind::Command, command));
    buffer.seal(LogIndex(first), Term(term))
}

#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    for background in [false, true] {
        let options = WalOptions { segment_bytes: 16384, background, ..WalOptions::default() };
        let path = dir.path().join(format!("wal{background}"));
        let mut wal = Wal::open(Arc::new(RealVfs), &path, options.clone());
        let r = wal.recover().unwrap();
        assert_eq!(r, Recovered::default());
        let mut next = 1;
        for i in 0..200 {
            wal.append(&batch(next, 1 + i / 50, &[&[7; 100], b"abc", &[8; 300]])).unwrap();
            next += 3;
            wal.flush().unwrap();
        }
        let vote = Vote { term: Term(9), voted_for: Some("n2".into()) };
        wal.save_vote(&vote).unwrap();
        wal.truncate(LogIndex(500)).unwrap();
        wal.append(&batch(500, 9, &[b"x"])).unwrap();
        let all = wal.read(LogIndex(1), LogIndex(500), usize::MAX).unwrap();
        assert_eq!(all.iter().map(|b| b.count()).sum::<u64>(), 500);
        wal.flush().unwrap();
        wal.purge(&LogBase { last: LogId::new(Term(3), LogIndex(400)), ..LogBase::default() }).unwrap();
        wal.flush().unwrap();
        wal.append(&batch(501, 9, &[b"x"])).unwrap();
        wal.flush().unwrap();
        drop(wal);
        for _ in 0..3 {
            let mut wal = Wal::open(Arc::new(RealVfs), &path, options.clone());
            let r = wal.recover().unwrap();
            assert_eq!(r.vote, vote);
            assert_eq!(r.last, LogId::new(Term(9), LogIndex(501)));
            assert_eq!(r.base.last.index, LogIndex(400));
            assert_eq!(r.repairs, Vec::<String>::new());
            let all = wal.read(LogIndex(401), LogIndex(501), usize::MAX).unwrap();
            assert_eq!(all.iter().map(|b| b.count()).sum::<u64>(), 101);
            eprintln!("{:?} {:?}", RealVfs.list(&path).unwrap(), r.term_runs);
        }
    }
}
