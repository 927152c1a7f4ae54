//! Answering later: the reply senders of handled requests, set aside until their answer is known.
//!
//! actix's own ways of answering later spawn a task or scan a list of futures for each request; this keeps the
//! sender itself.

use std::{fmt, rc::Rc};

use actix::{
    Actor, Message,
    dev::{MessageResponse, OneshotSender},
};

/// The sending half of one request's answer. It is `Send`; dropping it tells the caller `MailboxError::Closed`.
pub type ReplySender<T> = OneshotSender<T>;

/// Where the reply sender of the request in hand goes.
///
/// It arrives just *after* the handler returned: a handler that cuts a full batch does so before it adds its
/// own request, not after.
pub trait Park<T> {
    /// Takes the sender over. Not called if whoever sent the request wants no answer.
    fn park(&self, sender: ReplySender<T>);
}

/// A handler's result: the answer, or where to park its sender. No future and no task.
#[must_use = "the reply is parked when the handler returns this"]
pub enum Parked<T> {
    /// Answered at once.
    Now(T),
    /// Answered later, by whoever holds what is parked there.
    Later(Rc<dyn Park<T>>),
}

impl<A, M, T> MessageResponse<A, M> for Parked<T>
where
    A: Actor,
    M: Message<Result = T>,
{
    fn handle(self, _: &mut A::Context, sender: Option<ReplySender<T>>) {
        let Some(sender) = sender else { return };
        match self {
            // A caller that has gone needs no answer.
            Self::Now(answer) => drop(sender.send(answer)),
            Self::Later(place) => place.park(sender),
        }
    }
}

impl<T> fmt::Debug for Parked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later(_) => "Later",
        })
    }
}
