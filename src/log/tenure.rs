//! One leadership, revocable.

use std::cell::Cell;

use crate::types::Term;

/// The right to act as the leader of one term.
///
/// Given to the leader's subtree and revoked by Consensus before anything else of the next term happens.
/// Appending, reading for sending, sending, matching, committing and answering all ask it first, so
/// that an actor of an old term with messages still queued can do nothing.
#[derive(Debug)]
pub struct Tenure {
    term: Term,
    live: Cell<bool>,
}

impl Tenure {
    /// The leadership won in `term`.
    pub fn new(term: Term) -> Self {
        Self { term, live: Cell::new(true) }
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whether it still holds.
    pub fn is_live(&self) -> bool {
        self.live.get()
    }

    /// Ends it, for ever.
    pub fn revoke(&self) {
        self.live.set(false);
    }
}
