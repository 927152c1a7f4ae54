//! Real nodes on the simulated network: whatever it does to what travels, they agree and lose nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use raftix::{
    Apply, Config, Placement, Raft, RaftSystem,
    sim::{
        network::{Cargo, Conditions, NetworkFault, Passage, SimNetwork, Watch},
        vfs::SimVfs,
    },
    types::{NodeId, Request, Term},
};
use tokio::{
    task::{JoinHandle, LocalSet, spawn_local},
    time::{Instant, sleep, timeout},
};

use crate::support::{Put, Recorder, Recording, ms, secs, simulate};

const COUNT: usize = 3;

/// Notes what passes, and who leads in which term.
struct Oracle {
    began: Instant,
    seen: Mutex<(Vec<String>, BTreeMap<Term, NodeId>)>,
}

impl Oracle {
    fn note(&self, what: &str, passage: Passage<'_>, kind: &str) {
        let Passage { from, to, lane } = passage;
        let line = format!("{:?} {from} → {to} {lane:?} {what} {kind}", self.began.elapsed());
        self.seen.lock().unwrap().0.push(line);
    }
}

/// The name of a message, without the incarnations in it, which no seed gives.
fn kind(cargo: Cargo<'_>) -> String {
    let shown = format!("{cargo:?}");
    shown.split('{').next().unwrap_or(&shown).to_owned()
}

impl Watch for Oracle {
    fn leaves(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        let claim = match cargo {
            Cargo::Request(Request::AppendEntries(append)) => Some((append.term, &append.leader)),
            Cargo::Request(Request::Heartbeat(heartbeat)) => Some((heartbeat.term, &heartbeat.leader)),
            _ => None,
        };
        if let Some((term, leader)) = claim {
            let leaders = &mut self.seen.lock().unwrap().1;
            let known = leaders.entry(term).or_insert_with(|| leader.clone());
            assert_eq!(known, leader, "two leaders in term {term}");
        }
        self.note("leaves", passage, &kind(cargo));
    }

    fn arrives(&self, passage: Passage<'_>, cargo: Cargo<'_>) {
        self.note("arrives", passage, &kind(cargo));
    }
}

struct Cluster {
    network: SimNetwork,
    seed: u64,
    disks: Vec<SimVfs>,
    starts: u64,
    running: Vec<(Raft<Recorder>, JoinHandle<()>, Recording)>,
}

fn address(n: usize) -> String {
    format!("n{n}:1")
}

impl Cluster {
    async fn new(network: SimNetwork, seed: u64) -> Self {
        let disks = (0..COUNT).map(|_| SimVfs::new()).collect();
        let mut cluster = Self { network, seed, disks, starts: 0, running: Vec::new() };
        for n in 0..COUNT {
            let node = cluster.start(n).await;
            cluster.running.push(node);
        }
        cluster
    }

    async fn start(&mut self, n: usize) -> (Raft<Recorder>, JoinHandle<()>, Recording) {
        self.starts += 1;
        let recording = Recording::default();
        let builder = RaftSystem::builder(format!("n{n}"))
            .peers((0..COUNT).map(|n| (format!("n{n}"), address(n))))
            .config(Config::fast())
            .data_dir("data")
            .vfs(Arc::new(self.disks[n].clone()))
            .segment_bytes(64 << 10)
            .transport(self.network.transport(address(n)))
            .placement(Placement::Inline)
            .seed(self.seed ^ (self.starts << 32))
            .state_machine(Recorder::new(recording.clone()));
        let set = LocalSet::new();
        let raft = set.run_until(builder.start()).await.unwrap();
        (raft, spawn_local(set), recording)
    }

    /// The process dies, and another one takes its place.
    async fn restart(&mut self, n: usize) {
        self.network.fence(&address(n));
        self.disks[n].kill();
        let task = &mut self.running[n].1;
        task.abort();
        let _ = task.await;
        self.running[n] = self.start(n).await;
    }

    async fn write(&self, n: usize, command: &str) -> bool {
        let result = self.running[n].0.send(Apply(Put(command.to_owned())).timeout(ms(500))).await;
        matches!(result, Ok(Ok(_)))
    }

