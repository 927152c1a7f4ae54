//! Entries of client sessions: the table says whether a command is applied or was before (thesis §6.3).

use bytes::Bytes;

use super::FsmStep;
use crate::{
    error::Fatal,
    messages::Replied,
    protocol::SessionAnswer,
    state_machine::StateMachine,
    types::{EntryKind, EntryRef, SessionCommand, SessionId, SessionLimits},
};

impl<S: StateMachine> FsmStep<S> {
    /// The same on every node, whether or not somebody here waits for the reply.
    pub(super) fn apply_in_session(&mut self, entry: EntryRef<'_>) -> Result<Replied<S>, Fatal> {
        let undecodable = |what: &str| Fatal::Undecodable { index: entry.index, reason: what.to_owned() };
        self.sessions.advance(entry.appended_at_ns);
        match entry.kind {
            EntryKind::OpenSession => {
                let limits = SessionLimits::decode(entry.data).ok_or_else(|| undecodable("no limits"))?;
                self.sessions.open(SessionId::from(entry.index), limits);
                Ok(Replied::SessionDone)
            }
            EntryKind::CloseSession => {
                let id = SessionId::decode(entry.data).ok_or_else(|| undecodable("no session"))?;
                self.sessions.close(id);
                Ok(Replied::SessionDone)
            }
            _ => {
                let command = SessionCommand::decode(entry.data).ok_or_else(|| undecodable("no session"))?;
                self.apply_once(entry, command)
            }
        }
    }

    fn apply_once(&mut self, entry: EntryRef<'_>, command: SessionCommand<'_>) -> Result<Replied<S>, Fatal> {
        let SessionCommand { session, sequence, command } = command;
        Ok(match self.sessions.ask(session, sequence) {
            SessionAnswer::Fresh => {
                let reply = self.apply_command(entry, command)?;
                let encoded = rmp_serde::to_vec(&reply).ok().map(Bytes::from);
                self.sessions.answered(session, sequence, encoded);
                Replied::Command(reply)
            }
            // What was encoded on this version decodes; a later version may have another reply.
            SessionAnswer::Duplicate(reply) => {
                rmp_serde::from_slice(&reply).map_or(Replied::SequenceTooOld, Replied::Command)
            }
            SessionAnswer::Forgotten => Replied::SequenceTooOld,
            SessionAnswer::Expired => {
                Replied::SessionExpired(rmp_serde::from_slice(command).ok().map(Box::new))
            }
        })
    }
}
