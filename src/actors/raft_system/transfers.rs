//! Who waits for another node to lead, and how each ends: the leader here says that it failed, or is no more; or the
//! leader elsewhere answers.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::Handler;

use super::RaftSystem;
use crate::{
    actors::node::LeadershipView,
    error::{TransferError, UnknownReason},
    mailbox::{Context, CreditGuard, Park, Parked, ReplySender},
    messages::{Rpc, Transfer, TransferEnded, TransferLeadership},
    state_machine::StateMachine,
    transport::{Responder, RpcError},
    types::{ForwardTransfer, ForwardTransferResponse, NodeId, Request, Response, Term, TransferFailure},
};

/// How a transfer ended.
type TransferResult = Result<NodeId, TransferError>;

/// Who is told how a transfer ended.
enum Asker {
    /// A client of this node, whose sender follows when its message has been handled.
    Client(Rc<RefCell<Option<ReplySender<TransferResult>>>>),
    /// Another node.
    Node(Responder),
    /// This node, which stops.
    Shutdown,
}

impl Asker {
    fn tell(
        self,
        result: Result<NodeId, TransferFailure>,
        error: impl FnOnce(TransferFailure) -> TransferError,
    ) {
        match self {
            Self::Client(sender) => {
                if let Some(sender) = sender.take() {
                    // A caller that has gone needs no answer.
                    let _ = sender.send(result.map_err(error));
                }
            }
            Self::Node(responder) => {
                responder.respond(Ok(Response::ForwardTransfer(ForwardTransferResponse { result })));
            }
            Self::Shutdown => {}
        }
    }
}

/// A transfer that a leader was asked for.
struct Pending {
    number: u64,
    to: Option<NodeId>,
    /// The term that is to end; `None` if the leader elsewhere was asked and answers for itself.
    term: Option<Term>,
    deadline: Duration,
    asker: Asker,
    /// Returns when the caller is answered.
    _credit: Option<CreditGuard>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Transfers {
    pending: Vec<Pending>,
}

impl Transfers {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl Park<TransferResult> for RefCell<Option<ReplySender<TransferResult>>> {
    fn park(&self, sender: ReplySender<TransferResult>) {
        self.replace(Some(sender));
    }
}

impl<S: StateMachine> RaftSystem<S> {
    /// Asks whoever leads to hand over: the leader here, or by one hop the leader elsewhere.
    fn ask_for_transfer(
        &mut self,
        to: Option<NodeId>,
        timeout: Duration,
        asker: Asker,
        credit: Option<CreditGuard>,
    ) {
        let number = self.next_request();
        let deadline = self.node.now().saturating_add(timeout);
        let elsewhere = self.leadership.leader.clone().filter(|leader| leader.id != self.node.id);
        let passes_on = self.node.config.forwarding && matches!(asker, Asker::Client(_));
        let pending = Pending { number, to: to.clone(), term: None, deadline, asker, _credit: credit };
        if let Some(leader) = &self.leadership.here {
            leader.transfer.send_now(Transfer { number, to });
            self.transfers.pending.push(Pending { term: Some(self.leadership.term), ..pending });
        } else if let Some(leader) = elsewhere.clone().filter(|_| passes_on) {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let request = Request::ForwardTransfer(ForwardTransfer { to, timeout_ms });
            let responder = Responder::new(self.answers.clone(), number);
            self.node.links.send(&leader.id, &leader.address, request, responder);
            self.transfers.pending.push(pending);
        } else {
            // Told when the handler has returned and the caller is known.
            self.transfers.pending.push(pending);
            let why = TransferFailure::NotLeader { leader: elsewhere.map(|leader| leader.id) };
            self.node.ports().front.transfer_ended(TransferEnded { number, why });
        }
    }

    /// Has somebody else lead before this node stops, if there is anybody. Whether that is under way.
    pub(super) fn hand_over(&mut self) -> bool {
        let other = self.node.log.borrow().membership().voters().any(|voter| voter.id != self.node.id);
        if self.leadership.here.is_none() || !other {
            return false;
        }
        let is_own = |pending: &Pending| pending.term == Some(self.leadership.term);
        // One that is under way already will do.
        if !self.transfers.pending.iter().any(is_own) {
            let timeout = self.node.reloadable().election_timeout;
            self.ask_for_transfer(None, timeout, Asker::Shutdown, None);
        }
        true
    }

    fn end_transfer(&self, pending: Pending, result: Result<NodeId, TransferFailure>) {
        pending.asker.tell(result, |failure| self.transfer_error(failure));
    }

    /// Somebody leads in a later term: whoever waited for that hears of it.
    pub(super) fn settle_transfers(&mut self, view: &LeadershipView) {
        let Some(leader) = &view.leader else { return };
        let is_over = |pending: &mut Pending| pending.term.is_some_and(|term| term < view.term);
        for pending in self.transfers.pending.extract_if(.., is_over).collect::<Vec<_>>() {
            let wanted = pending.to.as_ref().map_or(leader.id != self.node.id, |to| *to == leader.id);
            let elsewhere = || TransferFailure::WentElsewhere(leader.id.clone());
            self.end_transfer(pending, if wanted { Ok(leader.id.clone()) } else { Err(elsewhere()) });
        }
    }

