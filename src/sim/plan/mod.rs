//! What a seed means: how many nodes, how they are set up, which faults strike when.
//!
//! All of it is drawn before the run begins, so that a part of the faults can be left out and the rest stays
//! what it was. Each seed has a random part of the kinds with random rates (swarm testing): faults that are
//! always there hide what others would show.

use std::time::Duration;

use super::{
    fault::{Fault, MembershipDeed, Planned, Target},
    pace::ThreadTimes,
    vfs::SyncFailure,
};
use crate::{clock::ClockSkew, config::Config};

/// Every kind of [`Fault`] with its weight: how often it is drawn where it is enabled.
#[rustfmt::skip]
const KINDS: &[(&str, u32)] = &[
    ("kill", 10), ("power loss", 8), ("power loss in a flush", 8), ("kill in a flush", 6), ("power loss of all", 1), ("wipe", 1),
    ("restart", 3), ("pause", 6), ("partition", 8), ("partial partition", 6), ("clog", 5), ("reset", 5),
    ("weather", 6), ("disk stall", 3), ("disk full", 3), ("write error", 3), ("failed flush", 3), ("rot", 1),
    ("slow state machine", 3), ("transfer", 8),
];

/// What the plan calls a changed membership. Not a fault, and drawn apart from them.
const CHANGE: &str = "membership change";

/// A crash of some kind is in every run: a run without one shows little.
const CRASHES: &[&str] = &["kill", "power loss", "power loss in a flush", "kill in a flush"];

/// How much slower than another a clock may run, in millionths: a little more than the worst that is drawn.
const DRIFT_PPM_MAX: u32 = 200_000;

/// How long a crash may wait for something unflushed: what makes it interesting.
const CRASH_PATIENCE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed it is drawn from.
    pub seed: u64,
    /// How many nodes form the cluster.
    pub nodes: usize,
    /// How many more wait to be added; none if the membership stays what it is.
    pub spares: usize,
    /// For how long faults strike.
    pub span: Duration,
    /// The kinds that this run has.
    pub kinds: Vec<&'static str>,
    /// The faults, by time.
    pub faults: Vec<Planned>,
    /// Whether every message is encoded and decoded on its way.
    pub codec: bool,
    /// How far clocks run wrong, in millionths.
    pub(super) skews: Vec<ClockSkew>,
    pub(super) threads: ThreadTimes,
    /// How large the segments of the log are, in bytes.
    pub(super) segment_bytes: u64,
    /// How each node is set up.
    pub(super) configs: Vec<Config>,
    /// The node whose timeouts are much shorter than the others', if there is one.
    pub(super) hasty: Option<usize>,
    /// How many clients there are, and how long they wait between operations, in milliseconds.
    pub(super) clients: usize,
    pub(super) think_ms: u64,
    /// Whether only a bare majority heals first, with the rest as broken as can be.
    pub(super) heals_core_first: bool,
}

/// What makes a lease worthless, if nothing is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseThreat {
    /// The leader's clock is the slow one.
    WrongClocks,
    /// Another node is told to stand at once, and the leader hears nothing of what follows.
    Transfer,
    /// The voter that has promised something is restarted.
    Restart,
}

impl Plan {
    /// Draws everything from `seed`: `nodes` is the least and the greatest number, odd numbers are preferred.
    pub fn draw(seed: u64, nodes: (usize, usize), span: Duration) -> Self {
        // Neighbouring seeds must have nothing in common.
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let (least, most) = nodes;
        let mut count = rng.usize(least..=most.max(least));
        if count.is_multiple_of(2) && count > least && rng.u8(..8) > 0 {
            count -= 1;
        }
        let kinds = enabled(&mut rng);
        let skewed = rng.bool();
        let skew = |rng: &mut fastrand::Rng| ClockSkew {
            ahead: Duration::from_millis(rng.u64(..10_000_000)),
            drift_ppm: rng.i32(-100_000..100_000),
        };
        let skews = (0..count).map(|_| if skewed { skew(&mut rng) } else { ClockSkew::NONE }).collect();
        let hasty = (rng.u8(..3) == 0).then(|| rng.usize(..count));
        let mut configs = configs(&mut rng, count, hasty);
        let mut snapshots = fastrand::Rng::with_seed(seed ^ 0x0073_6e61_7073);
        configs.iter_mut().for_each(|config| draw_snapshots(&mut snapshots, config));
        let mut sessions = fastrand::Rng::with_seed(seed ^ 0x0073_6573_7369);
        configs.iter_mut().for_each(|config| draw_sessions(&mut sessions, config));
        let slow_disk = rng.u8(..4) == 0;
        let threads = ThreadTimes {
            flush_us: if slow_disk { (1_000, 30_000) } else { (50, 2_000) },
            apply_us: (1, if rng.bool() { 100 } else { 3_000 }),
            persist_us: (1_000, if snapshots.bool() { 10_000 } else { 3_000_000 }),
            completion_us: (0, if rng.bool() { 10 } else { 2_000 }),
        };
        let mut plan = Self {
            seed,
            nodes: count,
            spares: 0,
            span,
            kinds,
            faults: Vec::new(),
            codec: rng.u8(..8) == 0,
            skews,
            threads,
            segment_bytes: 16 << rng.u64(10..13),
            configs,
            hasty,
            clients: rng.usize(3..8),
            think_ms: rng.u64(50..250),
            heals_core_first: rng.bool(),
        };
        plan.draw_faults(&mut rng);
        plan.draw_changes();
        plan
    }

