//! Asks nodes of a cluster that exists which one it is, while this node is blank and waits to be added.
//!
//! Mailbox: [`MemberGreeted`], [`Tick`]. Voice: `Greet` to the addresses, [`Decided`] to Consensus. Go: none; a server
//! there takes entries from anybody. The rule is [`Decision::of_joining`].

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, Handler};

use crate::{
    actors::node::Node,
    mailbox::{Context, Port},
    messages::{Decided, MemberGreeted, Tick},
    protocol::Decision,
    transport::{Link, Responder, ResponseSink, RpcError},
    types::{ClusterId, Greet, Lane, NodeId, Request, Response},
};

/// How long a greeting may stay unanswered before the next.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Joiner {
    node: Rc<Node>,
    members: Vec<Box<dyn Link>>,
    due: Duration,
    answers: Arc<dyn ResponseSink>,
}

impl Joiner {
    pub(crate) fn new(node: Rc<Node>, addresses: Vec<String>, own: Port<Self>) -> Self {
        let link = |address: &String| node.links.apart(&NodeId::anybody(), address, Lane::Control);
        let members = addresses.iter().map(link).collect();
        Self { members, node, due: Duration::ZERO, answers: Arc::new(Answers { port: own }) }
    }

    fn greet_all(&mut self, now: Duration) {
        self.due = now + PATIENCE;
        for link in &self.members {
            let greet = Greet {
                from: self.node.id.clone(),
                incarnation: self.node.incarnation,
                peers_hash: 0,
                admits: ClusterId::NONE,
            };
            link.send(Request::Greet(greet), Responder::new(self.answers.clone(), 0));
        }
    }
}

impl Actor for Joiner {
    type Context = Context<Self>;
}

impl Handler<MemberGreeted> for Joiner {
    type Result = ();

    fn handle(&mut self, MemberGreeted { result }: MemberGreeted, ctx: &mut Self::Context) {
        let Ok(Response::Greet(answer)) = result else { return };
        if let Some(decision) = Decision::of_joining(&answer) {
            self.node.ports().consensus.decided.send_now(Decided(decision));
            ctx.stop();
        }
    }
}

impl Handler<Tick> for Joiner {
    type Result = ();

    fn handle(&mut self, Tick { now }: Tick, ctx: &mut Self::Context) {
        if self.members.is_empty() || self.node.board.is_over() {
            return ctx.stop();
        }
        if now >= self.due {
            self.greet_all(now);
        }
    }
}

struct Answers {
    port: Port<Joiner>,
}

impl ResponseSink for Answers {
    fn respond(&self, _: u64, result: Result<Response, RpcError>) {
        self.port.send_now(MemberGreeted { result });
    }
}
