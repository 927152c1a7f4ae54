//! The way to the store: its actor, or the step itself when it is placed inline.

use std::{cell::RefCell, rc::Rc};

use super::{Completion, Completions, FlushGate, Operation, Storage, StorageStep};
use crate::{
    log::Ticket,
    mailbox::Port,
    messages::{Append, CloseStorage, Purge, ReadEntries, ResetLog, SaveIdentity, SaveVote, Truncate},
    types::{EntryBatch, LogBase, LogIndex, Vote},
};

/// See the module. Completions come as messages, in order; only that an append is durable already is told at once.
#[derive(Clone)]
pub(crate) enum StorageQueue {
    /// The store has a thread behind its actor.
    Actor(Port<Storage>),
    /// The store never blocks: a hop to an actor would cost more than the work.
    Inline(Rc<InlineStorage>),
}

/// A store on the protocol thread.
pub(crate) struct InlineStorage {
    /// None once it is closed: the lock of its directory is let go then, not when the node is dropped.
    step: RefCell<Option<StorageStep>>,
    completions: Completions,
    gate: FlushGate,
}

impl InlineStorage {
    pub(crate) fn new(step: StorageStep, completions: Completions, gate: FlushGate) -> Rc<Self> {
        Rc::new(Self { step: RefCell::new(Some(step)), completions, gate })
    }

    fn perform(&self, operation: Operation) {
        if let Some(step) = self.step.borrow_mut().as_mut() {
            step.queue(operation);
        }
        self.run();
    }

    /// Appends, and says what is durable for it by then: a message to oneself would say the same a hop later.
    fn append(&self, ticket: Ticket, entries: EntryBatch) -> Option<Ticket> {
        if let Some(step) = self.step.borrow_mut().as_mut() {
            step.queue(Operation::Append { ticket, entries });
        }
        let mut flushed = None;
        self.run_with(&mut |completion| match completion {
            Completion::Flushed(ticket) => flushed = Some(ticket),
            other => self.completions.send_now(other),
        });
        flushed
    }

    fn run(&self) {
        self.run_with(&mut |completion| self.completions.send_now(completion));
    }

    /// Does what is queued, unless the gate is closed.
    fn run_with(&self, emit: &mut dyn FnMut(Completion)) {
        let mut slot = self.step.borrow_mut();
        let Some(step) = slot.as_mut().filter(|_| !self.gate.is_closed()) else { return };
        let mut closed = false;
        step.run(&mut |completion| {
            closed |= matches!(completion, Completion::Closed);
            emit(completion);
        });
        if closed {
            *slot = None;
        }
    }

    /// Does what the gate held back, whenever it opens.
    pub(crate) async fn follow_gate(self: Rc<Self>) {
        let (gate, store) = (self.gate.clone(), Rc::downgrade(&self));
        drop(self);
        loop {
            gate.opened().await;
            let Some(store) = store.upgrade() else { return };
            store.run();
        }
    }

    /// Tries again what found no room.
    pub(crate) fn retry(&self) {
        let blocked = self.step.borrow().as_ref().is_some_and(StorageStep::is_blocked);
        if blocked {
            self.perform(Operation::Retry);
        }
    }
}

impl StorageQueue {
    /// Up to which ticket everything is durable already; `None` if [`Flushed`](crate::messages::Flushed) is to come.
    #[must_use = "nobody else is told"]
    pub(crate) fn append(&self, ticket: Ticket, entries: EntryBatch) -> Option<Ticket> {
        match self {
            Self::Actor(port) => {
                port.send_now(Append { ticket, entries });
                None
            }
            Self::Inline(store) => store.append(ticket, entries),
        }
    }

    pub(crate) fn truncate(&self, ticket: Ticket, from: LogIndex) {
        match self {
            Self::Actor(port) => port.send_now(Truncate { ticket, from }),
            Self::Inline(store) => store.perform(Operation::Truncate { ticket, from }),
        }
    }

    pub(crate) fn purge(&self, base: LogBase) {
        match self {
            Self::Actor(port) => port.send_now(Purge { base }),
            Self::Inline(store) => store.perform(Operation::Purge(base)),
        }
    }

    pub(crate) fn reset(&self, ticket: Ticket, base: LogBase) {
        match self {
            Self::Actor(port) => port.send_now(ResetLog { ticket, base }),
            Self::Inline(store) => store.perform(Operation::Reset { ticket, base }),
        }
    }

    pub(crate) fn save_vote(&self, vote: Vote) {
        match self {
            Self::Actor(port) => port.send_now(SaveVote { vote }),
            Self::Inline(store) => store.perform(Operation::SaveVote(vote)),
        }
    }

    pub(crate) fn save_identity(&self, message: SaveIdentity) {
        match self {
            Self::Actor(port) => port.send_now(message),
            Self::Inline(store) => {
                let SaveIdentity { cluster, member } = message;
                store.perform(Operation::SaveIdentity { cluster, member });
            }
        }
    }

    pub(crate) fn read(&self, message: ReadEntries) {
        match self {
            Self::Actor(port) => port.send_now(message),
            Self::Inline(store) => store.perform(Operation::Read(message)),
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::Actor(port) => port.send_now(CloseStorage),
            Self::Inline(store) => store.perform(Operation::Close),
        }
    }
}
