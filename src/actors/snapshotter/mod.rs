//! When a snapshot is taken, and how: the state as of one index is captured between two commands, and written beside
//! the commands that follow.
//!
//! Mailbox: [`TakeSnapshot`], [`FsmSnapshotted`], [`SnapshotBegun`], [`SnapshotWritten`], [`OpenSnapshot`],
//! [`ReadPiece`], [`RenewSnapshot`], [`ReceiveSnapshot`], [`SnapshotReceived`], [`StateReplaced`], [`StageSnapshot`],
//! [`ReadStaged`], [`SnapshotsClosed`], [`Tick`]. Voice:
//! [`FsmSnapshot`](crate::messages::FsmSnapshot) to FsmApplier, [`SnapshotTaken`] and [`SnapshotReceived`] to Consensus,
//! [`SnapshotOpened`](crate::messages::SnapshotOpened) and [`PieceRead`](crate::messages::PieceRead) to SnapshotSender,
//! [`SnapshotStaged`] and [`StagedRead`](crate::messages::StagedRead) to Restorer, [`SnapshotAnswered`] and
//! [`SnapshotsClosed`] to the front door. Go: `runSnapshots`, `takeSnapshot`.
//! Takes one at a time. One that fails is given up and reported, and the log keeps what it would have stood for.
//! Never moves backwards: what is published meanwhile from elsewhere may be newer.
//! Ends when nothing is written any more, so that nothing is published in a directory that this node has let go.
//! What it does to files are pure steps behind a [`Bridge`].

mod bridge;
mod stage;
mod step;
mod thread;

use std::{rc::Rc, sync::Arc};

use actix::{Actor, ActorContext, Handler};

use crate::{
    actors::node::Node,
    error::{RestoreError, SnapshotError},
    mailbox::Context,
    messages::{
        FsmSnapshotted, NoState, OpenSnapshot, RaftEvent, ReadPiece, ReadStaged, ReceiveSnapshot, Reception,
        RenewSnapshot, SnapshotAnswered, SnapshotBegun, SnapshotReceived, SnapshotStaged, SnapshotTaken,
        SnapshotWritten, SnapshotsClosed, StageSnapshot, StateReplaced, StopActor, TakeSnapshot, Tick,
    },
    protocol::SnapshotPolicy,
    state_machine::StateSnapshot,
    storage::{StorageError, snapshot::SnapshotMeta, staging::StagingArea},
    types::LogId,
};

pub(crate) use bridge::Bridge;
#[cfg(any(test, feature = "sim"))]
pub(crate) use bridge::{LongStep, QueuedFiles};
pub(crate) use stage::LongWork;
use step::FileWork;
pub(crate) use step::{Cancelled, FileStep, PersistWork, SnapshotCompletion, persist};

/// What a client is told whose node has nowhere to keep snapshots.
const NO_STORE: &str = "this node has no place to keep them";
/// What a client is told whose state machine has none.
const NO_STATE: &str = "the state machine has none";

/// What its duration is measured by: one is taken at a time.
const THE_ONE: u64 = 0;

/// See the module.
pub(crate) struct Snapshotter {
    node: Rc<Node>,
    /// None without a place to keep snapshots.
    bridge: Option<Bridge>,
    /// Where snapshots of a user's are copied to.
    staging: StagingArea,
    policy: SnapshotPolicy,
    /// The state was replaced by a user's: one is due, whatever the thresholds say.
    overdue: bool,
    stage: Stage,
    /// The client that waits for the one being taken.
    request: Option<u64>,
    /// The last entry of the newest snapshot published here.
    newest: LogId,
    /// The state machine has said that it has none.
    without_state: bool,
    end: End,
    cancelled: Cancelled,
}

/// How far the end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody has asked for it.
    Open,
    /// The store is to let go.
    Closing,
    /// The store has let go; a state may still be written.
    Closed,
}

/// How far the one being taken is.
enum Stage {
    Idle,
    /// The state machine is asked.
    Capturing,
    /// The store is asked for a place to write this to.
    Beginning {
        sessions: Vec<u8>,
        state: Box<dyn StateSnapshot>,
    },
    Writing,
}

impl Snapshotter {
    /// `newest` is the last entry of the newest snapshot that the start found.
    pub(crate) fn new(node: Rc<Node>, bridge: Option<Bridge>, staging: StagingArea, newest: LogId) -> Self {
        let config = &node.config;
        let policy =
            SnapshotPolicy::new(config.snapshot_interval, config.snapshot_threshold, node.now(), node.seed);
        Self {
            node,
            bridge,
            staging,
            policy,
            overdue: false,
            stage: Stage::Idle,
            request: None,
            newest,
            without_state: false,
            end: End::Open,
            cancelled: Cancelled::default(),
        }
    }

