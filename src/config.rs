//! What can be set about a node, with hashicorp/raft's names where they have a counterpart, and the
//! limits that keep everything bounded.

use std::time::Duration;

use thiserror::Error;

/// Timing and limits of a node. Start from [`Config::default`] and change what differs.
///
/// Fields with the name of one of hashicorp/raft's mean the same, with the same default unless theirs is named here.
/// Those of hashicorp's that are missing:
///
/// | hashicorp | here |
/// |---|---|
/// | `LocalID` | the argument of [`RaftSystem::builder`](crate::RaftSystem::builder) |
/// | `ProtocolVersion` | nodes agree on one when they connect ([`Status::protocol_versions`](crate::Status::protocol_versions)) |
/// | `CommitTimeout` 50 ms | `commit_timeout`, 5 ms: the commit index travels by itself only when nothing else does |
/// | `MaxAppendEntries` 64, at most 1024 | `max_append_entries`, 4096, with a bound in bytes beside it |
/// | `BatchApplyCh` | always: whatever came in a burst is one batch |
/// | `PreVoteDisabled` | `pre_vote`, the other way round |
/// | `NotifyCh` | [`Raft::leadership`](crate::Raft::leadership), which cannot block the node |
/// | `LogOutput`, `LogLevel`, `Logger` | the subscriber of `tracing` |
/// | `NoLegacyTelemetry` | there is none |
/// | `RestoreCommittedLogs` | the commit index is not stored; what was committed is applied again once a leader says so |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long a follower waits for its leader at least before it stands, and at most twice as long. Voters that lost
    /// the same leader stand in turns that differ from term to term, the first between 1.06 and 1.13 T; who knows of no
    /// leader in its term draws from `[T, 2T)`. Heartbeats go out every tenth of it. Default 1 s, at least 5 ms.
    pub heartbeat_timeout: Duration,
    /// How long a candidate waits for votes before it tries again, drawn from `[T, 2T)`.
    /// Default 1 s, at least `heartbeat_timeout`.
    pub election_timeout: Duration,
    /// A leader that has not heard from a quorum of voters for this long gives up leadership
    /// (check-quorum). Default 500 ms, at most `heartbeat_timeout`.
    pub leader_lease_timeout: Duration,
    /// By how many millionths the clock of one node may run slower than that of another: what a
    /// [`LeaseRead`](crate::LeaseRead) relies on. Voters promise in each answer to a heartbeat how long they elect
    /// nobody else; a leader believes all of it but this part, counted from when it *sent* the heartbeat. Counts
    /// rates alone: clocks need not agree, but they must not stand still, so a machine that is suspended while it
    /// leads may answer such reads from its old state for a moment. Whoever lowers `heartbeat_timeout` across a
    /// restart waits for the old one first. Default 100,000 (10 %), far more than real clocks differ; at most
    /// 900,000.
    pub lease_clock_drift_ppm: u32,
    /// How long an idle leader waits for a next entry to carry the commit index before it sends the
    /// index alone. Default 5 ms, at least 1 ms.
    pub commit_timeout: Duration,
    /// For how many turns of its event loop, of about a microsecond each, a leader's thread looks for the followers'
    /// answers and the next requests before it sleeps, and has to be woken. In each turn other threads get the
    /// processor if they want it; where looking turns out to be in vain it is tried only now and then. Not with more than
    /// 64 open requests, who share what it costs to be woken, nor on a machine with one processor. Default 100, at most
    /// 10,000; 0 sleeps at once.
    pub busy_poll: u32,
    /// Ask for promises of votes before standing (thesis §9.6). Default on.
    pub pre_vote: bool,
    /// Hand requests that reach a follower to the leader. Default on; off answers `NotLeader`.
    pub forwarding: bool,
    /// When a request without a deadline of its own gives up. Default 5 s.
    pub request_timeout: Duration,
    /// The largest command, encoded, in bytes. Default 4 MiB.
    pub entry_bytes_max: usize,
    /// The most entries in one AppendEntries or one batch (hashicorp's `MaxAppendEntries`). Default 4096. A batch of
    /// commands is cut at 128 in any case, or at 256 to 1024 where the log has a thread, by how long its flushes take.
    pub max_append_entries: usize,
    /// The most bytes of entries in one AppendEntries or one batch, except for a single larger entry.
    /// Default 1 MiB.
    pub append_bytes_max: usize,
    /// The most AppendEntries on their way to one follower. Default 64.
    pub inflight_requests_max: usize,
    /// The most bytes of entries on their way to one follower. Default 8 MiB.
    pub inflight_bytes_max: usize,
    /// The most client requests waiting for an answer; one more is `Overloaded`. Default 65,536.
    pub pending_requests_max: usize,
    /// The most bytes of commands waiting for an answer. Default 256 MiB.
    pub pending_bytes_max: usize,
    /// The most bytes of entries handed to the state machine and not applied yet; beyond it the
    /// hand-off waits. Default 64 MiB.
    pub apply_bytes_max: usize,
    /// The most bytes of entries that a leader's own disk may be behind with before it takes no more.
    /// Default 64 MiB.
    pub unflushed_bytes_max: usize,
    /// How many bytes of the newest entries stay in memory for followers that lag a little; older ones
    /// are read from the store. Default 64 MiB.
    pub log_cache_bytes: usize,
    /// A node that learns that it was removed from the cluster stops, in order. Off, it goes on as a follower that
    /// nobody sends anything. Default on.
    pub shutdown_on_remove: bool,
    /// A durable node whose disk has not finished a flush for this long gives up leadership.
    /// Default 5 s.
    pub disk_stall_timeout: Duration,
    /// After how long without a command a client session opened by this leader expires, of the leaders' time.
    /// Written into the log with the session, so a change holds for new ones. Default 1 h, at least 1 ms.
    pub session_timeout: Duration,
    /// How many client sessions there may be when this leader opens one; whichever was active longest ago makes
    /// room. Written into the log likewise. Default 4096, at most 65,536.
    pub sessions_max: usize,
    /// How often a node looks whether a snapshot is due, drawn anew from `[T, 2T)` each time, so that not every node
    /// writes at once. Default 120 s, at least 5 ms.
    pub snapshot_interval: Duration,
    /// How many entries must have been applied since the newest snapshot for another to be due. Default 8192.
    pub snapshot_threshold: u64,
    /// How many entries stay in the log behind a snapshot, so that a follower that lags a little needs none.
    /// Default 10,240.
    pub trailing_logs: u64,
    /// How many snapshots are kept (hashicorp's `retain` of its file store). Default 2, at least 1.
    pub snapshots_retained: usize,
    /// How much of a snapshot a leader sends a follower at once, in bytes; four such pieces may be under way. Default
    /// 1 MiB, at most 4 MiB.
    pub snapshot_chunk_bytes: usize,
    /// The largest snapshot that this node takes, from a leader or, when it leads, from a user who restores one, in
    /// bytes. A node whose own grows beyond that of others cannot bring them up to date. Default 64 GiB.
    pub snapshot_bytes_max: u64,
    /// Start without giving the newest snapshot to the state machine, which has kept its state by itself and must
    /// hold everything up to there, no more and no less. Default off.
    pub no_snapshot_restore_on_start: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_timeout: Duration::from_millis(1000),
            election_timeout: Duration::from_millis(1000),
            leader_lease_timeout: Duration::from_millis(500),
            lease_clock_drift_ppm: 100_000,
            commit_timeout: Duration::from_millis(5),
            busy_poll: 100,
            pre_vote: true,
            forwarding: true,
            request_timeout: Duration::from_secs(5),
            entry_bytes_max: 4 << 20,
            max_append_entries: 4096,
            append_bytes_max: 1 << 20,
            inflight_requests_max: 64,
            inflight_bytes_max: 8 << 20,
            pending_requests_max: 65_536,
            pending_bytes_max: 256 << 20,
            apply_bytes_max: 64 << 20,
            unflushed_bytes_max: 64 << 20,
            log_cache_bytes: 64 << 20,
            shutdown_on_remove: true,
            disk_stall_timeout: Duration::from_secs(5),
            session_timeout: Duration::from_secs(3600),
            sessions_max: 4096,
            snapshot_interval: Duration::from_secs(120),
            snapshot_threshold: 8192,
            trailing_logs: 10_240,
            snapshots_retained: 2,
            snapshot_chunk_bytes: 1 << 20,
            snapshot_bytes_max: 64 << 30,
            no_snapshot_restore_on_start: false,
        }
    }
}

