//! One life of a node on the network: what it is given to listen and to send with.

use std::{fmt, sync::Arc};

use super::{
    Cargo,
    ends::{ChannelId, Ends},
    handshake::{Found, Hands, Open, Refused},
    hosts::Life,
    shared::Shared,
};
use crate::{
    transport::{Inbound, Link, Responder, RpcError, Transport, TransportError},
    types::{Lane, NodeId, Request},
};

/// A node's place in a [`SimNetwork`](super::SimNetwork), for one life of its process. Dropping it stops it.
pub struct SimTransport {
    shared: Arc<Shared>,
    address: String,
    life: Life,
}

impl SimTransport {
    pub(super) fn new(shared: Arc<Shared>, address: String) -> Self {
        let life = shared.change(|state, _| {
            let host = state.hosts.at(&address);
            state.hosts.begin_life(host)
        });
        Self { shared, address, life }
    }
}

impl Transport for SimTransport {
    fn start(&mut self, inbound: Arc<dyn Inbound>) -> Result<String, TransportError> {
        // The node is lent: refused, it must not be dropped under the lock.
        let listening = self.shared.change(|state, _| state.hosts.listen(self.life, &inbound));
        match listening {
            Ok(()) => Ok(self.address.clone()),
            Err(source) => Err(TransportError::Bind { address: self.address.clone(), source }),
        }
    }

    fn link(&self, id: &NodeId, address: &str, lane: Lane) -> Box<dyn Link> {
        let ends = self.shared.change(|state, _| {
            let way = state.way(&self.address, address);
            state.channel(ChannelId { way, lane }).ends.clone()
        });
        Box::new(SimLink { shared: self.shared.clone(), ends, life: self.life, peer: id.clone() })
    }

    fn stop(&mut self) {
        self.shared.change(|state, now| state.stop(self.life, now));
    }
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimTransport({})", self.address)
    }
}

/// A lane to one peer. Links to the same address share one connection for each lane.
struct SimLink {
    shared: Arc<Shared>,
    ends: Arc<Ends>,
    /// Whose link it is.
    life: Life,
    /// The peer that must be found at the address.
    peer: NodeId,
}

impl Link for SimLink {
    fn send(&self, request: Request, responder: Responder) {
        match self.open() {
            Ok((connection, watch)) => {
                if let Some(watch) = watch {
                    watch.leaves(self.ends.way_there(), Cargo::Request(&request));
                }
                self.shared.change(|state, now| state.request_departs(now, connection, request, responder));
            }
            Err(Refused::NotSent { why, told }) => {
                self.shared.change(|state, _| state.refuse(self.ends.channel, responder, why, told));
            }
            Err(Refused::Idle) => {
                responder.respond(Err(RpcError::NotSent("this node is not running".into())));
            }
            Err(Refused::Fenced) => responder.abandon(),
        }
    }
}

impl SimLink {
    /// The connection to send over, made if there is none.
    fn open(&self) -> Result<Open, Refused> {
        let found = self.shared.change(|state, now| state.look(now, &self.ends, self.life, &self.peer))?;
        let (own, answering, inbound) = match found {
            Found::Connection(open) => return Ok(open),
            Found::Somebody { own, answering, inbound } => (own, answering, inbound),
        };
        // The nodes are asked outside the lock, since they are free to use the network.
        let (from, there) = (own.identity(), inbound.identity());
        if let Err(refusal) = from.accepts(&there, &self.peer) {
            return Err(self.shared.change(|state, now| {
                let told = now + state.round_trip(self.ends.channel);
                Refused::NotSent { why: refusal.to_string(), told }
            }));
        }
        let hands = Hands { asking: self.life, from, answering, there, inbound };
        let shared = Arc::downgrade(&self.shared);
        Ok(self.shared.change(|state, now| state.connect(now, shared, &self.ends, hands)))
    }
}
