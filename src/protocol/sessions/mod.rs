//! Client sessions: which commands were applied already, and what they were answered (thesis §6.3).
//!
//! Part of the replicated state. The same entries in the same order give the same table on every node: time is
//! the leaders' time as it stands in the entries, and so are the limits. The table never looks at a clock and
//! never forgets on its own account.
//!
//! A session remembers the replies of its newest [`SEQUENCES_KEPT`] sequences. Sending sequence *s* says that
//! everything before *s* − [`SEQUENCES_KEPT`] + 1 is done with: that many may be on their way at once, in any order.
//! What is older is never applied again.
//!
//! Everything is bounded: the sessions by what their opening says, the replies in bytes. Too many sessions, or too
//! many bytes, cost the one that was active longest ago; a reply too large to keep is forgotten, its sequence is not.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    known_bug::KnownBug,
    types::{SessionId, SessionLimits},
};

#[cfg(test)]
mod tests;

/// How many sequences of a session may be open at once, and how many replies it keeps.
pub const SEQUENCES_KEPT: u64 = 64;
/// The most sessions, whatever an opening says.
pub const SESSIONS_CEILING: u32 = 65_536;
/// The most bytes of replies that one session keeps.
const SESSION_BYTES_MAX: usize = 1 << 20;
/// The most bytes that all sessions take together.
const TABLE_BYTES_MAX: usize = 16 << 20;
/// What a session and a reply count for beside the bytes of the reply. Both are more than their encoding takes.
const SESSION_BYTES: usize = 64;
const REPLY_BYTES: usize = 24;
/// The table's encoding is never longer.
const ENCODED_BYTES_MAX: usize = TABLE_BYTES_MAX + 64;
/// How deep the encoding may nest: table, sessions, session, replies, reply.
const DEPTH_MAX: usize = 8;
const NS_PER_MS: i64 = 1_000_000;

/// What is to be done with a command of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionAnswer {
    /// Apply it, and tell the table what it was [`answered`](Sessions::answered).
    Fresh,
    /// It was applied before: this was the reply, as it was encoded then.
    Duplicate(Bytes),
    /// Do not apply it: the session has gone past it, or its reply was too large to keep. An earlier attempt may
    /// have been applied.
    Forgotten,
    /// Do not apply it: there is no such session, or it has expired.
    Expired,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The latest time in any entry so far, Unix nanoseconds. Never falls, whatever leaders' clocks do.
    now_ns: i64,
    /// What all sessions count for together; at most [`TABLE_BYTES_MAX`].
    bytes: usize,
    sessions: BTreeMap<SessionId, Session>,
    /// Every session once, by when it was active last; among equals the one opened first is before the others.
    by_activity: BTreeSet<(i64, SessionId)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    timeout_ms: u64,
    /// When it was opened or a command of it was last seen, of the table's time.
    active_ns: i64,
    /// No earlier sequence is applied any more.
    floor: u64,
    /// The replies to what was applied, from `floor` on and less than [`SEQUENCES_KEPT`] further; `None` for one
    /// that was too large to keep.
    replies: BTreeMap<u64, Option<Bytes>>,
}

impl Session {
    fn bytes(&self) -> usize {
        SESSION_BYTES + self.replies.len() * REPLY_BYTES + self.reply_bytes()
    }

    fn reply_bytes(&self) -> usize {
        self.replies.values().flatten().map(Bytes::len).sum()
    }

    fn is_expired(&self, now_ns: i64) -> bool {
        let timeout_ns = i64::try_from(self.timeout_ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS);
        now_ns.saturating_sub(self.active_ns) > timeout_ns
    }

    /// Notes a reply; the oldest are forgotten if they become too large together.
    fn keep(&mut self, sequence: u64, reply: Bytes) {
        let mut bytes = self.reply_bytes() + reply.len();
        self.replies.insert(sequence, Some(reply));
        for kept in self.replies.values_mut() {
            if bytes <= SESSION_BYTES_MAX {
                return;
            }
            bytes -= kept.take().map_or(0, |reply| reply.len());
        }
    }
}

impl Sessions {
    /// How many sessions there are; some of them may have expired without notice.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// An entry says what time it is.
    pub fn advance(&mut self, appended_at_ns: Option<i64>) {
        self.now_ns = self.now_ns.max(appended_at_ns.unwrap_or_default());
    }

    /// The entry at `id` opens a session. Others make room if there are too many.
    pub fn open(&mut self, id: SessionId, limits: SessionLimits) {
        while let Some(oldest) = self.oldest().filter(|id| self.sessions[id].is_expired(self.now_ns)) {
            self.close(oldest);
        }
        let most = limits.sessions_max.clamp(1, SESSIONS_CEILING) as usize;
        while self.sessions.len() >= most {
            let Some(oldest) = self.oldest() else { break };
            self.close(oldest);
        }
        let SessionLimits { timeout_ms, .. } = limits;
        let session = Session { timeout_ms, active_ns: self.now_ns, floor: 0, replies: BTreeMap::new() };
        self.insert(id, session);
        self.make_room(id);
    }

