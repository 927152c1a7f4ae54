//! Answering later: the reply senders of handled requests, set aside until their answer is known.
//!
//! actix's own ways of answering later spawn a task or scan a list of futures for each request; this keeps the
//! sender itself.

use std::{cell::RefCell, fmt, mem, rc::Rc};

use actix::{
    Actor, Message,
    dev::{MessageResponse, OneshotSender},
};

/// The sending half of one request's answer. It is `Send`; dropping it tells the caller `MailboxError::Closed`.
pub type ReplySender<T> = OneshotSender<T>;

/// Where an actor's parked replies arrive, in the order of their requests. A clone is the same slot.
pub struct Slot<T>(Rc<RefCell<Vec<Option<ReplySender<T>>>>>);

impl<T> Slot<T> {
    /// An empty slot.
    pub fn new() -> Self {
        Self(Rc::default())
    }

    /// Takes what arrived since the last time: one for each parked request, `None` where the sender wants no
    /// answer, so that they stay in step with what the handler put aside for them.
    ///
    /// A reply arrives just *after* its handler returned. A handler that cuts a full batch therefore does so
    /// before it adds its own request, not after.
    pub fn take(&self) -> Vec<Option<ReplySender<T>>> {
        mem::take(&mut self.0.borrow_mut())
    }

    /// The reply parked last, if it wants an answer.
    pub fn pop(&self) -> Option<ReplySender<T>> {
        self.0.borrow_mut().pop().flatten()
    }

    /// How many are parked.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether none is parked.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({} parked)", self.len())
    }
}

/// A handler's result that parks the reply in a [`Slot`] of the actor's. No future and no task.
///
/// ```text
/// type Result = Parked<Answer>;
/// fn handle(&mut self, request: Request, ctx: &mut Self::Context) -> Parked<Answer> {
///     self.batch.push(request);
///     Parked::new(&self.replies)
/// }
/// ```
#[derive(Debug)]
#[must_use = "the reply is parked when the handler returns this"]
pub struct Parked<T>(Slot<T>);

impl<T> Parked<T> {
    /// Parks the reply of the request being handled in `slot`.
    pub fn new(slot: &Slot<T>) -> Self {
        Self(slot.clone())
    }
}

impl<A, M, T> MessageResponse<A, M> for Parked<T>
where
    A: Actor,
    M: Message<Result = T>,
{
    fn handle(self, _: &mut A::Context, reply: Option<ReplySender<T>>) {
        self.0.0.borrow_mut().push(reply);
    }
}
