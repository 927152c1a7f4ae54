//! What a node knows of itself and its cluster, as data and text.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Board, ServerRole};
use crate::{
    types::{LogIndex, NodeId, Suffrage, Term},
    wire::Handshake,
};

/// A member as [`Status`] shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// Its name.
    pub id: NodeId,
    /// Where it listens for other nodes.
    pub address: String,
    /// Whether its vote and acknowledgement count.
    pub suffrage: Suffrage,
}

/// A node's view of itself and its cluster (hashicorp's `Stats`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// The node.
    pub id: NodeId,
    /// What it does.
    pub role: ServerRole,
    /// Its term.
    pub term: Term,
    /// The leader it knows.
    pub leader: Option<NodeId>,
    /// Everything up to here is committed, as far as it knows.
    pub commit_index: LogIndex,
    /// Everything up to here is applied to its state machine.
    pub applied_index: LogIndex,
    /// Entries that are committed and not applied to its state machine yet (hashicorp counts batches).
    pub fsm_pending: u64,
    /// The last entry of its log.
    pub last_index: LogIndex,
    /// The term of that entry.
    pub last_term: Term,
    /// Everything up to here is on its medium.
    pub durable_index: LogIndex,
    /// The last entry of its newest snapshot; zero without one.
    pub snapshot_index: LogIndex,
    /// The term of that entry; zero without one.
    pub snapshot_term: Term,
    /// The voters of its effective membership.
    pub voters: Vec<NodeId>,
    /// All members of its effective membership, ordered by id.
    pub members: Vec<Member>,
    /// The index of the effective membership's entry; of the log's base if that is compacted.
    pub membership_index: LogIndex,
    /// How many voters there are beside this node; none if it is no voter itself.
    pub num_peers: usize,
    /// How long ago it last heard its leader; nothing at all if it leads itself, `None` if it never heard one.
    pub last_contact: Option<Duration>,
    /// The longest time between two heartbeats of the leader that it follows, as it handled them; `None` before the
    /// second. From `heartbeat_timeout` on there would be an election.
    pub heartbeat_gap_max: Option<Duration>,
    /// The versions of the protocol between nodes that it speaks, from the first to the last.
    pub protocol_versions: (u8, u8),
    /// Its cluster, once that is known: the same on every member.
    pub cluster: Option<String>,
    /// Whether it belongs to the cluster, and whether its log is whole, in words.
    pub standing: String,
    /// Why it stopped for good, if it did.
    pub fatal: Option<String>,
}

impl Board {
    pub(crate) fn status(&self) -> Status {
        let index = |index: &AtomicU64| LogIndex(index.load(Ordering::Relaxed));
        // The smaller index is read first, so that a report never shows more applied than committed.
        let (applied_index, commit_index) = (index(&self.applied), index(&self.commit));
        let (durable_index, last_index) = (index(&self.durable), index(&self.last));
        let last_contact = self.last_contact();
        let state = self.state();
        let voters = || state.members.iter().filter(|member| member.suffrage == Suffrage::Voter);
        let is_voter = voters().any(|voter| voter.id == state.identity.id);
        Status {
            id: state.identity.id.clone(),
            role: state.role,
            term: state.term,
            leader: state.leader.clone(),
            commit_index,
            applied_index,
            fsm_pending: commit_index.0.saturating_sub(applied_index.0),
            last_index,
            last_term: Term(self.last_term.load(Ordering::Relaxed)),
            durable_index,
            snapshot_index: state.snapshot.index,
            snapshot_term: state.snapshot.term,
            voters: voters().map(|voter| voter.id.clone()).collect(),
            members: state.members.clone(),
            membership_index: state.membership_index,
            num_peers: if is_voter { voters().count() - 1 } else { 0 },
            last_contact: if state.role == ServerRole::Leader { Some(Duration::ZERO) } else { last_contact },
            heartbeat_gap_max: self.contact.gap_max(),
            protocol_versions: Handshake::VERSIONS,
            cluster: self.cluster.get().map(ToString::to_string),
            standing: state.standing.clone(),
            fatal: state.fatal.as_ref().map(ToString::to_string),
        }
    }

    fn last_contact(&self) -> Option<Duration> {
        Some(self.clock.now().saturating_sub(self.contact.last()?))
    }
}

/// One aligned line a fact.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_owned());
        let members: Vec<String> = self.members.iter().map(Member::to_string).collect();
        let (first, last) = self.protocol_versions;
        let snapshot = match self.snapshot_index {
            LogIndex::ZERO => "none yet".to_owned(),
            index => format!("{index} of term {}", self.snapshot_term),
        };
        let rows = [
            ("node", self.id.to_string()),
            ("role", self.role.to_string()),
            ("standing", self.standing.clone()),
            ("term", self.term.to_string()),
            ("leader", or(self.leader.as_ref().map(ToString::to_string), "none known")),
            ("last contact", or(self.last_contact.map(|ago| format!("{} ms ago", ago.as_millis())), "never")),
            ("heartbeats", or(self.heartbeat_gap_max.map(apart), "none yet")),
            ("last log", format!("{} of term {}", self.last_index, self.last_term)),
            ("durable", self.durable_index.to_string()),
            ("committed", self.commit_index.to_string()),
            ("applied", format!("{} ({} pending)", self.applied_index, self.fsm_pending)),
            ("snapshot", snapshot),
            ("members", format!("{}, as of entry {}", members.join(", "), self.membership_index)),
            ("cluster", or(self.cluster.clone(), "none yet")),
            ("protocol", if first == last { first.to_string() } else { format!("{first} to {last}") }),
            ("failed", or(self.fatal.clone(), "no")),
        ];
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        rows.iter().try_for_each(|(name, value)| writeln!(f, "{name:<width$}  {value}"))
    }
}

fn apart(gap: Duration) -> String {
    format!("at most {} ms apart", gap.as_millis())
}

/// `n1 at host:port`, and what it is if it is no voter.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address, suffrage } = self;
        match suffrage {
            Suffrage::Voter => write!(f, "{id} at {address}"),
            Suffrage::Nonvoter => write!(f, "{id} at {address} (nonvoter)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ClockSkew},
        transport::Identity,
        types::{ClusterId, GroupId, Incarnation, LogId, Membership, Server},
    };

    #[test]
    fn a_status_is_shown_by_line_and_survives_json() {
        let identity = Identity {
            id: "n1".into(),
            cluster: ClusterId(7),
            group: GroupId::ZERO,
            incarnation: Incarnation(1),
        };
        let board = Board::new(identity, Clock::start(ClockSkew::NONE, None));
        let server = |id: &str, suffrage| Server {
            id: id.into(),
            address: format!("{id}:1"),
            suffrage,
            incarnation: Incarnation(u128::MAX),
        };
        let servers = [server("n1", Suffrage::Voter), server("n2", Suffrage::Nonvoter)];
        board.set_membership(LogIndex(4), &Membership::new(servers).unwrap());
        board.set_role(ServerRole::Follower, Term(2), None);
        assert!(board.status().to_string().lines().any(|line| line == "snapshot      none yet"));
        board.set_snapshot(LogId::new(Term(2), LogIndex(3)));
        let status = board.status();
        let shown = status.to_string();
        assert_eq!((status.snapshot_index, status.snapshot_term), (LogIndex(3), Term(2)));
        for line in [
            "role          follower",
            "snapshot      3 of term 2",
            "last contact  never",
            "leader        none known",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}:\n{shown}");
        }
        assert!(shown.contains("n1 at n1:1, n2 at n2:1 (nonvoter), as of entry 4"), "{shown}");
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
