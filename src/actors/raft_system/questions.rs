//! The client messages that change nothing, and where each begins to wait. What comes in one burst is asked for
//! together, when the mailbox is drained.

use std::{rc::Rc, time::Duration};

use actix::Handler;

use super::{
    RaftSystem,
    stages::{Applying, Reader},
    waiter::Waiter,
};
use crate::{
    error::ReadError,
    mailbox::Parked,
    messages::{Barrier, LeaseRead, Read, ReadWithin, StaleRead, StaleReadFrom, VerifyLeader},
    state_machine::{Answer, StateMachine},
    types::LogIndex,
};

type ReadResult<S> = Result<Answer<S>, ReadError>;

impl<S: StateMachine> RaftSystem<S> {
    /// Somebody new who waits, if there is room, `None` for as long as usual. The burst it belongs to is armed.
    fn admit_waiter<T>(&mut self, timeout: Option<Duration>) -> Result<Waiter<T>, ReadError> {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Err(refusal.into_read_error());
        }
        let credit = self.credits.try_acquire(1, 0).ok_or(ReadError::Overloaded)?;
        self.arm_flush();
        let timeout = timeout.unwrap_or(self.node.config.request_timeout);
        Ok(Waiter::new(self.now.saturating_add(timeout), credit))
    }

    fn read_one(&mut self, query: S::Query, timeout: Option<Duration>) -> Parked<ReadResult<S>> {
        match self.admit_waiter(timeout) {
            Ok(reader) => {
                self.read_intake.queries.borrow_mut().push((query, reader));
                Parked::Later(self.read_intake.queries.clone())
            }
            Err(error) => Parked::Now(Err(error)),
        }
    }

    /// Reads that need no other node's word, where they need none.
    pub(super) fn read_here(&mut self) {
        let leased = self.read_intake.leased.take();
        if !leased.is_empty() && self.lease_holds() {
            let commit = self.node.log.borrow().commit();
            self.wait_until_applied(commit, Applying::Leased(leased));
        } else {
            self.read_intake.queries.borrow_mut().extend(leased);
        }
        let stale = self.read_intake.stale.take();
        for (index, query) in self.read_intake.stale_from.drain(..).zip(stale).collect::<Vec<_>>() {
            self.wait_until_applied(index, Applying::Queries(vec![query]));
        }
    }
}

impl<S: StateMachine> Handler<Read<S::Query>> for RaftSystem<S> {
    type Result = Parked<ReadResult<S>>;

    fn handle(&mut self, Read(query): Read<S::Query>, _: &mut Self::Context) -> Self::Result {
        self.read_one(query, None)
    }
}

impl<S: StateMachine> Handler<ReadWithin<S::Query>> for RaftSystem<S> {
    type Result = Parked<ReadResult<S>>;

    fn handle(&mut self, message: ReadWithin<S::Query>, _: &mut Self::Context) -> Self::Result {
        self.read_one(message.query, Some(message.timeout))
    }
}

impl<S: StateMachine> Handler<LeaseRead<S::Query>> for RaftSystem<S> {
    type Result = Parked<ReadResult<S>>;

    fn handle(&mut self, LeaseRead(query): LeaseRead<S::Query>, _: &mut Self::Context) -> Self::Result {
        match self.admit_waiter(None) {
            Ok(reader) => {
                self.read_intake.leased.borrow_mut().push((query, reader));
                Parked::Later(self.read_intake.leased.clone())
            }
            Err(error) => Parked::Now(Err(error)),
        }
    }
}

/// A read of the present state needs no index: it is asked at once.
impl<S: StateMachine> Handler<StaleRead<S::Query>> for RaftSystem<S> {
    type Result = Parked<ReadResult<S>>;

    fn handle(&mut self, StaleRead(query): StaleRead<S::Query>, _: &mut Self::Context) -> Self::Result {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Parked::Now(Err(refusal.into_read_error()));
        }
        let Some(credit) = self.credits.try_acquire(1, 0) else {
            return Parked::Now(Err(ReadError::Overloaded));
        };
        let deadline = self.node.now().saturating_add(self.node.config.request_timeout);
        Parked::Later(Rc::new(self.query_now(query, Reader::<S>::new(deadline, credit))))
    }
}

impl<S: StateMachine> Handler<StaleReadFrom<S::Query>> for RaftSystem<S> {
    type Result = Parked<ReadResult<S>>;

    fn handle(&mut self, message: StaleReadFrom<S::Query>, _: &mut Self::Context) -> Self::Result {
        match self.admit_waiter(message.timeout) {
            Ok(reader) => {
                self.read_intake.stale_from.push(message.min_index);
                self.read_intake.stale.borrow_mut().push((message.query, reader));
                Parked::Later(self.read_intake.stale.clone())
            }
            Err(error) => Parked::Now(Err(error)),
        }
    }
}

impl<S: StateMachine> Handler<Barrier> for RaftSystem<S> {
    type Result = Parked<Result<LogIndex, ReadError>>;

    fn handle(&mut self, Barrier { timeout }: Barrier, _: &mut Self::Context) -> Self::Result {
        match self.admit_waiter(timeout) {
            Ok(waiter) => {
                self.read_intake.barriers.borrow_mut().push(waiter);
                Parked::Later(self.read_intake.barriers.clone())
            }
            Err(error) => Parked::Now(Err(error)),
        }
    }
}

impl<S: StateMachine> Handler<VerifyLeader> for RaftSystem<S> {
    type Result = Parked<Result<(), ReadError>>;

    fn handle(&mut self, VerifyLeader { timeout }: VerifyLeader, _: &mut Self::Context) -> Self::Result {
        match self.admit_waiter(timeout) {
            Ok(waiter) => {
                self.read_intake.verifications.borrow_mut().push(waiter);
                Parked::Later(self.read_intake.verifications.clone())
            }
            Err(error) => Parked::Now(Err(error)),
        }
    }
}
