//! Codecs: what requests and answers look like as bytes. docs/wire.md is this room by byte.
//!
//! Knows types only; opens no socket. Nothing that is decoded here may panic, or allocate more than a
//! small multiple of the bytes that have really arrived.

mod decode;
mod encode;
mod fields;
mod forward;
mod frame;
mod handshake;
mod message;
mod outgoing;
mod plausible;
mod snapshot;

pub use decode::decode;
pub use encode::{encode_dropped, encode_ping, encode_pong, encode_request, encode_response};
pub use forward::FORWARD_COMMANDS_MAX;
pub use frame::{FRAME_HEADER_BYTES, FrameError, FrameKind, FrameLimits, bytes_missing};
pub use handshake::{Handshake, HandshakeError, Verdict};
pub use message::Message;
pub use outgoing::Outgoing;

#[cfg(test)]
mod tests;
