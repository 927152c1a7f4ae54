//! Brings one follower up to date and keeps it there: probe, then a pipeline within its window.
//!
//! Mailbox: [`Replicate`], [`AppendAnswered`], [`StoredEntries`], [`Tick`]. Voice: `AppendEntries` to the
//! peer, [`Match`] to Commitment, [`StepDown`] to Consensus, [`ReadEntries`] to Storage. Go: `replication.go`.
//! Owns the peer's [`Progress`]. Reads the log and sends only while its tenure lives.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Handler};

use crate::{
    actors::{commitment::Commitment, node::Node},
    error::Fatal,
    log::{Slice, Tenure},
    mailbox::{Context, Latch, Port},
    messages::{
        AppendAnswered, CommitDue, Match, ReadEntries, Reader, Replicate, StepDown, StopActor, StoredEntries,
        Tick,
    },
    protocol::{Progress, StepDownReason, WindowLimits},
    transport::{Link, Responder, ResponseSink, RpcError},
    types::{
        AppendEntries, AppendEntriesResponse, AppendOutcome, Entries, Incarnation, Lane, LogId, LogIndex,
        Request, Response, Server,
    },
};

/// See the module.
pub(crate) struct FollowerReplicator {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    peer: Server,
    session: u64,
    commitment: Port<Commitment>,
    link: Rc<dyn Link>,
    answers: Arc<dyn ResponseSink>,
    latch: Latch,
    progress: Progress,
    /// Which life of the peer's directory `progress` is about.
    life: Incarnation,
    /// Requests up to here were sent to an earlier life: their answers say nothing about this one.
    stale: u64,
    sent: u64,
    /// The commit index the peer was last told.
    told: LogIndex,
    /// When anything was last sent.
    sent_at: Duration,
    commit_due: bool,
    reading: bool,
    /// When something was last heard, or first sent after silence: an older one means a lost request.
    waiting_since: Option<Duration>,
    /// Nothing is sent before, after a request was lost.
    pause_until: Duration,
}

impl FollowerReplicator {
    pub(crate) fn new(
        node: Rc<Node>,
        tenure: Rc<Tenure>,
        peer: Server,
        session: u64,
        commitment: Port<Commitment>,
        own: Port<Self>,
        latch: Latch,
    ) -> Self {
        let link = node.links.to(&peer.id, &peer.address, Lane::Bulk);
        let progress = fresh_progress(&node);
        Self {
            life: peer.incarnation,
            stale: 0,
            node,
            tenure,
            peer,
            session,
            commitment,
            link,
            answers: Arc::new(Answers { port: own }),
            latch,
            progress,
            sent: 0,
            told: LogIndex::ZERO,
            sent_at: Duration::ZERO,
            commit_due: false,
            reading: false,
            waiting_since: None,
            pause_until: Duration::ZERO,
        }
    }

