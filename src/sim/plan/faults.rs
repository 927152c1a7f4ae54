//! Which faults a plan has, and when they strike.

use std::time::Duration;

use super::Plan;
use crate::{
    clock::ClockSkew,
    sim::{
        fault::{Fault, MembershipDeed, Planned, Target},
        vfs::SyncFailure,
    },
};

/// Every kind of [`Fault`] with its weight: how often it is drawn where it is enabled.
#[rustfmt::skip]
pub(super) const KINDS: &[(&str, u32)] = &[
    ("kill", 10), ("power loss", 8), ("power loss in a flush", 8), ("kill in a flush", 6), ("power loss of all", 1), ("wipe", 1),
    ("restart", 3), ("pause", 6), ("partition", 8), ("partial partition", 6), ("clog", 5), ("reset", 5),
    ("weather", 6), ("disk stall", 3), ("disk full", 3), ("write error", 3), ("failed flush", 3), ("rot", 1),
    ("slow state machine", 3), ("transfer", 8),
];

/// What the plan calls a changed membership. Not a fault, and drawn apart from them.
pub(super) const CHANGE: &str = "membership change";

/// A crash of some kind is in every run: a run without one shows little.
const CRASHES: &[&str] = &["kill", "power loss", "power loss in a flush", "kill in a flush"];

/// How long a crash may wait for something unflushed: what makes it interesting.
const CRASH_PATIENCE: Duration = Duration::from_millis(500);

impl Plan {
    /// In half of the seeds the membership changes. Drawn apart, so that the rest of a seed is what it is without.
    pub(super) fn draw_changes(&mut self) {
        let mut rng = fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xc4a6);
        if !rng.bool() {
            self.add_changes(&mut rng);
        }
    }

    /// More nodes wait to be added, and somebody changes the membership all the while.
    pub(super) fn add_changes(&mut self, rng: &mut fastrand::Rng) {
        self.kinds.push(CHANGE);
        self.spares = rng.usize(1..=2);
        let usual = (0..self.nodes).find(|n| self.hasty != Some(*n)).unwrap_or(0);
        for _ in 0..self.spares {
            self.skews.push(ClockSkew::NONE);
            self.configs.push(self.configs[usual].clone());
        }
        let mean_ms = rng.u64(500..4_000);
        let mut at = Duration::from_secs(3);
        loop {
            let gap_ms = if rng.u8(..3) == 0 { 10..300 } else { mean_ms / 4..mean_ms * 2 };
            at += Duration::from_millis(rng.u64(gap_ms));
            if at >= self.span {
                break;
            }
            let deed = MembershipDeed::draw(rng);
            self.faults.push(Planned { at, fault: Fault::ChangeMembership { deed, seed: rng.u64(..) } });
        }
        self.faults.sort_by_key(|planned| planned.at);
    }

    pub(super) fn draw_faults(&mut self, rng: &mut fastrand::Rng) {
        let mean_ms = rng.u64(1_500..6_000);
        let mut draws = Draws { rng, nodes: self.nodes, lost: 0 };
        let weights: Vec<(&str, u32)> =
            KINDS.iter().copied().filter(|(kind, _)| self.kinds.contains(kind)).collect();
        let total = weights.iter().map(|(_, weight)| weight).sum::<u32>().max(1);
        // The cluster forms first.
        let mut at = Duration::from_secs(2);
        loop {
            // Some come in bursts: one crash in the middle of what another began.
            let gap_ms = if draws.rng.u8(..4) == 0 { 10..400 } else { mean_ms / 4..mean_ms * 2 };
            at += Duration::from_millis(draws.rng.u64(gap_ms));
            if at >= self.span {
                return;
            }
            let mut drawn = draws.rng.u32(..total);
            let kind = weights.iter().find(|(_, weight)| {
                let here = drawn < *weight;
                drawn = drawn.wrapping_sub(*weight);
                here
            });
            let fault = kind.and_then(|(kind, _)| draws.fault(kind));
            self.faults.extend(fault.map(|fault| Planned { at, fault }));
        }
    }
}

