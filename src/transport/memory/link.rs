//! A link of the memory network: resolves its target once per change of the network, then only calls.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use super::registry::Shared;
use crate::{
    transport::{Identity, Inbound, Link, Responder, ResponseSink, RpcError},
    types::{NodeId, Request, Response},
};

pub(super) struct MemoryLink {
    shared: Arc<Shared>,
    way: Arc<Way>,
    /// The peer that must be found at the address.
    peer: NodeId,
    /// The route as of a generation of the network.
    known: RefCell<Option<(u64, Rc<Route>)>>,
}

/// From one address to another.
struct Way {
    from: String,
    to: String,
}

/// What becomes of requests.
enum Route {
    /// They are delivered.
    Open { inbound: Arc<dyn Inbound>, from: Identity, watched: bool },
    /// They vanish.
    Cut,
}

impl MemoryLink {
    pub(super) fn new(shared: Arc<Shared>, from: String, peer: NodeId, to: String) -> Self {
        Self { shared, way: Arc::new(Way { from, to }), peer, known: RefCell::new(None) }
    }

    fn route(&self) -> Result<Rc<Route>, RpcError> {
        let generation = self.shared.generation();
        if let Some((seen, route)) = &*self.known.borrow()
            && *seen == generation
        {
            return Ok(route.clone());
        }
        let (route, lasting) = self.resolve()?;
        let route = Rc::new(route);
        *self.known.borrow_mut() = lasting.then(|| (generation, route.clone()));
        Ok(route)
    }

    /// Does what a handshake does. The route lasts unless one end is blank, and may soon be no more.
    fn resolve(&self) -> Result<(Route, bool), RpcError> {
        let Way { from, to } = &*self.way;
        let registry = self.shared.lock();
        let not_sent = |why: String| Err(RpcError::NotSent(why));
        if registry.faults.is_disconnected(from) || registry.faults.is_disconnected(to) {
            return not_sent(format!("no network between {from} and {to}"));
        }
        if registry.faults.is_cut(from, to) {
            return Ok((Route::Cut, true));
        }
        let Some(own) = registry.nodes.get(from).cloned() else {
            return not_sent(format!("{from} is not started"));
        };
        let Some(inbound) = registry.nodes.get(to).cloned() else {
            return not_sent(format!("nobody listens at {to}"));
        };
        let watched = registry.faults.watched();
        // The nodes are asked without the lock, since they are free to use the network.
        drop(registry);
        let (own, there) = (own.identity(), inbound.identity());
        own.accepts(&there, &self.peer).map_err(|refusal| RpcError::NotSent(refusal.to_string()))?;
        let lasting = !own.cluster.is_none() && !there.cluster.is_none();
        Ok((Route::Open { inbound, from: own, watched }, lasting))
    }
}

impl Link for MemoryLink {
    fn send(&self, request: Request, responder: Responder) {
        match self.route().as_deref() {
            Ok(Route::Open { inbound, from, watched: false }) => inbound.deliver(from, request, responder),
            Ok(Route::Open { inbound, from, watched: true }) => {
                let sink = Watched {
                    shared: self.shared.clone(),
                    way: self.way.clone(),
                    responder: Mutex::new(Some(responder)),
                };
                inbound.deliver(from, request, Responder::new(Arc::new(sink), 0));
            }
            Ok(Route::Cut) => responder.respond(Err(lost(&self.way))),
            Err(error) => responder.respond(Err(error.clone())),
        }
    }
}

/// Stands before a responder and lets an answer through only if its way back is open by then.
struct Watched {
    shared: Arc<Shared>,
    /// The way the request went.
    way: Arc<Way>,
    responder: Mutex<Option<Responder>>,
}

impl ResponseSink for Watched {
    fn respond(&self, _request_id: u64, result: Result<Response, RpcError>) {
        let Some(responder) = self.responder.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let Way { from, to } = &*self.way;
        let registry = self.shared.lock();
        let faults = &registry.faults;
        let open = !faults.is_cut(to, from) && !faults.is_disconnected(from) && !faults.is_disconnected(to);
        drop(registry);
        responder.respond(if open { result } else { Err(lost(&self.way)) });
    }
}

fn lost(way: &Way) -> RpcError {
    RpcError::Lost(format!("the way between {} and {} is cut", way.from, way.to))
}
