//! A network in virtual time that loses, doubles, reorders, damages and holds back what travels it:
//! [`SimNetwork`].
//!
//! Every request and every answer is an event of tokio's time, which a test pauses; everything runs on one
//! thread. What befalls a message is drawn from the seed, the two addresses and how many messages went that
//! way before it, and from nothing else: the same seed and the same nodes give the same run, and neither
//! the conditions of a way nor the traffic of another shift what it draws.
//!
//! ```
//! use std::time::Duration;
//! use raftix::sim::network::{Conditions, NetworkFault, SimNetwork};
//!
//! let network = SimNetwork::new(42);
//! network.set_all(Conditions { loss: 0.01, duplication: 0.01, ..Conditions::default() });
//! network.cut("n1:1", "n2:1"); // one way: n1 still hears n2
//! network.clog("n3:1", "n1:1"); // held back, in order, until unclogged
//! network.heal();
//! assert_eq!(network.counts()[&NetworkFault::Loss], 0);
//! ```
//!
//! # Model
//! - A lane to an address is a connection, made by a handshake when something is sent and there is none,
//!   between the life of the process here and the one there. What is sent on it arrives in order.
//! - A request that met no connection is [`NotSent`](crate::transport::RpcError::NotSent); one that left
//!   and has no answer is [`Lost`](crate::transport::RpcError::Lost), which its node hears as a timeout or
//!   a broken connection would tell it: exactly once, and not at once.
//! - [`fence`](SimNetwork::fence) ends a life. What it had sent goes on; nothing else of it does.
//! - tokio's timers count in milliseconds: what is due within one is delivered at its end, in the order of
//!   being due.
//!
//! # Inside
//! `transport` and `connection` are what nodes hold of it, `carrier` is the task that delivers. They call
//! `state`, where `departures`, `arrivals`, `endings`, `handshake` and `closures` are what can happen to a
//! `channel`, a lane from one address to another.

mod answers;
mod arrivals;
mod carrier;
mod channel;
mod closures;
mod codec;
mod conditions;
mod connection;
mod departures;
mod endings;
mod ends;
mod fault;
mod handshake;
mod hosts;
mod queue;
mod remains;
mod shared;
mod state;
mod transport;
mod watch;
mod ways;
mod window;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use self::{
    conditions::Conditions,
    fault::NetworkFault,
    transport::SimTransport,
    watch::{Cargo, Passage, Watch},
};
use self::{shared::Shared, state::State};

/// A simulated network. A clone is another handle to the same one. See [the module](self).
///
/// Nothing arrives unless [`carry`](Self::carry) runs.
#[derive(Clone)]
pub struct SimNetwork {
    shared: Arc<Shared>,
}

impl SimNetwork {
    /// A network without nodes or faults.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared::new(State::new(seed))) }
    }

    /// The transport of a process that begins to live at `address`.
    pub fn transport(&self, address: impl Into<String>) -> SimTransport {
        SimTransport::new(self.shared.clone(), address.into())
    }

    /// The task that delivers, for ever. One for each network, to be spawned where time is paused.
    pub fn carry(&self) -> impl Future<Output = ()> + Send + use<> {
        carrier::carry(self.shared.clone())
    }

    /// Tells `watch` of every message from now on, in place of who was told before.
    pub fn watch(&self, watch: Arc<dyn Watch>) {
        let before = self.shared.change(|state, _| state.watch.replace(watch));
        drop(before);
    }

    /// Whether every message is written and read by the codec on its way, as over TCP. It is not otherwise,
    /// unless it is to be damaged.
    ///
    /// Whoever sends panics if the codec does not read what it wrote.
    pub fn set_coding(&self, is_coding: bool) {
        self.shared.change(|state, _| state.is_coding = is_coding);
    }

    /// The process at `address` has died. To be called before anything of the node is dropped, since
    /// dropping an actor runs code of it.
    ///
    /// From this instant nothing of it leaves and nothing arrives there; what it waits for is never told.
    /// What it had sent goes on, and answers to that go nowhere. Its peers hear soon that their connections
    /// to it have ended, since the machine is left to tell them.
    pub fn fence(&self, address: &str) {
        self.fence_told(address, true);
    }

    /// The same of a machine that lost its power or its plug: its peers hear nothing, and find out as they
    /// do when something is lost.
    pub fn fence_silently(&self, address: &str) {
        self.fence_told(address, false);
    }

    fn fence_told(&self, address: &str, is_told: bool) {
        self.shared.change(|state, now| {
            let host = state.hosts.at(address);
            state.fence(host, now, is_told);
        });
    }

    /// Sets what the way from `from` to `to` is like.
    pub fn set_conditions(&self, from: &str, to: &str, conditions: Conditions) {
        self.shared.change(|state, _| {
            let way = state.way(from, to);
            state.ways[way].conditions = conditions;
        });
    }

    /// Sets what every way is like, also those to addresses that nobody has named yet.
    pub fn set_all(&self, conditions: Conditions) {
        self.shared.change(|state, _| state.ways.set_all(conditions));
    }

    /// Loses whatever travels from `from` to `to`: requests, and answers to requests of `to`. What is on
    /// its way is lost if it would arrive before [`mend`](Self::mend).
    pub fn cut(&self, from: &str, to: &str) {
        self.set_cut(from, to, true);
    }

    /// Undoes [`cut`](Self::cut).
    pub fn mend(&self, from: &str, to: &str) {
        self.set_cut(from, to, false);
    }

    fn set_cut(&self, from: &str, to: &str, is_cut: bool) {
        self.shared.change(|state, _| {
            let way = state.way(from, to);
            state.ways[way].is_cut = is_cut;
        });
    }

    /// Holds back whatever would arrive at `to` from `from`, until [`unclog`](Self::unclog). Connections
    /// are made nonetheless, and what is sent on them waits.
    pub fn clog(&self, from: &str, to: &str) {
        self.shared.change(|state, _| {
            let way = state.way(from, to);
            state.ways[way].is_clogged = true;
        });
    }

    /// Lets what was held back arrive at once, in the order it would have had.
    pub fn unclog(&self, from: &str, to: &str) {
        self.shared.change(|state, _| {
            let way = state.way(from, to);
            state.unclog(way);
        });
    }

    /// Mends every cut and unclogs every way. Conditions stay.
    pub fn heal(&self) {
        self.shared.change(|state, _| state.heal());
    }

    /// Breaks every connection between two addresses: whatever is under way on them is lost, both ways.
    pub fn reset(&self, a: &str, b: &str) {
        self.shared.change(|state, now| {
            let (a, b) = (state.hosts.at(a), state.hosts.at(b));
            state.reset(a, b, now);
        });
    }

    /// How often each kind of fault has struck, those that never did too.
    pub fn counts(&self) -> BTreeMap<NetworkFault, u64> {
        self.shared.change(|state, _| state.counts.all())
    }
}

impl fmt::Debug for SimNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.change(|state, _| {
            let listening: Vec<_> = state.hosts.listening().collect();
            f.debug_struct("SimNetwork").field("listening", &listening).finish_non_exhaustive()
        })
    }
}

#[cfg(test)]
mod tests;