    async fn strike(&mut self, rng: &mut fastrand::Rng) {
        let (from, to) = (rng.usize(..COUNT), rng.usize(..COUNT));
        match rng.usize(..8) {
            0 => self.restart(from).await,
            1 => self.network.cut(&address(from), &address(to)),
            2 => self.network.clog(&address(from), &address(to)),
            3 => self.network.reset(&address(from), &address(to)),
            4 => self.network.heal(),
            _ => {}
        }
    }

    /// Waits until every node has applied the same.
    async fn agree(&self) -> Vec<String> {
        let histories = || self.running.iter().map(|(_, _, recording)| recording.commands());
        let agreed = async {
            while !histories().all(|history| Some(history) == histories().next()) {
                sleep(ms(10)).await;
            }
        };
        timeout(secs(60), agreed).await.expect("all nodes agree in the end");
        histories().next().unwrap()
    }
}

#[derive(PartialEq)]
struct Outcome {
    acknowledged: Vec<String>,
    /// What every node applied.
    history: Vec<String>,
    /// What passed.
    seen: Vec<String>,
    counts: BTreeMap<NetworkFault, u64>,
}

/// Lets clients write while the network and the nodes fail, then heals everything.
fn run(seed: u64, writes: usize) -> Outcome {
    let mut outcome = None;
    simulate(async { outcome = Some(play(seed, writes).await) });
    outcome.expect("it was played to its end")
}

async fn play(seed: u64, writes: usize) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    let network = SimNetwork::new(seed);
    let oracle = Arc::new(Oracle { began: Instant::now(), seen: Mutex::default() });
    network.watch(oracle.clone());
    network.set_all(rough());
    network.set_coding(seed % 2 == 1);
    let carrier = spawn_local(network.carry());
    let mut cluster = Cluster::new(network.clone(), seed).await;
    let mut acknowledged = Vec::new();
    for number in 0..writes {
        let command = format!("c{number}");
        if cluster.write(rng.usize(..COUNT), &command).await {
            acknowledged.push(command);
        }
        cluster.strike(&mut rng).await;
        sleep(Duration::from_millis(rng.u64(..100))).await;
    }
    network.heal();
    network.set_all(Conditions::default());
    let counts = network.counts();
    for attempt in 0.. {
        if cluster.write(0, "last").await {
            break;
        }
        assert!(attempt < 100, "a healed network lets writes through");
        sleep(ms(100)).await;
    }
    let history = cluster.agree().await;
    carrier.abort();
    let seen = std::mem::take(&mut oracle.seen.lock().unwrap().0);
    Outcome { acknowledged, history, seen, counts }
}

fn rough() -> Conditions {
    Conditions {
        spike_probability: 0.01,
        spike: ms(300),
        loss: 0.02,
        duplication: 0.05,
        reordering: 0.05,
        corruption: 0.01,
        reset: 0.01,
        ..Conditions::default()
    }
}

#[test]
fn nodes_on_a_rough_network_agree_and_lose_nothing() {
    let mut struck = BTreeSet::new();
    for seed in 0..4 {
        let Outcome { acknowledged, history, counts, .. } = run(seed, 30);
        assert!(!acknowledged.is_empty(), "seed {seed}");
        for command in &acknowledged {
            let times = history.iter().filter(|applied| *applied == command).count();
            assert_eq!(times, 1, "seed {seed}: {command}");
        }
        struck.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(fault, _)| fault));
    }
    let all = NetworkFault::ALL.into_iter().filter(|fault| *fault != NetworkFault::Overflow);
    assert!(all.eq(struck.iter().copied()), "{struck:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_on_the_simulated_network() {
    let (first, again) = (run(3, 20), run(3, 20));
    for (number, (line, other)) in first.seen.iter().zip(&again.seen).enumerate() {
        assert_eq!(line, other, "line {number}");
    }
    assert!(first == again && first.seen.len() > 1000, "{}", first.seen.len());
}
