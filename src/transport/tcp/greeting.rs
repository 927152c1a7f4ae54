//! Handshakes on a socket: reading one within its bounds, and what it says about its speaker.

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Closed;
use crate::{
    transport::Identity,
    types::{Lane, NodeId},
    wire::{Handshake, Verdict},
};

/// What `own` says to `target`: a question, or a reply with its verdict.
pub(super) fn handshake(own: &Identity, lane: Lane, target: &NodeId, verdict: Option<Verdict>) -> Handshake {
    Handshake {
        versions: Handshake::VERSIONS,
        lane,
        verdict,
        cluster: own.cluster,
        group: own.group,
        node: own.id.clone(),
        incarnation: own.incarnation,
        target: target.clone(),
        features: 0,
    }
}

/// Reads one handshake and not a byte more. The caller sets the deadline.
pub(super) async fn read(stream: &mut TcpStream) -> Result<Handshake, Closed> {
    let mut prefix = [0; Handshake::PREFIX_BYTES];
    stream.read_exact(&mut prefix).await?;
    let length = Handshake::length(&prefix)?;
    let mut bytes = vec![0; length];
    bytes[..prefix.len()].copy_from_slice(&prefix);
    stream.read_exact(&mut bytes[prefix.len()..]).await?;
    Ok(Handshake::decode(Bytes::from(bytes))?)
}

/// Ends a connection of which not everything was read, so that the peer sees the reply and not a reset.
pub(super) async fn part(stream: &mut TcpStream) -> Result<(), Closed> {
    stream.shutdown().await?;
    let mut rest = [0; Handshake::BYTES_MAX];
    let mut unread = rest.len();
    while unread > 0 {
        match stream.read(&mut rest[..unread]).await? {
            0 => break,
            read => unread -= read,
        }
    }
    Ok(())
}

/// Who speaks.
pub(super) fn identity(handshake: &Handshake) -> Identity {
    Identity {
        id: handshake.node.clone(),
        cluster: handshake.cluster,
        group: handshake.group,
        incarnation: handshake.incarnation,
    }
}
