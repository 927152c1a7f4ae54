//! The plan in which everything that a cluster can do meets everything that can strike it.

use std::time::Duration;

use super::Plan;
use crate::{
    config::Config,
    sim::fault::{Fault, Planned},
};

/// How many parts of the span pass before remedies begin, of how many.
const REMEDIES_FROM: (u32, u32) = (1, 2);

impl Plan {
    /// A plan with the faults of `seed`, and with changes of the membership, snapshots taken and installed, transfers of
    /// leadership, reads by lease and sessions beside them. Its run is rejected unless each happened at least twice.
    ///
    /// The second half has remedies: each does something for one thing that the run has had too little of so far,
    /// and nothing if there is no such thing.
    pub fn of_everything(seed: u64, nodes: (usize, usize), span: Duration) -> Self {
        let mut plan = Self::draw(seed, nodes, span);
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xa11);
        plan.everything = true;
        if plan.spares == 0 {
            plan.add_changes(&mut rng);
        }
        for config in &mut plan.configs {
            draw_busy(&mut rng, config);
        }
        plan.clients = rng.usize(6..12);
        plan.think_ms = rng.u64(50..150);
        if !plan.kinds.contains(&"transfer") {
            plan.kinds.push("transfer");
        }
        let transfer =
            |rng: &mut fastrand::Rng| Fault::Transfer { to: rng.bool().then(|| rng.usize(..plan.nodes)) };
        let transfers = now_and_then(&mut rng, (Duration::from_secs(4), span), 4_000..16_000, transfer);
        let (parts, of) = REMEDIES_FROM;
        let remedy = |rng: &mut fastrand::Rng| Fault::Remedy { seed: rng.u64(..) };
        let remedies = now_and_then(&mut rng, (span * parts / of, span), 1_000..3_000, remedy);
        plan.faults.extend(transfers);
        plan.faults.extend(remedies);
        plan.faults.sort_by_key(|planned| planned.at);
        plan
    }
}

/// Snapshots are frequent and the log behind them is short, so that whoever was away needs one. Sessions last long
/// enough for most retries.
fn draw_busy(rng: &mut fastrand::Rng, config: &mut Config) {
    config.snapshot_interval = Duration::from_millis(rng.u64(100..2_000));
    config.snapshot_threshold = rng.u64(1..60);
    config.trailing_logs = rng.u64(0..32);
    config.snapshots_retained = rng.usize(1..4);
    config.snapshot_chunk_bytes = 32 << rng.u64(0..8);
    config.sessions_max = if rng.u8(..4) == 0 { rng.usize(4..16) } else { 4_096 };
    config.session_timeout = Duration::from_secs(if rng.u8(..4) == 0 { rng.u64(2..10) } else { 3_600 });
}

/// Something within a span of time, with gaps of so many milliseconds.
fn now_and_then(
    rng: &mut fastrand::Rng,
    (from, to): (Duration, Duration),
    gap_ms: std::ops::Range<u64>,
    mut what: impl FnMut(&mut fastrand::Rng) -> Fault,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut at = from + Duration::from_millis(rng.u64(gap_ms.clone()));
    while at < to {
        planned.push(Planned { at, fault: what(rng) });
        at += Duration::from_millis(rng.u64(gap_ms.clone()));
    }
    planned
}
