//! Who waits for another node to lead, and how each ends: the leader here says that it failed, or is no more.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::Handler;

use super::RaftSystem;
use crate::{
    actors::node::LeadershipView,
    error::{LeaderHint, TransferError},
    mailbox::{Context, Park, Parked, ReplySender},
    messages::{Transfer, TransferEnded, TransferLeadership},
    state_machine::StateMachine,
    types::{NodeId, Term},
};

/// How a transfer ended.
type TransferResult = Result<NodeId, TransferError>;

/// Who is told how a transfer ended.
enum Asker {
    /// A client of this node, whose sender follows when its message has been handled.
    Client(Rc<RefCell<Option<ReplySender<TransferResult>>>>),
    /// This node, which stops.
    Shutdown,
}

impl Asker {
    fn tell(&self, result: TransferResult) {
        if let Self::Client(sender) = self
            && let Some(sender) = sender.take()
        {
            // A caller that has gone needs no answer.
            let _ = sender.send(result);
        }
    }
}

/// A transfer that the leader here was asked for.
struct Pending {
    number: u64,
    to: Option<NodeId>,
    /// The term that is to end.
    term: Term,
    deadline: Duration,
    asker: Asker,
}

/// See the module. The leader refuses a second one while the first is under way, so that there are never many.
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
    /// Asks the leader here to hand over.
    fn ask_for_transfer(
        &mut self,
        to: Option<NodeId>,
        timeout: Duration,
        asker: Asker,
    ) -> Result<(), TransferError> {
        let Some(leader) = &self.leadership.here else {
            return Err(TransferError::NotLeader { leader: self.leader_elsewhere() });
        };
        if !self.transfers.is_empty() {
            return Err(TransferError::InProgress);
        }
        let transfer = leader.transfer.clone();
        let number = self.next_request();
        let deadline = self.node.now().saturating_add(timeout);
        let term = self.leadership.term;
        self.transfers.pending.push(Pending { number, to: to.clone(), term, deadline, asker });
        transfer.send_now(Transfer { number, to });
        Ok(())
    }

    fn leader_elsewhere(&self) -> Option<LeaderHint> {
        self.leadership.leader.clone().filter(|leader| leader.id != self.node.id)
    }

    /// Has somebody else lead before this node stops, if there is anybody. Whether that is under way.
    pub(super) fn hand_over(&mut self) -> bool {
        let other = self.node.log.borrow().membership().voters().any(|voter| voter.id != self.node.id);
        let timeout = self.node.config.election_timeout;
        // One that is under way already will do.
        let begun = || !self.transfers.is_empty();
        self.leadership.here.is_some()
            && other
            && (begun() || self.ask_for_transfer(None, timeout, Asker::Shutdown).is_ok())
    }

    /// Somebody leads in a later term: whoever waited for that hears of it.
    pub(super) fn settle_transfers(&mut self, view: &LeadershipView) {
        let Some(leader) = &view.leader else { return };
        let settled: Vec<Pending> =
            self.transfers.pending.extract_if(.., |pending| pending.term < view.term).collect();
        for pending in settled {
            let wanted = pending.to.as_ref().map_or(leader.id != self.node.id, |to| *to == leader.id);
            let elsewhere = || TransferError::WentElsewhere(leader.id.clone());
            pending.asker.tell(if wanted { Ok(leader.id.clone()) } else { Err(elsewhere()) });
        }
    }

    /// Ends those that have taken too long.
    pub(super) fn expire_transfers(&mut self) {
        let now = self.now;
        for pending in self.transfers.pending.extract_if(.., |pending| pending.deadline <= now) {
            pending.asker.tell(Err(TransferError::TimedOut));
        }
    }

    /// Ends all of them: the node is going down.
    pub(super) fn end_all_transfers(&mut self, error: &TransferError) {
        for pending in self.transfers.pending.drain(..) {
            pending.asker.tell(Err(error.clone()));
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
        let sender = Rc::default();
        let timeout = self.node.config.request_timeout;
        match self.ask_for_transfer(to, timeout, Asker::Client(Rc::clone(&sender))) {
            Ok(()) => Parked::Later(sender),
            Err(error) => Parked::Now(Err(error)),
        }
    }
}

impl<S: StateMachine> Handler<TransferEnded> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, TransferEnded { number, why }: TransferEnded, _: &mut Context<Self>) {
        for pending in self.transfers.pending.extract_if(.., |pending| pending.number == number) {
            pending.asker.tell(Err(why.clone()));
        }
        self.go_on_stopping();
    }
}
