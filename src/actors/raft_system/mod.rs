//! The front door: admission, batching, routing, forwarding, reads, and the end of every request.
//!
//! Mailbox: the client messages, those of sessions among them, [`Applied`], [`Queried`], [`ReadIndexReady`],
//! [`LeadershipChanged`], [`NodeFailed`], [`TransferEnded`](crate::messages::TransferEnded),
//! [`ProposePiece`](crate::messages::ProposePiece), [`PieceSettled`], [`FeedingEnded`](crate::messages::FeedingEnded), forwarded requests of
//! other nodes, [`Tick`]. Voice: [`Propose`](crate::messages::Propose), [`ReadIndex`](crate::messages::ReadIndex),
//! [`AppendBarrier`](crate::messages::AppendBarrier) and [`Transfer`](crate::messages::Transfer) to the leader here,
//! `ForwardApply` and `ForwardReadIndex` to
//! the leader elsewhere, [`FsmQuery`](crate::messages::FsmQuery) to the state machine. Go: `api.go`.
//! Owns everybody who waits for an answer. Each ends: applied, refused, or unknown, at the latest at its
//! deadline, whatever the rest of the node does.

mod batch;
mod bootstrapping;
mod encoding;
mod forwarding;
mod intake;
mod lifecycle;
mod management;
mod observing;
mod questions;
mod reads;
mod restores;
mod sessions;
mod settings;
mod snapshots;
mod stages;
#[cfg(test)]
mod tests;
mod transfers;
mod waiter;
mod writes;

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Handler};

use crate::{
    actors::{
        fsm_applier::StateMachineQueue,
        node::{LeadershipView, Node},
    },
    board::Status,
    mailbox::{Context, Credits, Outlet, Port, when_drained},
    messages::{
        Applied, FsmFailed, FsmRoom, GetStatus, InspectMailboxes, LeadershipChanged, NodeFailed,
        PieceSettled, Restored, Tick,
    },
    state_machine::StateMachine,
    transport::{ResponseSink, RpcError},
    types::Response,
};

use batch::Batch;
use intake::Intake;
pub(crate) use lifecycle::Lifecycle;
use management::Changes;
use reads::{ReadIntake, Reads};
use restores::Restores;
use snapshots::Snapshots;
use transfers::Transfers;

/// The actor a service talks to: spawn it with [`RaftSystem::builder`](crate::RaftSystem::builder), send it
/// [`Apply`](crate::Apply), await the reply.
pub struct RaftSystem<S: StateMachine> {
    node: Rc<Node>,
    fsm: StateMachineQueue<S>,
    credits: Credits,
    intake: Intake<S>,
    read_intake: ReadIntake<S>,
    flush_armed: bool,
    /// Batches the leader here was given, in order.
    proposed: VecDeque<Batch<S>>,
    /// Batches that wait for somebody to lead.
    held: VecDeque<Batch<S>>,
    /// Batches the leader elsewhere was given, by request.
    forwarded: BTreeMap<u64, Batch<S>>,
    reads: Reads<S>,
    transfers: Transfers,
    changes: Changes,
    snapshots: Snapshots,
    restores: Restores,
    /// Where what becomes of the pieces of a restore goes: this actor.
    pieces: Outlet<PieceSettled>,
    /// It was given a list of peers by a message.
    bootstrapping: bool,
    requests: u64,
    answers: Arc<dyn ResponseSink>,
    leadership: LeadershipView,
    lifecycle: Lifecycle,
    now: Duration,
}

impl<S: StateMachine> std::fmt::Debug for RaftSystem<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftSystem").field("status", &self.node.board.status()).finish_non_exhaustive()
    }
}

/// As long as no more requests than this are open, the thread stays awake for them. More of them share what it costs to
/// be woken, and need the processor for something else.
const BUSY_POLL_REQUESTS_MAX: u32 = 64;

impl<S: StateMachine> RaftSystem<S> {
    pub(crate) fn new(
        node: Rc<Node>,
        fsm: StateMachineQueue<S>,
        own: Port<Self>,
        lifecycle: Lifecycle,
        credits: Credits,
    ) -> Self {
        let now = node.now();
        Self {
            fsm,
            credits,
            intake: Intake::new(&node.config, node.batch_commands_max()),
            read_intake: ReadIntake::default(),
            flush_armed: false,
            proposed: VecDeque::new(),
            held: VecDeque::new(),
            forwarded: BTreeMap::new(),
            reads: Reads::default(),
            transfers: Transfers::default(),
            changes: Changes::default(),
            snapshots: Snapshots::default(),
            restores: Restores::default(),
            pieces: own.outlet(),
            bootstrapping: false,
            requests: 0,
            answers: Arc::new(Answers { port: own }),
            leadership: LeadershipView::default(),
            lifecycle,
            now,
            node,
        }
    }

