//! Somebody who waits for an answer that changes nothing.

use std::{cell::RefCell, time::Duration};

use crate::{
    error::ReadError,
    mailbox::{CreditGuard, Park, ReplySender},
};

/// See the module.
pub(super) struct Waiter<T> {
    pub(super) deadline: Duration,
    sender: Option<ReplySender<Result<T, ReadError>>>,
    /// Returns when the waiter is answered.
    _credit: CreditGuard,
}

impl<T> Waiter<T> {
    /// Waits until `deadline`. Who it is follows when its message has been handled.
    pub(super) fn new(deadline: Duration, credit: CreditGuard) -> Self {
        Self { deadline, sender: None, _credit: credit }
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.deadline <= now
    }

    pub(super) fn answer(self, result: Result<T, ReadError>) {
        if let Some(sender) = self.sender {
            // A caller that has gone needs no answer.
            let _ = sender.send(result);
        }
    }

    pub(super) fn park(&mut self, sender: ReplySender<Result<T, ReadError>>) {
        self.sender = Some(sender);
    }
}

/// Puts the reply sender of the message in hand to the waiter it brought, the last one.
impl<T> Park<Result<T, ReadError>> for RefCell<Vec<Waiter<T>>> {
    fn park(&self, sender: ReplySender<Result<T, ReadError>>) {
        if let Some(last) = self.borrow_mut().last_mut() {
            last.park(sender);
        }
    }
}

/// Answers all of them with the same.
pub(super) fn answer_all<T>(waiters: Vec<Waiter<T>>, result: &Result<T, ReadError>)
where
    T: Copy,
{
    for waiter in waiters {
        waiter.answer(result.clone());
    }
}

/// Ends those whose time is over.
pub(super) fn expire<T>(waiters: &mut Vec<Waiter<T>>, now: Duration) {
    for waiter in waiters.extract_if(.., |waiter| waiter.is_due(now)) {
        waiter.answer(Err(ReadError::Timeout));
    }
}