    /// A plan for one of the things that leases stand and fall with. The first of three nodes has a clock as slow as may
    /// be and the others ones as fast; it gets the leadership again and again, is cut off from the others, and
    /// clients ask when another may have been elected.
    pub fn of_leases(seed: u64, span: Duration, threat: LeaseThreat) -> Self {
        let mut plan = Self::draw(seed, (3, 3), span);
        let mut rng = fastrand::Rng::with_seed(seed);
        let skew = |drift_ppm| ClockSkew { ahead: Duration::ZERO, drift_ppm };
        plan.skews = vec![skew(-100_000), skew(100_000), skew(100_000)];
        // A leader that gave up for want of a quorum before its lease ends would show nothing.
        let config = Config::default();
        let patient = Config {
            lease_clock_drift_ppm: DRIFT_PPM_MAX,
            leader_lease_timeout: config.heartbeat_timeout,
            ..config
        };
        plan.configs = vec![patient; 3];
        plan.hasty = None;
        plan.spares = 0;
        plan.threads = ThreadTimes {
            flush_us: (50, 500),
            apply_us: (1, 100),
            persist_us: (10, 500),
            completion_us: (0, 10),
        };
        (plan.clients, plan.think_ms) = (60, 300);
        plan.kinds.clear();
        plan.faults.clear();
        let ms = Duration::from_millis;
        let mut at = Duration::from_secs(3);
        while at + Duration::from_secs(6) < span {
            let mut fault = |after, fault| plan.faults.push(Planned { at: at + ms(after), fault });
            fault(0, Fault::Transfer { to: Some(0) });
            match threat {
                LeaseThreat::WrongClocks => {
                    fault(790, Fault::Quiet { span: ms(890) });
                    fault(800, Fault::Partition { group: 0b001, span: ms(2_000) });
                }
                LeaseThreat::Transfer => {
                    fault(800, Fault::Transfer { to: Some(1) });
                    let deaf = 800 + rng.u64(..8);
                    for from in [1, 2] {
                        fault(deaf, Fault::Clog { from: Target::Node(from), to: 0, span: ms(1_500) });
                    }
                }
                LeaseThreat::Restart => {
                    // The second node asks for votes as soon as it hears anybody, and its log is no shorter.
                    let asks = 2_400 + rng.u64(..500);
                    fault(400, Fault::Quiet { span: ms(asks - 400) });
                    fault(600, Fault::Partition { group: 0b010, span: ms(asks - 600) });
                    fault(asks, Fault::Partition { group: 0b001, span: ms(2_000) });
                    let (target, patience, down) = (Target::Node(2), Duration::ZERO, Duration::ZERO);
                    fault(asks, Fault::Kill { target, patience, down });
                }
            }
            at += ms(5_500 + rng.u64(..500));
        }
        plan.faults.sort_by_key(|planned| planned.at);
        plan
    }

    /// A plan for two leaders in a row that change the membership that both began with. The first of four nodes is cut off
    /// with a change that nobody else gets; the next leader is asked for another while the last node, whose disk is
    /// full, votes and takes nothing, so that the leader's term is not committed; then the first and the last are
    /// apart with each other.
    pub fn of_memberships(seed: u64, span: Duration) -> Self {
        let mut plan = Self::draw(seed, (4, 4), span);
        let mut rng = fastrand::Rng::with_seed(seed);
        plan.spares = 1;
        plan.skews = vec![ClockSkew::NONE; 5];
        plan.configs = vec![Config { shutdown_on_remove: false, ..Config::default() }; 5];
        plan.hasty = None;
        plan.kinds.clear();
        plan.faults.clear();
        let ms = Duration::from_millis;
        let mut fault = |after, fault| plan.faults.push(Planned { at: ms(after), fault });
        let elected = 7_500 + rng.u64(..2_000);
        let split = elected + 200 + rng.u64(..600);
        fault(3_000, Fault::Transfer { to: Some(0) });
        fault(4_500, Fault::DiskFull { target: Target::Node(3), span: ms(split - 4_500) });
        fault(5_000, Fault::Partition { group: 0b0_0001, span: ms(split - 5_000) });
        fault(5_010, Fault::RemoveServer { asked: 0, server: 1 });
        fault(elected, Fault::RemoveServer { asked: 1, server: 0 });
        let (target, patience, down) = (Target::Node(3), Duration::ZERO, ms(100));
        fault(split, Fault::Kill { target, patience, down });
        fault(split, Fault::Partition { group: 0b0_1001, span: ms(8_000) });
        plan
    }

