//! The body of a piece of a snapshot: what it is of in front, the content behind, which both sides share instead of
//! copying.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{
    FrameError, FrameKind,
    fields::{put_id, take_id},
};
use crate::types::{
    ClusterId, InstallSnapshot, LogId, LogIndex, Membership, SnapshotDescription, SnapshotMeta, Term,
};

const KIND: FrameKind = FrameKind::InstallSnapshot;

/// `u64 term | u64 offset | u128 cluster | u64 last term | u64 last index | u64 membership index | u64 bytes |
/// u32 checksum | u8 length, leader | u32 length, membership`, before the content.
pub(super) fn put(head: &mut BytesMut, install: &InstallSnapshot) -> Result<(), FrameError> {
    let SnapshotMeta { description, bytes, checksum } = &install.snapshot;
    head.put_u64_le(install.term.get());
    head.put_u64_le(install.offset);
    head.put_u128_le(description.cluster.0);
    head.put_u64_le(description.last.term.get());
    head.put_u64_le(description.last.index.get());
    head.put_u64_le(description.membership_index.get());
    head.put_u64_le(*bytes);
    head.put_u32_le(*checksum);
    put_id(head, KIND, &install.leader)?;
    let membership = description.membership.encode();
    let length = u32::try_from(membership.len())
        .map_err(|_| FrameError::malformed(KIND, "a membership over 4 GiB"))?;
    head.put_u32_le(length);
    head.extend_from_slice(&membership);
    Ok(())
}

/// Reads what [`put`] and the content behind it made.
pub(super) fn read(mut body: Bytes) -> Result<InstallSnapshot, FrameError> {
    let short = || FrameError::malformed(KIND, "lengths do not fit");
    let mut number = || body.try_get_u64_le().map_err(|_| short());
    let (term, offset) = (Term(number()?), number()?);
    let (low, high) = (number()?, number()?);
    let last = LogId::new(Term(number()?), LogIndex(number()?));
    let (membership_index, bytes) = (LogIndex(number()?), number()?);
    let checksum = body.try_get_u32_le().map_err(|_| short())?;
    let leader = take_id(&mut body).ok_or_else(short)?;
    let length = body.try_get_u32_le().map_err(|_| short())? as usize;
    let membership = (body.len() >= length).then(|| body.split_to(length)).ok_or_else(short)?;
    let membership = Membership::decode(&membership).map_err(|error| FrameError::malformed(KIND, error))?;
    if offset.checked_add(body.len() as u64).is_none_or(|end| end > bytes) {
        return Err(FrameError::malformed(KIND, "a piece beyond the end of its snapshot"));
    }
    let cluster = ClusterId(u128::from(low) | u128::from(high) << 64);
    let description = SnapshotDescription { last, membership, membership_index, cluster };
    Ok(InstallSnapshot {
        term,
        leader,
        snapshot: SnapshotMeta { description, bytes, checksum },
        offset,
        data: body,
    })
}
