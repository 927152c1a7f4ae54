//! Brings one follower up to date and keeps it there: probe, then a pipeline within its window.
//!
//! Mailbox: [`Replicate`], [`AppendAnswered`], [`StoredEntries`], [`SnapshotMoved`], [`SnapshotSent`], [`PeerMoved`], [`CatchUp`],
//! [`StopAt`], [`Tick`]. Voice: `AppendEntries` to the
//! peer, [`Match`] to Commitment, [`StepDown`] to Consensus, [`ReadEntries`] to Storage. Go: `replication.go`.
//! Owns the peer's [`Progress`]. Reads the log and sends only while its tenure lives.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Handler};

use crate::{
    actors::{node::Node, snapshot_sender::SnapshotSender},
    known_bug::KnownBug,
    log::{Slice, Tenure},
    mailbox::{Context, Latch, Outlet, Port},
    messages::{
        AppendAnswered, CatchUp, CaughtUpTo, Match, MatchLost, PeerMoved, ReadEntries, Reader, Replicate,
        ReplicationEnded, SnapshotMoved, SnapshotSent, StepDown, StopActor, StopAt, StoredEntries, Tick,
    },
    metrics::Timer,
    protocol::{Progress, StepDownReason, WindowLimits},
    transport::{Link, Responder, ResponseSink, RpcError},
    types::{
        AppendEntries, AppendEntriesResponse, AppendOutcome, Entries, Incarnation, Lane, LogId, LogIndex,
        Request, Response, Server,
    },
};

/// For how many election timeouts a removed peer is told so.
const LEAVE_TIMEOUTS: u32 = 2;

/// See the module.
pub(crate) struct FollowerReplicator {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    peer: Server,
    session: u64,
    voice: Voice,
    own: Port<Self>,
    link: Rc<dyn Link>,
    answers: Arc<dyn ResponseSink>,
    latch: Latch,
    progress: Progress,
    /// The life of the peer's directory that `progress` is about.
    life: Incarnation,
    /// Requests up to this one went to an earlier life.
    outlived: u64,
    sent: u64,
    /// The commit index the peer was last told.
    told: LogIndex,
    /// When the last request left.
    sent_at: Duration,
    reading: bool,
    /// The peer needs what is compacted, and is brought a snapshot.
    snapshot: Option<Port<SnapshotSender>>,
    /// When something was last heard, or first sent after silence: an older one means a lost request.
    waiting_since: Option<Duration>,
    /// Nothing is sent before, after a request was lost.
    pause_until: Duration,
    /// Whether the leader wants to hear how far the peer is.
    reports: bool,
    /// Set when the peer is removed: the entry that says so, and until when it is told.
    leaving: Option<(LogIndex, Duration)>,
    round_trips: Timer,
}

/// Whom it tells what, beside those that every actor of the node can reach.
pub(crate) struct Voice {
    pub(crate) matched: Outlet<Match>,
    pub(crate) match_lost: Outlet<MatchLost>,
    pub(crate) caught_up: Outlet<CaughtUpTo>,
    pub(crate) ended: Outlet<ReplicationEnded>,
}

impl FollowerReplicator {
    pub(crate) fn new(
        node: Rc<Node>,
        tenure: Rc<Tenure>,
        peer: Server,
        session: u64,
        voice: Voice,
        own: Port<Self>,
        latch: Latch,
    ) -> Self {
        let link = node.links.to(&peer.id, &peer.address, Lane::Bulk);
        let progress = unknown_progress(&node);
        let life = peer.incarnation;
        let round_trips = node.metrics.appends(&peer.id);
        Self {
            node,
            tenure,
            peer,
            session,
            voice,
            link,
            answers: Arc::new(Answers { port: own.clone() }),
            own,
            latch,
            progress,
            life,
            outlived: 0,
            sent: 0,
            told: LogIndex::ZERO,
            sent_at: Duration::ZERO,
            reading: false,
            snapshot: None,
            waiting_since: None,
            pause_until: Duration::ZERO,
            reports: false,
            leaving: None,
            round_trips,
        }
    }

    /// Sends whatever the window allows.
    fn pump(&mut self) {
        while self.may_send() && !self.reading {
            let next = self.progress.next();
            let config = &self.node.config;
            let slice =
                self.node.log.borrow().read(next, config.max_append_entries as u64, config.append_bytes_max);
            match slice {
                // The follower's mistake shows where probes go without entries, as other leaders' do.
                Slice::Entries(_) if KnownBug::CommitBeyondProven.is_back() && self.progress.is_probing() => {
                    self.send(Entries::none());
                }
                Slice::Entries(entries) => self.send(entries),
                Slice::Empty if self.progress.is_probing() && !self.probed() => self.send(Entries::none()),
                Slice::Empty => return,
                Slice::Stored { first, last } => self.read_stored(first, last),
                Slice::Compacted => return self.fall_behind(),
            }
        }
    }

    fn may_send(&self) -> bool {
        self.tenure.is_live()
            && self.snapshot.is_none()
            && self.progress.may_send()
            && self.node.recent() >= self.pause_until
    }

