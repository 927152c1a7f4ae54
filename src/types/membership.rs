//! Who belongs to the cluster: the content of a configuration entry (Raft §6, thesis §4).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Incarnation, NodeId};

/// Whether a server's vote and acknowledgement count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suffrage {
    /// Counts in elections and commitment.
    Voter,
    /// Receives the log and counts for nothing (hashicorp/raft's `Nonvoter`).
    Nonvoter,
}

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Server {
    /// Its name; votes and acknowledgements are keyed by it.
    pub id: NodeId,
    /// Where it listens: `host:port`; the name is resolved anew at each connection.
    pub address: String,
    /// Whether it counts.
    pub suffrage: Suffrage,
    /// The life of the data directory that was admitted; votes and acks of another count for nothing.
    pub incarnation: Incarnation,
}

/// A cluster configuration: takes effect when it is appended, falls back when that entry is truncated
/// (Raft §6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The members, ordered by id.
    servers: Vec<Server>,
}

/// Why a list of servers is not a membership.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// There is no voter; no entry could ever be committed.
    #[error("a membership needs at least one voter")]
    NoVoter,
    /// Two servers have the same id.
    #[error("server {0} is listed twice")]
    DuplicateId(NodeId),
    /// Two servers have the same address.
    #[error("address {0} is listed twice")]
    DuplicateAddress(String),
    /// An id or an address is empty or longer than 255 bytes.
    #[error("server {0:?} needs an id and an address of 1 to 255 bytes")]
    BadServer(NodeId),
    /// More servers than [`Membership::SERVERS_MAX`].
    #[error("{0} servers are more than {max}", max = Membership::SERVERS_MAX)]
    TooMany(usize),
    /// The bytes are not an encoded membership.
    #[error("not a membership: {0}")]
    Malformed(String),
}

impl Membership {
    /// The most servers a membership may list.
    pub const SERVERS_MAX: usize = 255;

    /// A checked membership, ordered by id.
    ///
    /// # Errors
    /// Refuses lists without a voter, with duplicates, with empty names, or too long ones.
    pub fn new(servers: impl IntoIterator<Item = Server>) -> Result<Self, MembershipError> {
        let mut servers: Vec<Server> = servers.into_iter().collect();
        if servers.len() > Self::SERVERS_MAX {
            return Err(MembershipError::TooMany(servers.len()));
        }
        servers.sort_by(|a, b| a.id.cmp(&b.id));
        let fits = |text: &str| (1..=NodeId::BYTES_MAX).contains(&text.len());
        if let Some(bad) = servers.iter().find(|s| !fits(s.id.as_str()) || !fits(&s.address)) {
            return Err(MembershipError::BadServer(bad.id.clone()));
        }
        if let Some(pair) = servers.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(MembershipError::DuplicateId(pair[0].id.clone()));
        }
        let mut addresses: Vec<&str> = servers.iter().map(|s| s.address.as_str()).collect();
        addresses.sort_unstable();
        if let Some(pair) = addresses.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(MembershipError::DuplicateAddress(pair[0].to_owned()));
        }
        if !servers.iter().any(|s| s.suffrage == Suffrage::Voter) {
            return Err(MembershipError::NoVoter);
        }
        Ok(Self { servers })
    }

    /// Every member, ordered by id.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The members whose vote counts, ordered by id.
    pub fn voters(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|s| s.suffrage == Suffrage::Voter)
    }

    /// The member called `id`.
    pub fn get(&self, id: &NodeId) -> Option<&Server> {
        self.servers.iter().find(|s| s.id == *id)
    }

    /// Whether `id` is a voter.
    pub fn is_voter(&self, id: &NodeId) -> bool {
        self.get(id).is_some_and(|s| s.suffrage == Suffrage::Voter)
    }

    /// Whether there is no member at all: a blank node's view.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// How many voters make a majority.
    pub fn quorum(&self) -> usize {
        self.voters().count() / 2 + 1
    }

    /// The bytes of a configuration entry: the same on every node for the same membership.
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("a membership always encodes")
    }

    /// Reads what [`encode`](Self::encode) wrote, checking it like [`new`](Self::new).
    ///
    /// # Errors
    /// Refuses anything else without panicking.
    pub fn decode(bytes: &[u8]) -> Result<Self, MembershipError> {
        let raw: Self =
            rmp_serde::from_slice(bytes).map_err(|e| MembershipError::Malformed(e.to_string()))?;
        Self::new(raw.servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: &str, address: &str, suffrage: Suffrage) -> Server {
        Server { id: id.into(), address: address.into(), suffrage, incarnation: Incarnation(7) }
    }

    #[test]
    fn a_membership_is_ordered_and_survives_its_encoding() {
        let m =
            Membership::new([server("n2", "b:1", Suffrage::Nonvoter), server("n1", "a:1", Suffrage::Voter)])
                .unwrap();
        assert_eq!(m.servers()[0].id, "n1".into());
        assert_eq!(Membership::decode(&m.encode()).unwrap(), m);
        assert_eq!((m.quorum(), m.is_voter(&"n2".into())), (1, false));
    }

    #[test]
    fn duplicates_and_voterless_lists_are_refused() {
        let voter = |id, address| server(id, address, Suffrage::Voter);
        assert_eq!(
            Membership::new([voter("a", "x"), voter("a", "y")]),
            Err(MembershipError::DuplicateId("a".into()))
        );
        assert_eq!(
            Membership::new([voter("a", "x"), voter("b", "x")]),
            Err(MembershipError::DuplicateAddress("x".into()))
        );
        assert_eq!(Membership::new([server("a", "x", Suffrage::Nonvoter)]), Err(MembershipError::NoVoter));
        assert!(matches!(Membership::decode(b"\x93\xff\x00garbage"), Err(MembershipError::Malformed(_))));
    }
}
