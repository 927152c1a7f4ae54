//! The state machine's side: applies what is committed and answers queries.
//!
//! Mailbox: [`FsmMutate`], [`FsmQuery`]. Voice: [`Applied`](crate::messages::Applied),
//! [`Queried`](crate::messages::Queried), [`FsmFailed`](crate::messages::FsmFailed) to the front door. Go: `runFSM`.
//! What it does is the pure [`FsmStep`], on a thread, so that a slow state machine delays no append, no
//! heartbeat and no vote. One placed inline has no actor: see [`StateMachineQueue`].

mod queue;
mod step;
mod thread;

use actix::{Actor, Handler};

use crate::{
    mailbox::{Context, Outlet},
    messages::{FsmMutate, FsmQuery, StopActor},
    state_machine::StateMachine,
};

pub(crate) use queue::{InlineFsm, StateMachineQueue};
pub(crate) use step::{FsmCompletion, FsmStep, FsmWork};
use thread::FsmThread;

/// See the module.
pub(crate) struct FsmApplier<S: StateMachine> {
    thread: FsmThread<S>,
}

impl<S: StateMachine> FsmApplier<S> {
    pub(crate) fn new(machine: S, done: Outlet<FsmCompletion<S>>, name: &str) -> Self {
        Self { thread: FsmThread::start(FsmStep::new(machine), done, name) }
    }

    fn perform(&mut self, work: FsmWork<S>) {
        // A thread that has ended has said why before.
        let _ = self.thread.queue(work);
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

impl<S: StateMachine> Handler<StopActor> for FsmApplier<S> {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        actix::ActorContext::stop(ctx);
    }
}
