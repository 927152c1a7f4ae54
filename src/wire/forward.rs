//! The bodies of forwarded commands and their results: numbers in front, the bytes behind, one after
//! another, so that both sides share them instead of copying.
//!
//! What belongs to a client's session is marked at its length, and its kind follows the lengths: commands without
//! sessions look as they did before there were any.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{
    FrameError, FrameKind,
    fields::{put_id, take_id},
};
use crate::types::{
    EntryKind, ForwardApply, ForwardApplyResponse, ForwardedCommand, ForwardedResult, LogId, LogIndex, Term,
};

/// The most commands one request may forward.
pub const FORWARD_COMMANDS_MAX: usize = 65_536;

const APPLIED: u8 = 0;
const NOT_LEADER: u8 = 1;
const NOT_LEADER_UNKNOWN: u8 = 2;
const OVERLOADED: u8 = 3;
const TOO_LARGE: u8 = 4;
const SHUTTING_DOWN: u8 = 5;
const OUTCOME_UNKNOWN: u8 = 6;
const SESSION_EXPIRED: u8 = 7;
const SEQUENCE_TOO_OLD: u8 = 8;

/// Set in the length of what is no plain command. No part is ever so long that it would be needed.
const HAS_KIND: u32 = 1 << 31;

/// `u64 timeout | u32 count | count × u32 length | for each with a kind: u8 kind`, before the commands.
pub(super) fn put_request(head: &mut BytesMut, apply: &ForwardApply) -> Result<(), FrameError> {
    head.put_u64_le(apply.timeout_ms);
    put_count(head, FrameKind::ForwardApply, apply.commands.len())?;
    for command in &apply.commands {
        let mark = if command.kind == EntryKind::Command { 0 } else { HAS_KIND };
        head.put_u32_le(length(FrameKind::ForwardApply, &command.data)? | mark);
    }
    let kinds = apply.commands.iter().map(|command| command.kind);
    kinds.filter(|kind| *kind != EntryKind::Command).for_each(|kind| head.put_u8(kind as u8));
    Ok(())
}

/// `u32 count | count × (u8 tag | fields)`, before the replies.
pub(super) fn put_response(head: &mut BytesMut, response: &ForwardApplyResponse) -> Result<(), FrameError> {
    let kind = FrameKind::ForwardApplyResponse;
    put_count(head, kind, response.results.len())?;
    for result in &response.results {
        match result {
            ForwardedResult::Applied { at, reply } => {
                head.put_u8(APPLIED);
                head.put_u64_le(at.term.get());
                head.put_u64_le(at.index.get());
                head.put_u32_le(length(kind, reply)?);
            }
            ForwardedResult::NotLeader { leader: Some(leader) } => {
                head.put_u8(NOT_LEADER);
                put_id(head, kind, leader)?;
            }
            ForwardedResult::NotLeader { leader: None } => head.put_u8(NOT_LEADER_UNKNOWN),
            ForwardedResult::Overloaded => head.put_u8(OVERLOADED),
            ForwardedResult::TooLarge { bytes_max } => {
                head.put_u8(TOO_LARGE);
                head.put_u64_le(*bytes_max);
            }
            ForwardedResult::ShuttingDown => head.put_u8(SHUTTING_DOWN),
            ForwardedResult::OutcomeUnknown => head.put_u8(OUTCOME_UNKNOWN),
            ForwardedResult::SessionExpired => head.put_u8(SESSION_EXPIRED),
            ForwardedResult::SequenceTooOld => head.put_u8(SEQUENCE_TOO_OLD),
        }
    }
    Ok(())
}

/// The replies of a response, in order.
pub(super) fn replies(response: &ForwardApplyResponse) -> impl Iterator<Item = &Bytes> + Clone {
    response.results.iter().filter_map(|result| match result {
        ForwardedResult::Applied { reply, .. } => Some(reply),
        _ => None,
    })
}

