//! The follower's side of a snapshot (Raft §7), from its first piece to the restored state. The rule is
//! [`Installation`].
//!
//! ```text
//! pieces to a file → published, durable → the log reset behind it, durable → memory swapped, state restored
//! ```
//!
//! A crash leaves the old state, or a published snapshot that the next start completes the reset for. Where the log
//! holds the snapshot's last entry it is not reset: everything behind it stays, and only the front goes. Term and vote
//! are never touched.

use std::{collections::VecDeque, time::Duration};

use actix::Handler;

use super::Consensus;
use crate::{
    config::Config,
    known_bug::KnownBug,
    log::Ticket,
    mailbox::Context,
    messages::{
        FsmRestore, RaftEvent, ReceiveSnapshot, Reception, Rpc, SaveIdentity, SnapshotPart, SnapshotReceived,
    },
    protocol::{Arrival, Installation},
    storage::{StorageError, snapshot::SnapshotSource},
    transport::Responder,
    types::{ClusterId, InstallOutcome, InstallSnapshot, InstallSnapshotResponse, LogId, Response},
};

/// The most answers that wait for a write, far more than a leader has pieces on their way.
const HELD_ANSWERS_MAX: usize = 64;

/// What Consensus keeps of a snapshot that is on its way.
pub(super) struct Installing {
    rule: Installation,
    /// Answers that leave when everything before what they want is written.
    held: VecDeque<HeldAnswer>,
    /// What is published and waits for the log to be reset.
    published: Option<Published>,
}

struct HeldAnswer {
    wanted: u64,
    responder: Responder,
}

struct Published {
    session: u64,
    source: Box<dyn SnapshotSource>,
    reset: Ticket,
}

impl Installing {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            rule: Installation::new(config.snapshot_bytes_max, config.snapshot_patience()),
            held: VecDeque::new(),
            published: None,
        }
    }

    /// Whether entries are refused, since the log is about to be replaced.
    pub(super) fn is_busy(&self) -> bool {
        self.rule.is_busy()
    }

    /// Whether the log is not what it will be: the node must not stand for election.
    pub(super) fn is_finishing(&self) -> bool {
        self.rule.is_finishing()
    }

    /// Nobody waits for what is not written any more.
    pub(super) fn stop(&mut self) {
        self.held.clear();
    }
}

impl Consensus {
    fn answer_piece(&self, responder: Responder, outcome: InstallOutcome) {
        responder.respond(Ok(Response::InstallSnapshot(InstallSnapshotResponse {
            term: self.election.term(),
            incarnation: self.node.incarnation,
            outcome,
        })));
    }

    /// Whether the snapshot is of this node's cluster and fits what it knows to be committed.
    fn is_sound(&self, request: &InstallSnapshot) -> bool {
        let own = self.node.board.identity().cluster;
        let (last, cluster) = (request.snapshot.description.last, request.snapshot.description.cluster);
        let log = self.node.log.borrow();
        let contradicts = last.index <= log.commit()
            && log.runs().term_at(last.index).is_some_and(|term| term != last.term);
        if contradicts {
            let commit = log.commit();
            tracing::error!(node = %self.node.id, leader = %request.leader, %last, %commit, "refused a snapshot of another history");
        }
        !contradicts && !cluster.is_none() && (own.is_none() || own == cluster)
    }

    fn take_piece(&mut self, request: InstallSnapshot, responder: Responder) {
        let commit = self.node.log.borrow().commit();
        let now = self.node.now();
        match self.installing.rule.arrived(now, &request, commit) {
            Arrival::Known => self.answer_piece(responder, InstallOutcome::Installed),
            Arrival::Refused => self.answer_piece(responder, InstallOutcome::Refused),
            Arrival::Finishing => {
                let offset = request.snapshot.bytes;
                self.answer_piece(responder, InstallOutcome::Wanted { offset });
            }
            Arrival::Piece { session, begins, taken, wanted } => {
                if begins {
                    let (leader, last) = (&request.leader, request.snapshot.description.last);
                    let bytes = request.snapshot.bytes;
                    tracing::info!(node = %self.node.id, %leader, %last, bytes, "receiving a snapshot");
                    self.refuse_held();
                    self.receive(session, SnapshotPart::Begin(request.snapshot));
                }
                if taken {
                    self.receive(session, SnapshotPart::Piece(request.data));
                }
                if self.installing.held.len() >= HELD_ANSWERS_MAX {
                    return self.answer_piece(responder, InstallOutcome::Refused);
                }
                self.installing.held.push_back(HeldAnswer { wanted, responder });
                self.release_held();
            }
        }
    }

    fn receive(&self, session: u64, part: SnapshotPart) {
        self.node.ports().snapshotter.receive.send_now(ReceiveSnapshot { session, part });
    }

    fn release_held(&mut self) {
        let Some((written, _)) = self.installing.rule.progress() else { return };
        while let Some(held) = self.installing.held.pop_front_if(|held| held.wanted <= written) {
            self.answer_piece(held.responder, InstallOutcome::Wanted { offset: held.wanted });
        }
    }

