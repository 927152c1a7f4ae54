//! Clients that write small blobs all the time, and note how long each took.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::Client;

const WRITERS: usize = 4;
/// How long a writer rests between two writes, so that what they write takes no memory or disk worth the name.
const PAUSE: Duration = Duration::from_millis(10);
const BLOB: [u8; 1024] = [5; 1024];

/// The clients; they end with [`Writers::stop`].
#[derive(Debug)]
pub(crate) struct Writers {
    acknowledged: Arc<Mutex<Vec<Write>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// One acknowledged write.
#[derive(Clone, Copy, Debug)]
struct Write {
    at: Instant,
    took: Duration,
}

/// How a number of writes went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latencies {
    pub(crate) writes: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, median, p99, longest } = self;
        write!(f, "{writes} writes, median {median:.1?}, p99 {p99:.1?}, longest {longest:.1?}")
    }
}

impl Writers {
    /// Begins to write through the nodes at these addresses, each writer through another one until that fails.
    pub(crate) fn start(nodes: &[String]) -> Self {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..WRITERS).map(|number| {
            let (nodes, acknowledged, stop) = (nodes.to_vec(), acknowledged.clone(), stop.clone());
            thread::spawn(move || write(number, &nodes, &acknowledged, &stop))
        });
        Self { threads: threads.collect(), acknowledged, stop }
    }

    /// How the writes went that were acknowledged since `since`.
    pub(crate) fn since(&self, since: Instant) -> Latencies {
        let acknowledged = self.acknowledged.lock().unwrap();
        let mut took: Vec<Duration> =
            acknowledged.iter().filter(|write| write.at >= since).map(|write| write.took).collect();
        took.sort_unstable();
        let part = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        Latencies {
            writes: took.len(),
            median: part(50),
            p99: part(99),
            longest: took.last().copied().unwrap_or_default(),
        }
    }

    /// Ends; how many writes were acknowledged.
    pub(crate) fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.acknowledged.lock().unwrap().len()
    }
}

#[expect(clippy::disallowed_methods, reason = "the processes under test live in real time")]
fn write(number: usize, nodes: &[String], acknowledged: &Mutex<Vec<Write>>, stop: &AtomicBool) {
    let mut clients: Vec<Client> = nodes.iter().map(|address| Client::new(address)).collect();
    let mut through = number % clients.len();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        match clients[through].ask(&format!("append {}", BLOB.len()), &BLOB) {
            Ok(_) => {
                let at = Instant::now();
                acknowledged.lock().unwrap().push(Write { at, took: at - start });
            }
            Err(_) => through = (through + 1) % clients.len(),
        }
        thread::sleep(PAUSE);
    }
}
