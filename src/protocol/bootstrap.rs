//! From blank directories to a cluster: what a blank node may conclude from what its listed peers answer.
//!
//! ```text
//! every listed peer blank, same list, twice over   →  Form: the same bytes on every node
//! a peer has state that names this very node       →  Adopt what that peer began with
//! a peer has state that does not                   →  Quarantine: take no part until admitted
//! ```
//!
//! A node that lost its directory looks blank, and must not vote away what it acknowledged before
//! (tikv#9579); its new incarnation tells it apart. **Once a majority holds a membership, no other gathers one
//! while a single node of that majority keeps its directory.** For this a peer counts as blank only if it
//! said so both before and after everybody's first answer was here: so there was a moment at which all of
//! them, in these lives, were blank, and what any life forms or acknowledges follows that moment.
//!
//! Keeps nothing on disk: a restart begins anew. Decides once; what comes after the decision is the caller's.

use std::{collections::BTreeMap, fmt};

use crate::types::{ClusterId, GreetResponse, Incarnation, Membership, NodeId, Server, Suffrage};

/// How often each peer must answer the same once all have answered: the first of these answers may be to a
/// greeting sent before, the second is not, as long as one greeting at a time is on its way to a peer.
const CONFIRMATIONS: u32 = 2;

/// A hash of a list of peers, ids and addresses, whatever its order. Never zero, which says "no list".
pub fn peers_hash(peers: &[(NodeId, String)]) -> u64 {
    let mut sorted: Vec<&(NodeId, String)> = peers.iter().collect();
    sorted.sort();
    let mut bytes = Vec::new();
    for (id, address) in sorted {
        for text in [id.as_str(), address] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxhash_rust::xxh3::xxh3_64(&bytes).max(1)
}

/// Why a node takes no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// The cluster began with another life of this node's directory.
    OtherIncarnation,
    /// The cluster began without this node.
    NotNamed,
    /// The peer cannot tell any more what the cluster began with.
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

/// What is wrong with a blank peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MismatchReason {
    /// It was started with another list of peers.
    OtherList,
    /// At its address somebody else answers.
    OtherName(NodeId),
}

impl fmt::Display for MismatchReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherList => f.write_str("it was started with another list of peers"),
            Self::OtherName(id) => write!(f, "{id} answers at its address"),
        }
    }
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Begin the cluster with this as entry 1.
    Form(Membership),
    /// The cluster has begun with this as entry 1, and it names this life of this node: write the same.
    Adopt(Membership),
    /// The cluster exists, and not with this life of this node.
    Quarantine {
        /// Who said so.
        by: NodeId,
        /// Why.
        why: QuarantineReason,
    },
    /// There is a cluster that this node is to be added to: wait for that.
    Wait {
        /// Who said so.
        by: NodeId,
        /// Which.
        cluster: ClusterId,
    },
    /// Nothing yet, and never unless the operator mends this: report it and go on asking.
    Mismatch {
        /// Which peer.
        peer: NodeId,
        /// What is wrong.
        why: MismatchReason,
    },
}

impl Decision {
    /// What follows for a node that was started to join a cluster, when `answer` came from an address it was given.
    pub fn of_joining(answer: &GreetResponse) -> Option<Self> {
        let state = answer.state.as_ref().filter(|state| !state.cluster.is_none())?;
        Some(Self::Wait { by: answer.from.clone(), cluster: state.cluster })
    }
}

/// What a listed peer has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    incarnation: Incarnation,
    /// How often it said the same since everybody's first answer was here.
    confirmed: u32,
}

/// The rule. See the module.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    id: NodeId,
    incarnation: Incarnation,
    peers: Vec<(NodeId, String)>,
    hash: u64,
    /// The newest blank answers of listed peers with this very list, this node not among them.
    answers: BTreeMap<NodeId, Answer>,
}

impl Bootstrap {
    /// A blank node called `id`, in the life `incarnation`, that was given the list `peers`, itself included.
    /// The list must make a [`Membership`], else nothing is ever formed.
    pub fn new(id: NodeId, peers: Vec<(NodeId, String)>, incarnation: Incarnation) -> Self {
        let hash = peers_hash(&peers);
        Self { id, incarnation, peers, hash, answers: BTreeMap::new() }
    }