/// The settings that a running node may be given anew, with hashicorp's names. Take those in force from
/// [`Config::reloadable`], and change what is to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadableConfig {
    /// See [`Config::heartbeat_timeout`]. A shorter one is obeyed at once, by followers and by the leader.
    pub heartbeat_timeout: Duration,
    /// See [`Config::election_timeout`].
    pub election_timeout: Duration,
    /// See [`Config::trailing_logs`]. Counts from the next snapshot on.
    pub trailing_logs: u64,
    /// See [`Config::snapshot_interval`]. A shorter one is obeyed at once.
    pub snapshot_interval: Duration,
    /// See [`Config::snapshot_threshold`].
    pub snapshot_threshold: u64,
}

impl ReloadableConfig {
    /// How often a leader sends heartbeats.
    pub fn heartbeat_interval(&self) -> Duration {
        self.heartbeat_timeout / 10
    }

    /// How often a node looks at the clock.
    pub fn tick_interval(&self) -> Duration {
        (self.heartbeat_timeout / 20).clamp(Duration::from_millis(1), Duration::from_millis(50))
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {rule}")]
pub struct ConfigError {
    /// Which field.
    pub field: &'static str,
    /// The rule it breaks.
    pub rule: String,
}

impl Config {
    /// Timers ten times as fast as the defaults, for clusters within one machine or one rack.
    pub fn fast() -> Self {
        Self {
            heartbeat_timeout: Duration::from_millis(150),
            election_timeout: Duration::from_millis(150),
            leader_lease_timeout: Duration::from_millis(100),
            ..Self::default()
        }
    }

    /// How often a leader sends heartbeats.
    pub fn heartbeat_interval(&self) -> Duration {
        self.reloadable().heartbeat_interval()
    }

    /// How often a node looks at the clock.
    pub fn tick_interval(&self) -> Duration {
        self.reloadable().tick_interval()
    }

    /// The part that [`ReloadConfig`](crate::ReloadConfig) may change.
    pub fn reloadable(&self) -> ReloadableConfig {
        ReloadableConfig {
            heartbeat_timeout: self.heartbeat_timeout,
            election_timeout: self.election_timeout,
            trailing_logs: self.trailing_logs,
            snapshot_interval: self.snapshot_interval,
            snapshot_threshold: self.snapshot_threshold,
        }
    }

    /// The same settings with another reloadable part, checked as a whole: what is reloaded must also suit what
    /// is not.
    ///
    /// # Errors
    /// Names the first field that breaks a rule.
    pub fn reloaded(&self, part: ReloadableConfig) -> Result<Self, ConfigError> {
        let config = Self {
            heartbeat_timeout: part.heartbeat_timeout,
            election_timeout: part.election_timeout,
            trailing_logs: part.trailing_logs,
            snapshot_interval: part.snapshot_interval,
            snapshot_threshold: part.snapshot_threshold,
            ..self.clone()
        };
        config.validate()?;
        Ok(config)
    }

    /// How long either side of a snapshot waits for the other.
    pub(crate) fn snapshot_patience(&self) -> Duration {
        self.election_timeout.max(Duration::from_secs(1))
    }

    /// Checks every rule.
    ///
    /// # Errors
    /// Names the first field that breaks one.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let rule = |ok: bool, field, rule: &str| {
            if ok { Ok(()) } else { Err(ConfigError { field, rule: rule.to_owned() }) }
        };
        let ms = Duration::from_millis;
        rule(self.heartbeat_timeout >= ms(5), "heartbeat_timeout", "must be at least 5 ms")?;
        rule(
            self.election_timeout >= self.heartbeat_timeout,
            "election_timeout",
            "must be at least heartbeat_timeout",
        )?;
        rule(self.leader_lease_timeout >= ms(5), "leader_lease_timeout", "must be at least 5 ms")?;
        rule(
            self.leader_lease_timeout <= self.heartbeat_timeout,
            "leader_lease_timeout",
            "must be at most heartbeat_timeout",
        )?;
        rule(
            self.lease_clock_drift_ppm <= 900_000,
            "lease_clock_drift_ppm",
            "must be at most 900,000 millionths",
        )?;
        rule(self.commit_timeout >= ms(1), "commit_timeout", "must be at least 1 ms")?;
        rule(self.busy_poll <= 10_000, "busy_poll", "must be at most 10,000 turns")?;
        rule(self.request_timeout >= ms(1), "request_timeout", "must be at least 1 ms")?;
        rule(self.snapshot_interval >= ms(5), "snapshot_interval", "must be at least 5 ms")?;
        rule(self.snapshots_retained >= 1, "snapshots_retained", "must be at least 1")?;
        rule(
            (1..=4 << 20).contains(&self.snapshot_chunk_bytes),
            "snapshot_chunk_bytes",
            "must be between 1 byte and 4 MiB",
        )?;
        rule(self.max_append_entries >= 1, "max_append_entries", "must be at least 1")?;
        rule(self.inflight_requests_max >= 1, "inflight_requests_max", "must be at least 1")?;
        rule(self.pending_requests_max >= 1, "pending_requests_max", "must be at least 1")?;
        rule(self.session_timeout >= ms(1), "session_timeout", "must be at least 1 ms")?;
        rule((1..=65_536).contains(&self.sessions_max), "sessions_max", "must be between 1 and 65,536")?;
        let mib64 = 64 << 20;
        rule(
            (1..=mib64).contains(&self.entry_bytes_max),
            "entry_bytes_max",
            "must be between 1 byte and 64 MiB",
        )?;
        rule(
            (1..=mib64).contains(&self.append_bytes_max),
            "append_bytes_max",
            "must be between 1 byte and 64 MiB",
        )?;
        rule(
            self.pending_bytes_max >= self.entry_bytes_max,
            "pending_bytes_max",
            "must be at least entry_bytes_max",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_settings_are_valid() {
        Config::default().validate().unwrap();
        Config::fast().validate().unwrap();
    }

    #[test]
    fn what_is_reloaded_must_suit_what_is_not() {
        let config = Config::default();
        let mut part = config.reloadable();
        part.heartbeat_timeout = Duration::from_millis(200);
        assert_eq!(config.reloaded(part).unwrap_err().field, "leader_lease_timeout");
        part.heartbeat_timeout = Duration::from_millis(600);
        let reloaded = config.reloaded(part).unwrap();
        assert_eq!(reloaded.heartbeat_interval(), Duration::from_millis(60));
        assert_eq!(reloaded.election_timeout, config.election_timeout);
    }

    #[test]
    fn snapshots_that_are_never_kept_are_refused() {
        let config = Config { snapshots_retained: 0, ..Config::default() };
        assert_eq!(config.validate().unwrap_err().field, "snapshots_retained");
        let config = Config { snapshot_interval: Duration::from_millis(4), ..Config::default() };
        assert_eq!(config.validate().unwrap_err().field, "snapshot_interval");
        for snapshot_chunk_bytes in [0, (4 << 20) + 1] {
            let config = Config { snapshot_chunk_bytes, ..Config::default() };
            assert_eq!(config.validate().unwrap_err().field, "snapshot_chunk_bytes");
        }
    }

    #[test]
    fn a_thread_that_would_hardly_ever_sleep_is_refused() {
        let config = Config { busy_poll: 10_001, ..Config::default() };
        assert_eq!(config.validate().unwrap_err().field, "busy_poll");
    }

    #[test]
    fn a_lease_longer_than_the_heartbeat_timeout_is_refused() {
        let config = Config { leader_lease_timeout: Duration::from_secs(2), ..Config::default() };
        assert_eq!(config.validate().unwrap_err().field, "leader_lease_timeout");
    }
}
