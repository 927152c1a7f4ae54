//! The limit over TCP, with or without a disk: three threads, plain sockets, one buffer a batch, a checksum for
//! each entry that followers verify, one write and one flush for all that waits. No Raft and no actors in it, and
//! the clients are a number.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::mpsc as blocking,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use crate::{
    job::{Job, Log, NODES},
    outcome::Outcome,
};

/// Index and checksum, before each payload.
const HEADER: usize = 16;
/// A file is written from its start again when it is full: the space is allocated.
const FILE_BYTES: u64 = 128 << 20;

/// Everything queued becomes one write and one flush; the last index comes back.
struct Disk {
    queue: Option<blocking::Sender<(Vec<u8>, u64)>>,
    flushed: mpsc::UnboundedReceiver<u64>,
}

impl Disk {
    /// Without a file what is written is durable at once.
    fn start(path: Option<PathBuf>) -> io::Result<Self> {
        let (report, flushed) = mpsc::unbounded_channel();
        let Some(path) = path else { return Ok(Self { queue: None, flushed }) };
        let file = allocate(&path)?;
        let (queue, queued) = blocking::channel::<(Vec<u8>, u64)>();
        thread::spawn(move || {
            let mut at = 0;
            while let Ok((mut bytes, mut last)) = queued.recv() {
                for (more, index) in queued.try_iter() {
                    bytes.extend_from_slice(&more);
                    last = index;
                }
                if at + bytes.len() as u64 > FILE_BYTES {
                    at = 0;
                }
                file.write_all_at(&bytes, at).and_then(|()| file.sync_data()).expect("the disk works");
                at += bytes.len() as u64;
                if report.send(last).is_err() {
                    return;
                }
            }
        });
        Ok(Self { queue: Some(queue), flushed })
    }

    /// Hands over a batch; its last index, if nothing has to be waited for.
    fn write(&self, batch: Vec<u8>, last: u64) -> Option<u64> {
        match &self.queue {
            None => Some(last),
            Some(queue) => {
                queue.send((batch, last)).expect("the disk's thread runs");
                None
            }
        }
    }

    /// The newest index that is durable.
    async fn flushed(&mut self) -> u64 {
        let Some(mut newest) = self.flushed.recv().await else { return std::future::pending().await };
        while let Ok(newer) = self.flushed.try_recv() {
            newest = newer;
        }
        newest
    }
}

fn allocate(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).write(true).truncate(true).open(path)?;
    let zeros = vec![0; 8 << 20];
    for at in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    Ok(file)
}

pub(super) fn run(job: &Job) -> Result<Outcome, String> {
    measure(job).map_err(|error| error.to_string())
}

fn measure(job: &Job) -> io::Result<Outcome> {
    let file = |number: usize| (job.log == Log::Disk).then(|| job.data.join(format!("limit{number}")));
    if job.log == Log::Disk {
        fs::create_dir_all(&job.data)?;
    }
    let mut addresses = Vec::new();
    for number in 1..NODES {
        let disk = Disk::start(file(number))?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        addresses.push(listener.local_addr()?);
        let entry = HEADER + job.payload;
        thread::spawn(move || runtime()?.block_on(follow(listener, disk, entry)));
    }
    let disk = Disk::start(file(0))?;
    runtime()?.block_on(lead(job, disk, &addresses))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn follow(listener: std::net::TcpListener, mut disk: Disk, entry: usize) -> io::Result<()> {
    let (stream, _) = TcpListener::from_std(listener)?.accept().await?;
    stream.set_nodelay(true)?;
    let (mut input, mut output) = stream.into_split();
    let mut buffer = Vec::with_capacity(1 << 20);
    loop {
        let durable = tokio::select! {
            biased;
            index = disk.flushed() => Some(index),
            read = input.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Ok(());
                }
                let rest = buffer.split_off(buffer.len() / entry * entry);
                let batch = std::mem::replace(&mut buffer, rest);
                buffer.reserve(1 << 18);
                verify(&batch, entry).and_then(|last| disk.write(batch, last))
            }
        };
        if let Some(index) = durable {
            output.write_all(&index.to_le_bytes()).await?;
        }
    }
}