    /// Whether the peer is known to have everything although it is still being probed.
    fn probed(&self) -> bool {
        self.progress.matched() == self.node.log.borrow().last().index
    }

    fn send(&mut self, entries: Entries) {
        let log = self.node.log.borrow();
        let prev_index = self.progress.next().prev();
        let Some(prev_term) = log.runs().term_at(prev_index) else {
            drop(log);
            return self.fall_behind();
        };
        let commit = log.commit();
        drop(log);
        self.sent += 1;
        self.round_trips.start(self.sent);
        let last = entries.last().unwrap_or(prev_index);
        self.progress.sent(self.sent, last, entries.bytes_len());
        self.told = commit.min(last);
        self.sent_at = self.node.recent();
        self.waiting_since.get_or_insert_with(|| self.node.recent());
        let counters = &self.node.board.counters;
        counters.appends_sent.add(1);
        counters.entries_sent.add(entries.count());
        counters.bytes_sent.add(entries.bytes_len() as u64);
        let request = AppendEntries {
            term: self.tenure.term(),
            leader: self.node.id.clone(),
            prev: LogId::new(prev_term, prev_index),
            commit,
            entries,
        };
        let responder = Responder::new(self.answers.clone(), self.sent);
        self.link.send(Request::AppendEntries(request), responder);
    }

    /// Tells the peer the commit index alone, if no entries took it along.
    fn tell_commit(&mut self) {
        let commit = self.node.log.borrow().commit().min(self.progress.matched());
        if commit > self.told && self.may_send() {
            self.send(Entries::none());
        }
    }

    /// A quiet peer is told the commit index again, with a heartbeat's frequency: it may have been restarted
    /// and know of none, or have cut a damaged tail that it had acknowledged. Nobody else would notice.
    fn repeat_commit(&mut self, now: Duration) {
        let quiet = now.saturating_sub(self.sent_at) >= self.node.reloadable().heartbeat_interval();
        if quiet && self.progress.is_idle() {
            self.told = LogIndex::ZERO;
        }
    }

    fn read_stored(&mut self, first: LogIndex, last: LogIndex) {
        self.reading = true;
        self.node.ports().storage.read(ReadEntries {
            reader: Reader::Replicator { term: self.tenure.term(), session: self.session },
            first,
            last,
            bytes_max: self.node.config.append_bytes_max,
        });
    }

    /// The peer needs an entry that is compacted: a snapshot is brought to it, and nothing else meanwhile.
    fn fall_behind(&mut self) {
        if self.snapshot.is_none() {
            let told = (self.own.outlet(), self.own.outlet());
            self.snapshot = Some(SnapshotSender::start(&self.node, &self.tenure, &self.peer, told));
        }
    }

    fn answered(&mut self, request: u64, answer: AppendEntriesResponse) {
        let term = self.tenure.term();
        if answer.term > term {
            if self.leaving.is_some() {
                // A removed node's term must not unseat the leader (hashicorp/raft#524).
                return self.end();
            }
            let reason = StepDownReason::HigherTerm;
            self.node.ports().consensus.step_down.send_now(StepDown { term, seen: answer.term, reason });
            return;
        }
        if request <= self.outlived {
            return;
        }
        let any_life = KnownBug::OtherIncarnationAcks.is_back() || KnownBug::WipedNodeTakesPart.is_back();
        if answer.incarnation != self.life && !any_life {
            return self.begin_anew(answer.incarnation);
        }
        match answer.outcome {
            AppendOutcome::Matched { matched } => {
                let rose = self.progress.acknowledged(request, matched);
                // What another life of the directory holds counts for nothing.
                if rose && (answer.incarnation == self.peer.incarnation || any_life) {
                    self.voice
                        .matched
                        .send_now(Match { session: self.session, index: self.progress.matched() });
                    self.report();
                }
            }
            AppendOutcome::Conflict { refused, hint } => {
                self.node.board.counters.appends_conflicted.add(1);
                let before = self.progress.matched();
                self.progress.refused(request, refused, hint, self.node.log.borrow().runs());
                if self.progress.matched() < before {
                    tracing::error!(node = %self.node.id, peer = %self.peer.id, "the peer lost entries it had acknowledged");
                    self.voice.match_lost.send_now(MatchLost { session: self.session });
                }
            }
            AppendOutcome::Refused => self.lost(request),
        }
    }

    /// The peer lost its directory: nothing that is known of the old one is true of the new one, and what the
    /// old one acknowledged must not help to commit anything any more.
    fn begin_anew(&mut self, life: Incarnation) {
        self.voice.match_lost.send_now(MatchLost { session: self.session });
        self.life = life;
        self.outlived = self.sent;
        self.progress = unknown_progress(&self.node);
        self.told = LogIndex::ZERO;
    }

    /// Tells the leader how far the peer is, if it wants to hear it.
    fn report(&self) {
        if self.reports {
            self.voice
                .caught_up
                .send_now(CaughtUpTo { session: self.session, index: self.progress.matched() });
        }
    }

