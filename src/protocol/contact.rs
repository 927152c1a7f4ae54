//! When the leader last had a quorum behind it (check-quorum; thesis §6.2).

use std::time::Duration;

/// Sending times of the newest answered heartbeats.
#[derive(Clone, Debug)]
pub struct QuorumContact {
    own: u64,
    heard: Vec<(u64, Duration)>,
}

impl QuorumContact {
    /// A leader elected `now`: everybody has just been heard.
    pub fn new(voters: impl Iterator<Item = u64>, own: u64, now: Duration) -> Self {
        Self { own, heard: voters.map(|session| (session, now)).collect() }
    }

    /// A voter answered what was sent at `sent_at`.
    pub fn heard(&mut self, session: u64, sent_at: Duration) {
        for voter in self.heard.iter_mut().filter(|voter| voter.0 == session) {
            voter.1 = voter.1.max(sent_at);
        }
    }

    /// Whether no quorum answered anything sent within `timeout`.
    pub fn expired(&self, now: Duration, timeout: Duration) -> bool {
        let fresh = |voter: &&(u64, Duration)| voter.0 == self.own || voter.1 + timeout >= now;
        self.heard.iter().filter(fresh).count() <= self.heard.len() / 2
    }
}
