//! The clients: closed loop for throughput, open loop for latency. `go/driver/load.go` is its counterpart.

use std::{
    fs,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    digest::{Digest, Position},
    job::{Job, Log},
};

/// How many operations pass between two that are timed: reading the clock costs as much as a message,
const SAMPLE: u64 = 8;

/// but not where each takes a thousand times as long, and few are made.
fn sample(job: &Job) -> u64 {
    if job.log == Log::Slow { 1 } else { SAMPLE }
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const FINISHED: u8 = 2;

/// One of the compared systems, running with a leader.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// Replicates a command; ready when the leader's state machine has applied it.
    fn write(&self, command: Bytes) -> impl Future<Output = Result<Position, String>> + Send;

    /// Ready when a read would be linearizable.
    fn read(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// How many rounds of heartbeats the leader has begun for reads so far, where it counts them.
    fn read_rounds(&self) -> Option<u64> {
        None
    }
}

/// What one client saw.
#[derive(Debug, Default)]
struct Tally {
    acked: Digest,
    last: u64,
    measured: u64,
    nanoseconds: Vec<u64>,
    reads: Reads,
}

/// What was seen of linearizable reads, warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reads {
    pub(crate) answered: u64,
    /// How many rounds were begun for them.
    pub(crate) rounds: u64,
    /// How many were looked at, whether a round began between coming and being answered.
    pub(crate) checked: u64,
    /// For how many of those none did.
    pub(crate) without_round: u64,
}

/// What all clients saw.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Every command that was acknowledged.
    pub(crate) acked: Digest,
    /// The highest index among them.
    pub(crate) last: u64,
    /// Operations within the measured time.
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) times: Histogram<u64>,
    pub(crate) reads: Reads,
    /// The first failure. A run with one has no number.
    pub(crate) failure: Option<String>,
}

/// Where clients run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the thread that calls, in its `LocalSet`.
    Here,
    /// On the runtime that calls, wherever that puts them.
    Runtime,
}

/// Measures a running system. Within a runtime.
pub(crate) async fn run<C: Client>(job: &Job, client: &C, place: Place) -> Measured {
    if job.entries > 0 {
        return fill(job, client, place).await;
    }
    let phase = Arc::new(AtomicU8::new(WARMING));
    let rounds = client.read_rounds();
    let clock = Clock::start(job, phase.clone());
    let load = Load { client: client.clone(), phase, job: job.clone() };
    let results = if job.rate > 0.0 { load.open(place).await } else { load.closed(place).await };
    let (seconds, cpu_seconds) = clock.join();
    let mut measured = Measured::of(results, seconds, cpu_seconds);
    let begun = |before| client.read_rounds().map(|now| now - before);
    measured.reads.rounds = rounds.and_then(begun).unwrap_or(0);
    measured
}

/// Writes as many commands as the job says, shared out among its clients.
async fn fill<C: Client>(job: &Job, client: &C, place: Place) -> Measured {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let count = job.clients as u64;
    let clients = (0..count).map(|number| {
        let share = job.entries / count + u64::from(number < job.entries % count);
        spawn(place, filling_client(client.clone(), job.clone(), number, share))
    });
    let results = join(clients.collect()).await;
    Measured::of(results, began.elapsed().as_secs_f64(), cpu_seconds() - cpu)
}

impl Measured {
    fn of(results: Vec<Result<Tally, String>>, seconds: f64, cpu_seconds: f64) -> Self {
        let mut measured = Self {
            acked: Digest::default(),
            last: 0,
            ops: 0,
            seconds,
            cpu_seconds,
            times: Histogram::new(3).expect("three digits are allowed"),
            reads: Reads::default(),
            failure: None,
        };
        for result in results {
            match result {
                Ok(tally) => measured.take(&tally),
                Err(failure) => measured.failure = measured.failure.or(Some(failure)),
            }
        }
        measured
    }

    fn take(&mut self, tally: &Tally) {
        self.acked.merge(tally.acked);
        self.last = self.last.max(tally.last);
        self.ops += tally.measured;
        self.reads.answered += tally.reads.answered;
        self.reads.checked += tally.reads.checked;
        self.reads.without_round += tally.reads.without_round;
        for nanoseconds in &tally.nanoseconds {
            self.times.record(*nanoseconds.max(&1)).expect("the histogram grows");
        }
    }
}

