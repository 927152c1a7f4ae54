//! What a node publishes about itself: readable from any thread, without queueing behind any mailbox.

mod contact;
mod leadership;
mod statistics;
mod status;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    clock::Clock,
    error::Fatal,
    transport::Identity,
    types::{ClusterId, LogId, LogIndex, Membership, NodeId, Term},
};

use contact::Contact;
pub use leadership::{Leadership, LeadershipWatch};
pub(crate) use statistics::Counters;
pub use statistics::Statistics;
pub use status::{Member, Status};

/// What a node does in its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerRole {
    /// Leads.
    Leader,
    /// Follows, and votes.
    #[default]
    Follower,
    /// Stands for election, or asks whether it could.
    Candidate,
    /// Follows without a vote.
    Nonvoter,
    /// Takes no part until a committed membership names this life of its directory.
    Quarantined,
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Nonvoter => "nonvoter",
            Self::Quarantined => "quarantined",
        })
    }
}

/// Whether a node belongs to its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its directory is empty, and nobody has told it what to become.
    Blank,
    /// Its directory is empty, and it is to be added to a cluster that exists.
    Joining,
    /// Its first entry is written, and its directory does not say yet that it is a member's.
    Founding,
    /// Its votes and acknowledgements count.
    Member,
    /// The cluster exists without this life of its directory.
    Quarantined(String),
}

impl Standing {
    /// Of a node that a cluster is to add, and that knows which.
    pub(crate) fn waiting() -> Self {
        Self::Quarantined("this node waits to be added to its cluster".to_owned())
    }

