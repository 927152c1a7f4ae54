//! Feeds a user's snapshot into the log, piece by piece, and lives as long as that takes.
//!
//! Mailbox: [`SnapshotStaged`], [`StagedRead`], [`PieceApplied`]. Voice: [`StageSnapshot`] and [`ReadStaged`] to the
//! Snapshotter, [`ProposePiece`] and, at its end, [`FeedingEnded`] to the front door. Go: `restoreUserSnapshot`.
//! Owns the copy of the snapshot and a [`RestoreFeed`]. Knows nothing of deadlines or of who leads: the front door does,
//! and drops what it is not to be given any more. Ends when it has the copy back, and says so: until then no other copy is
//! begun.

use std::{rc::Rc, sync::Arc};

use actix::{Actor, ActorContext, Handler};

use crate::{
    actors::node::Node,
    error::RestoreError,
    mailbox::{Context, Port, port_of, spawn_unaddressed},
    messages::{
        FeedingEnded, PieceApplied, ProposePiece, ReadStaged, Restore, RestoreFeeder, SnapshotStaged,
        StageSnapshot, StagedRead, StopActor,
    },
    protocol::RestoreFeed,
    state_machine::SnapshotCheck,
    storage::staging::StagedSnapshot,
};

/// How much of it goes into the log at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedLimits {
    /// The largest piece, in bytes.
    pub(crate) piece_bytes: usize,
    /// The most pieces that are in the log and not applied.
    pub(crate) pieces_max: usize,
}

/// See the module.
pub(crate) struct Restorer {
    node: Rc<Node>,
    restore: u64,
    limits: FeedLimits,
    feeder: Arc<Feeder>,
    /// None until the copy is made.
    feed: Option<RestoreFeed>,
    /// Elsewhere while it is made, or a piece of it is read.
    copy: Option<StagedSnapshot>,
    whole: (u64, u32),
    /// None when nobody wants the restore any more.
    wanted: Option<Arc<()>>,
}

impl Restorer {
    /// Begins the restore of that number.
    pub(crate) fn start(
        node: &Rc<Node>,
        restore: u64,
        snapshot: Restore,
        check: SnapshotCheck,
        limits: FeedLimits,
    ) -> Port<Self> {
        let wanted = Arc::new(());
        let mut feeder = None;
        let spawned = spawn_unaddressed(&node.inspector, "restorer", |ctx| {
            let own = Arc::new(Feeder { port: port_of(ctx) });
            feeder = Some(own.clone());
            Self {
                node: node.clone(),
                restore,
                limits,
                feeder: own,
                feed: None,
                copy: None,
                whole: (0, 0),
                wanted: Some(wanted.clone()),
            }
        });
        node.watch("restorer", spawned.task);
        node.ports().snapshotter.stage.send_now(StageSnapshot {
            snapshot: snapshot.snapshot,
            check,
            bytes_max: node.config.snapshot_bytes_max,
            wanted: Arc::downgrade(&wanted),
            feeder: feeder.expect("the restorer was built"),
        });
        spawned.port
    }

    /// Has the next piece read, if it may set out and the copy is here.
    fn go_on(&mut self) {
        let Some(feed) = self.feed.as_mut().filter(|_| self.copy.is_some()) else { return };
        let Some(piece) = feed.next_piece() else { return };
        let Some(snapshot) = self.copy.take() else { return };
        let (offset, length) = (piece.offset, piece.length);
        let read = ReadStaged { snapshot, offset, length, feeder: self.feeder.clone() };
        self.node.ports().snapshotter.read_staged.send_now(read);
    }

    fn end(&mut self, result: Result<(), RestoreError>, ctx: &mut Context<Self>) {
        self.copy = None;
        self.node.ports().front.feeding_ended(FeedingEnded { restore: self.restore, result });
        ctx.stop();
    }
}

impl Actor for Restorer {
    type Context = Context<Self>;
}

impl Handler<SnapshotStaged> for Restorer {
    type Result = ();

    fn handle(&mut self, SnapshotStaged { result }: SnapshotStaged, ctx: &mut Self::Context) {
        match result {
            _ if self.wanted.is_none() => self.end(Ok(()), ctx),
            Err(error) => self.end(Err(error), ctx),
            Ok(copy) => {
                let FeedLimits { piece_bytes, pieces_max } = self.limits;
                self.whole = (copy.length(), copy.checksum());
                self.feed = Some(RestoreFeed::new(copy.length(), piece_bytes, pieces_max));
                self.copy = Some(copy);
                self.go_on();
            }
        }
    }
}

impl Handler<StagedRead> for Restorer {
    type Result = ();

    fn handle(&mut self, StagedRead { offset, result }: StagedRead, ctx: &mut Self::Context) {
        match result {
            _ if self.wanted.is_none() => self.end(Ok(()), ctx),
            Err(error) => self.end(Err(RestoreError::Storage(error)), ctx),
            Ok((copy, bytes)) => {
                self.copy = Some(copy);
                let piece = ProposePiece { restore: self.restore, offset, whole: self.whole, bytes };
                self.node.ports().front.propose_piece(piece);
                self.go_on();
            }
        }
    }
}

impl Handler<PieceApplied> for Restorer {
    type Result = ();

    fn handle(&mut self, _: PieceApplied, _: &mut Self::Context) {
        if let Some(feed) = &mut self.feed {
            feed.applied();
        }
        self.go_on();
    }
}

/// The restore is over. Whoever has the copy gives it back first.
impl Handler<StopActor> for Restorer {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        self.wanted = None;
        if self.copy.is_some() {
            self.end(Ok(()), ctx);
        }
    }
}

struct Feeder {
    port: Port<Restorer>,
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restorer")
    }
}

impl RestoreFeeder for Feeder {
    fn staged(&self, message: SnapshotStaged) {
        self.port.send_now(message);
    }

    fn read(&self, message: StagedRead) {
        self.port.send_now(message);
    }
}