/// Turns the phases on a thread of its own, which wakes twice.
struct Clock(thread::JoinHandle<(f64, f64)>);

impl Clock {
    fn start(job: &Job, phase: Arc<AtomicU8>) -> Self {
        let (warm, run) = (Duration::from_millis(job.warm_ms), Duration::from_millis(job.run_ms));
        Self(thread::spawn(move || {
            thread::sleep(warm);
            let (began, cpu) = (Instant::now(), cpu_seconds());
            phase.store(MEASURING, Ordering::Release);
            thread::sleep(run);
            phase.store(FINISHED, Ordering::Release);
            (began.elapsed().as_secs_f64(), cpu_seconds() - cpu)
        }))
    }

    fn join(self) -> (f64, f64) {
        self.0.join().expect("the clock does not panic")
    }
}

/// User and system time of this process, in steps of 10 ms.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

struct Load<C> {
    client: C,
    phase: Arc<AtomicU8>,
    job: Job,
}

impl<C: Client> Load<C> {
    async fn closed(&self, place: Place) -> Vec<Result<Tally, String>> {
        let clients = (0..self.job.clients as u64).map(|number| {
            let one = closed_client(self.client.clone(), self.phase.clone(), self.job.clone(), number);
            spawn(place, one)
        });
        join(clients.collect()).await
    }

    /// A Poisson schedule, each operation a task of its own that starts when it is due, whatever the others do.
    async fn open(&self, place: Place) -> Vec<Result<Tally, String>> {
        let tally = Arc::new(Mutex::new(Ok(Tally::default())));
        let mut due = schedule(self.job.rate, self.phase.clone());
        let mut number = 0;
        let mut last = None;
        while let Some(began) = due.recv().await {
            let one = open_operation(
                self.client.clone(),
                self.phase.clone(),
                self.job.clone(),
                number,
                began,
                tally.clone(),
            );
            last = Some(spawn(place, one));
            number += 1;
        }
        if let Some(last) = last {
            // What was offered before it is answered about as soon; the wait below is for stragglers.
            let _ = last.await;
        }
        let until = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&tally) > 1 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let tally =
            std::mem::replace(&mut *tally.lock().expect("no client panics with it"), Ok(Tally::default()));
        vec![tally]
    }
}

fn spawn<F>(place: Place, client: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match place {
        Place::Here => tokio::task::spawn_local(client),
        Place::Runtime => tokio::spawn(client),
    }
}

/// Waits for clients that all run already.
async fn join(clients: Vec<JoinHandle<Result<Tally, String>>>) -> Vec<Result<Tally, String>> {
    let mut tallies = Vec::new();
    for client in clients {
        tallies.push(client.await.unwrap_or_else(|panic| Err(panic.to_string())));
    }
    tallies
}

async fn filling_client<C: Client>(client: C, job: Job, number: u64, share: u64) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut filler = Filler::new(job.payload, number);
    for _ in 0..share {
        operation(&client, &job, &mut filler, &mut tally).await?;
    }
    tally.measured = share;
    Ok(tally)
}

async fn closed_client<C: Client>(
    client: C,
    phase: Arc<AtomicU8>,
    job: Job,
    number: u64,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut filler = Filler::new(job.payload, number);
    let mut count = 0_u64;
    let sample = sample(&job);
    while phase.load(Ordering::Relaxed) != FINISHED {
        let sampled = count.is_multiple_of(sample);
        let (began, rounds) =
            (sampled.then(Instant::now), (sampled && job.reads).then(|| client.read_rounds()).flatten());
        count += 1;
        operation(&client, &job, &mut filler, &mut tally).await?;
        if let Some(rounds) = rounds {
            tally.reads.checked += 1;
            tally.reads.without_round += u64::from(client.read_rounds() == Some(rounds));
        }
        if phase.load(Ordering::Relaxed) == MEASURING {
            tally.measured += 1;
            tally.nanoseconds.extend(began.map(|began| began.elapsed().as_nanos() as u64));
        }
    }
    Ok(tally)
}

