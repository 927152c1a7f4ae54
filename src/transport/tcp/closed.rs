//! Why a connection ended, in words for the log and for the waiting callers.

use std::io;

use thiserror::Error;

use crate::{
    transport::Refusal,
    wire::{FrameError, HandshakeError, Verdict},
};

/// Why a connection, or the attempt at one, ended.
#[derive(Debug, Error)]
pub(super) enum Closed {
    #[error("closed by the peer")]
    ByPeer,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no connection in time")]
    ConnectTimeout,
    #[error("no handshake in time")]
    HandshakeTimeout,
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    WrongPeer(#[from] Refusal),
    #[error("refused by the peer: {0:?}")]
    Refused(Verdict),
    #[error("bad frame: {0}")]
    Frame(#[from] FrameError),
    #[error("the peer does not keep to the protocol: {0}")]
    Protocol(&'static str),
    #[error("the peer has been silent for too long")]
    Silent,
    #[error("this node has another identity now")]
    Renewed,
    #[error("stopped")]
    Stopped,
}

impl Closed {
    /// Whether the next attempt will most likely end the same way.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(verdict) => *verdict != Verdict::NotNow,
            Self::Handshake(_) | Self::WrongPeer(_) => true,
            _ => false,
        }
    }

    /// Whether somebody should hear of it: not of peers that come and go.
    pub(super) fn is_worth_a_warning(&self) -> bool {
        match self {
            Self::ByPeer | Self::Io(_) | Self::ConnectTimeout | Self::Renewed | Self::Stopped => false,
            Self::HandshakeTimeout | Self::Silent | Self::Frame(_) | Self::Protocol(_) => true,
            Self::Handshake(_) | Self::WrongPeer(_) | Self::Refused(_) => true,
        }
    }
}