/// Reads what [`put_request`] and the commands behind it made.
pub(super) fn read_request(mut body: Bytes) -> Option<ForwardApply> {
    let timeout_ms = body.try_get_u64_le().ok()?;
    let count = take_count(&mut body)?;
    let lengths = (body.len() >= count * 4).then(|| body.split_to(count * 4))?;
    let marked = lengths.chunks_exact(4).filter(|length| length[3] & 0x80 != 0).count();
    let mut kinds = (body.len() >= marked).then(|| body.split_to(marked))?;
    let mut commands = Vec::with_capacity(count);
    for length in lengths.chunks_exact(4) {
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let kind = if length & HAS_KIND == 0 { EntryKind::Command } else { take_kind(&mut kinds)? };
        commands.push(ForwardedCommand { kind, data: take(&mut body, length & !HAS_KIND)? });
    }
    body.is_empty().then_some(ForwardApply { commands, timeout_ms })
}

/// A kind that clients may have appended, other than a plain command: those have no mark.
fn take_kind(kinds: &mut Bytes) -> Option<EntryKind> {
    EntryKind::from_byte(kinds.try_get_u8().ok()?).filter(|kind| kind.is_stamped())
}

/// Reads what [`put_response`] and the replies behind it made.
pub(super) fn read_response(mut body: Bytes) -> Option<ForwardApplyResponse> {
    let count = take_count(&mut body)?;
    let mut results = Vec::with_capacity(count.min(body.len()));
    let mut lengths = Vec::new();
    for _ in 0..count {
        let (result, length) = take_result(&mut body)?;
        results.push(result);
        lengths.push(length);
    }
    for (result, length) in results.iter_mut().zip(lengths) {
        if let ForwardedResult::Applied { reply, .. } = result {
            *reply = take(&mut body, length)?;
        }
    }
    body.is_empty().then_some(ForwardApplyResponse { results })
}

/// One result and the length of its reply, which comes later.
fn take_result(body: &mut Bytes) -> Option<(ForwardedResult, u32)> {
    let result = match body.try_get_u8().ok()? {
        APPLIED => {
            let term = Term(body.try_get_u64_le().ok()?);
            let index = LogIndex(body.try_get_u64_le().ok()?);
            let at = LogId::new(term, index);
            let length = body.try_get_u32_le().ok()?;
            return Some((ForwardedResult::Applied { at, reply: Bytes::new() }, length));
        }
        NOT_LEADER => ForwardedResult::NotLeader { leader: Some(take_id(body)?) },
        NOT_LEADER_UNKNOWN => ForwardedResult::NotLeader { leader: None },
        OVERLOADED => ForwardedResult::Overloaded,
        TOO_LARGE => ForwardedResult::TooLarge { bytes_max: body.try_get_u64_le().ok()? },
        SHUTTING_DOWN => ForwardedResult::ShuttingDown,
        OUTCOME_UNKNOWN => ForwardedResult::OutcomeUnknown,
        SESSION_EXPIRED => ForwardedResult::SessionExpired,
        SEQUENCE_TOO_OLD => ForwardedResult::SequenceTooOld,
        _ => return None,
    };
    Some((result, 0))
}

fn put_count(head: &mut BytesMut, kind: FrameKind, count: usize) -> Result<(), FrameError> {
    if count > FORWARD_COMMANDS_MAX {
        return Err(FrameError::malformed(kind, format_args!("{count} commands are too many")));
    }
    head.put_u32_le(count as u32);
    Ok(())
}

fn length(kind: FrameKind, part: &Bytes) -> Result<u32, FrameError> {
    let length = u32::try_from(part.len()).ok().filter(|length| length & HAS_KIND == 0);
    length.ok_or_else(|| FrameError::malformed(kind, "a part over 2 GiB"))
}

fn take_count(body: &mut Bytes) -> Option<usize> {
    let count = body.try_get_u32_le().ok()? as usize;
    (count <= FORWARD_COMMANDS_MAX).then_some(count)
}

fn take(body: &mut Bytes, length: u32) -> Option<Bytes> {
    (body.len() >= length as usize).then(|| body.split_to(length as usize))
}
