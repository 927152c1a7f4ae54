//! Carries a plan out: each fault at its time, and what ends it at its own.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    changes,
    fault::{Fault, Target},
    node::CutOff,
    vfs::{self, Effect, Operation},
    workload::Workload,
    world::{End, RETRY, Reaped, World, mix},
};
use crate::messages::{Shutdown, TransferLeadership};

/// How long an orderly shutdown may take before the process is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long something unflushed is looked away from.
const MOMENT: Duration = Duration::from_millis(1);

/// What is to be done later.
enum Deed {
    Strike(Fault),
    /// Strikes the node of this number as soon as it has something unflushed, at the latest then.
    Crash {
        n: usize,
        life: u64,
        how: End,
        down: Duration,
        latest: Instant,
    },
    Start(usize),
    /// A process that was stopped goes on, if it is still that life.
    Resume(usize, u64),
    /// A process that was told to stop is ended if it has not.
    Kill(usize, u64),
    EndLinkFault(u64),
    EndQuiet,
    GiveRoom(usize),
}

/// What is to be done when.
pub(super) struct Chaos {
    agenda: BTreeMap<(Instant, u64), Deed>,
    added: u64,
    /// Until when a node that stops by itself stays down.
    downs: BTreeMap<usize, Duration>,
}

impl Chaos {
    /// The faults of `world`'s plan, from now on.
    pub(super) fn new<W: Workload>(world: &World<W>) -> Self {
        let mut chaos = Self { agenda: BTreeMap::new(), added: 0, downs: BTreeMap::new() };
        for planned in &world.plan.faults {
            chaos.later(planned.at, Deed::Strike(planned.fault.clone()));
        }
        chaos
    }

    /// Plans nothing any more.
    pub(super) fn forget(&mut self) {
        self.agenda.clear();
    }

    /// Starts every node that does not run, as soon as [`go_on`](Self::go_on) does.
    pub(super) fn start_all<W: Workload>(&mut self, world: &World<W>) {
        for n in (0..world.nodes.len()).filter(|n| !world.is_running(*n)) {
            self.later(Duration::ZERO, Deed::Start(n));
        }
    }

    fn later(&mut self, after: Duration, deed: Deed) {
        self.added += 1;
        self.agenda.insert((Instant::now() + after, self.added), deed);
    }

    /// Goes on until `end`, or until an oracle has something to say.
    pub(super) async fn go_on<W: Workload>(&mut self, world: &mut World<W>, end: Instant) {
        let attention = world.attention.clone();
        loop {
            let next = self.agenda.first_key_value().map_or(end, |((due, _), _)| *due).min(end);
            let oracle = world.oracle.clone();
            tokio::select! {
                biased;
                () = oracle.violated() => return,
                () = attention.notified() => self.reap(world).await,
                () = sleep_until(next) => {
                    let now = Instant::now();
                    if now >= end {
                        return;
                    }
                    while let Some(deed) = self.due(now) {
                        self.act(world, deed).await;
                    }
                }
            }
        }
    }