/// The kinds of faults that a run has.
pub(super) fn enabled(rng: &mut fastrand::Rng) -> Vec<&'static str> {
    let mut kinds: Vec<&'static str> = KINDS.iter().map(|(kind, _)| *kind).filter(|_| rng.bool()).collect();
    if !CRASHES.iter().any(|crash| kinds.contains(crash)) {
        kinds.push(CRASHES[rng.usize(..CRASHES.len())]);
    }
    kinds
}

/// Draws faults one by one.
struct Draws<'a> {
    rng: &'a mut fastrand::Rng,
    nodes: usize,
    /// How many nodes may be lost for good by what is planned so far.
    lost: usize,
}

impl Draws<'_> {
    fn target(&mut self) -> Target {
        if self.rng.u8(..5) < 2 { Target::Leader } else { Target::Node(self.rng.usize(..self.nodes)) }
    }

    fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.u64(from..to))
    }

    /// Whether one more node may be lost: a majority must stay.
    fn may_lose(&mut self) -> bool {
        let may = self.lost < self.nodes.saturating_sub(1) / 2;
        self.lost += usize::from(may);
        may
    }

    fn fault(&mut self, kind: &str) -> Option<Fault> {
        let target = self.target();
        let down = self.ms(50, 6_000);
        let span = self.ms(200, 8_000);
        let seed = self.rng.u64(..);
        let patience = if self.rng.u8(..4) > 0 { CRASH_PATIENCE } else { Duration::ZERO };
        Some(match kind {
            "kill" => Fault::Kill { target, patience, down },
            "power loss" => Fault::PowerLoss { target, operation: None, patience, seed, down },
            "power loss in a flush" => {
                Fault::PowerLoss { target, operation: Some(self.rng.u64(..12)), patience, seed, down }
            }
            "kill in a flush" => {
                let then_power_loss = self.rng.bool().then(|| self.ms(0, 300));
                Fault::KillInFlush { target, operation: self.rng.u64(..12), then_power_loss, down }
            }
            "power loss of all" => Fault::SitePowerLoss { seed, down },
            "wipe" if self.may_lose() => Fault::Wipe { target },
            "restart" => Fault::Restart { target, down },
            "pause" => Fault::Pause { target, span },
            "partition" => Fault::Partition { group: self.rng.u64(1..(1 << self.nodes) - 1), span },
            "partial partition" => Fault::PartialPartition { seed, percent: self.rng.u8(10..60), span },
            "clog" => Fault::Clog { from: target, to: self.rng.usize(..self.nodes), span },
            "reset" => Fault::Reset { target },
            "weather" => self.weather(span),
            "disk stall" => Fault::DiskStall { target, span: self.ms(500, 12_000) },
            "disk full" => Fault::DiskFull { target, span },
            "write error" => Fault::WriteError { target, down },
            "failed flush" => {
                let how = if self.rng.bool() { SyncFailure::KeepsCache } else { SyncFailure::Reverts };
                Fault::FailedFlush { target, how, down }
            }
            "rot" if self.may_lose() => Fault::Rot { target, seed, down },
            "transfer" => Fault::Transfer { to: self.rng.bool().then(|| self.rng.usize(..self.nodes)) },
            "slow state machine" => Fault::SlowMachine { target, each: self.ms(1, 200), span },
            _ => return None,
        })
    }

    fn weather(&mut self, span: Duration) -> Fault {
        let mut rate = |most: u16| if self.rng.bool() { self.rng.u16(1..=most) } else { 0 };
        let per_mille = [rate(250), rate(300), rate(400), rate(20), rate(10)];
        Fault::Weather { per_mille, latency: self.ms(1, 200), span: span * 2 }
    }
}
