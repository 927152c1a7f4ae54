//! What the entries of clients hold: how much of one is the command, and whether the state machines can read it.

use std::{panic::catch_unwind, time::Duration};

use bytes::Bytes;

use crate::{
    config::Config,
    state_machine::StateMachine,
    types::{EntryKind, ForwardedCommand, SessionCommand, SessionId, SessionLimits},
};

/// Kind and data of an entry that was not appended, to give back what it brought.
pub(super) type EntryData<'a> = (EntryKind, &'a [u8]);

/// The data of the entry for what another node forwarded; `None` if the state
/// machines could not read it. The limits of a session are those of the leader, whoever was asked to open it.
pub(super) fn entry_data<S: StateMachine>(command: &ForwardedCommand, config: &Config) -> Option<Bytes> {
    let data = &command.data;
    let reads = match command.kind {
        EntryKind::Command => decodes::<S>(data),
        EntryKind::SessionCommand => {
            SessionCommand::decode(data).is_some_and(|command| decodes::<S>(command.command))
        }
        EntryKind::CloseSession => SessionId::decode(data).is_some(),
        EntryKind::OpenSession => return Some(Bytes::copy_from_slice(&limits(config).encode())),
        // A restore goes to the leader itself.
        EntryKind::Noop | EntryKind::Barrier | EntryKind::Configuration | EntryKind::RestorePiece => false,
    };
    reads.then(|| data.clone())
}

/// How many bytes of an entry's data count as the command.
pub(super) fn command_bytes(kind: EntryKind, data: usize) -> usize {
    if kind == EntryKind::SessionCommand { data.saturating_sub(SessionCommand::HEADER_BYTES) } else { data }
}

/// The command that an entry brought; `None` if it is none.
pub(super) fn command_of<S: StateMachine>((kind, data): EntryData<'_>) -> Option<S::Command> {
    let command = match kind {
        EntryKind::SessionCommand => SessionCommand::decode(data)?.command,
        _ => data,
    };
    rmp_serde::from_slice(command).ok()
}

/// Whether the state machines will be able to read a command. How it decodes is the user's code, and may panic.
fn decodes<S: StateMachine>(command: &[u8]) -> bool {
    catch_unwind(|| rmp_serde::from_slice::<S::Command>(command).is_ok()).unwrap_or(false)
}

/// What a session opened here is told of when it ends.
pub(super) fn limits(config: &Config) -> SessionLimits {
    SessionLimits {
        timeout_ms: millis(config.session_timeout),
        sessions_max: u32::try_from(config.sessions_max).unwrap_or(u32::MAX),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
