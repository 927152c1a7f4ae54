//! Raftix over TCP: one connection for each peer and lane, pipelined, with limits on everything.
//!
//! Runs as local tasks on the node's thread and takes its time from tokio. Connections are made by the
//! side that asks (`channel`, `dial`) and served by the side that answers (`listen`, `serve`);
//! both move their frames with `pump`. docs/wire.md tells what is sent.

mod channel;
mod closed;
mod complaints;
mod dial;
mod greeting;
mod listen;
mod options;
mod outbox;
mod pump;
mod serve;
mod shared;
mod waiting;

use std::{fmt, net, rc::Rc, sync::Arc};

use tokio::net::TcpListener;

use self::{
    channel::{ChannelLink, Channels},
    closed::Closed,
    dial::Target,
    listen::Server,
    shared::Shared,
};
use super::{Inbound, Link, Transport, TransportError};
use crate::types::{Lane, NodeId};

pub use options::TcpOptions;

/// A node's TCP transport. Dropping it stops it.
///
/// Whatever it learns of peers that do not fit (another cluster, version or node, damaged frames) it says
/// with [`tracing`], at most once a second, and to the callers in
/// [`RpcError::NotSent`](super::RpcError::NotSent) and [`RpcError::Lost`](super::RpcError::Lost).
pub struct TcpTransport {
    shared: Rc<Shared>,
    channels: Channels,
    server: Option<Rc<Server>>,
}

impl TcpTransport {
    /// A transport that has not started.
    pub fn new(options: TcpOptions) -> Self {
        Self { shared: Rc::new(Shared::new(options)), channels: Channels::default(), server: None }
    }
}

impl Transport for TcpTransport {
    fn start(&mut self, inbound: Arc<dyn Inbound>) -> Result<String, TransportError> {
        let address = &self.shared.options.listen;
        let failed = |source| TransportError::Bind { address: address.clone(), source };
        let listener = net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let listening = listener.local_addr().map_err(failed)?.to_string();
        *self.shared.inbound.borrow_mut() = Some(inbound);
        self.server = Some(Server::start(self.shared.clone(), listener));
        Ok(listening)
    }

    fn link(&self, id: &NodeId, address: &str, lane: Lane) -> Box<dyn Link> {
        let target = Target { peer: id.clone(), address: address.to_owned(), lane };
        Box::new(ChannelLink(self.channels.get(&self.shared, target)))
    }

    fn stop(&mut self) {
        self.shared.inbound.take();
        if let Some(server) = self.server.take() {
            server.stop();
        }
        self.channels.close("this node is stopping");
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpTransport({})", self.shared.options.listen)
    }
}

#[cfg(test)]
mod tests;
