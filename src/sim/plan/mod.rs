//! What a seed means: how many nodes, how they are set up, which faults strike when.
//!
//! All of it is drawn before the run begins, so that a part of the faults can be left out and the rest stays
//! what it was. Each seed has a random part of the kinds with random rates (swarm testing): faults that are
//! always there hide what others would show.

mod everything;
mod faults;
mod settings;
mod targeted;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{fault::Planned, pace::ThreadTimes};
use crate::{clock::ClockSkew, config::Config};

use faults::enabled;
use settings::{configs, draw_sessions, draw_snapshots};
pub use targeted::LeaseThreat;

/// How much slower than another a clock may run, in millionths: a little more than the worst that is drawn.
const DRIFT_PPM_MAX: u32 = 200_000;

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
    /// Whether the run is rejected if it has not had some of everything.
    pub everything: bool,
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
            everything: false,
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
}
