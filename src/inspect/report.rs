//! The report as data: one record per actor instance, all ages and times relative to when it was taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Mailbox inspection was compiled out of this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("mailbox inspection is compiled out: build in debug mode, or with the feature `inspect`")]
pub struct InspectionDisabled;

/// The mailboxes of one node's actors at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxReport {
    /// The node whose actors these are.
    pub node: String,
    /// The actors in the order in which they were spawned, so parents come before their children. Those that
    /// have ended since the last report are in it once more.
    pub actors: Vec<ActorMailbox>,
}

impl MailboxReport {
    /// The actor of that name; the one spawned last if several bear it.
    pub fn actor(&self, name: &str) -> Option<&ActorMailbox> {
        self.actors.iter().rev().find(|actor| actor.name == name)
    }
}

/// One actor instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorMailbox {
    /// The name it was spawned under.
    pub name: String,
    /// What it is doing.
    pub state: ActorState,
    /// Messages known to wait in this mailbox.
    pub depth: u64,
    /// Messages sent through a bare `Addr` or `Recipient` that wait for one of several actors of this type, and
    /// no one can say which: between none and all of them wait here. Zero while only one such actor lives in
    /// the process, for then they are counted in [`depth`](Self::depth).
    pub unaddressed: u64,
    /// The greatest depth since the start.
    pub high_water: u64,
    /// The message that has waited longest.
    pub oldest: Option<Waiting>,
    /// Handled messages by type, the most frequent first. Includes the ones an actor posted to itself by
    /// `notify`, which never were in the mailbox.
    pub handled: Vec<(String, u64)>,
    /// Mean time from being sent to being handled, of the messages that came through the mailbox.
    pub waited_mean: Duration,
    /// Longest such time.
    pub waited_max: Duration,
    /// The message being handled now. Once [`state`](Self::state) is `Panicked`: the one that it panicked in.
    pub handling: Option<Handling>,
    /// Requests skipped because their caller had gone before they were handled.
    pub abandoned: u64,
    /// Messages that were still queued when the mailbox closed.
    pub dropped: u64,
}

impl ActorMailbox {
    /// All messages handled, of every type.
    pub fn handled_total(&self) -> u64 {
        self.handled.iter().map(|(_, count)| count).sum()
    }
}

/// What an actor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Spawned, not yet run.
    Starting,
    /// Waiting for messages.
    Idle,
    /// Handling a message, or, with nothing named in [`ActorMailbox::handling`], in `started`, in `stopping`
    /// or in a future of its own.
    Busy,
    /// Ended in good order, or dropped with its runtime.
    Stopped,
    /// Ended by a panic.
    Panicked,
}

impl ActorState {
    /// Whether the actor can still handle a message.
    pub const fn is_alive(self) -> bool {
        !matches!(self, Self::Stopped | Self::Panicked)
    }
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its type, without module paths.
    pub message: String,
    /// Time since it was sent.
    pub age: Duration,
}

/// A message in the hands of its actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// Its type, without module paths.
    pub message: String,
    /// Time since its handler was entered.
    pub since: Duration,
}