    fn refuse_held(&mut self) {
        for held in std::mem::take(&mut self.installing.held) {
            self.answer_piece(held.responder, InstallOutcome::Refused);
        }
    }

    /// Somebody else leads, or nobody does.
    pub(super) fn drop_installation_of_others(&mut self) {
        let (term, leader) = (self.election.term(), self.election.leader().cloned());
        let dropped = self.installing.rule.led_by(term, leader.as_ref());
        self.give_up(dropped, "the leadership has changed");
    }

    /// Time passes.
    pub(super) fn drop_silent_installation(&mut self, now: Duration) {
        let dropped = self.installing.rule.tick(now);
        self.give_up(dropped, "its leader does not go on");
    }

    fn give_up(&mut self, session: Option<u64>, why: &str) {
        let Some(session) = session else { return };
        tracing::info!(node = %self.node.id, why, "dropped what there was of a snapshot");
        self.receive(session, SnapshotPart::GiveUp);
        self.refuse_held();
    }

    fn piece_written(&mut self, session: u64, written: u64) {
        let now = self.node.now();
        if self.installing.rule.written(now, session, written) {
            self.receive(session, SnapshotPart::Publish);
        }
        self.release_held();
    }

    fn reception_failed(&mut self, session: u64, error: &StorageError) {
        if self.installing.rule.ended(session) {
            tracing::error!(node = %self.node.id, %error, "a snapshot was not received");
            self.refuse_held();
        }
    }

    /// The snapshot is durable. From here on a restart would find it.
    fn snapshot_published(&mut self, session: u64, source: Box<dyn SnapshotSource>) {
        let last = source.meta().description.last;
        let stale = KnownBug::StaleSuffixKeptUnderSnapshot.is_back();
        let log = self.node.log.borrow();
        let keeps =
            last.index <= log.commit() || log.holds(last) || (stale && last.index <= log.last().index);
        drop(log);
        if keeps {
            return self.install(session, source);
        }
        if self.leadership.is_some() {
            // A log that lacks a committed entry wins no election.
            return self.invariant(format!("a leader without the committed entry {last} gets a snapshot"));
        }
        // What the medium holds ends nowhere until this is done.
        let reset = self.node.log.borrow_mut().issue(LogId::ZERO.index, 0);
        let base = source.meta().description.log_base();
        self.installing.published = Some(Published { session, source, reset });
        self.node.ports().storage.reset(reset, base);
    }

    /// The store is done with everything up to `ticket`.
    pub(super) fn log_was_reset(&mut self, ticket: Ticket) {
        if let Some(published) = self.installing.published.take_if(|published| published.reset <= ticket) {
            self.install(published.session, published.source);
        }
    }

    /// Swaps what is in memory. The medium holds the same already.
    fn install(&mut self, session: u64, source: Box<dyn SnapshotSource>) {
        self.installing.rule.ended(session);
        let (description, bytes) = (source.meta().description.clone(), source.meta().bytes);
        let last = description.last;
        if last.index <= self.node.log.borrow().commit() {
            return;
        }
        let goes = self.node.log.borrow_mut().install(&description);
        tracing::info!(node = %self.node.id, %last, log_begins_anew = goes, "installed a snapshot");
        self.node.board.counters.snapshots_installed.add(1);
        self.node.observers.tell(|| RaftEvent::SnapshotInstalled { last, bytes });
        self.save_cluster(description.cluster);
        self.node.replace_state(FsmRestore { source, state: true });
        self.node.publish_log();
        self.compact(last.index);
        self.learn_membership();
        self.announce();
    }

    /// The cluster's id is the hash of an entry that this node never had: it has the leader's word for it.
    fn save_cluster(&self, cluster: ClusterId) {
        if self.node.board.identity().cluster.is_none() {
            self.node.ports().storage.save_identity(SaveIdentity { cluster, member: false });
        }
    }
}

impl Handler<Rpc<InstallSnapshot>> for Consensus {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<InstallSnapshot>, _: &mut Context<Self>) {
        let Rpc { from, request, responder } = rpc;
        let own = from == request.leader;
        let takes = own
            && self.standing.takes_entries()
            && self.heard(self.node.recent(), request.term, &request.leader);
        if !takes || !self.is_sound(&request) {
            return self.answer_piece(responder, InstallOutcome::Refused);
        }
        self.take_piece(request, responder);
    }
}

impl Handler<SnapshotReceived> for Consensus {
    type Result = ();

    fn handle(&mut self, SnapshotReceived { session, step }: SnapshotReceived, _: &mut Context<Self>) {
        match step {
            Reception::Written(written) => self.piece_written(session, written),
            Reception::Published(source) => self.snapshot_published(session, source),
            Reception::Failed(error) => self.reception_failed(session, &error),
        }
    }
}
