//! The payloads that are not entries, byte by byte.
//!
//! Little-endian; a name or a membership is preceded by its length as u32. A log id is index, term
//! (u64 each). Decoding refuses whatever is cut or too long and never allocates what it announces.

use crate::types::{LogBase, LogId, LogIndex, Membership, NodeId, Term, Vote};

/// More than a head takes whose membership is as large as one may be.
pub(super) const HEAD_BYTES_MAX: u64 = 256 << 10;

/// What every segment's first record says: enough to begin a recovery here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The segment that the stream comes from; `None` at its very beginning.
    pub(super) previous: Option<Cut>,
    pub(super) vote: Vote,
    /// See [`Recovered::withheld`](crate::storage::Recovered::withheld).
    pub(super) withheld: Option<LogId>,
    /// The end of the log.
    pub(super) last: LogId,
    pub(super) base: LogBase,
}

/// Where the stream leaves a segment: what lies there from `offset` on never counts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) ordinal: u64,
    pub(super) offset: u64,
}

/// What the last record of every flush repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    /// Sequence number of the flush's first record.
    pub(super) first_sequence: u64,
    pub(super) vote: Vote,
    pub(super) withheld: Option<LogId>,
    /// The end of the log.
    pub(super) last: LogId,
}

/// The most bytes that a commit record's payload takes.
pub(super) const COMMIT_BYTES_MAX: usize = 8 + 16 + 16 + 8 + 4 + NodeId::BYTES_MAX;

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        let previous = self.previous.unwrap_or(Cut { ordinal: 0, offset: 0 });
        put_u64(&mut to, previous.ordinal);
        put_u64(&mut to, previous.offset);
        put_id(&mut to, self.withheld.unwrap_or(LogId::ZERO));
        put_id(&mut to, self.last);
        put_vote(&mut to, &self.vote);
        put_base(&mut to, &self.base);
        to
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = bytes;
        let (ordinal, offset) = (take_u64(&mut from)?, take_u64(&mut from)?);
        let head = Self {
            previous: (ordinal > 0).then_some(Cut { ordinal, offset }),
            withheld: some_id(take_id(&mut from)?),
            last: take_id(&mut from)?,
            vote: take_vote(&mut from)?,
            base: take_base(&mut from)?,
        };
        from.is_empty().then_some(head)
    }
}

impl Commit {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(COMMIT_BYTES_MAX);
        put_u64(&mut to, self.first_sequence);
        put_id(&mut to, self.withheld.unwrap_or(LogId::ZERO));
        put_id(&mut to, self.last);
        put_vote(&mut to, &self.vote);
        to
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = bytes;
        let commit = Self {
            first_sequence: take_u64(&mut from)?,
            withheld: some_id(take_id(&mut from)?),
            last: take_id(&mut from)?,
            vote: take_vote(&mut from)?,
        };
        from.is_empty().then_some(commit)
    }
}

pub(super) fn encode_vote(vote: &Vote) -> Vec<u8> {
    let mut to = Vec::new();
    put_vote(&mut to, vote);
    to
}

pub(super) fn decode_vote(mut bytes: &[u8]) -> Option<Vote> {
    let vote = take_vote(&mut bytes)?;
    bytes.is_empty().then_some(vote)
}

pub(super) fn encode_base(base: &LogBase) -> Vec<u8> {
    let mut to = Vec::new();
    put_base(&mut to, base);
    to
}

pub(super) fn decode_base(mut bytes: &[u8]) -> Option<LogBase> {
    let base = take_base(&mut bytes)?;
    bytes.is_empty().then_some(base)
}

pub(super) fn decode_index(bytes: &[u8]) -> Option<LogIndex> {
    checked_index(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn put_u64(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a name or a membership");
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(bytes);
}

fn put_id(to: &mut Vec<u8>, id: LogId) {
    put_u64(to, id.index.0);
    put_u64(to, id.term.0);
}

/// Nobody is an empty name: no node has one.
fn put_vote(to: &mut Vec<u8>, vote: &Vote) {
    put_u64(to, vote.term.0);
    put_bytes(to, vote.voted_for.as_ref().map_or("", NodeId::as_str).as_bytes());
}

fn put_base(to: &mut Vec<u8>, base: &LogBase) {
    put_id(to, base.last);
    let membership = if base.membership.is_empty() { Vec::new() } else { base.membership.encode() };
    put_bytes(to, &membership);
}

fn take_u64(from: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u64::from_le_bytes(*bytes))
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *from = rest;
    Some(bytes)
}

fn take_id(from: &mut &[u8]) -> Option<LogId> {
    let index = checked_index(take_u64(from)?)?;
    Some(LogId::new(Term(take_u64(from)?), index))
}

/// No log is that long: what follows may count on without overflow.
fn checked_index(index: u64) -> Option<LogIndex> {
    (index <= u64::MAX / 2).then_some(LogIndex(index))
}

fn some_id(id: LogId) -> Option<LogId> {
    (id != LogId::ZERO).then_some(id)
}

fn take_vote(from: &mut &[u8]) -> Option<Vote> {
    let term = Term(take_u64(from)?);
    let name = std::str::from_utf8(take_bytes(from)?).ok()?;
    Some(Vote { term, voted_for: (!name.is_empty()).then(|| name.into()) })
}

fn take_base(from: &mut &[u8]) -> Option<LogBase> {
    let last = take_id(from)?;
    let bytes = take_bytes(from)?;
    let membership = if bytes.is_empty() { Membership::default() } else { Membership::decode(bytes).ok()? };
    Some(LogBase { last, membership })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Server, Suffrage};

    #[test]
    fn what_was_encoded_is_decoded_and_no_part_of_it_is() {
        let server = Server {
            id: "n1".into(),
            address: "a:1".into(),
            suffrage: Suffrage::Voter,
            incarnation: Incarnation(5),
        };
        let head = Head {
            previous: Some(Cut { ordinal: 3, offset: 8192 }),
            vote: Vote { term: Term(4), voted_for: Some("n2".into()) },
            withheld: Some(LogId::new(Term(4), LogIndex(9))),
            last: LogId::new(Term(3), LogIndex(8)),
            base: LogBase {
                last: LogId::new(Term(1), LogIndex(2)),
                membership: Membership::new([server]).unwrap(),
            },
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes), Some(head.clone()));
        assert!((0..bytes.len()).all(|end| Head::decode(&bytes[..end]).is_none()));
        let commit = Commit { first_sequence: 9, vote: head.vote, withheld: None, last: head.last };
        let bytes = commit.encode();
        assert_eq!(Commit::decode(&bytes), Some(commit));
        assert!((0..bytes.len()).all(|end| Commit::decode(&bytes[..end]).is_none()));
    }
}
