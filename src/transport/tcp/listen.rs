//! The listening side: accepts within its limits, checks who comes, and keeps count of who is there.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    io,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, spawn_local},
    time::{sleep, timeout},
};

use super::{Closed, Shared, greeting, outbox::Outbox, serve};
use crate::{
    transport::{Identity, Refusal},
    types::{Lane, NodeId},
    wire::{Handshake, HandshakeError, Verdict},
};

/// How long accepting rests when the system has no file or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener and the connections that came from it.
pub(super) struct Server {
    shared: Rc<Shared>,
    /// `None` once stopped: closed at once, so that the address is free.
    listener: RefCell<Option<TcpListener>>,
    accepting: OnceCell<AbortHandle>,
    /// By number, hence by age.
    connections: RefCell<BTreeMap<u64, Connection>>,
    next: Cell<u64>,
    handshakes: Arc<Semaphore>,
}

struct Connection {
    task: AbortHandle,
    /// Who it is, after the handshake.
    peer: Option<(NodeId, Lane)>,
}

impl Server {
    /// Serves `listener` until stopped.
    pub(super) fn start(shared: Rc<Shared>, listener: TcpListener) -> Rc<Self> {
        let handshakes = Arc::new(Semaphore::new(shared.options.handshakes_max.max(1)));
        let server = Rc::new(Self {
            shared,
            listener: RefCell::new(Some(listener)),
            accepting: OnceCell::new(),
            connections: RefCell::default(),
            next: Cell::new(0),
            handshakes,
        });
        let task = spawn_local(server.clone().accept_all());
        server.accepting.get_or_init(|| task.abort_handle());
        server
    }

    /// Closes everything.
    pub(super) fn stop(&self) {
        self.listener.take();
        if let Some(task) = self.accepting.get() {
            task.abort();
        }
        self.connections.take().into_values().for_each(|connection| connection.task.abort());
    }

    async fn accept_all(self: Rc<Self>) {
        while let Ok(permit) = self.handshakes.clone().acquire_owned().await {
            match self.accept().await {
                None => return,
                Some(Ok(stream)) => self.admit(stream, permit),
                Some(Err(error)) => {
                    self.shared.complaints.warn(|silenced| {
                        tracing::warn!(silenced, "cannot accept connections: {error}");
                    });
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The next connection; `None` once stopped.
    async fn accept(&self) -> Option<io::Result<TcpStream>> {
        poll_fn(|context| match &*self.listener.borrow() {
            None => Poll::Ready(None),
            Some(listener) => listener.poll_accept(context).map_ok(|(stream, _)| stream).map(Some),
        })
        .await
    }

    fn admit(self: &Rc<Self>, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let number = self.next.replace(self.next.get() + 1);
        let task = spawn_local(self.clone().serve(number, stream, permit)).abort_handle();
        self.connections.borrow_mut().insert(number, Connection { task, peer: None });
    }

    async fn serve(self: Rc<Self>, number: u64, mut stream: TcpStream, permit: OwnedSemaphorePermit) {
        let from = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |address| address.to_string());
        let limit = self.shared.options.handshake_timeout;
        let shaken = timeout(limit, self.shake_hands(number, &mut stream)).await;
        drop(permit);
        let closed = match shaken.unwrap_or(Err(Closed::HandshakeTimeout)) {
            Ok(peer) => serve::run(&self.shared, stream, peer, Arc::new(Outbox::default())).await,
            Err(closed) => closed,
        };
        self.connections.borrow_mut().remove(&number);
        if closed.is_worth_a_warning() {
            self.shared.complaints.warn(|silenced| {
                tracing::warn!(%from, silenced, "closed a connection: {closed}");
            });
        }
    }

    /// Hears who connects, and tells what becomes of it.
    async fn shake_hands(&self, number: u64, stream: &mut TcpStream) -> Result<Identity, Closed> {
        stream.set_nodelay(true)?;
        let hello = greeting::read(stream).await;
        let own = self.shared.identity().ok_or(Closed::Stopped)?;
        let hello = match hello {
            Ok(hello) => hello,
            Err(closed) => {
                if let Closed::Handshake(HandshakeError::WrongVersion(..)) = &closed {
                    let nobody = NodeId::from("");
                    reply(stream, &own, Lane::Control, &nobody, Verdict::WrongVersion).await?;
                    greeting::part(stream).await?;
                }
                return Err(closed);
            }
        };
        let judged = self.judge(number, &own, &hello);
        let verdict = judged.as_ref().err().map_or(Verdict::Ok, |(verdict, _)| *verdict);
        reply(stream, &own, hello.lane, &hello.node, verdict).await?;
        judged.map(|()| greeting::identity(&hello)).map_err(|(_, closed)| closed)
    }

    fn judge(&self, number: u64, own: &Identity, hello: &Handshake) -> Result<(), (Verdict, Closed)> {
        if hello.target != own.id && !hello.target.is_anybody() {
            let refusal = Refusal::WrongNode { expected: hello.target.clone(), found: own.id.clone() };
            return Err((Verdict::WrongTarget, refusal.into()));
        }
        own.accepts(&greeting::identity(hello), &hello.node)
            .map_err(|refusal| (Verdict::WrongCluster, refusal.into()))?;
        if !self.enter(number, &hello.node, hello.lane) {
            return Err((Verdict::NotNow, Closed::Refused(Verdict::NotNow)));
        }
        Ok(())
    }

    /// Gives the connection its place, the oldest of the peer's lane leaving if it has too many. False if
    /// there is no place.
    fn enter(&self, number: u64, peer: &NodeId, lane: Lane) -> bool {
        let options = &self.shared.options;
        let mut connections = self.connections.borrow_mut();
        let place = (peer.clone(), lane);
        let same: Vec<u64> =
            connections.iter().filter(|(_, c)| c.peer.as_ref() == Some(&place)).map(|(n, _)| *n).collect();
        if same.len() >= options.connections_per_lane_max.max(1) {
            if let Some(oldest) = connections.remove(&same[0]) {
                oldest.task.abort();
            }
        } else if connections.values().filter(|c| c.peer.is_some()).count() >= options.connections_max {
            return false;
        }
        if let Some(connection) = connections.get_mut(&number) {
            connection.peer = Some(place);
        }
        true
    }
}

async fn reply(
    stream: &mut TcpStream,
    own: &Identity,
    lane: Lane,
    target: &NodeId,
    verdict: Verdict,
) -> Result<(), Closed> {
    let reply = greeting::handshake(own, lane, target, Some(verdict));
    Ok(stream.write_all(&reply.encode()).await?)
}
