//! A large snapshot on its way to a newcomer, and whoever dies meanwhile.

use std::{
    fmt, thread,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Client, Cluster, Latencies, Node, Writers, eventually, floors, memory};

/// What either side may have in memory of a snapshot of any length, in KiB.
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// [`Config::heartbeat_timeout`](raftix::Config::heartbeat_timeout) of the nodes.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);

/// Snapshots are taken when the test says so, and the log behind one is gone.
const SETTINGS: [&str; 4] = ["--snapshot-threshold", "1000000000", "--trailing-logs", "0"];

#[test]
fn a_snapshot_arrives_although_first_its_receiver_and_then_its_sender_is_killed() {
    // Small pieces take their time, so that there is a half way.
    let settings = [&SETTINGS[..], &["--snapshot-chunk-kib", "4"]].concat();
    let mut install = Install::prepare(32, &settings, 50);
    install.kill_the_receiver_half_way();
    install.kill_the_sender_half_way();
    install.finish();
    install.compare();
}

#[test]
#[ignore = "writes 10 GiB: cargo build --release --example archive && cargo test --release --test archive_process -- --ignored --nocapture"]
fn a_gib_arrives_within_64_mib_of_memory_and_delays_no_heartbeat() {
    const MIB: u64 = 1024;
    let mut install = Install::prepare(MIB, &SETTINGS, 2000);
    let before = install.writes_until_now();
    let (disk, network) = (floors::disk(install.cluster.disk(), MIB), floors::network(MIB));
    let halves = [install.kill_the_receiver_half_way(), install.kill_the_sender_half_way()];
    let whole = install.finish();
    let at_the_end = install.longest_silence();
    install.compare();

    println!("before: {before}");
    for (seen, what) in halves.iter().zip(["half way, receiver killed", "half way, sender killed"]) {
        println!("{what}: {seen}");
    }
    println!("whole way: {}", whole.seen);
    println!(
        "received at {:.0} MB/s, installed in {:?}, restored in {:?}",
        whole.rate, whole.took, whole.restored
    );
    println!(
        "disk {disk:.0} MB/s, loopback {network:.0} MB/s: {:.2} of the smaller",
        whole.rate / disk.min(network)
    );
    for seen in halves.iter().chain([&whole.seen]) {
        assert!(seen.sender_kib <= GROWTH_KIB_MAX && seen.receiver_kib <= GROWTH_KIB_MAX, "{seen}");
        assert!(
            seen.longest_silence.max(at_the_end) < HEARTBEAT_TIMEOUT,
            "{seen}; {at_the_end:?} at the end"
        );
    }
}

/// A cluster of three with a state of some size, and a newcomer that is to get it.
struct Install {
    mib: u64,
    cluster: Cluster,
    sender: usize,
    newcomer: usize,
    /// What each process had in memory before anything of this began, in KiB.
    resting_kib: Vec<u64>,
    writers: Writers,
    began: Instant,
    adding: Option<JoinHandle<()>>,
}

/// What was seen of a stretch in which nobody died.
struct Seen {
    /// What sender and receiver had in memory at most, beyond what they had before.
    sender_kib: u64,
    receiver_kib: u64,
    /// The longest time between two heartbeats, as any follower saw it.
    longest_silence: Duration,
    /// What clients met meanwhile.
    writes: Latencies,
}

/// How the snapshot came when nobody died.
struct Whole {
    seen: Seen,
    /// MB a second from when it was first looked at until it was installed; nothing if it was installed by then.
    rate: f64,
    /// How long that took, and from there until the state was restored.
    took: Duration,
    restored: Duration,
}

impl Install {
    /// Fills a cluster, has every node write its state down and start again from there, and lets clients write.
    fn prepare(mib: u64, settings: &[&str], writes: usize) -> Self {
        let mut cluster = Cluster::start(settings);
        cluster.nodes[cluster.leader()].ask(&format!("fill {mib}")).unwrap();
        for node in &cluster.nodes {
            node.answer("snapshot");
        }
        // Nothing of the filling is left in anybody's memory.
        cluster.nodes.iter_mut().for_each(Node::terminate);
        cluster.start_all();
        cluster.same_everywhere();
        let addresses: Vec<String> = cluster.nodes.iter().map(|node| node.clients.clone()).collect();
        let newcomer = cluster.join("n4");
        let (sender, began) = (cluster.leader_of(3), now());
        let writers = Writers::start(&addresses);
        eventually("clients write", || (writers.since(began).writes >= writes).then_some(()));
        let resting_kib = cluster.nodes.iter().map(|node| memory::resident_kib(node.process())).collect();
        Self { mib, cluster, sender, newcomer, resting_kib, writers, began, adding: None }
    }

    fn writes_until_now(&self) -> Latencies {
        self.writers.since(self.began)
    }

    fn kill_the_receiver_half_way(&mut self) -> Seen {
        let watch = Watch::begin(self);
        self.adding = Some(self.add());
        self.wait_for_half();
        let seen = watch.end(self);
        self.cluster[self.newcomer].kill();
        self.assert_half_way();
        self.cluster[self.newcomer].start();
        self.cluster[self.newcomer].answer("status");
        self.resting_kib[self.newcomer] = memory::resident_kib(self.cluster[self.newcomer].process());
        seen
    }

