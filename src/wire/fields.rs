//! What frames of several kinds have in common: how an id is written and read.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{FrameError, FrameKind};
use crate::types::NodeId;

/// Writes an id as its length and its bytes.
pub(super) fn put_id(head: &mut BytesMut, kind: FrameKind, id: &NodeId) -> Result<(), FrameError> {
    let name = id.as_str().as_bytes();
    let length = u8::try_from(name.len()).map_err(|_| FrameError::malformed(kind, "node id too long"))?;
    head.put_u8(length);
    head.extend_from_slice(name);
    Ok(())
}

/// Reads an id: its length and its bytes.
pub(super) fn take_id(bytes: &mut Bytes) -> Option<NodeId> {
    let length = bytes.try_get_u8().ok()? as usize;
    let name = (bytes.len() >= length).then(|| bytes.split_to(length))?;
    Some(std::str::from_utf8(&name).ok()?.into())
}
