//! The notes of the messages that wait at one actor, kept from the moment each is packed for the mailbox until its
//! actor takes it out or the mailbox is dropped.

use std::{
    any::TypeId,
    cell::Cell,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// Takes a lock that is never held while foreign code runs, so that no panic can leave it half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Whose ledger the message that this thread is sending belongs in: `pack` is told the actor's type only.
    static ADDRESSEE: Cell<Option<Arc<Ledger>>> = const { Cell::new(None) };
}

/// A message's type and when it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) message: &'static str,
    pub(super) sent: Instant,
}

/// The notes of one actor.
#[derive(Debug)]
pub(super) struct Ledger {
    actor: TypeId,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// By the order in which they were noted.
    waiting: BTreeMap<u64, Note>,
    next: u64,
    high_water: usize,
    dropped: u64,
}

/// What a ledger says at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) depth: usize,
    pub(super) high_water: usize,
    pub(super) dropped: u64,
    pub(super) oldest: Option<Note>,
}

impl Ledger {
    /// An empty ledger for an actor of this type.
    pub(super) fn new(actor: TypeId) -> Arc<Self> {
        Arc::new(Self { actor, notes: Mutex::default() })
    }

    /// Runs `send`, which sends one message to the actor of this ledger.
    pub(super) fn sending<R>(self: &Arc<Self>, send: impl FnOnce() -> R) -> R {
        let outer = ADDRESSEE.replace(Some(Arc::clone(self)));
        let result = send();
        // A closed mailbox packs nothing and leaves the addressee standing.
        ADDRESSEE.set(outer);
        result
    }

    /// The ledger named by the [`sending`](Self::sending) in progress, if it is for an actor of this type: dropping a
    /// message that a closed mailbox refused may send another.
    pub(super) fn addressee(actor: TypeId) -> Option<Arc<Self>> {
        ADDRESSEE.take().filter(|ledger| ledger.actor == actor)
    }

    /// Notes a message of type `message`, sent now.
    pub(super) fn note(self: Arc<Self>, message: &'static str) -> Ticket {
        let note = Note { message, sent: Instant::now() };
        let mut notes = lock(&self.notes);
        let number = notes.next;
        notes.next += 1;
        notes.waiting.insert(number, note);
        notes.high_water = notes.high_water.max(notes.waiting.len());
        drop(notes);
        Ticket { number, note, ledger: Some(self) }
    }

    /// What it says now.
    pub(super) fn queue(&self) -> Queue {
        let notes = lock(&self.notes);
        Queue {
            depth: notes.waiting.len(),
            high_water: notes.high_water,
            dropped: notes.dropped,
            oldest: notes.waiting.values().next().copied(),
        }
    }
}

/// A message's place in a ledger. Dropped without being claimed, it counts as lost with its mailbox.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    note: Note,
    /// Until it is claimed.
    ledger: Option<Arc<Ledger>>,
}

impl Ticket {
    /// Strikes the message off: its actor has taken it out.
    pub(super) fn claim(&mut self) -> Note {
        if let Some(ledger) = self.ledger.take() {
            lock(&ledger.notes).waiting.remove(&self.number);
        }
        self.note
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let mut notes = lock(&ledger.notes);
            notes.waiting.remove(&self.number);
            notes.dropped += 1;
        }
    }
}
