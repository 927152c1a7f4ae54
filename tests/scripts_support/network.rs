//! A network that holds every request and every answer until the script delivers or drops it.
//!
//! Messages from one node to another keep their order, whatever their lane, unless the script picks one out by its
//! kind. Whoever sent a request that is lost is told so, as by a broken connection; a message that has left its node
//! outlives it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use raftix::{
    transport::{Identity, Inbound, Link, Responder, ResponseSink, RpcError, Transport, TransportError},
    types::{Lane, NodeId, Request, Response},
};

use super::{describe, trace::Trace};

/// Clones are handles to the same network. A node's address is its id.
#[derive(Clone)]
pub(crate) struct Network {
    trace: Trace,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    held: VecDeque<Message>,
    cut: BTreeSet<(String, String)>,
    nodes: BTreeMap<String, Arc<dyn Inbound>>,
    /// How many votes and promises each node has asked for.
    votes_asked: BTreeMap<String, u64>,
}

/// Something on its way.
pub(crate) struct Message {
    from: String,
    pub(crate) to: String,
    text: String,
    cargo: Cargo,
}

enum Cargo {
    Request(Identity, Request, Responder),
    Answer(Result<Response, RpcError>, Responder),
}

/// Which messages a command means: all, or those that fit.
#[derive(Debug, Default)]
pub(crate) struct Selector {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) count: Option<usize>,
}

impl Message {
    /// The message as the trace shows it.
    pub(crate) fn describe(&self) -> String {
        format!("{}→{} {}", self.from, self.to, self.text)
    }

    fn is_meant(&self, selector: &Selector) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let kind = self.text.split(' ').next().unwrap_or_default();
        fits(&selector.from, &self.from) && fits(&selector.to, &self.to) && fits(&selector.kind, kind)
    }

    /// Tells whoever waits for an answer that there will be none.
    pub(crate) fn lose(self) {
        let (Cargo::Request(_, _, responder) | Cargo::Answer(_, responder)) = self.cargo;
        responder.respond(Err(RpcError::Lost("dropped by the script".to_owned())));
    }
}

impl Network {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The transport of the node called `id`.
    pub(crate) fn transport(&self, id: &str) -> ScriptedTransport {
        ScriptedTransport { network: self.clone(), id: id.to_owned() }
    }

    /// Takes the messages out that are meant, in the order they were sent.
    pub(crate) fn take(&self, selector: &Selector) -> Vec<Message> {
        let mut state = self.state();
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for message in std::mem::take(&mut state.held) {
            let room = selector.count.is_none_or(|count| taken.len() < count);
            if room && message.is_meant(selector) {
                taken.push(message);
            } else {
                left.push_back(message);
            }
        }
        state.held = left;
        taken
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.state().held.is_empty()
    }

    /// How many votes and promises the node has asked for.
    pub(crate) fn votes_asked(&self, id: &str) -> u64 {
        self.state().votes_asked.get(id).copied().unwrap_or_default()
    }

