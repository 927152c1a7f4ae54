//! One leadership, from the election to the step-down.
//!
//! Mailbox: [`Propose`], [`CommitAdvanced`], [`ReadIndex`], [`RoundAcked`], [`Tick`]. Voice: [`Append`] to
//! Storage, [`Replicate`] to the replicators, [`HeartbeatNow`] to the heartbeaters, [`ReadIndexReady`] to the
//! front door, [`StepDown`] to Consensus. Go: `leaderLoop`, `dispatchLogs`.
//! Owns the read rounds and the contact with the quorum. Never waits for its own disk (thesis §10.2.1),
//! and never counts itself: Consensus does, when the flush is done.

use std::{collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Handler};

use crate::{
    actors::{
        commitment::Commitment,
        follower_replicator::FollowerReplicator,
        heartbeater::Heartbeater,
        node::{LeaderOutlets, Node},
    },
    error::Fatal,
    known_bug::KnownBug,
    log::Tenure,
    mailbox::{Context, Port, Signal, port_of, spawn},
    messages::{
        CommitAdvanced, CommitDue, EntriesRead, HeartbeatNow, Match, OWN_SESSION, Proposal, Propose,
        ReadIndex, ReadIndexReady, Reader, Replicate, RoundAcked, StepDown, StopActor, StoredEntries, Tick,
    },
    protocol::{self, QuorumContact, ReadRounds, StepDownReason},
    types::{EntryBuffer, EntryKind, LogId, LogIndex, Server, Suffrage},
};

/// See the module.
pub(crate) struct Leader {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    commitment: Port<Commitment>,
    peers: Vec<Peer>,
    /// Sessions whose answers count, the leader's own among them if it is a voter.
    voters: Vec<u64>,
    /// The first entry of this term: before it is committed nothing may be read (Raft §8).
    start: LogIndex,
    reads: ReadRounds<u64>,
    /// Reads that came before the first entry of the term was committed.
    early: Vec<u64>,
    contact: QuorumContact,
    commit_due: bool,
    /// Proposals that are not taken yet.
    waiting: VecDeque<Arc<Proposal>>,
}

