//! A session as a client uses it: numbers its commands and tries again what is in doubt (thesis §6.3).

use std::{fmt, time::Duration};

use crate::{
    error::{ApplyError, UnknownReason},
    messages::{Apply, CloseSession, OpenSession},
    state_machine::{Reply, StateMachine},
    system::Raft,
    types::{LogIndex, SessionId},
};

/// How often a command is sent at most. Each attempt ends at its deadline.
const ATTEMPTS_MAX: u32 = 5;
/// A leader that has just been lost is not asked in a loop: the pause before each further attempt is longer by this.
const PAUSE: Duration = Duration::from_millis(50);

/// A client's session through one node: commands sent with [`apply`](Self::apply) are applied once each, whatever
/// becomes of leaders and connections meanwhile.
///
/// Dropping it leaves the session to its [`session_timeout`](crate::Config::session_timeout); [`close`](Self::close)
/// ends it at once.
///
/// ```
/// # use raftix::prelude::*;
/// # async fn example<S>(raft: Raft<S>, pay: S::Command) -> Result<(), Box<dyn std::error::Error>>
/// # where S: StateMachine<Command: Clone> {
/// let mut session = ClientSession::open(&raft).await.map_err(|error| error.to_string())?;
/// let reply = session.apply(pay).await.map_err(|error| error.to_string())?;
/// session.close().await.map_err(|error| error.to_string())?;
/// # Ok(())
/// # }
/// ```
pub struct ClientSession<S: StateMachine> {
    raft: Raft<S>,
    id: SessionId,
    /// No command was sent with this sequence or a later one.
    next: u64,
}

impl<S: StateMachine> ClientSession<S> {
    /// Opens a session.
    ///
    /// # Errors
    /// As [`OpenSession`] is answered. After [`OutcomeUnknown`](ApplyError::OutcomeUnknown) it may be tried again: a
    /// session that nobody uses expires.
    pub async fn open(raft: &Raft<S>) -> Result<Self, ApplyError<OpenSession>> {
        let id = raft.send(OpenSession).await.unwrap_or_else(|_| Err(gone()))?;
        Ok(Self::resume(raft, id, 1))
    }

    /// Goes on with a session that was opened before, here or elsewhere, from the sequence `next` on. Whoever had it
    /// must not use it any more.
    pub fn resume(raft: &Raft<S>, id: SessionId, next: u64) -> Self {
        Self { raft: raft.clone(), id, next }
    }

    /// The session, for those who send [`ApplyInSession`](crate::ApplyInSession) themselves.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The sequence that the next command gets. The one before it is that of the last command, to send it again.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Applies a command once. As long as its outcome is unknown it is sent again, up to five times.
    ///
    /// # Errors
    /// As an [`Apply`] is answered. [`OutcomeUnknown`](ApplyError::OutcomeUnknown) if the last attempt still does not
    /// know, or if an earlier one did not and the session has expired since. Unless it has, the command may be sent
    /// again with the same sequence.
    pub async fn apply(&mut self, command: S::Command) -> Result<Reply<S>, ApplyError<S::Command>>
    where
        S::Command: Clone,
    {
        let sequence = self.next;
        self.next += 1;
        let mut doubt = None;
        for attempt in 0..ATTEMPTS_MAX {
            actix_rt::time::sleep(PAUSE * attempt).await;
            let sent = self.raft.send(Apply(command.clone()).in_session(self.id, sequence));
            let answer = sent.await.unwrap_or_else(|_| Err(gone()));
            match (answer, &doubt) {
                (Err(ApplyError::OutcomeUnknown { index, why }), _) => doubt = Some((index, why)),
                // What becomes of a retry says nothing of the attempt before it.
                (Err(ApplyError::SessionExpired { .. }), Some((index, _))) => {
                    return Err(unknown(*index, UnknownReason::SessionExpired));
                }
                (Err(error), Some(_)) if error.is_refused() => {}
                (answer, _) => return answer,
            }
        }
        let (index, why) = doubt.unwrap_or((None, UnknownReason::LeaderUncertain));
        Err(unknown(index, why))
    }

    /// Ends the session.
    ///
    /// # Errors
    /// As [`CloseSession`] is answered. A session that was not closed expires.
    pub async fn close(self) -> Result<(), ApplyError<CloseSession>> {
        self.raft.send(CloseSession(self.id)).await.unwrap_or_else(|_| Err(gone()))
    }
}

fn unknown<C>(index: Option<LogIndex>, why: UnknownReason) -> ApplyError<C> {
    ApplyError::OutcomeUnknown { index, why }
}

/// The node ended with the request in hand.
fn gone<C>() -> ApplyError<C> {
    unknown(None, UnknownReason::Stopped)
}

impl<S: StateMachine> fmt::Debug for ClientSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("id", &self.id)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
