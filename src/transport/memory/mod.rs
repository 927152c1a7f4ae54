//! A network in memory: nodes of one process reach each other by calling, without codec, copy or task.
//!
//! Owns the registry of nodes by address, and the faults that tests put between them. Never delays,
//! reorders or draws a random number: what a run does follows from what its nodes do.

mod faults;
mod link;
mod registry;

use std::{collections::btree_map::Entry, fmt, io, sync::Arc};

use self::{link::MemoryLink, registry::Shared};
use super::{Inbound, Link, Transport, TransportError};
use crate::types::{Lane, NodeId};

/// A network in memory. Clones are handles to the same one; nodes may run on one thread or on several.
///
/// # Faults
/// Nodes are named by their address. A request that meets a fault on its way is answered at once: with
/// [`NotSent`](super::RpcError::NotSent) where a node is stopped or disconnected, since nothing connects
/// there; with [`Lost`](super::RpcError::Lost) where a direction is cut, since a sender cannot tell. Answers are held
/// to the same faults from the first fault on: an answer to a request that was sent on a network that
/// had never known one arrives. [`with_faults`](Self::with_faults) watches answers from the start.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

impl MemoryNetwork {
    /// An empty network without faults, as fast as a call.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty network that watches every answer from the start, for tests that will bring faults.
    pub fn with_faults() -> Self {
        let network = Self::new();
        network.shared.change(|registry| registry.faults.watch());
        network
    }

    /// The transport of a node that will listen at `address`.
    pub fn transport(&self, address: impl Into<String>) -> MemoryTransport {
        MemoryTransport { shared: self.shared.clone(), address: address.into(), listening: false }
    }

    /// Pulls the plug of the node at `address`: it reaches nobody and nobody reaches it.
    pub fn disconnect(&self, address: &str) {
        self.shared.change(|registry| registry.faults.disconnect(address));
    }

    /// Undoes [`disconnect`](Self::disconnect).
    pub fn reconnect(&self, address: &str) {
        self.shared.change(|registry| registry.faults.reconnect(address));
    }

    /// Loses whatever goes from `from` to `to`: requests, and answers to requests of `to`.
    pub fn cut(&self, from: &str, to: &str) {
        self.shared.change(|registry| registry.faults.cut(from, to));
    }

    /// Cuts every way between a node of `left` and a node of `right`, in both directions.
    pub fn partition<'a>(
        &self,
        left: impl IntoIterator<Item = &'a str>,
        right: impl IntoIterator<Item = &'a str>,
    ) {
        let right: Vec<&str> = right.into_iter().collect();
        self.shared.change(|registry| {
            for a in left {
                for b in &right {
                    registry.faults.cut(a, b);
                    registry.faults.cut(b, a);
                }
            }
        });
    }

    /// Undoes every cut and every disconnection.
    pub fn heal(&self) {
        self.shared.change(|registry| registry.faults.heal());
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.shared.lock();
        f.debug_struct("MemoryNetwork")
            .field("nodes", &registry.nodes.keys())
            .field("faults", &registry.faults)
            .finish()
    }
}

/// A node's place in a [`MemoryNetwork`].
///
/// Contract 4 of [`Transport`] rests on the receiving node: it answers or drops each responder it got.
pub struct MemoryTransport {
    shared: Arc<Shared>,
    address: String,
    listening: bool,
}

impl Transport for MemoryTransport {
    fn start(&mut self, inbound: Arc<dyn Inbound>) -> Result<String, TransportError> {
        let free = self.shared.change(|registry| match registry.nodes.entry(self.address.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(inbound);
                true
            }
        });
        if !free {
            let source = io::ErrorKind::AddrInUse.into();
            return Err(TransportError::Bind { address: self.address.clone(), source });
        }
        self.listening = true;
        Ok(self.address.clone())
    }

    fn link(&self, id: &NodeId, address: &str, _lane: Lane) -> Box<dyn Link> {
        Box::new(MemoryLink::new(self.shared.clone(), self.address.clone(), id.clone(), address.to_owned()))
    }

    fn stop(&mut self) {
        if self.listening {
            self.listening = false;
            self.shared.change(|registry| registry.nodes.remove(&self.address));
        }
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTransport({})", self.address)
    }
}

#[cfg(test)]
mod tests;