    /// Why none can be taken now.
    fn obstacle(&self) -> Option<SnapshotError> {
        match self.stage {
            _ if self.end != End::Open => Some(SnapshotError::ShuttingDown),
            _ if self.bridge.is_none() => Some(SnapshotError::Unsupported(NO_STORE)),
            _ if self.without_state => Some(SnapshotError::Unsupported(NO_STATE)),
            Stage::Idle if self.node.applied() <= self.newest.index => Some(SnapshotError::NothingNew),
            Stage::Idle => None,
            _ => Some(SnapshotError::InProgress),
        }
    }

    fn begin(&mut self) {
        self.stage = Stage::Capturing;
        self.node.metrics.snapshot.start(THE_ONE);
        self.node.ports().fsm.snapshot();
    }

    fn captured(&mut self, message: FsmSnapshotted) -> Result<(), SnapshotError> {
        let FsmSnapshotted { at, sessions, state } = message;
        if self.end != End::Open {
            return Err(SnapshotError::ShuttingDown);
        }
        let state = state.map_err(|why| match why {
            NoState::Restoring => SnapshotError::Restoring,
            NoState::Unsupported => {
                self.without_state = true;
                SnapshotError::Unsupported(NO_STATE)
            }
        })?;
        let cluster = self.node.cluster();
        let description =
            self.node.log.borrow().describe(at, cluster).filter(|_| at.index > self.newest.index);
        let description = description.ok_or(SnapshotError::NothingNew)?;
        self.stage = Stage::Beginning { sessions, state };
        self.files(FileWork::Create(description));
        Ok(())
    }

    fn files(&self, work: FileWork) {
        match &self.bridge {
            Some(bridge) => bridge.files(work),
            None => {
                let error = Arc::new(StorageError::Misuse(NO_STORE.to_owned()));
                // Only what other nodes want gets here: this one takes none itself.
                match work.waiting().failed(error) {
                    Some(SnapshotCompletion::Opened { reader, message }) => reader.opened(message),
                    Some(SnapshotCompletion::Received(message)) => {
                        self.node.ports().consensus.snapshot_received.send_now(message);
                    }
                    Some(SnapshotCompletion::StagedRead { feeder, message }) => feeder.read(message),
                    _ => {}
                }
            }
        }
    }

    /// One is published here, whoever took it.
    fn is_newest(&mut self, last: LogId) {
        self.newest = self.newest.max(last);
        self.node.board.set_snapshot(self.newest);
        // At the end older ones stay until the next start has another.
        if self.end == End::Open {
            self.files(FileWork::Retain(self.node.config.snapshots_retained));
        }
    }

    fn published(&mut self, meta: &SnapshotMeta) {
        let description = meta.description.clone();
        tracing::info!(node = %self.node.id, last = %description.last, bytes = meta.bytes, "snapshot taken");
        self.node.board.counters.snapshots_taken.add(1);
        self.node.metrics.snapshot.stop(THE_ONE);
        let (last, bytes) = (description.last, meta.bytes);
        self.node.observers.tell(|| RaftEvent::SnapshotTaken { last, bytes });
        self.is_newest(last);
        self.node.ports().consensus.snapshot_taken.send_now(SnapshotTaken { description });
    }

    /// The end of the one being taken.
    fn finish(&mut self, result: Result<SnapshotMeta, SnapshotError>) {
        self.stage = Stage::Idle;
        self.node.metrics.snapshot.abandon();
        if let Err(error) = &result
            && !matches!(
                error,
                SnapshotError::NothingNew
                    | SnapshotError::Restoring
                    | SnapshotError::ShuttingDown
                    | SnapshotError::Unsupported(_)
            )
        {
            tracing::error!(node = %self.node.id, %error, "no snapshot was taken");
        }
        if let Some(request) = self.request.take() {
            self.node.ports().front.snapshot_answered(SnapshotAnswered { request, result });
        }
    }

    /// Ends, unless something is still written.
    fn end_if_quiet(&mut self, ctx: &mut Context<Self>) {
        if self.end == End::Closed && !matches!(self.stage, Stage::Writing) {
            self.node.ports().front.snapshots_closed();
            ctx.stop();
        }
    }
}

impl Actor for Snapshotter {
    type Context = Context<Self>;
}

impl Handler<TakeSnapshot> for Snapshotter {
    type Result = ();

    fn handle(&mut self, TakeSnapshot { request }: TakeSnapshot, _: &mut Self::Context) {
        if let Some(error) = self.obstacle() {
            let answer = SnapshotAnswered { request, result: Err(error) };
            return self.node.ports().front.snapshot_answered(answer);
        }
        self.request = Some(request);
        self.begin();
    }
}

impl Handler<FsmSnapshotted> for Snapshotter {
    type Result = ();

    fn handle(&mut self, message: FsmSnapshotted, _: &mut Self::Context) {
        if let Err(error) = self.captured(message) {
            self.finish(Err(error));
        }
    }
}

