//! Client sessions: commands that are applied once however often they are sent (thesis §6.3). Go: none.

use std::time::Duration;

use actix::Message;

use crate::{error::ApplyError, messages::Apply, types::SessionId};

/// Begin a session.
///
/// In it a command whose outcome is unknown may be sent again, here or on any other node, as often as it takes: it is
/// applied once, and every attempt gets the reply of that one. A session outlives leaders, restarts and snapshots. It
/// ends when it is closed, when nothing was sent in it for [`session_timeout`](crate::Config::session_timeout), or
/// when too many others were active since.
///
/// - *Go*: none; there the application tells retries apart by itself.
/// - *From → to*: client → RaftSystem → Leader, here or, by one hop, on another node.
/// - *Reply*: the session's id, once a quorum has the entry that opens it on disk and it is applied.
/// - *Loss*: as for [`Apply`]. If its outcome is unknown there may be a session that nobody uses; it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "Result<SessionId, ApplyError<OpenSession>>")]
pub struct OpenSession;

/// End a session: what it remembers is forgotten.
///
/// - *Go*: none.
/// - *From → to*: client → RaftSystem → Leader, as for [`OpenSession`].
/// - *Reply*: when it is done. A session that has expired, or was never opened, is no error.
/// - *Loss*: the session expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "Result<(), ApplyError<CloseSession>>")]
pub struct CloseSession(pub SessionId);

/// [`Apply`] in a session: the command of this sequence is applied once, however often it is sent.
///
/// Every command of a session has a sequence of its own, rising from any number on. At most
/// [`SEQUENCES_KEPT`](crate::protocol::SEQUENCES_KEPT) may be without an answer at a time: whoever sends one that
/// is further on has done with those before. The same sequence stands for the same command: sent with another one,
/// it gets the reply of the first.
///
/// - *Go*: none.
/// - *From → to*: client → RaftSystem → Leader, as for [`Apply`].
/// - *Reply*: the state machine's reply to the first attempt that was applied;
///   [`SessionExpired`](ApplyError::SessionExpired) or [`SequenceTooOld`](ApplyError::SequenceTooOld), and this
///   attempt is not applied.
/// - *Loss*: as for [`Apply`]; sending it again is safe.
#[derive(Clone, Debug)]
pub struct ApplyInSession<C> {
    /// The command.
    pub command: C,
    /// Whose it is.
    pub session: SessionId,
    /// Which of its commands.
    pub sequence: u64,
    /// How long the caller waits; [`request_timeout`](crate::Config::request_timeout) if it does not say.
    pub timeout: Option<Duration>,
}

impl<C> Apply<C> {
    /// Applies the command once, however often it is sent with this session and this sequence.
    pub fn in_session(self, session: SessionId, sequence: u64) -> ApplyInSession<C> {
        ApplyInSession { command: self.0, session, sequence, timeout: None }
    }
}

impl<C> ApplyInSession<C> {
    /// Gives this request a deadline of its own.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl<C: Message + 'static> Message for ApplyInSession<C> {
    type Result = Result<C::Result, ApplyError<C>>;
}
