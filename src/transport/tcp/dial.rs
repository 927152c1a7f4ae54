//! The task of a connecting channel: connect, shake hands, run. Ends with the connection.

use std::{
    rc::{Rc, Weak},
    sync::Arc,
};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    Closed, Shared, greeting,
    outbox::Outbox,
    pump::{self, Handler},
};
use crate::{
    transport::{Identity, RpcError},
    types::{Lane, NodeId, Response},
    wire::{self, FrameKind, Message, Verdict},
};

/// Beats of silence after which a sign of life is asked for, and after which there is none.
const QUIET_PING: u32 = 2;
const QUIET_MAX: u32 = 4;

/// Whom a channel leads to. There is one channel for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) peer: NodeId,
    pub(super) address: String,
    pub(super) lane: Lane,
}

/// What the task tells of its connection.
pub(super) trait Line {
    /// Hands an answer to whom it belongs.
    fn answer(&self, id: u64, kind: FrameKind, result: Result<Response, RpcError>) -> Result<(), Closed>;

    /// Whether nobody waits for an answer.
    fn is_quiet(&self) -> bool;

    /// The connection, or the attempt at one, has ended.
    fn ended(&self, closed: &Closed);
}

pub(super) async fn run(shared: Rc<Shared>, target: Target, outbox: Arc<Outbox>, line: Weak<dyn Line>) {
    let closed = match connect(&shared, &target).await {
        Ok((stream, own)) => {
            let mut caller =
                Caller { shared: shared.clone(), outbox: outbox.clone(), line: line.clone(), own };
            let limits = shared.options.frame_limits();
            pump::pump(stream, &outbox, limits, shared.beat(), &mut caller).await
        }
        Err(closed) => closed,
    };
    if closed.is_worth_a_warning() {
        let Target { peer, address, .. } = &target;
        shared.complaints.warn(|silenced| {
            tracing::warn!(%peer, %address, silenced, "connection closed: {closed}");
        });
    }
    if let Some(line) = line.upgrade() {
        line.ended(&closed);
    }
}

/// A connection to the target, and what this node said it is.
async fn connect(shared: &Shared, target: &Target) -> Result<(TcpStream, Identity), Closed> {
    let attempt = async {
        // Names are resolved here, at each attempt.
        let mut stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        let own = shared.identity().ok_or(Closed::Stopped)?;
        shake_hands(&mut stream, &own, target).await?;
        Ok((stream, own))
    };
    timeout(shared.options.connect_timeout, attempt).await.map_err(|_| Closed::ConnectTimeout)?
}

async fn shake_hands(stream: &mut TcpStream, own: &Identity, target: &Target) -> Result<(), Closed> {
    let hello = greeting::handshake(own, target.lane, &target.peer, None);
    stream.write_all(&hello.encode()).await?;
    let reply = greeting::read(stream).await?;
    let there = greeting::identity(&reply);
    if reply.verdict != Some(Verdict::NotNow) {
        own.accepts(&there, &target.peer)?;
    }
    match reply.verdict {
        Some(Verdict::Ok) => Ok(()),
        Some(verdict) => Err(Closed::Refused(verdict)),
        None => Err(Closed::Protocol("a handshake without a verdict")),
    }
}

/// The connecting side's handler: hands answers on, and looks after signs of life.
struct Caller {
    shared: Rc<Shared>,
    outbox: Arc<Outbox>,
    line: Weak<dyn Line>,
    /// What this node said it is.
    own: Identity,
}

impl Handler for Caller {
    fn message(&mut self, request_id: u64, kind: FrameKind, message: Message) -> Result<(), Closed> {
        let result = match message {
            Message::Response(response) => Ok(response),
            Message::Dropped => Err(RpcError::Dropped),
            _ => return Err(Closed::Protocol("a request on a connection made for answers")),
        };
        self.line.upgrade().ok_or(Closed::Stopped)?.answer(request_id, kind, result)
    }

    fn may_read(&self) -> bool {
        true
    }

    fn beat(&mut self, quiet: u32) -> Result<(), Closed> {
        let line = self.line.upgrade().ok_or(Closed::Stopped)?;
        if line.is_quiet() && self.shared.identity().is_none_or(|now| now != self.own) {
            return Err(Closed::Renewed);
        }
        if quiet >= QUIET_MAX {
            return Err(Closed::Silent);
        }
        if quiet >= QUIET_PING {
            // With that much unwritten the peer is silent for a reason that a ping cannot help.
            let _ = self.outbox.push(self.shared.options.write_buffer_bytes_max, |out| {
                wire::encode_ping(out);
                Ok(())
            });
        }
        Ok(())
    }
}