    /// The client has ended its session; one that has expired is no error.
    pub fn close(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.bytes -= session.bytes();
            self.by_activity.remove(&(session.active_ns, id));
        }
    }

    /// What is to be done with a command.
    pub fn ask(&mut self, id: SessionId, sequence: u64) -> SessionAnswer {
        let now_ns = self.now_ns;
        let Some(session) = self.sessions.get_mut(&id) else { return SessionAnswer::Expired };
        if session.is_expired(now_ns) {
            self.close(id);
            return SessionAnswer::Expired;
        }
        self.by_activity.remove(&(session.active_ns, id));
        session.active_ns = now_ns;
        self.by_activity.insert((now_ns, id));
        if sequence < session.floor {
            return SessionAnswer::Forgotten;
        }
        match session.replies.get(&sequence) {
            _ if KnownBug::SessionRetryAppliedAgain.is_back() => SessionAnswer::Fresh,
            None => SessionAnswer::Fresh,
            Some(None) => SessionAnswer::Forgotten,
            Some(Some(reply)) => SessionAnswer::Duplicate(reply.clone()),
        }
    }

    /// A fresh command was applied and answered so; `None` if the reply does not encode.
    pub fn answered(&mut self, id: SessionId, sequence: u64, reply: Option<Bytes>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.bytes -= session.bytes();
        let floor = sequence.saturating_sub(SEQUENCES_KEPT - 1);
        if floor > session.floor {
            session.floor = floor;
            session.replies = session.replies.split_off(&floor);
        }
        match reply.filter(|reply| reply.len() <= SESSION_BYTES_MAX) {
            Some(reply) => session.keep(sequence, reply),
            None => drop(session.replies.insert(sequence, None)),
        }
        self.bytes += session.bytes();
        self.make_room(id);
    }

    /// Closes whatever was active longest ago, but not `spared`, until all fits.
    fn make_room(&mut self, spared: SessionId) {
        while self.bytes > TABLE_BYTES_MAX {
            let oldest = self.by_activity.iter().map(|(_, id)| *id).find(|id| *id != spared);
            // One alone is never too large.
            let Some(oldest) = oldest else { return };
            self.close(oldest);
        }
    }

    fn oldest(&self) -> Option<SessionId> {
        self.by_activity.first().map(|(_, id)| *id)
    }

    fn insert(&mut self, id: SessionId, session: Session) {
        self.close(id);
        self.bytes += session.bytes();
        self.by_activity.insert((session.active_ns, id));
        self.sessions.insert(id, session);
    }
}

/// The table as a snapshot carries it.
#[derive(Serialize, Deserialize)]
struct Encoded {
    now_ns: i64,
    sessions: Vec<EncodedSession>,
}

#[derive(Serialize, Deserialize)]
struct EncodedSession {
    id: SessionId,
    timeout_ms: u64,
    active_ns: i64,
    floor: u64,
    replies: Vec<(u64, Option<Bytes>)>,
}

/// Why bytes are not a table of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no table of client sessions: {0}")]
pub struct SessionsDamage(String);

impl Sessions {
    /// The table in MessagePack: what a snapshot of the state has to carry beside it. Equal tables have equal
    /// encodings; that of one in which nothing was ever opened is empty.
    pub fn encode(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let session = |(id, session): (&SessionId, &Session)| EncodedSession {
            id: *id,
            timeout_ms: session.timeout_ms,
            active_ns: session.active_ns,
            floor: session.floor,
            replies: session.replies.iter().map(|(sequence, reply)| (*sequence, reply.clone())).collect(),
        };
        let encoded = Encoded { now_ns: self.now_ns, sessions: self.sessions.iter().map(session).collect() };
        rmp_serde::to_vec(&encoded).expect("numbers and bytes encode")
    }

    /// Reads what [`encode`](Self::encode) wrote. No bytes at all are a table without sessions.
    ///
    /// # Errors
    /// If the bytes are anything else: a table that this one could not have become is refused, so that what a
    /// damaged one says is never taken for what was applied.
    pub fn decode(bytes: &[u8]) -> Result<Self, SessionsDamage> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let damaged = |what: &str| SessionsDamage(what.to_owned());
        if bytes.len() > ENCODED_BYTES_MAX {
            return Err(damaged("too long"));
        }
        let mut rest = bytes;
        let mut unpacker = rmp_serde::Deserializer::new(&mut rest);
        unpacker.set_max_depth(DEPTH_MAX);
        let encoded = Encoded::deserialize(&mut unpacker).map_err(|error| damaged(&error.to_string()))?;
        if !rest.is_empty() {
            return Err(damaged("bytes behind it"));
        }
        let mut table = Self { now_ns: encoded.now_ns, ..Self::default() };
        if table.now_ns < 0 {
            return Err(damaged("a time that no table has"));
        }
        for EncodedSession { id, timeout_ms, active_ns, floor, replies } in encoded.sessions {
            if table.sessions.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return Err(damaged("sessions in no order"));
            }
            if !(0..=table.now_ns).contains(&active_ns) {
                return Err(damaged("a session that was active in the future"));
            }
            let count = replies.len();
            let in_window = |sequence: &u64| {
                sequence.checked_sub(floor).is_some_and(|distance| distance < SEQUENCES_KEPT)
            };
            let replies: BTreeMap<_, _> = replies.into_iter().collect();
            if replies.len() != count || !replies.keys().all(in_window) {
                return Err(damaged("replies to sequences that a session does not keep"));
            }
            let session = Session { timeout_ms, active_ns, floor, replies };
            if session.reply_bytes() > SESSION_BYTES_MAX {
                return Err(damaged("a session that keeps too much"));
            }
            table.insert(id, session);
        }
        if table.bytes > TABLE_BYTES_MAX || table.sessions.len() > SESSIONS_CEILING as usize {
            return Err(damaged("more than there may be"));
        }
        Ok(table)
    }
}
