//! Client sessions at the front door: what opens and closes them, and commands in them. They share batches with
//! plain commands, in the order they came.

use actix::Handler;

use super::{
    RaftSystem, Shared,
    batch::{ApplyResult, Caller, CloseResult, OpenResult, Refusal, Waiting},
    encoding::limits,
};
use crate::{
    mailbox::{Context, Park, Parked, ReplySender},
    messages::{ApplyInSession, CloseSession, OpenSession},
    state_machine::StateMachine,
    types::EntryKind,
};

/// Puts the reply sender of the message in hand to what it brought, the last one.
struct Opener<S: StateMachine>(Shared<Vec<Waiting<S>>>);

impl<S: StateMachine> Park<OpenResult> for Opener<S> {
    fn park(&self, sender: ReplySender<OpenResult>) {
        if let Some(last) = self.0.borrow_mut().last_mut() {
            last.caller = Caller::Opens(sender);
        }
    }
}

/// As [`Opener`].
struct Closer<S: StateMachine>(Shared<Vec<Waiting<S>>>, CloseSession);

impl<S: StateMachine> Park<CloseResult> for Closer<S> {
    fn park(&self, sender: ReplySender<CloseResult>) {
        if let Some(last) = self.0.borrow_mut().last_mut() {
            last.caller = Caller::Closes(self.1, sender);
        }
    }
}

impl<S: StateMachine> RaftSystem<S> {
    /// Takes in an entry that is no command of the state machine.
    fn take_in_data(&mut self, kind: EntryKind, data: &[u8], ctx: &mut Context<Self>) -> Result<(), Refusal> {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Err(refusal);
        }
        self.cut_if_full();
        self.admit(data.len())?;
        self.intake.buffer.push(kind, data);
        self.enlist(Caller::Nobody, self.node.config.request_timeout, ctx);
        Ok(())
    }
}

impl<S: StateMachine> Handler<OpenSession> for RaftSystem<S> {
    type Result = Parked<OpenResult>;

    fn handle(&mut self, open: OpenSession, ctx: &mut Self::Context) -> Self::Result {
        let limits = limits(&self.node.config).encode();
        match self.take_in_data(EntryKind::OpenSession, &limits, ctx) {
            Ok(()) => Parked::Later(std::rc::Rc::new(Opener(self.intake.waiting.clone()))),
            Err(refusal) => Parked::Now(Err(refusal.into_error(open))),
        }
    }
}

impl<S: StateMachine> Handler<CloseSession> for RaftSystem<S> {
    type Result = Parked<CloseResult>;

    fn handle(&mut self, close: CloseSession, ctx: &mut Self::Context) -> Self::Result {
        match self.take_in_data(EntryKind::CloseSession, &close.0.encode(), ctx) {
            Ok(()) => Parked::Later(std::rc::Rc::new(Closer(self.intake.waiting.clone(), close))),
            Err(refusal) => Parked::Now(Err(refusal.into_error(close))),
        }
    }
}

impl<S: StateMachine> Handler<ApplyInSession<S::Command>> for RaftSystem<S> {
    type Result = Parked<ApplyResult<S>>;

    fn handle(&mut self, message: ApplyInSession<S::Command>, ctx: &mut Self::Context) -> Self::Result {
        let ApplyInSession { command, session, sequence, timeout } = message;
        let timeout = timeout.unwrap_or(self.node.config.request_timeout);
        self.apply_one(command, Some((session, sequence)), timeout, ctx)
    }
}
