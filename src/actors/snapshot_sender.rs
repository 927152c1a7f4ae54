//! Brings one follower the newest snapshot, since the entries that it needs are gone.
//!
//! Mailbox: [`SnapshotOpened`], [`PieceRead`], [`PieceAnswered`], [`Tick`]. Voice: `InstallSnapshot` to the peer,
//! [`OpenSnapshot`], [`ReadPiece`] and [`RenewSnapshot`] to the Snapshotter, [`StepDown`] to Consensus, [`SnapshotMoved`] to its
//! FollowerReplicator, and [`SnapshotSent`] at its end. Go: `sendLatestSnapshot`.
//! Owns one [`Transmission`]. Reads nothing itself: files are another thread's, so a snapshot of any length delays
//! no heartbeat. Holds no more of it than the window.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, Handler};
use bytes::Bytes;

use crate::{
    actors::node::{Node, SnapshotUnderWay},
    log::Tenure,
    mailbox::{Context, Outlet, Port, port_of, spawn_unaddressed},
    messages::{
        OpenSnapshot, PieceAnswered, PieceRead, ReadPiece, RenewSnapshot, SnapshotMoved, SnapshotOpened,
        SnapshotReader, SnapshotSent, StepDown, StopActor, Tick,
    },
    protocol::{NextPiece, StepDownReason, Transmission},
    storage::snapshot::{SnapshotMeta, SnapshotSource},
    transport::{Link, Responder, ResponseSink, RpcError},
    types::{
        InstallOutcome, InstallSnapshot, InstallSnapshotResponse, Lane, LogId, Request, Response, Server,
    },
};

/// How many pieces are under way at most: enough for the follower to write one while the next arrives.
const PIECES_MAX: usize = 4;

/// See the module.
pub(crate) struct SnapshotSender {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    peer: Server,
    moved: Outlet<SnapshotMoved>,
    sent: Outlet<SnapshotSent>,
    link: Rc<dyn Link>,
    answers: Arc<Answers>,
    /// None until the snapshot is open.
    sending: Option<Sending>,
    requests: u64,
    /// When the peer last answered, or this began.
    heard: Duration,
    /// When the last request left.
    sent_at: Duration,
    /// Nothing is sent before.
    pause_until: Duration,
}

/// An open snapshot on its way.
struct Sending {
    meta: SnapshotMeta,
    transmission: Transmission,
    /// Elsewhere while a piece is read.
    source: Option<Box<dyn SnapshotSource>>,
    /// How much of the content the peer has had.
    reached: u64,
    /// The last tenth of the content that was reported.
    tenth: u64,
    /// Keeps what comes behind it in the log.
    _under_way: SnapshotUnderWay,
}

impl SnapshotSender {
    /// Begins to bring `peer` the newest snapshot; `moved` is told that it comes further, and `sent` the end.
    pub(crate) fn start(
        node: &Rc<Node>,
        tenure: &Rc<Tenure>,
        peer: &Server,
        (moved, sent): (Outlet<SnapshotMoved>, Outlet<SnapshotSent>),
    ) -> Port<Self> {
        let name = format!("leader/snapshot/{}", peer.id);
        let spawned = spawn_unaddressed(&node.inspector, name, |ctx| Self {
            link: node.links.to(&peer.id, &peer.address, Lane::Snapshot),
            node: node.clone(),
            tenure: tenure.clone(),
            peer: peer.clone(),
            answers: Arc::new(Answers { port: port_of(ctx) }),
            moved,
            sent,
            sending: None,
            requests: 0,
            heard: node.now(),
            sent_at: Duration::ZERO,
            pause_until: Duration::ZERO,
        });
        node.watch("snapshot sender", spawned.task);
        let port = spawned.port.clone();
        node.ticker.subscribe(move |tick| {
            port.send_now(tick);
            port.connected()
        });
        spawned.port
    }

    /// Sends whatever the window allows.
    fn pump(&mut self) {
        while self.tenure.is_live() && self.node.recent() >= self.pause_until {
            let Some(sending) = &mut self.sending else { return };
            match sending.transmission.next() {
                None => return,
                Some(NextPiece::Ask) => self.send(NextPiece::Ask, Bytes::new()),
                Some(NextPiece::Send { offset, length }) => {
                    let Some(source) = sending.source.take() else { return };
                    let read = ReadPiece { source, offset, length, reader: self.answers.clone() };
                    return self.node.ports().snapshotter.read.send_now(read);
                }
            }
        }
    }

    fn send(&mut self, piece: NextPiece, data: Bytes) {
        let Some(sending) = &mut self.sending else { return };
        let offset = match piece {
            NextPiece::Ask => sending.transmission.position(),
            NextPiece::Send { offset, .. } => offset,
        };
        self.requests += 1;
        sending.transmission.sent(self.requests, piece);
        self.sent_at = self.node.recent();
        let request = InstallSnapshot {
            term: self.tenure.term(),
            leader: self.node.id.clone(),
            snapshot: sending.meta.clone(),
            offset,
            data,
        };
        let responder = Responder::new(self.answers.clone(), self.requests);
        self.link.send(Request::InstallSnapshot(request), responder);
    }

