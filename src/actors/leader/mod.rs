//! One leadership, from the election to the step-down.
//!
//! Mailbox: [`Propose`], [`CommitAdvanced`], [`ReadIndex`], [`AppendBarrier`], [`RoundAcked`], [`ChangeCluster`],
//! [`Transfer`], [`Tick`]. Voice: [`Append`] to Storage, [`Replicate`] to the replicators, [`HeartbeatNow`] to the
//! heartbeaters, [`ReadIndexReady`] and [`TransferEnded`] to the front door, [`StepDown`] to Consensus, `TimeoutNow` to
//! the node that is to lead next. Go: `leaderLoop`, `dispatchLogs`.
//! Owns the read rounds, the contact with the quorum, the lease and the transfer. Never waits for its own disk (thesis §10.2.1),
//! and counts itself only when it is a quorum alone: else [`Commitment`] sees what its disk has, or Consensus tells.

mod barriers;
mod membership;
mod peers;
mod reads;
mod transfer;

use std::{cell::Cell, collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Handler};

use crate::{
    actors::{
        commitment::Commitment,
        node::{LeaderOutlets, LeaseView, Node},
    },
    error::Fatal,
    known_bug::KnownBug,
    log::{Tenure, Ticket},
    mailbox::{Context, Port, port_of, spawn_unaddressed},
    messages::{
        CommitAdvanced, CommitDue, EntriesRead, Match, OWN_SESSION, Proposal, Propose, Reader, StepDown,
        StopActor, StoredEntries, Tick,
    },
    protocol::{Lease, QuorumContact, ReadRounds, StepDownReason},
    types::{EntryBuffer, EntryKind, LogId, LogIndex, Suffrage},
};

use barriers::Barriers;
use membership::Changes;
use peers::{Peer, spawn_commitment, spawn_peers};
use transfer::Transferring;

/// See the module.
pub(crate) struct Leader {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    own: Port<Self>,
    commitment: Port<Commitment>,
    peers: Vec<Peer>,
    /// The newest session given to a peer. None is used twice in a tenure.
    sessions: u64,
    /// Sessions whose answers count, the leader's own among them if it is a voter.
    voters: Vec<u64>,
    /// The first entry of this term: before it is committed nothing may be read (Raft §8).
    start: LogIndex,
    reads: ReadRounds<u64>,
    /// Reads that came before the first entry of the term was committed.
    early: Vec<u64>,
    contact: QuorumContact,
    /// Read by the front door, which answers reads by it; written here alone.
    lease: Rc<Cell<Lease>>,
    barriers: Barriers,
    transfer: Option<Transferring>,
    /// Whether a leader that was removed has tried to let somebody else lead.
    said_farewell: bool,
    commit_due: bool,
    /// Proposals that are not taken yet.
    waiting: VecDeque<Arc<Proposal>>,
    changes: Changes,
}

/// What Consensus keeps of a leadership.
pub(crate) struct Leadership {
    pub(crate) tenure: Rc<Tenure>,
    pub(crate) leader: Port<Leader>,
    pub(crate) commitment: Port<Commitment>,
    /// What the front door is given.
    pub(crate) outlets: LeaderOutlets,
}

impl Leader {
    /// Starts the subtree of a tenure just won: the first entry of the term is appended and replicated
    /// before anything else.
    pub(crate) fn start(node: &Rc<Node>, tenure: Rc<Tenure>) -> Leadership {
        let start = node.log.borrow().last().index.next();
        let mut commitment = None;
        let lease = Rc::new(Cell::new(Lease::new(node.config.lease_clock_drift_ppm)));
        let spawned = spawn_unaddressed(&node.inspector, "leader", |ctx| {
            let own = port_of(ctx);
            let port = spawn_commitment(node, &tenure, own.clone(), start);
            commitment = Some(port.clone());
            let peers = spawn_peers(node, &tenure, &port, &own);
            let mut voters: Vec<u64> =
                peers.iter().filter(|p| p.suffrage == Suffrage::Voter).map(|p| p.session).collect();
            if node.log.borrow().membership().is_voter(&node.id) {
                voters.push(OWN_SESSION);
            }
            let contact = QuorumContact::new(voters.iter().copied(), OWN_SESSION, node.now());
            Self {
                node: node.clone(),
                tenure: tenure.clone(),
                own,
                commitment: port,
                sessions: peers.iter().map(|peer| peer.session).max().unwrap_or(OWN_SESSION),
                peers,
                voters,
                start,
                reads: ReadRounds::new(),
                early: Vec::new(),
                contact,
                lease: lease.clone(),
                barriers: Barriers::default(),
                transfer: None,
                said_farewell: false,
                commit_due: false,
                waiting: VecDeque::new(),
                changes: Changes::default(),
            }
        });
        node.watch("leader", spawned.task);
        let leader = spawned.port;
        let receiver = leader.clone();
        node.ticker.subscribe(move |tick| {
            receiver.send_now(tick);
            receiver.connected()
        });
        let commitment = commitment.expect("the leader was built");
        let outlets = LeaderOutlets {
            propose: leader.outlet(),
            read_index: leader.outlet(),
            barrier: leader.outlet(),
            transfer: leader.outlet(),
            lease: LeaseView::new(tenure.clone(), lease),
            change_cluster: leader.outlet(),
        };
        Leadership { tenure, leader, commitment, outlets }
    }

