//! What can be set of the TCP transport. Every queue, wait and number of connections has its limit here.

use std::time::Duration;

use crate::wire::FrameLimits;

/// How a [`TcpTransport`](super::TcpTransport) listens, connects and limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Where to listen: `host:port`; port 0 takes a free one.
    pub listen: String,
    /// The largest frame with entries or commands, in bytes, up to 1 GiB. The same on all nodes.
    pub frame_bytes_max: usize,
    /// The most connections that peers may have to this node.
    pub connections_max: usize,
    /// The most connections that one peer may have on one lane; a further one takes the oldest's place,
    /// which may well be dead.
    pub connections_per_lane_max: usize,
    /// The most connections whose handshake is under way; further ones wait in the system's backlog.
    pub handshakes_max: usize,
    /// How long a connecting peer may take for its handshake.
    pub handshake_timeout: Duration,
    /// How long an attempt to connect may take: name, connection and handshake. What is sent meanwhile
    /// waits no longer than this.
    pub connect_timeout: Duration,
    /// The pause after a first failure; each further one doubles it.
    pub reconnect_min: Duration,
    /// The longest pause.
    pub reconnect_max: Duration,
    /// How much may wait for the socket of one connection, in bytes.
    pub write_buffer_bytes_max: usize,
    /// How many requests of one connection may be without an answer.
    pub requests_in_flight_max: usize,
    /// After how long a silence, pings included, a connection is taken for dead. A connecting node closes
    /// after this time, a listening one after six times as long.
    pub silence_max: Duration,
    /// Seeds the jitter of the pauses.
    pub seed: u64,
}

impl TcpOptions {
    /// Sensible limits for a node that listens at `listen`.
    pub fn new(listen: impl Into<String>) -> Self {
        Self {
            listen: listen.into(),
            frame_bytes_max: 8 << 20,
            connections_max: 256,
            connections_per_lane_max: 4,
            handshakes_max: 16,
            handshake_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            reconnect_min: Duration::from_millis(10),
            reconnect_max: Duration::from_secs(1),
            write_buffer_bytes_max: 32 << 20,
            requests_in_flight_max: 4096,
            silence_max: Duration::from_secs(10),
            seed: 0,
        }
    }

    pub(super) fn frame_limits(&self) -> FrameLimits {
        FrameLimits { frame_bytes_max: self.frame_bytes_max }
    }
}
