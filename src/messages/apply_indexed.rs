//! A write whose caller learns where it stands. Go: `ApplyFuture.Index`.

use std::time::Duration;

use actix::Message;

use super::{Apply, ApplyWithin};
use crate::{error::ApplyError, types::LogIndex};

/// [`Apply`], answered with the index of the entry too: what a later
/// [`StaleRead`](super::StaleRead) on any node waits for to see this write.
///
/// - *Go*: `ApplyFuture.Index`.
/// - *From → to*: client → RaftSystem → Leader, as for [`Apply`].
/// - *Reply*: as for [`Apply`], with the index.
/// - *Loss*: as for [`Apply`].
#[derive(Clone, Debug)]
pub struct ApplyIndexed<C> {
    /// The command.
    pub command: C,
    /// How long the caller waits; `None` for [`request_timeout`](crate::Config::request_timeout).
    pub timeout: Option<Duration>,
}

/// A reply and where its command stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indexed<R> {
    /// The index of the entry.
    pub index: LogIndex,
    /// The state machine's reply.
    pub reply: R,
}

impl<C> Apply<C> {
    /// Has the reply say the index of the entry, too.
    pub fn indexed(self) -> ApplyIndexed<C> {
        ApplyIndexed { command: self.0, timeout: None }
    }
}

impl<C> ApplyWithin<C> {
    /// Has the reply say the index of the entry, too.
    pub fn indexed(self) -> ApplyIndexed<C> {
        ApplyIndexed { command: self.command, timeout: Some(self.timeout) }
    }
}

impl<C: Message + 'static> Message for ApplyIndexed<C> {
    type Result = Result<Indexed<C::Result>, ApplyError<C>>;
}