    /// Sends whatever the window allows.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        while self.tenure.is_live() && !self.reading && self.progress.may_send() {
            let next = self.progress.next();
            let config = &self.node.config;
            let slice =
                self.node.log.borrow().read(next, config.max_append_entries as u64, config.append_bytes_max);
            match slice {
                Slice::Entries(entries) => self.send(entries),
                Slice::Empty if self.progress.is_probing() && !self.probed() => self.send(Entries::none()),
                Slice::Empty => return self.owe_commit(ctx),
                Slice::Stored { first, last } => self.read_stored(first, last),
                Slice::Compacted => return self.fall_behind(),
            }
        }
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
        self.sent_at = self.node.clock.now();
        let last = entries.last().unwrap_or(prev_index);
        self.progress.sent(self.sent, last, entries.bytes_len());
        self.told = commit.min(last);
        self.waiting_since.get_or_insert(self.sent_at);
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

    /// The commit index travels with the next append; if none comes soon, it goes alone.
    fn owe_commit(&mut self, ctx: &mut Context<Self>) {
        let commit = self.node.log.borrow().commit().min(self.progress.matched());
        if commit > self.told && !self.commit_due {
            self.commit_due = true;
            ctx.notify_later(CommitDue, self.node.config.commit_timeout);
        }
    }

    /// Says again what an idle peer was told: it may have been restarted since, and know of no commit.
    fn remind(&mut self, now: Duration) {
        let idle = self.progress.is_idle() && !self.reading;
        if self.tenure.is_live()
            && idle
            && now.saturating_sub(self.sent_at) >= self.node.config.heartbeat_timeout
        {
            self.send(Entries::none());
        }
    }

    fn read_stored(&mut self, first: LogIndex, last: LogIndex) {
        self.reading = true;
        self.node.ports().storage.send_now(ReadEntries {
            reader: Reader::Replicator(self.session),
            first,
            last,
            bytes_max: self.node.config.append_bytes_max,
        });
    }

    fn fall_behind(&mut self) {
        // Nothing compacts the log before there are snapshots to send instead.
        let what = format!("{} needs entry {}, which is gone", self.peer.id, self.progress.next());
        self.node.fail(Fatal::Invariant(what));
    }

    fn answered(&mut self, request: u64, answer: AppendEntriesResponse) {
        let term = self.tenure.term();
        if answer.term > term {
            let reason = StepDownReason::HigherTerm;
            self.node.ports().consensus.send_now(StepDown { term, seen: answer.term, reason });
            return;
        }
        if request <= self.stale {
            return;
        }
        if answer.incarnation != self.life {
            return self.begin_again(answer.incarnation);
        }
        match answer.outcome {
            AppendOutcome::Matched { matched } => {
                let rose = self.progress.acknowledged(request, matched);
                // What another life of the directory holds counts for nothing.
                if rose && answer.incarnation == self.peer.incarnation {
                    self.commitment.send_now(Match { session: self.session, index: self.progress.matched() });
                }
            }
            AppendOutcome::Conflict { refused, hint } => {
                self.progress.refused(request, refused, hint, self.node.log.borrow().runs());
            }
            AppendOutcome::Refused => self.lost(request),
        }
    }

    /// The peer lost its directory, and with it what it had acknowledged.
    fn begin_again(&mut self, life: Incarnation) {
        self.life = life;
        self.stale = self.sent;
        self.progress = fresh_progress(&self.node);
        self.told = LogIndex::ZERO;
    }

    fn lost(&mut self, request: u64) {
        self.progress.lost(request);
        self.told = LogIndex::ZERO;
        self.pause_until = self.node.clock.now() + self.node.config.heartbeat_interval();
    }
}

fn fresh_progress(node: &Node) -> Progress {
    let limits =
        WindowLimits { requests: node.config.inflight_requests_max, bytes: node.config.inflight_bytes_max };
    Progress::new(node.log.borrow().last().index, limits)
}

impl Actor for FollowerReplicator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.pump(ctx);
    }
}

impl Handler<Replicate> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: Replicate, ctx: &mut Self::Context) {
        self.latch.lower();
        self.pump(ctx);
    }
}

impl Handler<AppendAnswered> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, message: AppendAnswered, ctx: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        match message.result {
            Ok(Response::AppendEntries(answer)) => {
                self.waiting_since = None;
                self.answered(message.request, answer);
            }
            Ok(_) | Err(_) => self.lost(message.request),
        }
        if self.node.clock.now() >= self.pause_until {
            self.pump(ctx);
        }
        if !self.progress.is_idle() {
            self.waiting_since.get_or_insert_with(|| self.node.clock.now());
        }
    }
}

impl Handler<StoredEntries> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, message: StoredEntries, ctx: &mut Self::Context) {
        self.reading = false;
        if !self.tenure.is_live() {
            return;
        }
        let next = self.progress.next();
        let mut entries = Entries::none();
        let log = self.node.log.borrow();
        for batch in &message.batches {
            let wanted = entries.last().map_or(next, LogIndex::next);
            // What an earlier tenure asked for may have been truncated since.
            let ours = log.runs().term_at(batch.last()) == Some(batch.last_term());
            match batch.slice(wanted, batch.last()) {
                Some(part) if ours && part.first() == wanted => entries.push(part),
                _ => {}
            }
        }
        drop(log);
        if !entries.is_empty() && self.progress.may_send() {
            self.send(entries);
        }
        self.pump(ctx);
    }
}

impl Handler<CommitDue> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: CommitDue, _: &mut Self::Context) {
        self.commit_due = false;
        let commit = self.node.log.borrow().commit().min(self.progress.matched());
        let caught_up = self.probed();
        if self.tenure.is_live() && commit > self.told && caught_up && self.progress.may_send() {
            self.send(Entries::none());
        }
    }
}

impl Handler<Tick> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, ctx: &mut Self::Context) {
        let patience = self.node.config.election_timeout.max(Duration::from_secs(1));
        if self.waiting_since.is_some_and(|since| now.saturating_sub(since) > patience) {
            self.waiting_since = None;
            self.lost(self.sent);
        }
        if now >= self.pause_until {
            self.pump(ctx);
            self.remind(now);
        }
    }
}

impl Handler<StopActor> for FollowerReplicator {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
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