struct Peer {
    session: u64,
    suffrage: Suffrage,
    replicator: Port<FollowerReplicator>,
    replicate: Signal<FollowerReplicator, Replicate>,
    heartbeater: Port<Heartbeater>,
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
        let spawned = spawn(&node.inspector, "leader", |ctx| {
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
                commitment: port,
                peers,
                voters,
                start,
                reads: ReadRounds::new(),
                early: Vec::new(),
                contact,
                commit_due: false,
                waiting: VecDeque::new(),
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
        let outlets = LeaderOutlets { propose: leader.outlet(), read_index: leader.outlet() };
        Leadership { tenure, leader, commitment, outlets }
    }

    /// Appends entries and sets them on their way: to the store and to every follower at once.
    fn append(&mut self, buffer: EntryBuffer) -> Option<LogId> {
        let appended = self.node.log.borrow_mut().append_own(&self.tenure, buffer);
        let (batch, ticket) = match appended {
            Ok(appended) => appended?,
            Err(error) => {
                self.node.fail(Fatal::Invariant(format!("own configuration entry: {error}")));
                return None;
            }
        };
        let first = LogId::new(self.tenure.term(), batch.first());
        self.replicate();
        if KnownBug::LeaderCountsBeforeFlush.is_back() {
            self.commitment.send_now(Match { session: OWN_SESSION, index: batch.last() });
        }
        self.node.ports().storage.append(ticket, batch);
        self.node.publish_log();
        Some(first)
    }

    /// Appends what was proposed, as long as this node's own disk keeps up: a quorum of the others may be
    /// faster, and what is committed without it must not pile up here. What is not taken can go elsewhere.
    fn take_up(&mut self) {
        while self.node.log.borrow().unflushed_bytes() < self.node.config.unflushed_bytes_max {
            let Some(proposal) = self.waiting.pop_front() else { return };
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

    /// Begins a round for the reads that wait, unless one is running.
    fn begin_round(&mut self) {
        let commit = self.node.log.borrow().commit();
        if commit < self.start && !KnownBug::ReadBeforeTermCommit.is_back() {
            return;
        }
        for reads in self.early.drain(..) {
            self.reads.join(reads);
        }
        let Some(round) = self.reads.begin(commit, self.voters.iter().copied(), Some(OWN_SESSION)) else {
            return;
        };
        for peer in &self.peers {
            peer.heartbeater.send_now(HeartbeatNow { round });
        }
        self.round_acked(OWN_SESSION, round);
    }

    fn round_acked(&mut self, session: u64, round: u64) {
        let Some((index, reads)) = self.reads.acknowledged(session, round) else { return };
        for reads in reads {
            self.node.ports().front.read_index_ready(ReadIndexReady { reads, index });
        }
        // A follower that asked waits for its own state machine: let it know the commit index now.
        self.replicate();
        self.begin_round();
    }

    fn check_quorum(&mut self, now: Duration) {
        if self.contact.expired(now, self.node.config.leader_lease_timeout) {
            let term = self.tenure.term();
            let reason = StepDownReason::QuorumLost;
            self.node.ports().consensus.step_down.send_now(StepDown { term, seen: term, reason });
        }
    }
}

fn spawn_commitment(
    node: &Rc<Node>,
    tenure: &Rc<Tenure>,
    leader: Port<Leader>,
    start: LogIndex,
) -> Port<Commitment> {
    let log = node.log.borrow();
    let mut rule = protocol::Commitment::new(start, log.commit());
    let sessions = sessions(node).filter(|(_, server)| server.suffrage == Suffrage::Voter);
    let advanced = rule.set_voters(sessions.map(|(session, _)| session));
    debug_assert!(advanced.is_none(), "nothing of this term is replicated yet");
    let spawned = spawn(&node.inspector, "leader/commitment", |_| {
        Commitment::new(tenure.clone(), rule, leader.outlet())
    });
    node.watch("commitment", spawned.task);
    spawned.port
}

/// Every member with the session its replicator gets in a new tenure.
fn sessions(node: &Rc<Node>) -> impl Iterator<Item = (u64, Server)> {
    let servers: Vec<Server> = node.log.borrow().membership().servers().to_vec();
    let own = node.id.clone();
    let mut next = OWN_SESSION;
    servers.into_iter().map(move |server| {
        if server.id == own {
            (OWN_SESSION, server)
        } else {
            next += 1;
            (next, server)
        }
    })
}

fn spawn_peers(
    node: &Rc<Node>,
    tenure: &Rc<Tenure>,
    commitment: &Port<Commitment>,
    leader: &Port<Leader>,
) -> Vec<Peer> {
    let others = sessions(node).filter(|(session, _)| *session != OWN_SESSION);
    others.map(|(session, server)| spawn_peer(node, tenure, commitment, leader, session, server)).collect()
}

fn spawn_peer(
    node: &Rc<Node>,
    tenure: &Rc<Tenure>,
    commitment: &Port<Commitment>,
    leader: &Port<Leader>,
    session: u64,
    server: Server,
) -> Peer {
    let mut signal = None;
    let name = format!("leader/replicator/{}", server.id);
    let replicator = spawn(&node.inspector, name, |ctx| {
        let own = port_of(ctx);
        let raised = Signal::new(own.clone());
        let latch = raised.latch();
        signal = Some(raised);
        FollowerReplicator::new(
            node.clone(),
            tenure.clone(),
            server.clone(),
            session,
            (commitment.outlet(), commitment.outlet()),
            own,
            latch,
        )
    });
    let name = format!("leader/heartbeater/{}", server.id);
    let suffrage = server.suffrage;
    let heartbeater = spawn(&node.inspector, name, |ctx| {
        Heartbeater::new(node.clone(), tenure.clone(), server, session, leader.outlet(), port_of(ctx))
    });
    node.watch("follower replicator", replicator.task);
    node.watch("heartbeater", heartbeater.task);
    let port = heartbeater.port.clone();
    node.ticker.subscribe(move |tick| {
        port.send_now(tick);
        port.connected()
    });
    let port = replicator.port.clone();
    node.ticker.subscribe(move |tick| {
        port.send_now(tick);
        port.connected()
    });
    Peer {
        session,
        suffrage,
        replicator: replicator.port,
        replicate: signal.expect("the replicator was built"),
        heartbeater: heartbeater.port,
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
            self.begin_round();
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

impl Handler<ReadIndex> for Leader {
    type Result = ();

    fn handle(&mut self, ReadIndex { reads }: ReadIndex, _: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        self.early.push(reads);
        self.begin_round();
    }
}

impl Handler<RoundAcked> for Leader {
    type Result = ();

    fn handle(&mut self, message: RoundAcked, _: &mut Self::Context) {
        if self.tenure.is_live() {
            self.contact.heard(message.session, message.sent_at);
            self.round_acked(message.session, message.round);
        }
    }
}

impl Handler<Tick> for Leader {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, _: &mut Self::Context) {
        if self.tenure.is_live() {
            self.take_up();
            self.check_quorum(now);
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