    fn kill_the_sender_half_way(&mut self) -> Seen {
        let watch = Watch::begin(self);
        self.wait_for_half();
        let seen = watch.end(self);
        self.cluster[self.sender].kill();
        self.assert_half_way();
        // The newcomer knows of no leader before it has a state.
        self.sender = self.cluster.leader_of(3);
        seen
    }

    /// Waits until the newcomer is a member with the whole state.
    fn finish(&mut self) -> Whole {
        let watch = Watch::begin(self);
        let newcomer = &self.cluster[self.newcomer];
        let installed = || newcomer.ask("statistics").ok().filter(|s| s["snapshots_installed"] == 1);
        let (half, all) = (self.mib << 19, self.mib << 20);
        // The other leader begins anew: what is there of this one's is less than half at first.
        let before = eventually("the other leader sends", || {
            newcomer.received().filter(|bytes| *bytes < half).or_else(|| installed().map(|_| all))
        });
        let start = now();
        eventually("the snapshot is installed", installed);
        let took = start.elapsed();
        let seen = watch.end(self);
        let rate = (all - before) as f64 / 1e6 / took.as_secs_f64();
        let newcomer = &self.cluster[self.newcomer];
        eventually("the state is restored", || {
            let status = newcomer.ask("status").ok()?;
            (status["applied_index"].as_u64() >= status["snapshot_index"].as_u64()).then_some(())
        });
        let restored = start.elapsed() - took;
        self.adding.take().unwrap().join().unwrap();
        Whole { seen, rate, took, restored }
    }

    /// Everybody is there again and has the same, and nothing less than was acknowledged.
    fn compare(mut self) {
        self.cluster.start_all();
        let acknowledged = self.writers.stop() as u64;
        let archive = self.cluster.same_everywhere();
        assert!(
            archive["blobs"].as_u64() >= Some(self.mib + acknowledged),
            "{archive}, {acknowledged} blobs"
        );
    }

    /// Has the newcomer added by whoever leads, again and again until it is.
    fn add(&self) -> JoinHandle<()> {
        let members = self.cluster.nodes[..3].iter().map(|node| node.clients.clone());
        let mut clients: Vec<Client> = members.map(|address| Client::new(&address)).collect();
        let newcomer = &self.cluster[self.newcomer];
        let request = format!("add {} {}", newcomer.id, newcomer.listen);
        thread::spawn(move || {
            let added = || clients.iter_mut().find_map(|client| client.ask(&request, &[]).ok());
            eventually("the newcomer is added", added);
        })
    }

    fn wait_for_half(&self) {
        let newcomer = &self.cluster[self.newcomer];
        let half = self.mib << 19;
        eventually("half of the snapshot is there", || newcomer.received().filter(|bytes| *bytes >= half));
    }

    fn assert_half_way(&self) {
        let newcomer = &self.cluster[self.newcomer];
        assert!(newcomer.received().is_some(), "it went by too fast to be in the way of it");
    }

    /// The longest time between two heartbeats that any follower has seen of the present leader.
    fn longest_silence(&self) -> Duration {
        let running = self.cluster.nodes.iter().filter(|node| node.is_running());
        let gaps = running.filter_map(|node| duration(&node.answer("status")["heartbeat_gap_max"]));
        gaps.max().unwrap_or_default()
    }
}

/// A stretch in which nobody dies: one leader in one term.
struct Watch {
    term: Value,
    began: Instant,
}

impl Watch {
    fn begin(install: &Install) -> Self {
        for node in [install.sender, install.newcomer] {
            memory::forget_peak(install.cluster[node].process());
        }
        Self { term: install.cluster[install.sender].answer("status")["term"].clone(), began: now() }
    }

    fn end(self, install: &Install) -> Seen {
        let grown = |node: usize| {
            memory::peak_kib(install.cluster[node].process()).saturating_sub(install.resting_kib[node])
        };
        let seen = Seen {
            sender_kib: grown(install.sender),
            receiver_kib: grown(install.newcomer),
            longest_silence: install.longest_silence(),
            writes: install.writers.since(self.began),
        };
        let status = install.cluster[install.sender].answer("status");
        assert_eq!((&status["role"], &status["term"]), (&"leader".into(), &self.term), "an election: {seen}");
        seen
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender_kib, receiver_kib, longest_silence, writes } = self;
        let (sender, receiver) = (sender_kib / 1024, receiver_kib / 1024);
        write!(f, "sender +{sender} MiB, receiver +{receiver} MiB, ")?;
        write!(f, "heartbeats at most {longest_silence:.0?} apart; {writes}")
    }
}

/// As serde writes one.
fn duration(json: &Value) -> Option<Duration> {
    Some(Duration::new(json["secs"].as_u64()?, u32::try_from(json["nanos"].as_u64()?).ok()?))
}

#[expect(clippy::disallowed_methods, reason = "the processes under test live in real time")]
fn now() -> Instant {
    Instant::now()
}