    /// Whether the number is that of a transfer.
    pub(super) fn is_transfer(&self, number: u64) -> bool {
        self.transfers.pending.iter().any(|pending| pending.number == number)
    }

    /// The leader elsewhere answered, or will not.
    pub(super) fn transfer_answered(&mut self, number: u64, answer: Result<Response, RpcError>) {
        let asked = |pending: &mut Pending| pending.number == number;
        for pending in self.transfers.pending.extract_if(.., asked).collect::<Vec<_>>() {
            match &answer {
                Ok(Response::ForwardTransfer(answer)) => self.end_transfer(pending, answer.result.clone()),
                Err(RpcError::NotSent(_)) => {
                    self.end_transfer(pending, Err(TransferFailure::NotLeader { leader: None }));
                }
                Ok(_) | Err(_) => pending.asker.tell(Err(TransferFailure::TimedOut), |_| {
                    TransferError::OutcomeUnknown(UnknownReason::ConnectionLost)
                }),
            }
        }
    }

    /// Ends those that have taken too long.
    pub(super) fn expire_transfers(&mut self) {
        let now = self.now;
        let is_due = |pending: &mut Pending| pending.deadline <= now;
        for pending in self.transfers.pending.extract_if(.., is_due).collect::<Vec<_>>() {
            self.end_transfer(pending, Err(TransferFailure::TimedOut));
        }
    }

    /// Ends all of them: the node is going down.
    pub(super) fn end_all_transfers(&mut self, error: &TransferError) {
        for pending in self.transfers.pending.drain(..) {
            pending.asker.tell(Err(TransferFailure::ShuttingDown), |_| error.clone());
        }
    }

    /// A failure in this node's words.
    fn transfer_error(&self, failure: TransferFailure) -> TransferError {
        match failure {
            TransferFailure::NotLeader { leader } => {
                TransferError::NotLeader { leader: leader.and_then(|leader| self.hint(&leader)) }
            }
            TransferFailure::NoTarget => TransferError::NoTarget,
            TransferFailure::UnknownServer(id) => TransferError::UnknownServer(id),
            TransferFailure::Itself(id) => TransferError::Itself(id),
            TransferFailure::Nonvoter(id) => TransferError::Nonvoter(id),
            TransferFailure::InProgress => TransferError::InProgress,
            TransferFailure::TargetRefused(id) => TransferError::TargetRefused(id),
            TransferFailure::TargetUnreachable(id) => TransferError::TargetUnreachable(id),
            TransferFailure::Overloaded => TransferError::Overloaded,
            TransferFailure::TimedOut => TransferError::TimedOut,
            TransferFailure::WentElsewhere(id) => TransferError::WentElsewhere(id),
            TransferFailure::ShuttingDown => TransferError::ShuttingDown,
        }
    }
}

impl<S: StateMachine> Handler<TransferLeadership> for RaftSystem<S> {
    type Result = Parked<TransferResult>;

    fn handle(
        &mut self,
        TransferLeadership { to }: TransferLeadership,
        _: &mut Self::Context,
    ) -> Self::Result {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Parked::Now(Err(refusal.into_transfer_error()));
        }
        let Some(credit) = self.credits.try_acquire(1, 0) else {
            return Parked::Now(Err(TransferError::Overloaded));
        };
        let sender = Rc::default();
        let timeout = self.node.config.request_timeout;
        self.ask_for_transfer(to, timeout, Asker::Client(Rc::clone(&sender)), Some(credit));
        Parked::Later(sender)
    }
}

impl<S: StateMachine> Handler<TransferEnded> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, TransferEnded { number, why }: TransferEnded, _: &mut Context<Self>) {
        let asked = |pending: &mut Pending| pending.number == number;
        for pending in self.transfers.pending.extract_if(.., asked).collect::<Vec<_>>() {
            self.end_transfer(pending, Err(why.clone()));
        }
        self.go_on_stopping();
    }
}

/// A transfer of another node: for the leader here, or for nobody.
impl<S: StateMachine> Handler<Rpc<ForwardTransfer>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<ForwardTransfer>, _: &mut Context<Self>) {
        let asker = Asker::Node(rpc.responder);
        if self.lifecycle.refusal().is_some() {
            return asker.tell(Err(TransferFailure::ShuttingDown), |_| TransferError::ShuttingDown);
        }
        let credit = self.credits.try_acquire(1, 0);
        if credit.is_none() {
            return asker.tell(Err(TransferFailure::Overloaded), |_| TransferError::Overloaded);
        }
        let timeout = Duration::from_millis(rpc.request.timeout_ms);
        self.ask_for_transfer(rpc.request.to, timeout, asker, credit);
    }
}
