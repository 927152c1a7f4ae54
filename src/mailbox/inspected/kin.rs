//! Whose ledger a message belongs in that was sent through a bare `Addr` or `Recipient`.
//!
//! actix tells the packing code the type of the actor, not which one of that type is meant. While one such actor lives
//! in the process there is no question. While several do, the message is noted in a ledger that they share, and each
//! reports that some of it may be its own; whichever takes the message out knows it from then on.

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use actix::Actor;

use super::ledger::{Ledger, Queue, lock};

/// One family for each actor type of the program.
static FAMILIES: Mutex<BTreeMap<TypeId, Arc<Kin>>> = Mutex::new(BTreeMap::new());

/// The living actors of one type.
#[derive(Debug)]
pub(super) struct Kin {
    members: Mutex<Vec<Arc<Ledger>>>,
    shared: Arc<Ledger>,
}

impl Kin {
    fn of(actor: TypeId) -> Arc<Self> {
        let new = || Arc::new(Self { members: Mutex::default(), shared: Ledger::new(actor) });
        Arc::clone(lock(&FAMILIES).entry(actor).or_insert_with(new))
    }

    /// What waits for one of the living members, and whether there is but one.
    pub(super) fn shared_queue(&self) -> (Queue, bool) {
        let sole = lock(&self.members).len() == 1;
        (self.shared.queue(), sole)
    }
}

/// The ledger for a message to an actor of this type, sent now.
pub(super) fn ledger_of<A: Actor>() -> Arc<Ledger> {
    let actor = TypeId::of::<A>();
    Ledger::addressee(actor).unwrap_or_else(|| {
        let kin = Kin::of(actor);
        match lock(&kin.members).as_slice() {
            [sole] => Arc::clone(sole),
            _ => Arc::clone(&kin.shared),
        }
    })
}

/// An actor's place among its kin, from before its address exists until its mailbox is dropped.
#[derive(Debug)]
pub(super) struct Kinship {
    pub(super) kin: Arc<Kin>,
    pub(super) ledger: Arc<Ledger>,
}

/// Takes a place for a new actor.
pub(super) fn join<A: Actor>() -> Kinship {
    let actor = TypeId::of::<A>();
    let kinship = Kinship { kin: Kin::of(actor), ledger: Ledger::new(actor) };
    lock(&kinship.kin.members).push(Arc::clone(&kinship.ledger));
    kinship
}

impl Drop for Kinship {
    fn drop(&mut self) {
        lock(&self.kin.members).retain(|member| !Arc::ptr_eq(member, &self.ledger));
    }
}