    /// Appends entries and sets them on their way: to the store and to every follower at once.
    fn append(&mut self, mut buffer: EntryBuffer) -> Option<LogId> {
        let membership = self.node.log.borrow().membership_index();
        if buffer.wants_time() {
            buffer.stamp(self.node.wall_ns());
        }
        let appended = self.node.log.borrow_mut().append_own(&self.tenure, buffer);
        let (batch, ticket) = match appended {
            Ok(appended) => appended?,
            Err(error) => {
                self.node.fail(Fatal::Invariant(format!("own configuration entry: {error}")));
                return None;
            }
        };
        let first = LogId::new(self.tenure.term(), batch.first());
        let counters = &self.node.board.counters;
        counters.entries_appended.add(batch.count());
        counters.bytes_appended.add(batch.len() as u64);
        counters.batches_appended.add(1);
        self.node.metrics.commit.start(batch.last().0);
        // It is in force from here on: who replicates and whose acknowledgement counts, before it is sent.
        if self.node.log.borrow().membership_index() != membership {
            self.reconcile();
        }
        self.replicate();
        if KnownBug::LeaderCountsBeforeFlush.is_back() {
            self.commitment.send_now(Match { session: OWN_SESSION, index: batch.last() });
        }
        if let Some(ticket) = self.node.store(ticket, batch) {
            self.count_own(ticket);
        }
        self.node.publish_log();
        Some(first)
    }

    /// What this node's store made durable at once counts at once; what it takes time for, when Consensus hears of it.
    /// Nobody else can have it yet, so that it commits nothing unless this node is a quorum by itself, and
    /// [`Commitment`] sees it when the others have it.
    fn count_own(&self, ticket: Ticket) {
        if self.node.flushed(ticket) && self.voters == [OWN_SESSION] {
            let index = self.node.log.borrow().durable();
            self.commitment.send_now(Match { session: OWN_SESSION, index });
        }
    }

    /// Appends what was proposed, as long as this node's own disk keeps up: a quorum of the others may be
    /// faster, and what is committed without it must not pile up here. What is not taken can go elsewhere. While
    /// somebody else is to lead, everything waits for him.
    fn take_up(&mut self) {
        while self.transfer.is_none()
            && self.node.log.borrow().unflushed_bytes() < self.node.config.unflushed_bytes_max
        {
            let Some(proposal) = self.waiting.pop_front() else { return self.append_barrier() };
            if let Some(first) = proposal.take().and_then(|buffer| self.append(buffer)) {
                proposal.appended(first);
            }
        }
    }

    fn replicate(&self) {
        for peer in &self.peers {
            peer.replicate.raise();
        }
    }

    /// The commit index travels with the next append; if none comes soon, it goes alone.
    fn owe_commit(&mut self, ctx: &mut Context<Self>) {
        if !self.commit_due {
            self.commit_due = true;
            ctx.notify_later(CommitDue, self.node.config.commit_timeout);
        }
    }

    fn check_quorum(&mut self, now: Duration) {
        if self.contact.expired(now, self.node.config.leader_lease_timeout) {
            let term = self.tenure.term();
            let reason = StepDownReason::QuorumLost;
            self.node.ports().consensus.step_down.send_now(StepDown { term, seen: term, reason });
        }
    }
}

impl Actor for Leader {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let mut noop = EntryBuffer::default();
        noop.push(EntryKind::Noop, b"");
        let first = self.append(noop);
        debug_assert!(first.is_none_or(|first| first.index == self.start), "the first entry of the term");
    }
}

impl Handler<Propose> for Leader {
    type Result = ();

    fn handle(&mut self, Propose(proposal): Propose, _: &mut Self::Context) {
        if self.tenure.is_live() {
            self.waiting.push_back(proposal);
            self.take_up();
        }
    }
}

impl Handler<CommitAdvanced> for Leader {
    type Result = ();

    fn handle(&mut self, CommitAdvanced { index }: CommitAdvanced, ctx: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        if self.node.commit(index) {
            self.take_up();
            self.owe_commit(ctx);
            self.open_lease();
            self.pass_barriers();
            self.begin_round();
            self.go_on_changing();
            self.leave_if_removed();
            self.go_on_transferring();
        }
    }
}

impl Handler<CommitDue> for Leader {
    type Result = ();

    fn handle(&mut self, _: CommitDue, _: &mut Self::Context) {
        self.commit_due = false;
        self.replicate();
    }
}

impl Handler<Tick> for Leader {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, _: &mut Self::Context) {
        if self.tenure.is_live() {
            self.take_up();
            self.check_quorum(now);
            self.give_up_transfer(now);
            self.go_on_changing();
        }
    }
}

/// Entries from the store, for the replicator that asked.
///
/// Consensus passes them to the leader, which knows who has which session.
impl Handler<EntriesRead> for Leader {
    type Result = ();

    fn handle(&mut self, message: EntriesRead, _: &mut Self::Context) {
        let Reader::Replicator { term, session } = message.reader else { return };
        if term != self.tenure.term() {
            return;
        }
        if let Some(peer) = self.peers.iter().find(|peer| peer.session == session) {
            peer.replicator.send_now(StoredEntries { batches: message.batches });
        }
    }
}

impl Handler<StopActor> for Leader {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        self.commitment.send_now(StopActor);
        for peer in &self.peers {
            peer.replicator.send_now(StopActor);
            peer.heartbeater.send_now(StopActor);
        }
        actix::ActorContext::stop(ctx);
    }
}