    fn answered(&mut self, request: u64, answer: InstallSnapshotResponse, ctx: &mut Context<Self>) {
        let term = self.tenure.term();
        if answer.term > term {
            let reason = StepDownReason::HigherTerm;
            self.node.ports().consensus.step_down.send_now(StepDown { term, seen: answer.term, reason });
            return;
        }
        let Some(sending) = &mut self.sending else { return };
        match answer.outcome {
            InstallOutcome::Installed => {
                self.node.board.counters.snapshots_sent.add(1);
                let last = sending.meta.description.last;
                tracing::info!(node = %self.node.id, peer = %self.peer.id, %last, "the snapshot is installed");
                self.end(Some(last), ctx);
            }
            InstallOutcome::Refused => {
                tracing::warn!(node = %self.node.id, peer = %self.peer.id, "the peer takes no snapshot now");
                self.end(None, ctx);
            }
            InstallOutcome::Wanted { offset } => {
                sending.transmission.wanted(request, offset);
                if offset > sending.reached {
                    sending.reached = offset;
                    self.moved.send_now(SnapshotMoved);
                }
                if sending.transmission.is_waiting() {
                    self.pause();
                }
                self.report();
            }
        }
    }

    /// Tells how far it is, a tenth at a time.
    fn report(&mut self) {
        let Some(sending) = &mut self.sending else { return };
        let (position, bytes) = (sending.transmission.position(), sending.meta.bytes);
        let tenth = position / (bytes / 10).max(1);
        if tenth > sending.tenth {
            sending.tenth = tenth;
            tracing::info!(node = %self.node.id, peer = %self.peer.id, position, bytes, "sending a snapshot");
        }
    }

    fn pause(&mut self) {
        self.pause_until = self.node.recent().saturating_add(self.node.config.heartbeat_interval());
    }

    /// This one brings nobody up to date. The state can be written once more.
    fn renew(&mut self, ctx: &mut Context<Self>) {
        self.node.ports().snapshotter.renew.send_now(RenewSnapshot);
        self.end(None, ctx);
    }

    fn end(&mut self, last: Option<LogId>, ctx: &mut Context<Self>) {
        self.sending = None;
        self.sent.send_now(SnapshotSent { last });
        ctx.stop();
    }
}

impl Actor for SnapshotSender {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.node.ports().snapshotter.open.send_now(OpenSnapshot { reader: self.answers.clone() });
    }
}

impl Handler<SnapshotOpened> for SnapshotSender {
    type Result = ();

    fn handle(&mut self, SnapshotOpened { result }: SnapshotOpened, ctx: &mut Self::Context) {
        match result {
            Ok(source) => {
                let mut meta = source.meta().clone();
                meta.description.cluster = self.node.cluster();
                let piece_bytes = self.node.config.snapshot_chunk_bytes;
                let transmission = Transmission::new(meta.bytes, piece_bytes, PIECES_MAX);
                let last = meta.description.last;
                tracing::debug!(node = %self.node.id, peer = %self.peer.id, %last, "the peer needs a snapshot");
                let _under_way = self.node.begin_sending(last.index);
                self.sending = Some(Sending {
                    meta,
                    transmission,
                    source: Some(source),
                    reached: 0,
                    tenth: 0,
                    _under_way,
                });
                self.pump();
            }
            Err(error) => {
                tracing::error!(node = %self.node.id, peer = %self.peer.id, %error, "no snapshot can be sent");
                self.renew(ctx);
            }
        }
    }
}

impl Handler<PieceRead> for SnapshotSender {
    type Result = ();

    fn handle(&mut self, PieceRead { offset, result }: PieceRead, ctx: &mut Self::Context) {
        let Some(sending) = &mut self.sending else { return };
        match result {
            Ok((source, data)) => {
                sending.source = Some(source);
                let piece = NextPiece::Send { offset, length: data.len() };
                // The peer may want another one by now.
                if sending.transmission.next() == Some(piece) && self.tenure.is_live() {
                    self.send(piece, data);
                }
                self.pump();
            }
            Err(error) => {
                tracing::error!(node = %self.node.id, peer = %self.peer.id, %error, "a snapshot cannot be read");
                self.renew(ctx);
            }
        }
    }
}

impl Handler<PieceAnswered> for SnapshotSender {
    type Result = ();

    fn handle(&mut self, PieceAnswered { request, result }: PieceAnswered, ctx: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        match result {
            Ok(Response::InstallSnapshot(answer)) => {
                self.heard = self.node.now();
                self.answered(request, answer, ctx);
            }
            Ok(_) | Err(_) => {
                if let Some(sending) = &mut self.sending {
                    sending.transmission.lost(request);
                }
                self.pause();
            }
        }
        self.pump();
    }
}

impl Handler<Tick> for SnapshotSender {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, ctx: &mut Self::Context) {
        let patience = self.node.config.snapshot_patience();
        let Some(sending) = &mut self.sending else { return };
        if now.saturating_sub(self.heard) > patience * 2 {
            // It has dropped what it had by now. Another try begins with what is the newest then.
            tracing::debug!(node = %self.node.id, peer = %self.peer.id, "the peer is silent: gave the snapshot up");
            return self.end(None, ctx);
        }
        if !sending.transmission.is_idle() && now.saturating_sub(self.sent_at) > patience {
            sending.transmission.lost(self.requests);
        }
        self.pump();
    }
}

impl Handler<StopActor> for SnapshotSender {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[derive(Debug)]
struct Answers {
    port: Port<SnapshotSender>,
}

impl SnapshotReader for Answers {
    fn opened(&self, message: SnapshotOpened) {
        self.port.send_now(message);
    }

    fn read(&self, message: PieceRead) {
        self.port.send_now(message);
    }
}

impl ResponseSink for Answers {
    fn respond(&self, request: u64, result: Result<Response, RpcError>) {
        self.port.send_now(PieceAnswered { request, result });
    }
}
