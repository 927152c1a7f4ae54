//! The oracles: what must hold after every event, whatever was done to the cluster.
//!
//! They see every node between its turns ([`Oracle::look`]), every call of every log ([`store`]), every message that
//! leaves a node ([`traffic`]) and every command that a state machine is given ([`Oracle::applied`]), and decide by
//! what was asked and answered, never by asking a node whether it is right.
//!
//! | law | where it is checked |
//! |---|---|
//! | election safety: one leader a term (Raft §5.2) | when a node leads, and at every message of a leader |
//! | one vote a term, durable before it is told (§5.2) | at every vote record and every answer that grants |
//! | log matching (§5.3) | whenever an entry is seen, with the term of the one before it |
//! | leader completeness (§5.4) | when a node begins to lead |
//! | a leader commits by entries of its own term (§5.4.2) | when the commit index of a leader rises |
//! | committed entries are immutable and on a quorum's disks | when the commit index of a node rises, when a disk cuts or recovers |
//! | neighbouring memberships differ by one voter (thesis §4.1) | when a membership is committed |
//! | acknowledged means durable | at every acknowledgement that leaves a follower |
//! | state machine safety: the same commands in the same order, each once (§5.4.3) | at every command applied |
//! | a snapshot is the state at its index, and of committed entries | when one is captured, published, found and restored |
//! | a restore takes effect at one place among the commands, the same on every node, or nowhere | when one does, at every command applied, when a state is restored, and at every answer |
//! | what is compacted is durable, committed and in a snapshot | when the front of a log goes, or all of it |
//! | exactly once: no operation of a client is applied twice, also if it was sent again in its session (thesis §6.3) | at every command applied, and at every answer to what was sent again |
//! | term, vote, commit and applied index never fall; applied ≤ commit ≤ last | at every look, and across restarts |

mod ledger;
mod look;
mod membership;
mod restores;
mod shadow;
mod snapshots;
mod store;
mod traffic;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{sync::Notify, time::Instant};

use crate::{
    sim::trace::{Event, Trace},
    types::{Incarnation, LogId, LogIndex, NodeId},
};

use ledger::{AppliedCommand, Ledger};
pub(crate) use look::Look;
use membership::Memberships;
use restores::Restores;
use shadow::Shadow;
pub(crate) use snapshots::{Compactions, WatchedSnapshots};
pub(crate) use store::WatchedStore;

/// A law that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{law}: {what}")]
pub struct Violation {
    /// Which law.
    pub law: &'static str,
    /// What was seen.
    pub what: String,
}

impl Violation {
    pub(crate) fn new(law: &'static str, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}

/// The oracles of one run, and its trace. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Oracle {
    state: Arc<Mutex<State>>,
    violated: Arc<Notify>,
    /// The numbers of the nodes, counted from zero.
    addresses: Arc<BTreeMap<String, usize>>,
    began: Instant,
}

struct State {
    trace: Trace,
    ledger: Ledger,
    memberships: Memberships,
    nodes: Vec<Watched>,
    violation: Option<Violation>,
    stamp: u64,
    /// The digest of the state after a command, by whoever was first to write it.
    states: BTreeMap<LogIndex, (u64, usize)>,
    restores: Restores,
    compactions: Compactions,
}

/// One node, as the oracles see it.
#[derive(Default)]
struct Watched {
    id: String,
    shadow: Shadow,
    /// What was last seen of the life that runs.
    seen: Look,
    /// The highest commit index that it has told others.
    told: LogIndex,
    /// How many commands the state machine of this life was given.
    applied: usize,
    /// Up to where its state machine is.
    applied_index: LogIndex,
    /// Ends of the snapshots on its disk, ascending.
    snapshots: Vec<LogId>,
    /// The end of the last snapshot that a leader sent it and its log has not begun anew behind.
    received: LogId,
    /// What its disk held may have been damaged since it was last read: its log, and its snapshots.
    rotten: bool,
    rotten_snapshots: bool,
    /// It lost its directory: what it holds from then on counts for nothing, until a membership names its new life.
    out: bool,
    /// The life of its directory that was last seen.
    incarnation: Incarnation,
}

impl Watched {
    fn holds(&self, id: LogId) -> bool {
        self.shadow.held(id) || (!self.out && self.shadow.holds(id))
    }
}

impl Oracle {
    /// Oracles for nodes of these ids and addresses, in the order of their numbers; the first ones form the cluster.
    pub(crate) fn new<'a>(nodes: impl Iterator<Item = (&'a NodeId, &'a str)>, founders: usize) -> Self {
        let mut addresses = BTreeMap::new();
        let mut watched = Vec::new();
        for (number, (id, address)) in nodes.enumerate() {
            addresses.insert(address.to_owned(), number);
            watched.push(Watched { id: id.to_string(), ..Watched::default() });
        }
        let state = State {
            trace: Trace::default(),
            ledger: Ledger::default(),
            memberships: Memberships::new(founders),
            nodes: watched,
            violation: None,
            stamp: 0,
            states: BTreeMap::new(),
            restores: Restores::default(),
            compactions: Compactions::default(),
        };
        let addresses = Arc::new(addresses);
        Self {
            state: Arc::new(Mutex::new(state)),
            violated: Arc::default(),
            addresses,
            began: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn number_at(&self, address: &str) -> Option<usize> {
        self.addresses.get(address).copied()
    }

    /// Checks something. The first violation stays, and wakes whoever waits for one.
    fn check(&self, check: impl FnOnce(&mut State) -> Result<(), Violation>) {
        let mut state = self.state();
        if state.violation.is_some() {
            return;
        }
        if let Err(violation) = check(&mut state) {
            state.violation = Some(violation);
            self.violated.notify_one();
        }
    }

    /// Something is wrong that another part of the simulator found.
    pub(crate) fn accuse(&self, violation: Violation) {
        self.check(|_| Err(violation));
    }

    /// The first law that did not hold.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.state().violation.clone()
    }

