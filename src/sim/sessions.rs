//! A simulated client's session: commands are sent again until their outcome is known, and now and then although it
//! is.

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    doors::{DEADLINE, Doors, PATIENCE},
    history::{Checkable, Outcome},
    observed::{Observed, Placed, Tagged},
    oracle::{Oracle, Violation},
};
use crate::{
    error::ApplyError,
    messages::{Apply, OpenSession},
    state_machine::Reply,
    system::Raft,
    types::SessionId,
};

/// How often a command of unknown outcome is sent again at most. A client that gave up at once would show little,
/// one that never does holds up the others of a cluster that is gone.
const RETRIES_MAX: u32 = 10;

/// What became of commands of unknown outcome that were sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retries {
    /// How many commands were.
    pub(super) retried: u64,
    /// How many of them were answered.
    pub(super) resolved: u64,
    /// How many attempts met a session that was over.
    pub(super) expired: u64,
}

/// Where the clients that work in sessions do so.
pub(super) struct Sessions<S: Checkable> {
    pub(super) doors: Rc<Doors<S>>,
    pub(super) oracle: Oracle,
    /// What became of their commands.
    pub(super) retries: Cell<Retries>,
}

/// See the module.
pub(super) struct Session {
    /// Nothing for a client that has no sessions.
    rng: Option<fastrand::Rng>,
    open: Option<SessionId>,
    sequence: u64,
}

/// What an attempt was told.
type Attempt<S> = Result<Placed<Reply<S>>, Failed>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    Refused,
    Expired,
    Unknown,
}

impl Session {
    /// A client without sessions.
    pub(super) fn none() -> Self {
        Self { rng: None, open: None, sequence: 0 }
    }

    /// A client that works in sessions.
    pub(super) fn of(rng: fastrand::Rng) -> Self {
        Self { rng: Some(rng), ..Self::none() }
    }

    /// Opens a session through this node if there is none. Without one the client goes on as others do.
    pub(super) async fn open_on<S: Checkable>(&mut self, sessions: &Sessions<S>, node: usize) {
        let (_, raft) = sessions.doors.at(node);
        let Some(raft) = raft.filter(|_| self.rng.is_some() && self.open.is_none()) else { return };
        if let Ok(Ok(Ok(id))) = timeout(PATIENCE, raft.send(OpenSession)).await {
            sessions.oracle.note("session", Some(node), [id.get(), 0, 0]);
            (self.open, self.sequence) = (Some(id), 0);
        }
    }

    /// Applies a command through `raft`, and through others if it takes more than one attempt.
    pub(super) async fn apply<S: Checkable>(
        &mut self,
        sessions: &Sessions<S>,
        raft: &Raft<Observed<S>>,
        command: Tagged<S::Command>,
    ) -> Outcome<S> {
        let (Some(rng), Some(id)) = (&mut self.rng, self.open) else {
            return outcome(send(raft, None, command).await);
        };
        self.sequence += 1;
        let of = (id, self.sequence);
        let mut answer = send(raft, Some(of), command.clone()).await;
        let doubt = matches!(answer, Err(Failed::Unknown));
        for _ in 0..RETRIES_MAX {
            if !doubt || !matches!(answer, Err(Failed::Unknown | Failed::Refused)) {
                break;
            }
            sleep(Duration::from_millis(rng.u64(1..500))).await;
            answer = again(sessions, rng, of, &command).await;
        }
        let mut retries = sessions.retries.get();
        retries.retried += u64::from(doubt);
        retries.resolved += u64::from(doubt && answer.is_ok());
        retries.expired += u64::from(matches!(answer, Err(Failed::Expired)));
        sessions.retries.set(retries);
        if matches!(answer, Err(Failed::Expired)) {
            self.open = None;
        }
        // An attempt that came late.
        if let Ok(first) = &answer
            && rng.u8(..8) == 0
            && let Ok(second) = again(sessions, rng, of, &command).await
            && (first.at != second.at || first.reply != second.reply)
        {
            let told = format!("{:?} at {}, then {:?} at {}", first.reply, first.at, second.reply, second.at);
            sessions.oracle.accuse(Violation::new("exactly once", format!("{of:?} was answered {told}")));
        }
        match answer {
            // What became of a retry says nothing of the attempt before it.
            Err(_) if doubt => Outcome::Unknown,
            answer => outcome(answer),
        }
    }
}

/// Sends a command once more, to any node that runs.
async fn again<S: Checkable>(
    sessions: &Sessions<S>,
    rng: &mut fastrand::Rng,
    of: (SessionId, u64),
    command: &Tagged<S::Command>,
) -> Attempt<S> {
    let node = sessions.doors.any(rng);
    let (_, raft) = sessions.doors.at(node);
    let Some(raft) = raft else { return Err(Failed::Refused) };
    sessions.oracle.note("again", Some(node), [command.operation, of.0.get(), of.1]);
    send(&raft, Some(of), command.clone()).await
}

async fn send<S: Checkable>(
    raft: &Raft<Observed<S>>,
    of: Option<(SessionId, u64)>,
    command: Tagged<S::Command>,
) -> Attempt<S> {
    let answer = match of {
        Some((id, sequence)) => {
            let sent = Apply(command).in_session(id, sequence).timeout(DEADLINE);
            timeout(PATIENCE, raft.send(sent)).await
        }
        None => timeout(PATIENCE, raft.send(Apply(command).timeout(DEADLINE))).await,
    };
    match answer {
        Ok(Ok(Ok(placed))) => Ok(placed),
        Ok(Ok(Err(ApplyError::SessionExpired { .. }))) => Err(Failed::Expired),
        Ok(Ok(Err(error))) if error.is_refused() => Err(Failed::Refused),
        // It does not know, it died, or it does not answer.
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => Err(Failed::Unknown),
    }
}

fn outcome<S: Checkable>(answer: Attempt<S>) -> Outcome<S> {
    match answer {
        Ok(Placed { at, reply }) => Outcome::Applied { at, reply },
        Err(Failed::Refused | Failed::Expired) => Outcome::Refused,
        Err(Failed::Unknown) => Outcome::Unknown,
    }
}
