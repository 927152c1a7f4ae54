//! From blank directories to a cluster.

use std::{collections::BTreeMap, fmt};

use crate::types::{GreetResponse, Incarnation, Membership, NodeId, Server, Suffrage};

/// A hash of a list of peers, whatever its order.
pub fn peers_hash(peers: &[(NodeId, String)]) -> u64 {
    let sorted: BTreeMap<&str, &str> =
        peers.iter().map(|(id, address)| (id.as_str(), address.as_str())).collect();
    let mut text = String::new();
    for (id, address) in sorted {
        text.push_str(&format!("{}:{id}={}:{address};", id.len(), address.len()));
    }
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()).max(1)
}

/// Why a node takes no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// The cluster's first membership names another life of this node's directory.
    OtherIncarnation,
    /// The cluster's first membership does not name this node.
    NotNamed,
    /// The peer cannot tell what the cluster began with.
    Unknown,
}

impl fmt::Display for QuarantineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherIncarnation => "the cluster knows another life of this node's directory",
            Self::NotNamed => "the cluster began without this node",
            Self::Unknown => "the cluster exists already",
        })
    }
}

/// What a blank node is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every listed peer is blank: begin with this.
    Form(Membership),
    /// The others began with this, and it names this life of the directory.
    Adopt(Membership),
    /// The cluster exists without this life of the directory.
    Quarantine {
        /// Who said so.
        by: NodeId,
        /// Why.
        why: QuarantineReason,
    },
    /// A blank peer has another list: go on asking.
    Mismatch {
        /// Which.
        peer: NodeId,
    },
}

/// What the listed peers have answered so far.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    id: NodeId,
    peers: Vec<(NodeId, String)>,
    hash: u64,
    known: BTreeMap<NodeId, Incarnation>,
}

impl Bootstrap {
    /// Nobody has answered.
    pub fn new(id: NodeId, peers: Vec<(NodeId, String)>, incarnation: Incarnation) -> Self {
        let hash = peers_hash(&peers);
        let known = BTreeMap::from([(id.clone(), incarnation)]);
        Self { id, peers, hash, known }
    }

    /// What to become if nobody else is listed.
    pub fn alone(&self) -> Option<Decision> {
        self.formed()
    }

    /// A listed peer answered.
    pub fn greeted(&mut self, from: &NodeId, answer: &GreetResponse) -> Option<Decision> {
        if answer.from != *from || !self.peers.iter().any(|(id, _)| id == from) {
            return None;
        }
        if let Some(state) = &answer.state {
            return Some(self.meet(from, state.first.as_ref()));
        }
        if answer.peers_hash != self.hash {
            self.known.remove(from);
            return Some(Decision::Mismatch { peer: from.clone() });
        }
        self.known.insert(from.clone(), answer.incarnation);
        self.formed()
    }

    fn meet(&self, by: &NodeId, first: Option<&Membership>) -> Decision {
        let own = self.known.get(&self.id).copied();
        let why = match first.map(|first| (first, first.get(&self.id))) {
            Some((first, Some(server))) if Some(server.incarnation) == own => {
                return Decision::Adopt(first.clone());
            }
            Some((_, Some(_))) => QuarantineReason::OtherIncarnation,
            Some((_, None)) => QuarantineReason::NotNamed,
            None => QuarantineReason::Unknown,
        };
        Decision::Quarantine { by: by.clone(), why }
    }

    fn formed(&self) -> Option<Decision> {
        let servers: Option<Vec<Server>> = self
            .peers
            .iter()
            .map(|(id, address)| {
                let incarnation = *self.known.get(id)?;
                Some(Server {
                    id: id.clone(),
                    address: address.clone(),
                    suffrage: Suffrage::Voter,
                    incarnation,
                })
            })
            .collect();
        Membership::new(servers?).ok().map(Decision::Form)
    }
}