    /// In half of the seeds the membership changes. Drawn apart, so that the rest of a seed is what it is without.
    fn draw_changes(&mut self) {
        let mut rng = fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xc4a6);
        if rng.bool() {
            return;
        }
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
            let deed = match rng.u8(..10) {
                0..4 => MembershipDeed::Add,
                4 => MembershipDeed::AddNonvoter,
                5 => MembershipDeed::Demote,
                _ => MembershipDeed::Remove,
            };
            self.faults.push(Planned { at, fault: Fault::ChangeMembership { deed, seed: rng.u64(..) } });
        }
        self.faults.sort_by_key(|planned| planned.at);
    }

    fn draw_faults(&mut self, rng: &mut fastrand::Rng) {
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

fn enabled(rng: &mut fastrand::Rng) -> Vec<&'static str> {
    let mut kinds: Vec<&'static str> = KINDS.iter().map(|(kind, _)| *kind).filter(|_| rng.bool()).collect();
    if !CRASHES.iter().any(|crash| kinds.contains(crash)) {
        kinds.push(CRASHES[rng.usize(..CRASHES.len())]);
    }
    kinds
}

/// The usual timing, with small limits now and then: they make many small steps of what is usually one.
fn configs(rng: &mut fastrand::Rng, count: usize, hasty: Option<usize>) -> Vec<Config> {
    let usual = Config::default();
    let mut pick = |small: usize, usual: usize| if rng.u8(..3) == 0 { small } else { usual };
    let limited = Config {
        log_cache_bytes: pick(4 << 10, usual.log_cache_bytes),
        max_append_entries: pick(1, usual.max_append_entries),
        inflight_requests_max: pick(2, usual.inflight_requests_max),
        inflight_bytes_max: pick(512, usual.inflight_bytes_max),
        lease_clock_drift_ppm: DRIFT_PPM_MAX,
        ..usual
    };
    let timeout = Duration::from_millis(60);
    let quick = Config {
        heartbeat_timeout: timeout,
        election_timeout: timeout,
        leader_lease_timeout: timeout / 2,
        ..limited.clone()
    };
    (0..count).map(|n| if hasty == Some(n) { quick.clone() } else { limited.clone() }).collect()
}

/// Snapshots come often in most runs, and each node decides by itself.
fn draw_snapshots(rng: &mut fastrand::Rng, config: &mut Config) {
    if rng.u8(..4) == 0 {
        return;
    }
    config.snapshot_interval = Duration::from_millis(rng.u64(100..5_000));
    config.snapshot_threshold = rng.u64(1..200);
    config.snapshots_retained = rng.usize(1..4);
    config.trailing_logs = rng.u64(0..600);
    // Often so few that whoever was away for a moment needs a snapshot, in pieces of any size.
    config.trailing_logs >>= rng.u64(0..8);
    config.snapshot_chunk_bytes = 32 << rng.u64(0..8);
}

/// In some runs sessions end all the time, by number or by time, and not as every node would have it.
fn draw_sessions(rng: &mut fastrand::Rng, config: &mut Config) {
    if rng.u8(..4) == 0 {
        config.sessions_max = rng.usize(1..4);
    }
    if rng.u8(..4) == 0 {
        config.session_timeout = Duration::from_millis(rng.u64(100..5_000));
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(120);

    #[test]
    fn a_seed_means_one_plan_and_neighbours_differ() {
        let plan = |seed| format!("{:?}", Plan::draw(seed, (3, 7), SPAN));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn every_kind_is_enabled_in_some_seeds_and_not_in_others() {
        let plans: Vec<Plan> = (0..100).map(|seed| Plan::draw(seed, (3, 7), SPAN)).collect();
        for (kind, _) in KINDS {
            let with = plans.iter().filter(|plan| plan.kinds.contains(kind)).count();
            assert!((20..90).contains(&with), "{kind}: {with} of 100");
            assert!(
                plans.iter().flat_map(|plan| &plan.faults).any(|planned| planned.fault.kind() == *kind),
                "{kind}"
            );
        }
    }

    #[test]
    fn the_membership_changes_in_some_seeds_and_not_in_others() {
        let plans: Vec<Plan> = (0..100).map(|seed| Plan::draw(seed, (3, 7), SPAN)).collect();
        let with = plans.iter().filter(|plan| plan.spares > 0).count();
        assert!((20..80).contains(&with), "{with} of 100");
        for plan in plans {
            let changes = plan.faults.iter().filter(|planned| planned.fault.kind() == CHANGE).count();
            assert_eq!(changes > 0, plan.spares > 0);
            assert_eq!(plan.configs.len(), plan.nodes + plan.spares);
        }
    }

    #[test]
    fn a_majority_never_loses_its_disks() {
        for seed in 0..300 {
            let plan = Plan::draw(seed, (3, 7), SPAN);
            let loses = |fault: &Fault| matches!(fault, Fault::Wipe { .. } | Fault::Rot { .. });
            let lost = plan.faults.iter().filter(|planned| loses(&planned.fault)).count();
            assert!(lost <= (plan.nodes - 1) / 2);
            assert!((3..=7).contains(&plan.nodes));
        }
    }
}
