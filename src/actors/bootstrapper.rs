//! Greets the listed peers while the node is blank, until it is known what it is to become.
//!
//! Mailbox: [`Greeted`], [`Tick`]. Voice: `Greet` to the peers, [`Decided`] to Consensus. Go: `BootstrapCluster`,
//! which trusts the operator where this asks. The rule is [`protocol::Bootstrap`](crate::protocol::Bootstrap).

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, Handler};

use crate::{
    actors::node::Node,
    mailbox::{Context, Port, port_of, spawn_unaddressed},
    messages::{Decided, Greeted, Tick},
    protocol::{Bootstrap, Decision, peers_hash},
    transport::{Responder, ResponseSink, RpcError},
    types::{ClusterId, Greet, NodeId, Request, Response},
};

/// How long a greeting may stay unanswered before the next.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long after an answer a peer is greeted again.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Bootstrapper {
    node: Rc<Node>,
    rule: Bootstrap,
    peers: Vec<Peer>,
    greet: Greet,
    own: Port<Self>,
}

struct Peer {
    id: NodeId,
    address: String,
    due: Duration,
    /// The greeting that is on its way, or was answered last.
    greeting: u64,
    reported: bool,
}

impl Bootstrapper {
    /// Starts greeting the `listed` nodes, this one among them.
    pub(crate) fn start(node: &Rc<Node>, listed: Vec<(NodeId, String)>) {
        let spawned = spawn_unaddressed(&node.inspector, "consensus/bootstrapper", |ctx| {
            Self::new(node.clone(), listed, port_of(ctx))
        });
        node.watch("bootstrapper", spawned.task);
        let port = spawned.port;
        node.ticker.subscribe(move |tick| {
            port.send_now(tick);
            port.connected()
        });
    }

    fn new(node: Rc<Node>, listed: Vec<(NodeId, String)>, own: Port<Self>) -> Self {
        let greet = Greet {
            from: node.id.clone(),
            incarnation: node.incarnation,
            peers_hash: peers_hash(&listed),
            admits: ClusterId::NONE,
        };
        let others = listed.iter().filter(|(id, _)| *id != node.id);
        let peers = others
            .map(|(id, address)| Peer {
                id: id.clone(),
                address: address.clone(),
                due: Duration::ZERO,
                greeting: 0,
                reported: false,
            })
            .collect();
        let rule = Bootstrap::new(node.id.clone(), listed, node.incarnation);
        Self { node, rule, peers, greet, own }
    }

    fn greet_due(&mut self, now: Duration) {
        for peer in self.peers.iter_mut().filter(|peer| peer.due <= now) {
            peer.due = now + PATIENCE;
            peer.greeting += 1;
            let sink = Arc::new(Answers { port: self.own.clone(), peer: peer.id.clone() });
            let request = Request::Greet(self.greet.clone());
            self.node.links.send(&peer.id, &peer.address, request, Responder::new(sink, peer.greeting));
        }
    }

    fn decide(&mut self, decision: Decision, ctx: &mut Context<Self>) {
        if let Decision::Mismatch { peer, .. } = &decision {
            let told = self.peers.iter_mut().find(|p| p.id == *peer && !p.reported);
            if let Some(peer) = told {
                peer.reported = true;
                tracing::warn!(node = %self.node.id, peer = %peer.id, "this blank peer was given another list of peers");
            }
            return;
        }
        self.node.ports().consensus.decided.send_now(Decided(decision));
        ctx.stop();
    }
}

impl Actor for Bootstrapper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.rule.alone() {
            Some(decision) => self.decide(decision, ctx),
            None => self.greet_due(self.node.now()),
        }
    }
}

impl Handler<Greeted> for Bootstrapper {
    type Result = ();

    fn handle(&mut self, message: Greeted, ctx: &mut Self::Context) {
        let now = self.node.now();
        let greeted = |peer: &&mut Peer| peer.id == message.peer && peer.greeting == message.greeting;
        let Some(peer) = self.peers.iter_mut().find(greeted) else { return };
        peer.due = now + PAUSE;
        let Ok(Response::Greet(answer)) = message.result else { return };
        if let Some(decision) = self.rule.greeted(&message.peer, &answer) {
            self.decide(decision, ctx);
        }
    }
}

impl Handler<Tick> for Bootstrapper {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, ctx: &mut Self::Context) {
        if self.node.board.is_over() {
            return ctx.stop();
        }
        self.greet_due(now);
    }
}

struct Answers {
    port: Port<Bootstrapper>,
    peer: NodeId,
}

impl ResponseSink for Answers {
    fn respond(&self, greeting: u64, result: Result<Response, RpcError>) {
        self.port.send_now(Greeted { peer: self.peer.clone(), greeting, result });
    }
}