    fn due(&mut self, now: Instant) -> Option<Deed> {
        let first = self.agenda.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// Ends what has stopped by itself, and plans its return.
    async fn reap<W: Workload>(&mut self, world: &mut World<W>) {
        for n in 0..world.nodes.len() {
            let Some(reaped) = world.reap(n).await else { continue };
            match reaped {
                Reaped::CutOff(CutOff::Power) => world.count("power loss in a flush"),
                Reaped::CutOff(CutOff::Process(_)) => world.count("kill in a flush"),
                Reaped::DiskFailed | Reaped::Stopped => {}
            }
            let down = self.downs.remove(&n).unwrap_or(RETRY);
            if let Reaped::CutOff(CutOff::Process(Some(after))) = reaped {
                let (life, seed) =
                    (world.nodes[n].lives + 1, mix(world.plan.seed, n as u64, world.nodes[n].lives));
                let (how, latest) = (End::PowerLost(seed), Instant::now());
                self.later(down + after, Deed::Crash { n, life, how, down: RETRY, latest });
            }
            self.later(down, Deed::Start(n));
        }
    }

    async fn act<W: Workload>(&mut self, world: &mut World<W>, deed: Deed) {
        match deed {
            Deed::Strike(fault) => self.strike(world, fault).await,
            Deed::Crash { n, life, how, down, latest } => {
                if !world.is_running(n) || world.nodes[n].lives != life {
                    return;
                }
                if world.has_unflushed(n) || Instant::now() >= latest {
                    self.end(world, n, how, down).await;
                } else {
                    self.later(MOMENT, Deed::Crash { n, life, how, down, latest });
                }
            }
            Deed::Start(n) => {
                if !world.start(n).await {
                    self.later(RETRY, Deed::Start(n));
                }
            }
            Deed::Resume(n, life) => {
                if let Some(process) =
                    world.nodes[n].process.as_ref().filter(|_| world.nodes[n].lives == life)
                {
                    process.resume();
                }
            }
            Deed::Kill(n, life) => {
                if world.is_running(n) && world.nodes[n].lives == life {
                    self.end(world, n, End::Killed, RETRY).await;
                }
            }
            Deed::EndLinkFault(number) => world.links.end(number),
            Deed::EndQuiet => world.clients.hold(false),
            Deed::GiveRoom(n) => world.nodes[n].disk.set_capacity(None),
        }
    }

    fn crash<W: Workload>(
        &mut self,
        world: &World<W>,
        n: usize,
        how: End,
        patience: Duration,
        down: Duration,
    ) {
        let life = world.nodes[n].lives;
        let latest = Instant::now() + patience;
        self.later(Duration::ZERO, Deed::Crash { n, life, how, down, latest });
    }

    async fn end<W: Workload>(&mut self, world: &mut World<W>, n: usize, how: End, down: Duration) {
        world.end(n, how).await;
        self.later(down, Deed::Start(n));
    }

    async fn strike<W: Workload>(&mut self, world: &mut World<W>, fault: Fault) {
        let kind = fault.kind();
        let struck = match fault {
            Fault::Kill { .. }
            | Fault::PowerLoss { .. }
            | Fault::KillInFlush { .. }
            | Fault::SitePowerLoss { .. }
            | Fault::Wipe { .. }
            | Fault::Restart { .. }
            | Fault::Rot { .. }
            | Fault::Pause { .. } => self.strike_process(world, fault).await,
            Fault::Partition { .. }
            | Fault::PartialPartition { .. }
            | Fault::Clog { .. }
            | Fault::Reset { .. }
            | Fault::Weather { .. } => self.strike_links(world, fault),
            Fault::ChangeMembership { deed, seed } => changes::change_membership(world, deed, seed),
            Fault::RemoveServer { asked, server } => changes::remove_server(world, asked, server),
            Fault::DiskStall { .. }
            | Fault::DiskFull { .. }
            | Fault::WriteError { .. }
            | Fault::FailedFlush { .. }
            | Fault::SlowMachine { .. } => self.strike_threads(world, fault),
            Fault::Transfer { to } => ask_for_transfer(world, to),
            Fault::Quiet { span } => {
                world.clients.hold(true);
                self.later(span, Deed::EndQuiet);
                true
            }
        };
        world.oracle.note(kind, None, [u64::from(struck), 0, 0]);
        // Those are counted when the flush comes.
        if struck && !matches!(kind, "power loss in a flush" | "kill in a flush") {
            world.count(kind);
        }
    }

    async fn strike_process<W: Workload>(&mut self, world: &mut World<W>, fault: Fault) -> bool {
        let (Fault::Kill { target, .. }
        | Fault::PowerLoss { target, .. }
        | Fault::KillInFlush { target, .. }
        | Fault::Wipe { target }
        | Fault::Restart { target, .. }
        | Fault::Rot { target, .. }
        | Fault::Pause { target, .. }) = &fault
        else {
            return self.strike_site(world, fault).await;
        };
        let Some(n) = running(world, *target) else { return false };
        match fault {
            Fault::Kill { patience, down, .. } => self.crash(world, n, End::Killed, patience, down),
            Fault::PowerLoss { operation: None, patience, seed, down, .. } => {
                self.crash(world, n, End::PowerLost(seed), patience, down);
            }
            Fault::PowerLoss { operation: Some(skip), down, .. } => {
                self.cut_off(world, n, skip, CutOff::Power, down);
            }
            Fault::KillInFlush { operation, then_power_loss, down, .. } => {
                self.cut_off(world, n, operation, CutOff::Process(then_power_loss), down);
            }
            Fault::Wipe { .. } => {
                if world.oracle.is_out(n) || !keeps_majority(world, n) {
                    return false;
                }
                self.end(world, n, End::Killed, RETRY).await;
                world.wipe(n);
            }
            Fault::Restart { down, .. } => self.shut_down(world, n, down),
            Fault::Rot { seed, down, .. } => {
                if !keeps_majority(world, n) {
                    return false;
                }
                self.end(world, n, End::Killed, down).await;
                rot(world, n, seed);
            }
            Fault::Pause { span, .. } => {
                let node = &world.nodes[n];
                node.process.iter().for_each(super::node::Process::pause);
                self.later(span, Deed::Resume(n, node.lives));
            }
            _ => return false,
        }
        true
    }

    async fn strike_site<W: Workload>(&mut self, world: &mut World<W>, fault: Fault) -> bool {
        let Fault::SitePowerLoss { seed, down } = fault else { return false };
        for n in 0..world.nodes.len() {
            if world.is_running(n) {
                let seed = seed.wrapping_add(n as u64);
                self.end(world, n, End::PowerLost(seed), down + Duration::from_millis(seed % 1000)).await;
            }
        }
        true
    }

    fn cut_off<W: Workload>(
        &mut self,
        world: &mut World<W>,
        n: usize,
        skip: u64,
        by: CutOff,
        down: Duration,
    ) {
        world.nodes[n].disk.inject(vfs::Fault::power_off_at(skip));
        world.nodes[n].disk_faulty = true;
        world.nodes[n].cut_off = by;
        self.downs.insert(n, down);
    }

    fn shut_down<W: Workload>(&mut self, world: &World<W>, n: usize, down: Duration) {
        let node = &world.nodes[n];
        if let Some(process) = &node.process {
            let stopped = process.raft.send(Shutdown);
            tokio::task::spawn_local(stopped);
            self.downs.insert(n, down);
            self.later(STOP_PATIENCE, Deed::Kill(n, node.lives));
        }
    }

    fn strike_links<W: Workload>(&mut self, world: &mut World<W>, fault: Fault) -> bool {
        let (number, span) = match fault {
            Fault::Partition { group, span } => {
                let far = |n: usize| group >> n & 1 == 1;
                let ways = world.links.ways().into_iter().filter(|(a, b)| far(*a) != far(*b)).collect();
                (world.links.cut(ways), span)
            }
            Fault::PartialPartition { seed, percent, span } => {
                let mut rng = fastrand::Rng::with_seed(seed);
                let ways = world.links.ways().into_iter().filter(|_| rng.u8(..100) < percent).collect();
                (world.links.cut(ways), span)
            }
            Fault::Clog { from, to, span } => {
                let Some(from) = running(world, from).filter(|from| *from != to) else { return false };
                (world.links.clog(from, to), span)
            }
            Fault::Weather { per_mille, latency, span } => (world.links.weather(per_mille, latency), span),
            Fault::Reset { target } => {
                let Some(n) = running(world, target) else { return false };
                world.links.reset(n);
                return true;
            }
            _ => return false,
        };
        self.later(span, Deed::EndLinkFault(number));
        true
    }

    fn strike_threads<W: Workload>(&mut self, world: &mut World<W>, fault: Fault) -> bool {
        let (Fault::DiskStall { target, .. }
        | Fault::DiskFull { target, .. }
        | Fault::WriteError { target, .. }
        | Fault::FailedFlush { target, .. }
        | Fault::SlowMachine { target, .. }) = &fault
        else {
            return false;
        };
        let Some(n) = running(world, *target) else { return false };
        let node = &mut world.nodes[n];
        match fault {
            Fault::DiskStall { span, .. } => node.pace.stall_disk(span),
            Fault::SlowMachine { span, each, .. } => node.pace.slow_machine(span, each),
            Fault::DiskFull { span, .. } => {
                node.disk.set_capacity(Some(node.disk.used()));
                self.later(span, Deed::GiveRoom(n));
            }
            Fault::WriteError { down, .. } => {
                let effect = Effect::Fail(std::io::ErrorKind::Other);
                node.disk.inject(vfs::Fault::at(Operation::Write, effect));
                node.disk_faulty = true;
                self.downs.insert(n, down);
            }
            Fault::FailedFlush { how, down, .. } => {
                node.disk.inject(vfs::Fault::at(Operation::Sync, Effect::FailSync(how)));
                node.disk_faulty = true;
                self.downs.insert(n, down);
            }
            _ => return false,
        }
        true
    }
}

/// Whoever leads is asked to hand leadership on. Whether somebody does.
fn ask_for_transfer<W: Workload>(world: &World<W>, to: Option<usize>) -> bool {
    let process = world.leader().and_then(|leader| world.nodes[leader].process.as_ref());
    let Some(process) = process else { return false };
    let to = to.map(|to| world.nodes[to].id.clone());
    tokio::task::spawn_local(process.raft.send(TransferLeadership { to }));
    true
}

/// The node that is meant, if it runs and is not stopped.
fn running<W: Workload>(world: &World<W>, target: Target) -> Option<usize> {
    let n = match target {
        Target::Leader => world.leader().unwrap_or(0),
        Target::Node(n) => n,
    };
    world.nodes[n].process.as_ref().is_some_and(|process| !process.is_paused()).then_some(n)
}

/// Whether a majority still takes part when `n` does not.
fn keeps_majority<W: Workload>(world: &World<W>, n: usize) -> bool {
    let Some(voters) = changes::settled_voters(world) else { return false };
    let intact = world.intact();
    let whole = |other: &&usize| **other != n && intact.contains(other) && !world.nodes[**other].rotted;
    voters.iter().filter(whole).count() > voters.len() / 2
}

/// Turns one bit of what a node holds: of something that was written, since most of a disk is empty.
fn rot<W: Workload>(world: &mut World<W>, n: usize, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let disk = world.nodes[n].disk.clone();
    let files: Vec<_> = disk.files().into_iter().filter(|file| file != Path::new("data/LOCK")).collect();
    if files.is_empty() {
        return;
    }
    let file = &files[rng.usize(..files.len())];
    let content = disk.content(file);
    let written: Vec<usize> = (0..content.len()).filter(|at| content[*at] != 0).collect();
    if !written.is_empty() {
        disk.flip(file, written[rng.usize(..written.len())] as u64, 1 << rng.u8(..8));
        world.nodes[n].rotted = true;
        world.oracle.rotted(n);
    }
}