    /// Arms one flush for the whole burst.
    fn arm_flush(&mut self) {
        if !self.flush_armed {
            self.flush_armed = true;
            self.now = self.node.now();
        }
    }

    /// The mailbox is drained: what was collected from it goes on.
    fn flush_intake(&mut self) {
        if std::mem::take(&mut self.flush_armed) {
            self.cut_batch();
            self.read_here();
            self.ask_for_index();
        }
    }

    /// Something was sent on that is answered soon, or somebody is answered who may soon go on.
    fn expect_more(&self) {
        if self.credits.in_use().0 <= BUSY_POLL_REQUESTS_MAX {
            self.node.busy_poll.expect_more();
        }
    }

    fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }
}

/// Nothing of it is ever pinned, whatever the state machine's messages are.
impl<S: StateMachine> Unpin for RaftSystem<S> {}

impl<S: StateMachine> Actor for RaftSystem<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        when_drained(ctx, Self::flush_intake);
    }
}

impl<S: StateMachine> Handler<Applied<S>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, message: Applied<S>, _: &mut Self::Context) {
        if !message.replies.is_empty() {
            self.expect_more();
        }
        for (at, replied) in message.replies {
            self.resolve(at, replied);
        }
        self.give_up_replaced(message.last);
        self.node.awaited.set(!self.proposed.is_empty());
        self.node.note_applied(message.last.index, message.bytes);
        self.node.hand_off();
        self.query_applied();
        self.go_on_stopping();
    }
}

impl<S: StateMachine> Handler<Restored> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, Restored { last }: Restored, _: &mut Self::Context) {
        self.give_up_through(last.index);
        self.node.note_restored(last.index);
        self.query_applied();
    }
}

impl<S: StateMachine> Handler<FsmRoom> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, message: FsmRoom, _: &mut Self::Context) {
        self.node.ports().consensus.fsm_room.send_now(message);
    }
}

impl<S: StateMachine> Handler<FsmFailed> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, FsmFailed { fatal }: FsmFailed, _: &mut Self::Context) {
        self.node.fail(fatal);
    }
}

impl<S: StateMachine> Handler<NodeFailed> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, NodeFailed(fatal): NodeFailed, _: &mut Self::Context) {
        self.lifecycle.fail(fatal);
        self.settle_all();
        self.go_on_stopping();
    }
}

impl<S: StateMachine> Handler<LeadershipChanged> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, _: LeadershipChanged, _: &mut Self::Context) {
        let view = self.node.leadership.borrow().clone();
        let lost =
            self.leadership.here.is_some() && (view.here.is_none() || view.term != self.leadership.term);
        if view.term != self.leadership.term || view.leader != self.leadership.leader {
            self.forget_asked();
        }
        self.settle_transfers(&view);
        self.leadership = view;
        if lost {
            self.break_restore_off();
            self.leadership_lost();
            self.take_changes_back();
        }
        self.route_held();
        self.route_held_changes();
        self.ask_again();
        self.go_on_stopping();
    }
}

impl<S: StateMachine> Handler<Tick> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, _: &mut Self::Context) {
        self.now = now;
        self.expire_writes();
        self.expire_reads();
        self.expire_transfers();
        self.expire_changes();
        self.expire_restore();
        self.route_held();
        self.route_held_changes();
        self.ask_again();
        self.go_on_stopping();
    }
}

impl<S: StateMachine> Handler<GetStatus> for RaftSystem<S> {
    type Result = actix::MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.status())
    }
}

impl<S: StateMachine> RaftSystem<S> {
    fn status(&self) -> Status {
        self.node.board.status()
    }
}

impl<S: StateMachine> Handler<InspectMailboxes> for RaftSystem<S> {
    type Result = actix::MessageResult<InspectMailboxes>;

    fn handle(&mut self, _: InspectMailboxes, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.node.inspector.report())
    }
}

/// The leader elsewhere answered, or will not.
///
/// - *Go*: none; hashicorp/raft leaves forwarding to the application.
/// - *From → to*: Transport → RaftSystem.
/// - *Follows*: callers are answered; what was certainly not sent waits for a leader again; an index lets
///   its reads go on.
/// - *Loss*: the callers' deadlines.
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub(crate) struct ForwardAnswered {
    pub(crate) request: u64,
    pub(crate) result: Result<Response, RpcError>,
}

struct Answers<S: StateMachine> {
    port: Port<RaftSystem<S>>,
}

impl<S: StateMachine> ResponseSink for Answers<S> {
    fn respond(&self, request: u64, result: Result<Response, RpcError>) {
        self.port.send_now(ForwardAnswered { request, result });
    }
}

/// A slot that the reply sender of the message in hand is put into.
type Shared<T> = Rc<RefCell<T>>;
