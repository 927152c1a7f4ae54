//! Term, vote and role of a node, and its answers to every request of other nodes.
//!
//! Mailbox: `Rpc<…>`, [`VoteAnswered`], [`Flushed`], [`VoteSaved`], [`StepDown`], [`FsmRoom`], [`Tick`], [`Decided`],
//! [`SnapshotTaken`], [`SnapshotReceived`](crate::messages::SnapshotReceived). Voice: [`SaveVote`], [`Append`],
//! [`Truncate`] and [`Purge`] to Storage, `FsmRetry` to FsmApplier, votes and answers to other nodes, the tenure's
//! subtree. Go: `runFollower`, `runCandidate`, `processRPC`.
//! The only writer of term, vote and role; no fast path goes round it (hashicorp/raft#695). Ends a tenure
//! before anything of the next term happens.

mod bootstrapping;
mod compacting;
mod disk;
mod following;
mod installing;
mod voting;

use std::{collections::VecDeque, rc::Rc, time::Duration};

use actix::{Actor, Handler};

use crate::{
    actors::{
        leader::{Leader, Leadership},
        node::{LeadershipView, Node},
        observers::Seat,
    },
    board::{ServerRole, Standing},
    config::ReloadableConfig,
    error::{Fatal, LeaderHint},
    known_bug::KnownBug,
    log::Tenure,
    mailbox::{Context, Port},
    messages::{
        ConfigReloaded, FsmRoom, LeadershipChanged, StepDown, StopActor, StorageFailed, StorageRoom, Tick,
    },
    protocol::{Effect, Election, ElectionConfig, LogView, Role, StepDownReason},
    storage::Recovered,
    types::{LogIndex, NodeId},
};

use disk::Disk;
use following::HeldAck;
use installing::Installing;
use voting::HeldVote;

/// See the module.
pub(crate) struct Consensus {
    node: Rc<Node>,
    own: Port<Self>,
    election: Election,
    standing: Standing,
    leadership: Option<Leadership>,
    /// Acknowledgements that wait for their flush, by the index they need.
    held_acks: VecDeque<HeldAck>,
    /// Votes that wait for their record.
    held_votes: Vec<HeldVote>,
    peers: Vec<(NodeId, String)>,
    peers_hash: u64,
    disk: Disk,
    /// The snapshot that a leader sends.
    installing: Installing,
}

impl Consensus {
    pub(crate) fn new(
        node: Rc<Node>,
        own: Port<Self>,
        recovered: &Recovered,
        standing: Standing,
        peers: Vec<(NodeId, String)>,
    ) -> Self {
        let election = Election::new(
            election_config(&node),
            node.id.clone(),
            node.incarnation,
            recovered.vote.clone(),
            recovered.withheld,
            node.now(),
            node.seed,
        );
        let peers_hash = crate::protocol::peers_hash(&peers);
        let installing = Installing::new(&node.config);
        let consensus = Self {
            own,
            node,
            election,
            standing,
            leadership: None,
            held_acks: VecDeque::new(),
            held_votes: Vec::new(),
            peers,
            peers_hash,
            disk: Disk::default(),
            installing,
        };
        // Whoever asks before the first message is told what was recovered.
        consensus.publish();
        consensus
    }

    /// Asks the election rule something, with what it must know of the log, and carries out what follows.
    fn decide(&mut self, ask: impl FnOnce(&mut Election, Duration, &LogView<'_>) -> Vec<Effect>) {
        let now = self.node.now();
        self.decide_at(now, ask);
    }

    fn decide_at(
        &mut self,
        now: Duration,
        ask: impl FnOnce(&mut Election, Duration, &LogView<'_>) -> Vec<Effect>,
    ) {
        let node = self.node.clone();
        let log = node.log.borrow();
        let view = LogView {
            last: log.last(),
            membership: log.membership(),
            settled: log.settled_membership(),
            quarantined: !self.takes_part(),
        };
        let withheld = self.election.withheld();
        let effects = ask(&mut self.election, now, &view);
        drop(log);
        if self.election.withheld() != withheld {
            tracing::info!(node = %self.node.id, "the log has caught up with what its damaged end had promised");
            self.publish();
        }
        self.carry_out(effects);
    }

    /// Whether it votes, and follows as one whose answers count.
    fn takes_part(&self) -> bool {
        self.standing.is_member() || (self.standing.takes_entries() && KnownBug::WipedNodeTakesPart.is_back())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Deposed { term, reason } => self.end_tenure(term, reason),
                Effect::SaveVote(vote) => self.node.ports().storage.save_vote(vote),
                Effect::Ask { request, pre_vote, to } => self.ask_for_votes(&request, pre_vote, &to),
                Effect::BecameLeader { term } => {
                    self.node.board.counters.elections_won.add(1);
                    tracing::info!(node = %self.node.id, %term, "leader");
                    let tenure = Rc::new(Tenure::new(term));
                    self.leadership = Some(Leader::start(&self.node, tenure));
                }
                Effect::LeaderChanged { .. } | Effect::TermChanged { .. } => {
                    // What waits was promised to a leader that is not any more.
                    self.held_acks.clear();
                    let term = self.election.term();
                    self.held_votes.retain(|held| held.is_of(term));
                    self.drop_installation_of_others();
                }
            }
        }
        self.announce();
    }

    /// Publishes who leads and has the front door look.
    fn announce(&self) {
        self.publish();
        self.node.ports().front.leadership_changed(LeadershipChanged);
    }