    /// What follows before anybody is asked: a node that is listed alone forms its cluster at once.
    pub fn alone(&self) -> Option<Decision> {
        self.others().next().is_none().then(|| self.formed()).flatten()
    }

    /// The peer `from` answered a greeting. Keep greeting every peer, one greeting at a time to each and
    /// late answers to given-up ones dropped, until this returns something other than a mismatch.
    ///
    /// While a node's entry 1 is not durable it answers as blank, or not at all.
    pub fn greeted(&mut self, from: &NodeId, answer: &GreetResponse) -> Option<Decision> {
        if !self.others().any(|peer| peer == from) {
            return None;
        }
        if answer.from != *from {
            return Some(self.mismatch(from, MismatchReason::OtherName(answer.from.clone())));
        }
        if let Some(state) = &answer.state {
            return Some(self.meet(from, state.first.as_ref()));
        }
        if answer.peers_hash != self.hash {
            return Some(self.mismatch(from, MismatchReason::OtherList));
        }
        if answer.incarnation.is_none() {
            return None;
        }
        self.note_blank(from, answer.incarnation);
        let confirmed = self.answers.values().all(|answer| answer.confirmed >= CONFIRMATIONS);
        (self.is_complete() && confirmed).then(|| self.formed()).flatten()
    }

    /// A peer is blank. If it is another life than before, everything starts over.
    fn note_blank(&mut self, from: &NodeId, incarnation: Incarnation) {
        if self.answers.get(from).is_some_and(|known| known.incarnation != incarnation) {
            self.answers.clear();
        }
        let complete = self.is_complete();
        let answer = self.answers.entry(from.clone()).or_insert(Answer { incarnation, confirmed: 0 });
        if complete {
            answer.confirmed = answer.confirmed.saturating_add(1);
        }
    }

    /// A peer has state: the cluster exists, with this life of this node or without it.
    fn meet(&self, by: &NodeId, first: Option<&Membership>) -> Decision {
        let quarantine = |why| Decision::Quarantine { by: by.clone(), why };
        let Some(first) = first else { return quarantine(QuarantineReason::Unknown) };
        match first.get(&self.id) {
            Some(named) if named.incarnation == self.incarnation => Decision::Adopt(first.clone()),
            Some(_) => quarantine(QuarantineReason::OtherIncarnation),
            None => quarantine(QuarantineReason::NotNamed),
        }
    }

    fn mismatch(&mut self, peer: &NodeId, why: MismatchReason) -> Decision {
        self.answers.clear();
        Decision::Mismatch { peer: peer.clone(), why }
    }

    fn others(&self) -> impl Iterator<Item = &NodeId> {
        self.peers.iter().map(|(id, _)| id).filter(|id| **id != self.id)
    }

    fn is_complete(&self) -> bool {
        self.others().all(|peer| self.answers.contains_key(peer))
    }

    /// The membership of the list in the lives that answered; none if this node is not listed.
    fn formed(&self) -> Option<Decision> {
        self.peers.iter().find(|(id, _)| *id == self.id)?;
        let server = |(id, address): &(NodeId, String)| {
            let known = self.answers.get(id).map(|answer| answer.incarnation);
            let incarnation = if *id == self.id { self.incarnation } else { known? };
            let (id, address) = (id.clone(), address.clone());
            Some(Server { id, address, suffrage: Suffrage::Voter, incarnation })
        };
        let servers: Option<Vec<Server>> = self.peers.iter().map(server).collect();
        Membership::new(servers?).ok().map(Decision::Form)
    }
}

impl fmt::Display for Bootstrap {
    /// `n1 blank: n2 4f00aa31+1, n3 ?`: the life that answered, and how often it was confirmed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blank:", self.id)?;
        for (number, peer) in self.others().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match self.answers.get(peer) {
                Some(answer) => write!(f, "{comma} {peer} {:?}+{}", answer.incarnation, answer.confirmed)?,
                None => write!(f, "{comma} {peer} ?")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
