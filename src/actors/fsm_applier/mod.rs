//! The state machine's side: applies what is committed and answers queries.
//!
//! Mailbox: [`FsmMutate`], [`FsmQuery`], [`FsmSnapshot`], [`FsmRestore`], [`FsmRetry`]. Voice: [`Applied`](crate::messages::Applied),
//! [`Queried`](crate::messages::Queried), [`Restored`](crate::messages::Restored),
//! [`FsmRoom`](crate::messages::FsmRoom), [`FsmFailed`](crate::messages::FsmFailed) to the front door, [`FsmSnapshotted`](crate::messages::FsmSnapshotted) and
//! [`StateReplaced`](crate::messages::StateReplaced) to the Snapshotter. Go: `runFSM`.
//! What it does is the pure [`FsmStep`], behind a [`Bridge`], on a thread, so that a slow state machine delays no
//! append, no heartbeat and no vote. One placed inline has no actor: see [`StateMachineQueue`].

mod bridge;
mod queue;
mod restores;
mod sessions;
mod staged;
mod step;
mod thread;

use actix::{Actor, Handler};

use crate::{
    mailbox::Context,
    messages::{FsmMutate, FsmQuery, FsmRestore, FsmRetry, FsmSnapshot, StopActor},
    state_machine::StateMachine,
};

pub(crate) use bridge::Bridge;
#[cfg(any(test, feature = "sim"))]
pub(crate) use bridge::QueuedStep;
pub(crate) use queue::{InlineFsm, StateMachineQueue};
pub(crate) use step::{FsmCompletion, FsmStep, FsmWork};

/// See the module.
pub(crate) struct FsmApplier<S: StateMachine> {
    bridge: Bridge<S>,
}

impl<S: StateMachine> FsmApplier<S> {
    /// An actor before the step that runs behind `bridge`.
    pub(crate) fn new(bridge: Bridge<S>) -> Self {
        Self { bridge }
    }

    fn perform(&mut self, work: FsmWork<S>) {
        self.bridge.queue(work);
    }
}

/// Nothing of it is ever pinned, whatever the state machine is.
impl<S: StateMachine> Unpin for FsmApplier<S> {}

impl<S: StateMachine> Actor for FsmApplier<S> {
    type Context = Context<Self>;
}

impl<S: StateMachine> Handler<FsmMutate> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, message: FsmMutate, _: &mut Self::Context) {
        self.perform(FsmWork::Mutate(message));
    }
}

impl<S: StateMachine> Handler<FsmQuery<S>> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, message: FsmQuery<S>, _: &mut Self::Context) {
        self.perform(FsmWork::Query(message));
    }
}

impl<S: StateMachine> Handler<FsmSnapshot> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, _: FsmSnapshot, _: &mut Self::Context) {
        self.perform(FsmWork::Snapshot);
    }
}

impl<S: StateMachine> Handler<FsmRestore> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, message: FsmRestore, _: &mut Self::Context) {
        self.perform(FsmWork::Restore(message));
    }
}

impl<S: StateMachine> Handler<FsmRetry> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, _: FsmRetry, _: &mut Self::Context) {
        self.perform(FsmWork::Retry);
    }
}

impl<S: StateMachine> Handler<StopActor> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        actix::ActorContext::stop(ctx);
    }
}
