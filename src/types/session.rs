//! Client sessions, as they stand in the log (thesis §6.3): what the data of their entries is.
//!
//! ```text
//! OpenSession      u64 timeout, ms | u32 sessions at most
//! SessionCommand   u64 session | u64 sequence | the command, as in a Command
//! CloseSession     u64 session
//! ```
//!
//! Little-endian. What decides when a session expires stands in the log, so that no difference in how nodes are
//! set up makes one apply what another does not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::LogIndex;

/// Bytes before the command of a session.
const HEADER_BYTES: usize = 16;

/// A session: the index of the entry that opened it, so no two sessions of a log are ever the same.
///
/// It may be kept outside the process that opened it: whoever has it can repeat what was sent in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

impl SessionId {
    /// Bytes of its encoding.
    pub const BYTES: usize = 8;

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The data of an entry that closes it.
    pub fn encode(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    /// Reads the data of an entry that closes a session; `None` if it is not that.
    pub fn decode(data: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(data.try_into().ok()?)))
    }
}

impl From<LogIndex> for SessionId {
    fn from(opened_at: LogIndex) -> Self {
        Self(opened_at.get())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What decides when a session ends that its client does not close. Written into the entry that opens it by the
/// leader that appends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// After how long without a command it has expired, in milliseconds of the leaders' time.
    pub timeout_ms: u64,
    /// How many sessions there may be with it: whichever was active longest ago makes room.
    pub sessions_max: u32,
}

impl SessionLimits {
    const BYTES: usize = 12;

    /// The data of an entry that opens a session.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut data = [0; Self::BYTES];
        data[..8].copy_from_slice(&self.timeout_ms.to_le_bytes());
        data[8..].copy_from_slice(&self.sessions_max.to_le_bytes());
        data
    }

    /// Reads the data of an entry that opens a session; `None` if it is not that.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let data: &[u8; Self::BYTES] = data.try_into().ok()?;
        let (timeout, sessions) = data.split_at(8);
        Some(Self {
            timeout_ms: u64::from_le_bytes(timeout.try_into().ok()?),
            sessions_max: u32::from_le_bytes(sessions.try_into().ok()?),
        })
    }
}

/// A command of a session, borrowed from the data of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCommand<'a> {
    /// Whose it is.
    pub session: SessionId,
    /// Which of its commands: the same number is never applied twice.
    pub sequence: u64,
    /// The command, as the state machine's encoding.
    pub command: &'a [u8],
}

impl<'a> SessionCommand<'a> {
    /// Bytes before the command.
    pub const HEADER_BYTES: usize = HEADER_BYTES;

    /// What stands before the command.
    pub fn header(session: SessionId, sequence: u64) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&session.0.to_le_bytes());
        header[8..].copy_from_slice(&sequence.to_le_bytes());
        header
    }

    /// Reads the data of an entry; `None` if it is too short.
    pub fn decode(data: &'a [u8]) -> Option<Self> {
        let (session, rest) = data.split_first_chunk()?;
        let (sequence, command) = rest.split_first_chunk()?;
        let session = SessionId(u64::from_le_bytes(*session));
        Some(Self { session, sequence: u64::from_le_bytes(*sequence), command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_shorter_or_longer_is() {
        let limits = SessionLimits { timeout_ms: u64::MAX, sessions_max: 7 };
        assert_eq!(SessionLimits::decode(&limits.encode()), Some(limits));
        assert_eq!(SessionId::decode(&SessionId(9).encode()), Some(SessionId(9)));
        let mut data = SessionCommand::header(SessionId(9), 3).to_vec();
        data.extend_from_slice(b"set");
        let read = SessionCommand::decode(&data).unwrap();
        assert_eq!(read, SessionCommand { session: SessionId(9), sequence: 3, command: b"set" });
        for end in 0..SessionCommand::HEADER_BYTES {
            assert_eq!(SessionCommand::decode(&data[..end]), None, "cut at {end}");
            assert_eq!(SessionLimits::decode(&data[..end]).is_some(), end == 12, "cut at {end}");
            assert_eq!(SessionId::decode(&data[..end]).is_some(), end == 8, "cut at {end}");
        }
    }
}
