//! Who waits for what on the way of a read, whatever the question was.

use std::time::Duration;

use super::waiter::{Waiter, answer_all, expire};
use crate::{
    error::ReadError,
    state_machine::{Answer, StateMachine},
    transport::Responder,
    types::LogIndex,
};

/// Who waits for the answer to a query.
pub(super) type Reader<S> = Waiter<Answer<S>>;

/// Queries and who waits for their answers.
pub(super) type Queries<S> = Vec<(<S as StateMachine>::Query, Reader<S>)>;

/// Who waits for the state machine.
pub(super) enum Applying<S: StateMachine> {
    /// With an index that the leader has confirmed, or that is fresh enough for who gave it.
    Queries(Queries<S>),
    /// With the commit index of the leader here, as long as its lease holds.
    Leased(Queries<S>),
    Barriers(Vec<Waiter<LogIndex>>),
}

impl<S: StateMachine> Applying<S> {
    pub(super) fn expire(&mut self, now: Duration) {
        match self {
            Self::Queries(queries) | Self::Leased(queries) => expire_queries(queries, now),
            Self::Barriers(barriers) => expire(barriers, now),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Queries(queries) | Self::Leased(queries) => queries.is_empty(),
            Self::Barriers(barriers) => barriers.is_empty(),
        }
    }

    pub(super) fn end(self, error: &ReadError) {
        match self {
            Self::Queries(queries) | Self::Leased(queries) => end_queries(queries, error),
            Self::Barriers(barriers) => answer_all(barriers, &Err(error.clone())),
        }
    }
}

/// For whom an index is asked.
pub(super) enum Who<S: StateMachine> {
    Local(Queries<S>),
    Barriers(Vec<Waiter<LogIndex>>),
    /// Who wants to know whether this node leads: nobody else is asked.
    Verifications(Vec<Waiter<()>>),
    Remote(Remote),
}

/// A question of another node.
pub(super) struct Remote {
    pub(super) responder: Option<Responder>,
    pub(super) deadline: Duration,
    pub(super) barrier: bool,
}

impl<S: StateMachine> Who<S> {
    /// Whether an entry is to be behind what was proposed, or what is committed will do.
    pub(super) fn wants_barrier(&self) -> bool {
        match self {
            Self::Local(_) | Self::Verifications(_) => false,
            Self::Barriers(_) => true,
            Self::Remote(remote) => remote.barrier,
        }
    }

    pub(super) fn expire(&mut self, now: Duration) {
        match self {
            Self::Local(queries) => expire_queries(queries, now),
            Self::Barriers(barriers) => expire(barriers, now),
            Self::Verifications(verifications) => expire(verifications, now),
            Self::Remote(_) => {}
        }
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        match self {
            Self::Local(queries) => queries.is_empty(),
            Self::Barriers(barriers) => barriers.is_empty(),
            Self::Verifications(verifications) => verifications.is_empty(),
            Self::Remote(remote) => remote.deadline <= now,
        }
    }

    pub(super) fn end(self, error: &ReadError) {
        match self {
            Self::Local(queries) => end_queries(queries, error),
            Self::Barriers(barriers) => answer_all(barriers, &Err(error.clone())),
            Self::Verifications(verifications) => answer_all(verifications, &Err(error.clone())),
            Self::Remote(_) => {}
        }
    }
}

pub(super) fn end_queries<Q, T>(queries: Vec<(Q, Waiter<T>)>, error: &ReadError) {
    for (_, reader) in queries {
        reader.answer(Err(error.clone()));
    }
}

fn expire_queries<Q, T>(queries: &mut Vec<(Q, Waiter<T>)>, now: Duration) {
    for (_, reader) in queries.extract_if(.., |(_, reader)| reader.is_due(now)) {
        reader.answer(Err(ReadError::Timeout));
    }
}