    /// Revokes first: from here on nothing of the old tenure takes effect, whatever is still queued.
    fn end_tenure(&mut self, term: crate::types::Term, reason: StepDownReason) {
        let Some(leadership) = self.leadership.take() else { return };
        if !KnownBug::TenureNotRevoked.is_back() {
            leadership.tenure.revoke();
        }
        leadership.leader.send_now(StopActor);
        self.node.board.count_step_down(reason);
        self.node.metrics.commit.abandon();
        tracing::info!(node = %self.node.id, %term, %reason, "stepped down");
    }

    fn publish(&self) {
        let log = self.node.log.borrow();
        let role = match self.election.role() {
            Role::Leader => ServerRole::Leader,
            Role::Candidate | Role::PreCandidate => ServerRole::Candidate,
            Role::Follower if !self.standing.is_member() => ServerRole::Quarantined,
            Role::Follower if !log.membership().is_voter(&self.node.id) => ServerRole::Nonvoter,
            Role::Follower => ServerRole::Follower,
        };
        let term = self.election.term();
        let leader = self.election.leader().and_then(|id| log.membership().get(id)).cloned();
        let leader = leader.map(|server| LeaderHint { id: server.id, address: server.address });
        let here = self.leadership.as_ref().map(|leadership| leadership.outlets.clone());
        let blank = self.standing.is_blank().then_some(!self.peers.is_empty());
        let board = &self.node.board;
        self.node.publish_membership();
        board.set_role(role, term, leader.as_ref().map(|leader| leader.id.clone()));
        board.set_standing(&self.standing, self.election.withheld());
        self.node.observers.note_seat(Seat { role, term, leader: leader.clone() });
        *self.node.leadership.borrow_mut() = LeadershipView { term, leader, blank, here };
    }

    fn watch_disk(&mut self, now: Duration) {
        let waits = self.node.log.borrow().unflushed() > 0;
        if self.disk.watch(now, waits, self.node.config.disk_stall_timeout) {
            tracing::error!(node = %self.node.id, "the disk has stalled");
        }
    }

    fn step_down(&mut self, reason: StepDownReason) {
        let term = self.election.term();
        self.decide(|election, now, _| election.step_down(now, term, reason));
    }

    fn invariant(&self, what: String) {
        self.node.fail(Fatal::Invariant(what));
    }

    /// The index the leader's own log counts with.
    fn durable(&self) -> LogIndex {
        self.node.log.borrow().durable()
    }
}

fn election_config(node: &Node) -> ElectionConfig {
    let ReloadableConfig { heartbeat_timeout, election_timeout, .. } = node.reloadable();
    ElectionConfig { heartbeat_timeout, election_timeout, pre_vote: node.config.pre_vote }
}

impl Actor for Consensus {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.standing == Standing::Founding {
            self.become_member();
        }
        self.publish();
    }
}

impl Handler<Tick> for Consensus {
    type Result = ();

    fn handle(&mut self, _: Tick, _: &mut Self::Context) {
        // The tick may have waited in the mailbox: what was heard since counts.
        let now = self.node.now();
        self.watch_disk(now);
        if self.disk.copy_waits() {
            self.node.ports().fsm.retry();
        }
        self.drop_silent_installation(now);
        match self.disk.ailment() {
            None if self.installing.is_finishing() => {}
            None => self.decide_at(now, |election, now, view| election.tick(now, view)),
            // Also one that was elected when its store was ailing already.
            Some(reason) => self.step_down(reason),
        }
    }
}

impl Handler<ConfigReloaded> for Consensus {
    type Result = ();

    fn handle(&mut self, _: ConfigReloaded, _: &mut Self::Context) {
        self.election.reconfigure(self.node.now(), election_config(&self.node));
    }
}

impl Handler<StepDown> for Consensus {
    type Result = ();

    fn handle(&mut self, message: StepDown, _: &mut Self::Context) {
        self.decide(|election, now, _| {
            if message.seen > message.term {
                election.saw_term(now, message.seen)
            } else {
                election.step_down(now, message.term, message.reason)
            }
        });
        if message.reason == StepDownReason::Removed {
            let commit = self.node.log.borrow().commit();
            self.note_removal(commit);
        }
    }
}

impl Handler<StorageRoom> for Consensus {
    type Result = ();

    fn handle(&mut self, StorageRoom { full }: StorageRoom, _: &mut Self::Context) {
        self.disk.set_full(full);
        if full {
            tracing::error!(node = %self.node.id, "no space left for the log");
            self.step_down(StepDownReason::DiskFull);
        } else {
            tracing::info!(node = %self.node.id, "the log has room again");
        }
    }
}

impl Handler<FsmRoom> for Consensus {
    type Result = ();

    fn handle(&mut self, FsmRoom { full }: FsmRoom, _: &mut Self::Context) {
        self.disk.set_copy_waits(full.is_some());
        if let Some(error) = full {
            tracing::error!(node = %self.node.id, %error, "no room for the copy of a restored snapshot; nothing is applied meanwhile");
            self.step_down(StepDownReason::DiskFull);
        } else {
            tracing::info!(node = %self.node.id, "the copy of a restored snapshot has room again");
        }
    }
}

impl Handler<StorageFailed> for Consensus {
    type Result = ();

    fn handle(&mut self, StorageFailed { error }: StorageFailed, _: &mut Self::Context) {
        self.node.fail(Fatal::Storage(error));
    }
}

impl Handler<StopActor> for Consensus {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        let term = self.election.term();
        self.end_tenure(term, StepDownReason::Stopping);
        self.held_acks.clear();
        self.held_votes.clear();
        self.installing.stop();
        actix::ActorContext::stop(ctx);
    }
}