impl Handler<SnapshotBegun> for Snapshotter {
    type Result = ();

    fn handle(&mut self, SnapshotBegun { result }: SnapshotBegun, _: &mut Self::Context) {
        let Stage::Beginning { sessions, state } = std::mem::replace(&mut self.stage, Stage::Writing) else {
            unreachable!("the store is asked when there is a state to write, and answers once")
        };
        match (result, &self.bridge) {
            // What was begun goes with its sink.
            _ if self.end != End::Open => self.finish(Err(SnapshotError::ShuttingDown)),
            (Ok(sink), Some(bridge)) => {
                let cancelled = self.cancelled.clone();
                bridge.beside(LongWork::Persist(PersistWork { sink, sessions, state, cancelled }));
            }
            (Ok(_), None) => self.finish(Err(SnapshotError::Unsupported(NO_STORE))),
            (Err(error), _) => self.finish(Err(SnapshotError::Storage(error))),
        }
    }
}

impl Handler<SnapshotWritten> for Snapshotter {
    type Result = ();

    fn handle(&mut self, SnapshotWritten { result }: SnapshotWritten, ctx: &mut Self::Context) {
        if let Ok(meta) = &result {
            self.published(meta);
        }
        self.finish(result);
        self.end_if_quiet(ctx);
    }
}

impl Handler<OpenSnapshot> for Snapshotter {
    type Result = ();

    fn handle(&mut self, OpenSnapshot { reader }: OpenSnapshot, _: &mut Self::Context) {
        self.files(FileWork::Open { last: self.newest, reader });
    }
}

impl Handler<RenewSnapshot> for Snapshotter {
    type Result = ();

    fn handle(&mut self, _: RenewSnapshot, _: &mut Self::Context) {
        if matches!(self.stage, Stage::Idle) {
            // Whatever lies behind the base of the log may be taken anew: the state has it.
            self.newest = self.node.log.borrow().base();
            if self.obstacle().is_none() {
                self.begin();
            }
        }
    }
}

impl Handler<ReadPiece> for Snapshotter {
    type Result = ();

    fn handle(&mut self, message: ReadPiece, _: &mut Self::Context) {
        self.files(FileWork::Read(message));
    }
}

impl Handler<ReceiveSnapshot> for Snapshotter {
    type Result = ();

    fn handle(&mut self, message: ReceiveSnapshot, _: &mut Self::Context) {
        self.files(FileWork::Receive(message));
    }
}

impl Handler<SnapshotReceived> for Snapshotter {
    type Result = ();

    fn handle(&mut self, message: SnapshotReceived, _: &mut Self::Context) {
        if let Reception::Published(source) = &message.step {
            self.is_newest(source.meta().description.last);
        }
        self.node.ports().consensus.snapshot_received.send_now(message);
    }
}

impl Handler<StateReplaced> for Snapshotter {
    type Result = ();

    fn handle(&mut self, StateReplaced { at }: StateReplaced, _: &mut Self::Context) {
        tracing::info!(node = %self.node.id, %at, "the state was replaced by a restored snapshot");
        self.overdue = true;
    }
}

impl Handler<StageSnapshot> for Snapshotter {
    type Result = ();

    fn handle(&mut self, message: StageSnapshot, _: &mut Self::Context) {
        match &self.bridge {
            Some(bridge) => bridge.beside(LongWork::Stage(message, self.staging.clone())),
            None => {
                message.feeder.staged(SnapshotStaged { result: Err(RestoreError::Unsupported(NO_STORE)) })
            }
        }
    }
}

impl Handler<ReadStaged> for Snapshotter {
    type Result = ();

    fn handle(&mut self, message: ReadStaged, _: &mut Self::Context) {
        self.files(FileWork::ReadStaged(message));
    }
}

impl Handler<Tick> for Snapshotter {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, _: &mut Self::Context) {
        let settings = self.node.reloadable();
        self.policy.reconfigure(settings.snapshot_interval, settings.snapshot_threshold, now);
        let entries = self.node.applied().0.saturating_sub(self.newest.index.0);
        let due = self.policy.is_due(now, entries) || self.overdue;
        if due && self.obstacle().is_none() {
            self.overdue = false;
            self.begin();
        }
    }
}

impl Handler<StopActor> for Snapshotter {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        if self.end != End::Open {
            // It has been waited for long enough.
            return ctx.stop();
        }
        self.cancelled.set();
        self.end = End::Closing;
        match &self.bridge {
            Some(bridge) => bridge.files(FileWork::Close),
            None => {
                self.end = End::Closed;
                self.end_if_quiet(ctx);
            }
        }
    }
}

impl Handler<SnapshotsClosed> for Snapshotter {
    type Result = ();

    fn handle(&mut self, _: SnapshotsClosed, ctx: &mut Self::Context) {
        self.end = End::Closed;
        self.end_if_quiet(ctx);
    }
}
