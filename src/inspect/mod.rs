//! What the probes saw, as data and text.
//!
//! Plain data that any thread, page or peer may read; it imports nothing of Raftix. [`crate::mailbox`] fills it
//! in, from its probes and never by a message, so that an actor that is stuck is described like any other.
//! Never holds what a message carries, only its type.

mod report;
mod table;

pub use report::{ActorMailbox, ActorState, Handling, InspectionDisabled, MailboxReport, Waiting};