    /// Waits for a violation.
    pub(crate) async fn violated(&self) {
        while self.violation().is_none() {
            self.violated.notified().await;
        }
    }

    /// Adds an event to the trace; `node` counts from zero, `None` is the world.
    pub(crate) fn note(&self, what: &'static str, node: Option<usize>, about: [u64; 3]) {
        let at = self.elapsed();
        self.state().trace.note(Event { at, what, node: node.map_or(0, |node| node + 1), about });
    }

    /// A copy of the trace.
    pub(crate) fn trace(&self) -> Trace {
        self.state().trace.clone()
    }

    /// The next place in the one order of everything that clients do and see.
    pub(crate) fn stamp(&self) -> u64 {
        let mut state = self.state();
        state.stamp += 1;
        state.stamp
    }

    /// How often the leadership has changed hands, the first one not counted.
    pub(crate) fn leader_changes(&self) -> u64 {
        self.state().ledger.leaderships().saturating_sub(1)
    }

    /// Every command applied so far, with the operation it belongs to.
    pub(crate) fn applied_log(&self) -> Vec<(LogId, u64)> {
        self.state().ledger.applied().iter().map(|command| (command.at, command.operation)).collect()
    }

    /// The state machine of `node` is given a command.
    pub(crate) fn applied(&self, node: usize, at: LogId, operation: u64, content: u64) {
        self.note("apply", Some(node), [at.index.0, at.term.0, operation]);
        self.check(|state| {
            let watched = &mut state.nodes[node];
            let nth = watched.applied;
            watched.applied += 1;
            if at.index <= watched.applied_index {
                let what = format!("n{} applies {at} again", node + 1);
                return Err(Violation::new("state machine safety", what));
            }
            watched.applied_index = at.index;
            state.ledger.applies(nth, AppliedCommand { at, operation, content }, node)
        });
    }

    /// A client was told that its command stands at `at`.
    pub(crate) fn acknowledged(&self, node: usize, at: LogId) {
        self.check(|state| {
            if state.ledger.committed_term(at.index) == Some(at.term) {
                return Ok(());
            }
            let what = format!("n{} acknowledges {at} to a client, and it is not committed", node + 1);
            Err(Violation::new("acknowledged means committed", what))
        });
    }

    /// Whether every state machine of `nodes` was given every command.
    pub(crate) fn all_applied(&self, nodes: &[usize]) -> bool {
        let state = self.state();
        let count = state.ledger.applied().len();
        nodes.iter().all(|node| state.nodes[*node].applied == count)
    }

    /// The process of `node` has ended: what is seen next is another life.
    pub(crate) fn ended(&self, node: usize) {
        self.check(|state| {
            let watched = &mut state.nodes[node];
            (watched.seen, watched.applied, watched.applied_index) = Default::default();
            Ok(())
        });
    }

    /// The directory of `node` is gone.
    pub(crate) fn wiped(&self, node: usize) {
        self.check(|state| {
            state.nodes[node].shadow.lost();
            state.nodes[node].snapshots.clear();
            state.nodes[node].out = true;
            state.nodes[node].incarnation = Incarnation::NONE;
            Ok(())
        });
    }

    /// A bit of what `node` holds on its disk has turned.
    pub(crate) fn rotted(&self, node: usize) {
        self.check(|state| {
            state.nodes[node].rotten = true;
            state.nodes[node].rotten_snapshots = true;
            Ok(())
        });
    }

    /// Looks at everything anew.
    pub(crate) fn scan(&self) {
        self.check(|state| state.check_quorum(LogIndex(1), state.ledger.committed()));
    }

    /// Whether the disk of `node` was given something that it has not made durable.
    pub(crate) fn has_unflushed(&self, node: usize) -> bool {
        self.state().nodes[node].shadow.has_unflushed()
    }
}

impl State {
    /// Whether the disks of a quorum of these nodes hold this entry.
    fn is_on_quorum_of(&self, voters: u64, id: LogId) -> bool {
        let votes = |(number, node): (usize, &Watched)| voters & (1 << number) != 0 && node.holds(id);
        let holders = self.nodes.iter().enumerate().filter(|(number, node)| votes((*number, node))).count();
        holders > voters.count_ones() as usize / 2
    }

    /// Every committed entry of a range is on a quorum's disks.
    fn check_quorum(&self, first: LogIndex, last: LogIndex) -> Result<(), Violation> {
        for index in first.0.max(1)..=last.min(self.ledger.committed()).0 {
            let index = LogIndex(index);
            let Some(term) = self.ledger.committed_term(index) else { continue };
            let id = LogId::new(term, index);
            if !self.memberships.of(index).iter().any(|voters| self.is_on_quorum_of(*voters, id)) {
                return Err(self.lacks_quorum(id));
            }
        }
        Ok(())
    }

    fn lacks_quorum(&self, id: LogId) -> Violation {
        let holders: Vec<&str> = self.nodes.iter().filter(|n| n.holds(id)).map(|n| n.id.as_str()).collect();
        let [under, now] = self.memberships.of(id.index).map(|voters| self.names(voters).join(" "));
        let what =
            format!("{id} is committed and durable on {holders:?} alone; voters then {under}, and now {now}");
        Violation::new("committed entries are on a quorum", what)
    }
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oracle").field("violation", &self.violation()).finish_non_exhaustive()
    }
}