    /// Cuts the ways between the nodes in both directions; what is on them is lost.
    pub(crate) fn cut(&self, left: &[String], right: &[String]) {
        for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
            for (from, to) in [(a, b), (b, a)] {
                self.state().cut.insert((from.clone(), to.clone()));
                self.drop_all(&Selector {
                    from: Some(from.clone()),
                    to: Some(to.clone()),
                    ..Selector::default()
                });
            }
        }
    }

    pub(crate) fn heal(&self) {
        self.state().cut.clear();
    }

    /// The node is gone: nothing reaches it, and nothing more comes from it.
    pub(crate) fn disconnect(&self, id: &str) {
        let inbound = self.state().nodes.remove(id);
        drop(inbound);
        self.drop_all(&Selector { to: Some(id.to_owned()), ..Selector::default() });
    }

    /// Loses the messages that are meant.
    pub(crate) fn drop_all(&self, selector: &Selector) {
        for message in self.take(selector) {
            self.trace.line(format!("{}, lost", message.describe()));
            message.lose();
        }
    }

    /// Delivers a message that was taken out.
    pub(crate) fn deliver(&self, message: Message) {
        let Message { from, to, text, cargo } = message;
        match cargo {
            Cargo::Answer(result, responder) => responder.respond(result),
            Cargo::Request(identity, request, responder) => {
                let inbound = self.state().nodes.get(&to).cloned();
                let Some(inbound) = inbound else {
                    return responder.respond(Err(RpcError::NotSent("nobody is there".to_owned())));
                };
                if let Err(refusal) = identity.accepts(&inbound.identity(), &NodeId::from(to.as_str())) {
                    self.trace.line(format!("not connected: {refusal}"));
                    return responder.respond(Err(RpcError::NotSent(refusal.to_string())));
                }
                let kind = text.split(' ').next().unwrap_or_default().to_owned();
                let sink = Back {
                    network: self.clone(),
                    from: to,
                    to: from,
                    kind,
                    responder: Mutex::new(Some(responder)),
                };
                inbound.deliver(&identity, request, Responder::new(Arc::new(sink), 0));
            }
        }
    }

    fn send(&self, from: &str, to: &str, request: Request, responder: Responder) {
        let text = describe::request(&request);
        let mut state = self.state();
        let Some(identity) = state.nodes.get(from).cloned() else {
            drop(state);
            return responder.respond(Err(RpcError::NotSent("the sender is gone".to_owned())));
        };
        if matches!(request, Request::PreVote(_) | Request::RequestVote(_)) {
            *state.votes_asked.entry(from.to_owned()).or_default() += 1;
        }
        let there = state.nodes.contains_key(to);
        let cut = state.cut.contains(&(from.to_owned(), to.to_owned()));
        drop(state);
        let identity = identity.identity();
        if cut {
            self.trace.line(format!("{from}→{to} {text}, lost"));
            responder.respond(Err(RpcError::Lost("the way is cut".to_owned())));
        } else if !there {
            self.trace.line(format!("{from}→{to} {text}, not sent: {to} is down"));
            responder.respond(Err(RpcError::NotSent(format!("{to} is down"))));
        } else {
            self.hold(from, to, text, Cargo::Request(identity, request, responder));
        }
    }

    fn hold(&self, from: &str, to: &str, text: String, cargo: Cargo) {
        let message = Message { from: from.to_owned(), to: to.to_owned(), text, cargo };
        self.trace.line(message.describe());
        self.state().held.push_back(message);
    }

    fn answer(&self, back: &Back, result: Result<Response, RpcError>, responder: Responder) {
        let (from, to) = (&back.from, &back.to);
        let text = match &result {
            Ok(response) => describe::response(response),
            Err(error) => format!("{}: {}", back.kind, describe::error(error)),
        };
        let state = self.state();
        let open = state.nodes.contains_key(from)
            && state.nodes.contains_key(to)
            && !state.cut.contains(&(from.clone(), to.clone()));
        drop(state);
        if open {
            self.hold(from, to, text, Cargo::Answer(result, responder));
        } else {
            self.trace.line(format!("{from}→{to} {text}, lost"));
            responder.respond(Err(RpcError::Lost("the connection is gone".to_owned())));
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: Vec<String> = self.state().held.iter().map(Message::describe).collect();
        f.debug_struct("Network").field("held", &held).finish_non_exhaustive()
    }
}

/// The way back of one answer.
struct Back {
    network: Network,
    from: String,
    to: String,
    kind: String,
    responder: Mutex<Option<Responder>>,
}

impl ResponseSink for Back {
    fn respond(&self, _: u64, result: Result<Response, RpcError>) {
        let responder = self.responder.lock().unwrap().take();
        if let Some(responder) = responder {
            self.network.answer(self, result, responder);
        }
    }
}

#[derive(Debug)]
pub(crate) struct ScriptedTransport {
    network: Network,
    id: String,
}

impl Transport for ScriptedTransport {
    fn start(&mut self, inbound: Arc<dyn Inbound>) -> Result<String, TransportError> {
        self.network.state().nodes.insert(self.id.clone(), inbound);
        Ok(self.id.clone())
    }

    fn link(&self, _: &NodeId, address: &str, _: Lane) -> Box<dyn Link> {
        Box::new(ScriptedLink {
            network: self.network.clone(),
            from: self.id.clone(),
            to: address.to_owned(),
        })
    }

    fn stop(&mut self) {
        self.network.disconnect(&self.id);
    }
}

struct ScriptedLink {
    network: Network,
    from: String,
    to: String,
}

impl Link for ScriptedLink {
    fn send(&self, request: Request, responder: Responder) {
        self.network.send(&self.from, &self.to, request, responder);
    }
}
