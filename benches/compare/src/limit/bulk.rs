//! The limits of bulk work: how fast loopback and the disk take a stream (for a newcomer that gets a log or a
//! snapshot), and how fast a log can be read and its checksums compared (F7, for a restart).

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Instant,
};

use crate::{
    job::{Job, Log, Task},
    outcome::Outcome,
    state,
};

/// What one read or write takes.
const PIECE: usize = 1 << 20;
/// How much a stream is.
const STREAM_PIECES: usize = 512;
/// After how many pieces a file is flushed: as much as Raftix has of a snapshot before it does.
const PIECES_A_FLUSH: usize = 8;
/// Index and checksum, before each payload.
const HEADER: usize = 16;

pub(super) fn run(job: &Job) -> Result<Outcome, String> {
    measure(job).map_err(|error| error.to_string())
}

fn measure(job: &Job) -> io::Result<Outcome> {
    let entry_bytes = (HEADER + job.payload) as f64;
    let (ops_per_s, amount) = match job.task {
        Task::Restart => (read_log(job)?, job.entries as f64),
        Task::CatchUp => (stream(job)? / entry_bytes, job.entries as f64),
        Task::Install => (stream(job)? / 1e6, state::bytes(job.state_mib) as f64 / 1e6),
        Task::Load => return Err(io::Error::other("a load is no bulk work")),
    };
    let p50_us = amount / ops_per_s * 1e6;
    Ok(Outcome { setting: job.setting.clone(), ops_per_s, p50_us, agree: true, ..Outcome::default() })
}

/// Bytes a second of the slower way that a stream takes, the network or the disk.
fn stream(job: &Job) -> io::Result<f64> {
    let network = loopback()?;
    if job.log != Log::Disk {
        return Ok(network);
    }
    let disk = disk(&job.data.join("stream"))?;
    eprintln!("    loopback {:.0} MB/s, disk {:.0} MB/s", network / 1e6, disk / 1e6);
    Ok(network.min(disk))
}

fn bytes_a_second(bytes: usize, began: Instant) -> f64 {
    bytes as f64 / began.elapsed().as_secs_f64()
}

/// From one thread to another.
fn loopback() -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    let began = Instant::now();
    let sender = thread::spawn(move || {
        let piece = vec![7; PIECE];
        (0..STREAM_PIECES).try_for_each(|_| near.write_all(&piece))
    });
    let (mut buffer, mut bytes) = (vec![0; PIECE], 0);
    loop {
        match far.read(&mut buffer)? {
            0 => break,
            read => bytes += read,
        }
    }
    sender.join().expect("a sender does not panic")?;
    Ok(bytes_a_second(bytes, began))
}

/// Into a new file, with `fdatasync` now and then and at the end.
fn disk(path: &Path) -> io::Result<f64> {
    let mut file = File::create(path)?;
    let piece = vec![7; PIECE];
    let began = Instant::now();
    for number in 1..=STREAM_PIECES {
        file.write_all(&piece)?;
        if number.is_multiple_of(PIECES_A_FLUSH) {
            file.sync_data()?;
        }
    }
    file.sync_data()?;
    let speed = bytes_a_second(PIECE * STREAM_PIECES, began);
    fs::remove_file(path)?;
    Ok(speed)
}

/// Entries a second: a file of them is read, which the system has in memory as it has a log that was just written, and
/// each is compared with its checksum.
fn read_log(job: &Job) -> io::Result<f64> {
    let path = job.data.join("log");
    let entry = entry(job.payload);
    let in_piece = (PIECE / entry.len()).max(1);
    let mut file = io::BufWriter::with_capacity(PIECE, File::create(&path)?);
    (0..job.entries).try_for_each(|_| file.write_all(&entry))?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;

    let began = Instant::now();
    let mut file = File::open(&path)?;
    let mut piece = vec![0; in_piece * entry.len()];
    let mut left = job.entries;
    while left > 0 {
        let count = left.min(in_piece as u64);
        let bytes = &mut piece[..count as usize * entry.len()];
        file.read_exact(bytes)?;
        if !bytes.chunks_exact(entry.len()).all(is_whole) {
            return Err(io::Error::other("the disk changed what was written"));
        }
        left -= count;
    }
    let speed = job.entries as f64 / began.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(speed)
}

fn entry(payload: usize) -> Vec<u8> {
    let payload = vec![7; payload];
    let mut entry = vec![0; 8];
    entry.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    entry.extend_from_slice(&[0; 4]);
    entry.extend_from_slice(&payload);
    entry
}

fn is_whole(entry: &[u8]) -> bool {
    entry[8..].first_chunk().is_some_and(|sum| u32::from_le_bytes(*sum) == crc32c::crc32c(&entry[HEADER..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_seen() {
        let mut entry = entry(256);
        assert!(entry.len() == HEADER + 256 && is_whole(&entry));
        entry[HEADER + 9] ^= 1;
        assert!(!is_whole(&entry));
    }
}
