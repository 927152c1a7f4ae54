//! How the nodes of a plan are set up.

use std::time::Duration;

use super::DRIFT_PPM_MAX;
use crate::config::Config;

/// The usual timing, with small limits now and then: they make many small steps of what is usually one.
pub(super) fn configs(rng: &mut fastrand::Rng, count: usize, hasty: Option<usize>) -> Vec<Config> {
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
pub(super) fn draw_snapshots(rng: &mut fastrand::Rng, config: &mut Config) {
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
pub(super) fn draw_sessions(rng: &mut fastrand::Rng, config: &mut Config) {
    if rng.u8(..4) == 0 {
        config.sessions_max = rng.usize(1..4);
    }
    if rng.u8(..4) == 0 {
        config.session_timeout = Duration::from_millis(rng.u64(100..5_000));
    }
}