async fn open_operation<C: Client>(
    client: C,
    phase: Arc<AtomicU8>,
    job: Job,
    number: u64,
    began: Instant,
    all: Arc<Mutex<Result<Tally, String>>>,
) {
    let mut tally = Tally::default();
    let measuring = phase.load(Ordering::Relaxed) == MEASURING;
    let result = operation(&client, &job, &mut Filler::new(job.payload, number), &mut tally).await;
    let mut all = all.lock().expect("no client panics with it");
    match (&mut *all, result) {
        (Ok(sum), Ok(())) => {
            sum.acked.merge(tally.acked);
            sum.last = sum.last.max(tally.last);
            if measuring {
                sum.measured += 1;
                sum.nanoseconds.push(began.elapsed().as_nanos() as u64);
            }
        }
        (Ok(_), Err(failure)) => *all = Err(failure),
        (Err(_), _) => {}
    }
}

async fn operation<C: Client>(
    client: &C,
    job: &Job,
    filler: &mut Filler,
    tally: &mut Tally,
) -> Result<(), String> {
    if job.reads {
        client.read().await?;
        tally.reads.answered += 1;
        return Ok(());
    }
    let command = filler.command();
    let at = client.write(command.clone()).await?;
    tally.acked.add(at, &command);
    tally.last = tally.last.max(at.index);
    Ok(())
}

/// Makes commands that differ: the client and its count, then a pattern.
struct Filler {
    payload: usize,
    next: u64,
}

impl Filler {
    fn new(payload: usize, client: u64) -> Self {
        Self { payload, next: client << 40 }
    }

    fn command(&mut self) -> Bytes {
        let mut command = vec![0; self.payload];
        if let Some(front) = command.first_chunk_mut() {
            *front = self.next.to_le_bytes();
        }
        self.next += 1;
        command.into()
    }
}

/// When operations are due, told by a thread that is late by what the system's sleep is late and no more.
fn schedule(rate: f64, phase: Arc<AtomicU8>) -> mpsc::UnboundedReceiver<Instant> {
    let (due, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = Instant::now();
        while phase.load(Ordering::Relaxed) != FINISHED {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if due.send(next).is_err() {
                return;
            }
            next += Duration::from_secs_f64(-(1.0 - uniform(&mut state)).ln() / rate);
        }
    });
    receiver
}

/// A number in `[0, 1)` (xorshift).
fn uniform(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn commands_differ_and_have_the_wanted_length() {
        let mut filler = Filler::new(16, 3);
        let (one, other) = (filler.command(), filler.command());
        assert_eq!((one.len(), other.len()), (16, 16));
        assert_ne!(one, other);
        assert!(Filler::new(0, 3).command().is_empty());
    }

    /// Begins a round for the first of every two reads only.
    #[derive(Clone, Default)]
    struct Careless(Arc<AtomicU64>);

    impl Client for Careless {
        async fn write(&self, _: Bytes) -> Result<Position, String> {
            Err("it only reads".to_owned())
        }

        async fn read(&self) -> Result<(), String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(())
        }

        fn read_rounds(&self) -> Option<u64> {
            Some(self.0.load(Ordering::Relaxed).div_ceil(2))
        }
    }

    #[tokio::test]
    async fn a_read_without_a_round_that_began_after_it_is_counted() {
        let cell = crate::cells::all().into_iter().find(|cell| cell.id == "W6-c1").expect("it is there");
        // Every operation is looked at.
        let job = Job { log: Log::Slow, warm_ms: 0, run_ms: 20, ..cell.job };
        let reads = run(&job, &Careless::default(), Place::Runtime).await.reads;
        assert!(reads.answered > 10 && reads.checked == reads.answered, "{reads:?}");
        assert_eq!(reads.rounds, reads.answered.div_ceil(2));
        assert_eq!(reads.without_round, reads.answered / 2);
    }

    #[test]
    fn the_schedule_has_the_wanted_mean() {
        let mut state = 1;
        let mean = (0..100_000).map(|_| -(1.0 - uniform(&mut state)).ln()).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}
