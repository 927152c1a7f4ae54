//! What each kind of fault does when it strikes.

use std::{path::Path, time::Duration};

use super::{Chaos, Deed};
use crate::{
    messages::{Shutdown, TransferLeadership},
    sim::{
        changes,
        fault::{Fault, Target},
        node::{CutOff, Process},
        vfs::{self, Effect, Operation},
        workload::Workload,
        world::{End, RETRY, World},
    },
};

/// How long an orderly shutdown may take before the process is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

impl Chaos {
    /// Does what `fault` says, if there is somebody to do it to.
    pub(super) async fn strike<W: Workload>(&mut self, world: &mut World<W>, fault: Fault) {
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
            Fault::Remedy { seed } => self.remedy(world, seed),
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
                node.process.iter().for_each(Process::pause);
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
pub(super) fn ask_for_transfer<W: Workload>(world: &World<W>, to: Option<usize>) -> bool {
    let Some(leader) = world.leader() else { return false };
    let node = &world.nodes[leader];
    let Some(process) = &node.process else { return false };
    let (id, transfers) = (node.id.clone(), world.transfers.clone());
    let asked = process.raft.send(TransferLeadership { to: to.map(|to| world.nodes[to].id.clone()) });
    tokio::task::spawn_local(async move {
        if let Ok(Ok(next)) = asked.await {
            transfers.set(transfers.get() + u64::from(next != id));
        }
    });
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