    /// A removed peer that knows it, or cannot be told, needs nothing more.
    fn look_to_the_end(&mut self, now: Duration) {
        let Some((index, until)) = self.leaving else { return };
        let knows = self.progress.matched() >= index && self.told >= index && self.progress.is_idle();
        if knows || now > until {
            self.end();
        }
    }

    fn end(&mut self) {
        self.pause_until = Duration::MAX;
        self.voice.ended.send_now(ReplicationEnded { session: self.session });
    }

    fn lost(&mut self, request: u64) {
        self.progress.lost(request);
        self.told = LogIndex::ZERO;
        self.waiting_since = None;
        self.pause_until = self.node.recent().saturating_add(self.node.reloadable().heartbeat_interval());
    }
}

/// Of a follower of which nothing is known: the first probe begins behind the leader's log (Raft Figure 2).
fn unknown_progress(node: &Node) -> Progress {
    let limits =
        WindowLimits { requests: node.config.inflight_requests_max, bytes: node.config.inflight_bytes_max };
    Progress::new(node.log.borrow().last().index.next(), limits)
}

/// It says nothing by itself: the leader's first entry raises the signal, and is the first probe.
impl Actor for FollowerReplicator {
    type Context = Context<Self>;
}

impl Handler<Replicate> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: Replicate, _: &mut Self::Context) {
        self.latch.lower();
        self.pump();
        self.tell_commit();
    }
}

impl Handler<AppendAnswered> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, message: AppendAnswered, _: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        match message.result {
            Ok(Response::AppendEntries(answer)) => {
                self.waiting_since = None;
                self.round_trips.answered(message.request);
                self.answered(message.request, answer);
            }
            Ok(_) | Err(_) => {
                self.node.board.counters.appends_lost.add(1);
                self.lost(message.request);
            }
        }
        self.pump();
        if !self.progress.is_idle() {
            self.waiting_since.get_or_insert_with(|| self.node.recent());
        }
        self.look_to_the_end(self.node.recent());
    }
}

impl Handler<StoredEntries> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, message: StoredEntries, _: &mut Self::Context) {
        self.reading = false;
        if !self.tenure.is_live() {
            return;
        }
        let next = self.progress.next();
        let mut entries = Entries::none();
        for batch in &message.batches {
            let wanted = entries.last().map_or(next, LogIndex::next);
            match batch.slice(wanted, batch.last()) {
                Some(part) if part.first() == wanted => entries.push(part),
                _ => {}
            }
        }
        if entries.is_empty() {
            // Asked for at the next tick what is wanted now, and not in a loop.
            return;
        }
        if self.may_send() {
            self.send(entries);
        }
        self.pump();
    }
}

impl Handler<SnapshotMoved> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: SnapshotMoved, _: &mut Self::Context) {
        self.report();
    }
}

impl Handler<SnapshotSent> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, SnapshotSent { last }: SnapshotSent, _: &mut Self::Context) {
        self.snapshot = None;
        self.waiting_since = None;
        match last {
            Some(last) => self.progress.reset(last.index.next()),
            // Whatever it was, it lasts longer than a heartbeat.
            None => self.pause_until = self.node.recent().saturating_add(self.node.config.election_timeout),
        }
        self.pump();
    }
}

impl Handler<Tick> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, _: &mut Self::Context) {
        let patience = self.node.reloadable().election_timeout.max(Duration::from_secs(1));
        if self.waiting_since.is_some_and(|since| now.saturating_sub(since) > patience) {
            self.lost(self.sent);
        }
        self.pump();
        self.repeat_commit(now);
        self.tell_commit();
        self.look_to_the_end(now);
    }
}

impl Handler<PeerMoved> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, PeerMoved { address }: PeerMoved, _: &mut Self::Context) {
        self.link = self.node.links.to(&self.peer.id, &address, Lane::Bulk);
        self.peer.address = address;
        if let Some(snapshot) = self.snapshot.take() {
            // It goes to where the peer was. What the peer has of it, the next one goes on from.
            snapshot.send_now(StopActor);
        }
        self.lost(self.sent);
        self.pause_until = Duration::ZERO;
        self.pump();
    }
}

impl Handler<CatchUp> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: CatchUp, _: &mut Self::Context) {
        self.reports = true;
        self.report();
    }
}

impl Handler<StopAt> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, StopAt { index }: StopAt, _: &mut Self::Context) {
        self.leaving = Some((index, self.node.now() + LEAVE_TIMEOUTS * self.node.config.election_timeout));
    }
}

impl Handler<StopActor> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        if let Some(snapshot) = &self.snapshot {
            snapshot.send_now(StopActor);
        }
        actix::ActorContext::stop(ctx);
    }
}

struct Answers {
    port: Port<FollowerReplicator>,
}

impl ResponseSink for Answers {
    fn respond(&self, request: u64, result: Result<Response, RpcError>) {
        self.port.send_now(AppendAnswered { request, result });
    }
}
