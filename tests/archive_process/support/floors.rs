//! What the machine can do at the moment: what a snapshot's way is held against.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Instant,
};

const PIECE_BYTES: usize = 1 << 20;

/// MB a second that one writer brings to the disk in `dir`, to the end of one last flush.
#[expect(clippy::disallowed_methods, reason = "a disk is measured in real time")]
pub(crate) fn disk(dir: &Path, mib: u64) -> f64 {
    let path = dir.join("floor");
    let mut file = File::create(&path).unwrap();
    let piece = vec![7; PIECE_BYTES];
    let start = Instant::now();
    for _ in 0..mib {
        file.write_all(&piece).unwrap();
    }
    file.sync_all().unwrap();
    let taken = start.elapsed();
    std::fs::remove_file(path).unwrap();
    (mib << 20) as f64 / 1e6 / taken.as_secs_f64()
}

/// MB a second from one thread to another over loopback TCP.
#[expect(clippy::disallowed_methods, reason = "a network is measured in real time")]
pub(crate) fn network(mib: u64) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    let start = Instant::now();
    let sender = thread::spawn(move || {
        let piece = vec![7; PIECE_BYTES];
        (0..mib).for_each(|_| near.write_all(&piece).unwrap());
    });
    let mut buffer = vec![0; PIECE_BYTES];
    while far.read(&mut buffer).unwrap() > 0 {}
    sender.join().unwrap();
    (mib << 20) as f64 / 1e6 / start.elapsed().as_secs_f64()
}
