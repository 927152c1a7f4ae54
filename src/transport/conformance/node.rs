//! The node that the suite puts behind each transport, and the sink that waits for its answers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::{
    transport::{Identity, Inbound, Link, Responder, ResponseSink, RpcError},
    types::{
        ClusterId, ForwardReadIndex, ForwardReadIndexResponse, GroupId, Incarnation, LogIndex, Request,
        Response,
    },
};

/// How long anything may take before the suite calls it missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a node does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers at once.
    Answer,
    /// Keeps the responder.
    Keep,
    /// Drops the responder.
    Drop,
}

/// Notes what arrives, and treats it in its [`Manner`].
pub(crate) struct Node {
    identity: Mutex<Identity>,
    manner: Mutex<Manner>,
    arrived: Mutex<Vec<(Identity, Request)>>,
    kept: Mutex<Vec<(u64, Responder)>>,
    changed: Notify,
}

impl Node {
    pub(crate) fn new(id: &str, cluster: u128) -> Arc<Self> {
        let identity = Identity {
            id: id.into(),
            cluster: ClusterId(cluster),
            group: GroupId(0),
            incarnation: Incarnation(1),
        };
        Arc::new(Self {
            identity: Mutex::new(identity),
            manner: Mutex::new(Manner::Answer),
            arrived: Mutex::default(),
            kept: Mutex::default(),
            changed: Notify::new(),
        })
    }

    #[cfg(test)]
    pub(crate) fn join(&self, cluster: u128) {
        lock(&self.identity).cluster = ClusterId(cluster);
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *lock(&self.manner) = manner;
    }

    /// How many requests have arrived since they were last taken.
    pub(crate) fn arrived(&self) -> usize {
        lock(&self.arrived).len()
    }

    /// Takes the requests that have arrived.
    pub(crate) fn take_arrived(&self) -> Vec<(Identity, Request)> {
        std::mem::take(&mut lock(&self.arrived))
    }

    /// Waits until `count` requests have arrived since the last call, and takes them.
    pub(crate) async fn arrivals(&self, count: usize) -> Vec<(Identity, Request)> {
        let enough = async {
            while self.arrived() < count {
                self.changed.notified().await;
            }
        };
        timeout(PATIENCE, enough).await.expect("requests arrive");
        self.take_arrived()
    }

    /// Takes the responders kept, in the order of arrival, with what each asked.
    pub(crate) fn kept(&self) -> Vec<(u64, Responder)> {
        std::mem::take(&mut lock(&self.kept))
    }
}

impl Inbound for Node {
    fn deliver(&self, from: &Identity, request: Request, responder: Responder) {
        let number = number(&request);
        lock(&self.arrived).push((from.clone(), request));
        let manner = *lock(&self.manner);
        match manner {
            Manner::Answer => responder.respond(Ok(echo(number))),
            Manner::Keep => lock(&self.kept).push((number, responder)),
            Manner::Drop => drop(responder),
        }
        self.changed.notify_one();
    }

    fn identity(&self) -> Identity {
        lock(&self.identity).clone()
    }
}

/// A request that carries a number.
pub(crate) fn ask(number: u64) -> Request {
    Request::ForwardReadIndex(ForwardReadIndex { timeout_ms: number, barrier: number.is_multiple_of(2) })
}

/// The number that [`ask`] put in.
pub(crate) fn number(request: &Request) -> u64 {
    match request {
        Request::ForwardReadIndex(read) => read.timeout_ms,
        _ => 0,
    }
}

/// The answer to [`ask`]: the number again.
pub(crate) fn echo(number: u64) -> Response {
    Response::ForwardReadIndex(ForwardReadIndexResponse { result: Ok(LogIndex(number)) })
}

/// Collects answers, by the number of their request.
#[derive(Default)]
pub(crate) struct Answers {
    results: Mutex<Vec<(u64, Result<Response, RpcError>)>>,
    changed: Notify,
}

impl Answers {
    /// Sends `request` over `link`, numbered `id`.
    pub(crate) fn request(self: &Arc<Self>, link: &dyn Link, id: u64, request: Request) {
        link.send(request, Responder::new(self.clone(), id));
    }

    /// Asks and waits for the one answer.
    pub(crate) async fn ask(self: &Arc<Self>, link: &dyn Link, number: u64) -> Result<u64, RpcError> {
        self.request(link, number, ask(number));
        let (id, result) = self.wait(1).await.remove(0);
        assert_eq!(id, number, "an answer goes to the request it belongs to");
        result.map(|response| read(&response))
    }

    /// Waits until there are `count` answers, and takes them.
    pub(crate) async fn wait(&self, count: usize) -> Vec<(u64, Result<Response, RpcError>)> {
        let enough = async {
            while lock(&self.results).len() < count {
                self.changed.notified().await;
            }
        };
        timeout(PATIENCE, enough).await.expect("every request is answered");
        let results = self.taken();
        assert_eq!(results.len(), count, "no request is answered twice");
        results
    }

    /// Takes the answers there are.
    pub(crate) fn taken(&self) -> Vec<(u64, Result<Response, RpcError>)> {
        std::mem::take(&mut *lock(&self.results))
    }
}

impl ResponseSink for Answers {
    fn respond(&self, request_id: u64, result: Result<Response, RpcError>) {
        lock(&self.results).push((request_id, result));
        self.changed.notify_one();
    }
}

/// The number that [`echo`] put in.
pub(crate) fn read(response: &Response) -> u64 {
    match response {
        Response::ForwardReadIndex(ForwardReadIndexResponse { result: Ok(index) }) => index.get(),
        other => panic!("not the answer to what was asked: {other:?}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