    pub(crate) fn is_member(&self) -> bool {
        *self == Self::Member
    }

    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Blank | Self::Joining)
    }

    /// Whether it may append what a leader sends: blank nodes must not, until it is known what they are.
    pub(crate) fn takes_entries(&self) -> bool {
        matches!(self, Self::Member | Self::Quarantined(_))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank: waiting for the listed peers"),
            Self::Joining => f.write_str("blank: waiting to be added to a cluster"),
            Self::Founding => f.write_str("writing the first entry"),
            Self::Member => f.write_str("member"),
            Self::Quarantined(why) => write!(f, "quarantined: {why}"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// The cluster, once it is known: asked for every request, so without the lock.
    cluster: OnceLock<ClusterId>,
    commit: AtomicU64,
    applied: AtomicU64,
    last: AtomicU64,
    last_term: AtomicU64,
    durable: AtomicU64,
    contact: Contact,
    clock: Clock,
    /// What the node does, counted.
    pub(crate) counters: Counters,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    identity: Identity,
    role: ServerRole,
    term: Term,
    leader: Option<NodeId>,
    members: Vec<Member>,
    membership_index: LogIndex,
    /// The last entry of the newest snapshot.
    snapshot: LogId,
    standing: String,
    step_downs: BTreeMap<String, u64>,
    fatal: Option<Fatal>,
    stopped: bool,
}

impl Board {
    pub(crate) fn new(identity: Identity, clock: Clock) -> Self {
        let known = Some(identity.cluster).filter(|cluster| !cluster.is_none());
        let state = State {
            identity,
            role: ServerRole::default(),
            term: Term::ZERO,
            leader: None,
            members: Vec::new(),
            membership_index: LogIndex::ZERO,
            snapshot: LogId::ZERO,
            standing: String::new(),
            step_downs: BTreeMap::new(),
            fatal: None,
            stopped: false,
        };
        Self {
            state: Mutex::new(state),
            cluster: known.map_or_else(OnceLock::new, OnceLock::from),
            commit: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            last: AtomicU64::new(0),
            last_term: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            contact: Contact::default(),
            clock,
            counters: Counters::default(),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    /// What the node does, in which term.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn seat(&self) -> (ServerRole, Term) {
        let state = self.state();
        (state.role, state.term)
    }

    /// Why the node has failed.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.state().fatal.clone()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.state().identity.clone()
    }

    /// Whether a peer belongs to another cluster than this node does by now.
    pub(crate) fn is_stranger(&self, peer: &Identity) -> bool {
        let own = self.cluster.get();
        own.is_some_and(|own| !peer.cluster.is_none() && peer.cluster != *own)
    }

    pub(crate) fn set_cluster(&self, cluster: ClusterId) {
        let known = self.cluster.get_or_init(|| cluster);
        debug_assert_eq!(*known, cluster, "a cluster is for ever");
        self.change(|state| state.identity.cluster = cluster);
    }

    pub(crate) fn set_role(&self, role: ServerRole, term: Term, leader: Option<NodeId>) {
        self.change(|state| {
            if state.term != term || state.leader != leader {
                self.contact.is_with_another();
            }
            state.role = role;
            state.term = term;
            state.leader = leader;
        });
    }

    /// The membership in effect, whose entry is at `index`.
    pub(crate) fn set_membership(&self, index: LogIndex, membership: &Membership) {
        let member = |server: &crate::types::Server| Member {
            id: server.id.clone(),
            address: server.address.clone(),
            suffrage: server.suffrage,
        };
        let members = membership.servers().iter().map(member).collect();
        self.change(|state| {
            state.members = members;
            state.membership_index = index;
        });
    }

    /// A leader was heard at `now`.
    pub(crate) fn set_contact(&self, now: Duration) {
        self.contact.heard(now);
    }

    /// It was a heartbeat, handled at `now`.
    pub(crate) fn set_heartbeat(&self, now: Duration) {
        self.contact.beaten(now);
    }

    /// `withheld` is the end that a damaged log must reach again before the node counts as whole.
    pub(crate) fn set_standing(&self, standing: &Standing, withheld: Option<LogId>) {
        let text = match withheld {
            Some(end) => format!("{standing}, withheld until its log reaches {end}"),
            None => standing.to_string(),
        };
        self.change(|state| state.standing = text);
    }

    pub(crate) fn set_commit(&self, index: LogIndex) {
        self.commit.store(index.0, Ordering::Relaxed);
    }

    pub(crate) fn set_applied(&self, index: LogIndex) {
        self.applied.store(index.0, Ordering::Relaxed);
    }

    pub(crate) fn set_log(&self, last: LogId, durable: LogIndex) {
        self.last.store(last.index.0, Ordering::Relaxed);
        self.last_term.store(last.term.0, Ordering::Relaxed);
        self.durable.store(durable.0, Ordering::Relaxed);
    }

    /// The newest snapshot ends there.
    pub(crate) fn set_snapshot(&self, last: LogId) {
        self.change(|state| state.snapshot = last);
    }

    /// Notes why the node stopped. Whether this is the first reason, which stays.
    pub(crate) fn set_fatal(&self, fatal: &Fatal) -> bool {
        let mut first = false;
        self.change(|state| {
            first = state.fatal.is_none();
            state.fatal.get_or_insert_with(|| fatal.clone());
        });
        first
    }

    pub(crate) fn set_stopped(&self) {
        self.change(|state| state.stopped = true);
    }

    /// Whether the node has stopped or failed.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state();
        state.stopped || state.fatal.is_some()
    }

    /// Waits until the node knows a leader, or has stopped.
    pub(crate) async fn leader_elected(&self) -> Option<NodeId> {
        self.wait_for(|state| match (&state.leader, state.stopped || state.fatal.is_some()) {
            (_, true) => Some(None),
            (Some(leader), false) => Some(Some(leader.clone())),
            (None, false) => None,
        })
        .await
    }

    /// Waits until the node has stopped; the reason, if it did not stop in order.
    pub(crate) async fn stopped(&self) -> Option<Fatal> {
        self.wait_for(|state| (state.stopped || state.fatal.is_some()).then(|| state.fatal.clone())).await
    }

    async fn wait_for<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enlisted before looking, so that no change between the two is missed.
            changed.as_mut().enable();
            if let Some(found) = look(&self.state()) {
                return found;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ClockSkew,
        types::{GroupId, Incarnation},
    };

    fn identity(id: &str, cluster: u128) -> Identity {
        let (cluster, incarnation) = (ClusterId(cluster), Incarnation(1));
        Identity { id: id.into(), cluster, group: GroupId::ZERO, incarnation }
    }

    #[test]
    fn who_was_let_in_while_this_node_was_blank_is_a_stranger_once_it_has_another_cluster() {
        let board = Board::new(identity("n1", 0), Clock::start(ClockSkew::NONE, None));
        let (old, same, blank) = (identity("o1", 7), identity("n2", 8), identity("n3", 0));
        assert!(!board.is_stranger(&old));
        board.set_cluster(ClusterId(8));
        assert!(board.is_stranger(&old));
        assert!(!board.is_stranger(&same) && !board.is_stranger(&blank));
    }

    #[test]
    fn the_first_reason_to_stop_stays() {
        let board = Board::new(identity("n1", 0), Clock::start(ClockSkew::NONE, None));
        assert!(board.set_fatal(&Fatal::Thread("first".to_owned())));
        assert!(!board.set_fatal(&Fatal::Thread("second".to_owned())));
        assert!(board.status().fatal.is_some_and(|why| why.contains("first")));
    }
}
