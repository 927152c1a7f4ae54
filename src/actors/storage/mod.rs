//! The log's medium: carries out what the protocol wrote, and says when it is durable.
//!
//! Mailbox: [`Append`], [`Truncate`], [`SaveVote`], [`SaveIdentity`], [`ReadEntries`], [`Purge`],
//! [`ResetLog`], [`Tick`], [`CloseStorage`]. Voice: `Flushed`, `VoteSaved`, `IdentitySaved`, `EntriesRead`, `StorageRoom`,
//! `StorageFailed` to Consensus, `StorageClosed` to the front door. Go: `LogStore`, `StableStore`.
//! What it does is the pure [`StorageStep`], behind a [`Bridge`]; a durable store gets a thread for it, which
//! drains everything queued into one write and one flush. A store placed inline has no actor: see [`StorageQueue`].

mod bridge;
mod gate;
mod queue;
mod step;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;

use actix::{Actor, Handler};

use crate::{
    mailbox::{Context, Outlet},
    messages::{Append, CloseStorage, Purge, ReadEntries, ResetLog, SaveIdentity, SaveVote, Tick, Truncate},
    storage::StorageError,
};

pub use gate::FlushGate;

pub(crate) use bridge::Bridge;
pub(crate) use queue::{InlineStorage, StorageQueue};
pub(crate) use step::{Completion, Operation, StorageStep};

/// See the module.
pub(crate) struct Storage {
    bridge: Bridge,
    completions: Completions,
}

/// Where completions go.
pub(crate) type Completions = Outlet<Completion>;

impl Storage {
    /// An actor before the step that runs behind `bridge` and tells `completions`.
    pub(crate) fn new(bridge: Bridge, completions: Completions) -> Self {
        Self { bridge, completions }
    }

    fn perform(&mut self, operation: Operation) {
        let closing = matches!(operation, Operation::Close);
        if self.bridge.queue(operation) {
            return;
        }
        if closing {
            self.completions.send_now(Completion::Closed);
        } else {
            let what = "the storage thread has ended".to_owned();
            self.completions.send_now(Completion::Failed(Arc::new(StorageError::Misuse(what))));
        }
    }
}

impl Actor for Storage {
    type Context = Context<Self>;
}

impl Handler<Append> for Storage {
    type Result = ();

    fn handle(&mut self, Append { ticket, entries }: Append, _: &mut Self::Context) {
        self.perform(Operation::Append { ticket, entries });
    }
}

impl Handler<Truncate> for Storage {
    type Result = ();

    fn handle(&mut self, Truncate { ticket, from }: Truncate, _: &mut Self::Context) {
        self.perform(Operation::Truncate { ticket, from });
    }
}

impl Handler<Purge> for Storage {
    type Result = ();

    fn handle(&mut self, Purge { base }: Purge, _: &mut Self::Context) {
        self.perform(Operation::Purge(base));
    }
}

impl Handler<ResetLog> for Storage {
    type Result = ();

    fn handle(&mut self, ResetLog { ticket, base }: ResetLog, _: &mut Self::Context) {
        self.perform(Operation::Reset { ticket, base });
    }
}

impl Handler<SaveVote> for Storage {
    type Result = ();

    fn handle(&mut self, SaveVote { vote }: SaveVote, _: &mut Self::Context) {
        self.perform(Operation::SaveVote(vote));
    }
}

impl Handler<SaveIdentity> for Storage {
    type Result = ();

    fn handle(&mut self, SaveIdentity { cluster, member }: SaveIdentity, _: &mut Self::Context) {
        self.perform(Operation::SaveIdentity { cluster, member });
    }
}

impl Handler<ReadEntries> for Storage {
    type Result = ();

    fn handle(&mut self, message: ReadEntries, _: &mut Self::Context) {
        self.perform(Operation::Read(message));
    }
}

/// A store without room is tried again at every tick.
impl Handler<Tick> for Storage {
    type Result = ();

    fn handle(&mut self, _: Tick, _: &mut Self::Context) {
        if self.bridge.is_blocked() {
            self.perform(Operation::Retry);
        }
    }
}

impl Handler<CloseStorage> for Storage {
    type Result = ();

    fn handle(&mut self, _: CloseStorage, ctx: &mut Self::Context) {
        self.perform(Operation::Close);
        actix::ActorContext::stop(ctx);
    }
}