/// Checks every entry; the last index, if there is one.
fn verify(batch: &[u8], entry: usize) -> Option<u64> {
    let mut last = None;
    for entry in batch.chunks_exact(entry) {
        let (index, rest) = entry.split_at(8);
        let checksum = u32::from_le_bytes(*rest.first_chunk().expect("an entry has a header"));
        assert_eq!(checksum, crc32c::crc32c(&rest[8..]), "loopback does not change bytes");
        last = index.first_chunk().map(|index| u64::from_le_bytes(*index));
    }
    last
}

/// The clients, the leader's log and the quorum.
struct Leader {
    clients: u64,
    payload: Vec<u8>,
    next: u64,
    matched: [u64; NODES],
    committed: u64,
    /// When the batches that wait were sent, with their last index.
    sent: VecDeque<(u64, Instant)>,
}

impl Leader {
    /// A batch of one entry for every client that waits for nothing.
    fn batch(&mut self) -> Option<Vec<u8>> {
        let idle = self.clients - (self.next - self.committed);
        if idle == 0 {
            return None;
        }
        let mut batch = Vec::with_capacity(idle as usize * (HEADER + self.payload.len()));
        for _ in 0..idle {
            self.next += 1;
            batch.extend_from_slice(&self.next.to_le_bytes());
            batch.extend_from_slice(&crc32c::crc32c(&self.payload).to_le_bytes());
            batch.extend_from_slice(&[0; 4]);
            batch.extend_from_slice(&self.payload);
        }
        self.sent.push_back((self.next, Instant::now()));
        Some(batch)
    }

    fn matched(&mut self, node: usize, index: u64, times: &mut Histogram<u64>) {
        self.matched[node] = index;
        let mut sorted = self.matched;
        sorted.sort_unstable();
        self.committed = sorted[NODES / 2];
        while self.sent.front().is_some_and(|(last, _)| *last <= self.committed) {
            if let Some((_, at)) = self.sent.pop_front() {
                times.record(at.elapsed().as_nanos().max(1) as u64).expect("the histogram grows");
            }
        }
    }
}

async fn lead(job: &Job, mut disk: Disk, addresses: &[std::net::SocketAddr]) -> io::Result<Outcome> {
    let mut inputs: Vec<OwnedReadHalf> = Vec::new();
    let mut outputs: Vec<OwnedWriteHalf> = Vec::new();
    for address in addresses {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (input, output) = stream.into_split();
        inputs.push(input);
        outputs.push(output);
    }
    let [near, far] = &mut inputs[..] else { return Err(io::Error::other("there are two followers")) };
    let mut leader = Leader {
        clients: job.clients as u64,
        payload: vec![7; job.payload],
        next: 0,
        matched: [0; NODES],
        committed: 0,
        sent: VecDeque::new(),
    };
    let mut times = Histogram::new(3).expect("three digits are allowed");
    let (warm, run) = (Duration::from_millis(job.warm_ms), Duration::from_millis(job.run_ms));
    let began = Instant::now();
    let mut measuring: Option<(Instant, u64)> = None;
    loop {
        match measuring {
            None if began.elapsed() >= warm => {
                measuring = Some((Instant::now(), leader.committed));
                times.clear();
            }
            Some((since, before)) if since.elapsed() >= run => {
                let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
                return Ok(Outcome {
                    ops_per_s: (leader.committed - before) as f64 / since.elapsed().as_secs_f64(),
                    p50_us: us(0.5),
                    p99_us: us(0.99),
                    p999_us: us(0.999),
                    agree: true,
                    ..Outcome::default()
                });
            }
            _ => {}
        }
        if let Some(batch) = leader.batch() {
            for output in &mut outputs {
                output.write_all(&batch).await?;
            }
            if let Some(index) = disk.write(batch, leader.next) {
                leader.matched(0, index, &mut times);
            }
        }
        let mut acks = ([0; 1024], [0; 1024]);
        let (node, index) = tokio::select! {
            biased;
            index = disk.flushed() => (0, Some(index)),
            read = near.read(&mut acks.0) => (1, newest(&acks.0[..read?])),
            read = far.read(&mut acks.1) => (2, newest(&acks.1[..read?])),
        };
        if let Some(index) = index {
            leader.matched(node, index, &mut times);
        }
    }
}

/// The last of some acknowledgements. Loopback brings eight bytes written at once together.
fn newest(acks: &[u8]) -> Option<u64> {
    acks.last_chunk().map(|index| u64::from_le_bytes(*index))
}
