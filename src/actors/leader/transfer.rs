//! Handing leadership on: writes wait, the other catches up, and is told to stand.

use std::{sync::Arc, time::Duration};

use actix::Handler;

use super::Leader;
use crate::{
    mailbox::{Context, Port},
    messages::{
        MatchesKnown, OWN_SESSION, StepDown, TimeoutNowAnswered, Transfer, TransferEnded, WatchMatches,
    },
    protocol::{self, Lease, StepDownReason},
    transport::{Responder, ResponseSink, RpcError},
    types::{NodeId, Request, Response, TimeoutNow, TransferFailure},
};

/// The number of the transfer of a leader that was removed: nobody waits for it.
const FAREWELL: u64 = 0;

/// A transfer that has begun.
pub(super) struct Transferring {
    number: u64,
    rule: protocol::Transfer,
    /// Who was told to stand.
    target: Option<NodeId>,
}

impl Leader {
    /// Tells the other node to stand, if the time has come.
    pub(super) fn go_on_transferring(&mut self) {
        let Some(transfer) = &mut self.transfer else { return };
        let log = self.node.log.borrow();
        let (last, commit) = (log.last().index, log.commit());
        drop(log);
        let heard_after = self.node.recent().saturating_sub(self.node.config.leader_lease_timeout);
        let is_lively = |session| self.contact.heard_at(session).is_some_and(|at| at >= heard_after);
        let Some(session) = transfer.rule.next(OWN_SESSION, last, commit, is_lively) else { return };
        let Some(peer) = self.peers.iter().find(|peer| peer.session == session) else { return };
        transfer.target = Some(peer.id.clone());
        let sink = Answers { port: self.own.clone() };
        let responder = Responder::new(Arc::new(sink), transfer.number);
        // Voters will not refuse him: from here on no promise of theirs holds.
        self.with_lease(Lease::give_up);
        let request = TimeoutNow { term: self.tenure.term(), leader: self.node.id.clone() };
        tracing::info!(node = %self.node.id, to = %peer.id, "handing leadership on");
        self.node.links.send(&peer.id, &peer.address, Request::TimeoutNow(request), responder);
    }

    /// Goes on leading if the other node has taken too long.
    pub(super) fn give_up_transfer(&mut self, now: Duration) {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.rule.is_over(now)) {
            self.end_transfer(TransferFailure::TimedOut);
        }
    }

    fn end_transfer(&mut self, why: TransferFailure) {
        let Some(Transferring { number, .. }) = self.transfer.take() else { return };
        tracing::info!(node = %self.node.id, %why, "leadership was not handed on");
        self.commitment.send_now(WatchMatches(false));
        self.node.ports().front.transfer_ended(TransferEnded { number, why });
        self.leave_if_removed();
        self.take_up();
    }

    /// A leader that is no voter any more lets somebody else lead, once, before it gives up. Whether that is under way.
    pub(super) fn says_farewell(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.said_farewell, true);
        let farewell = Transfer { number: FAREWELL, to: None };
        self.transfer.is_some() || (first && self.begin_transfer(&farewell).is_ok())
    }

    fn begin_transfer(&mut self, message: &Transfer) -> Result<(), TransferFailure> {
        if self.transfer.is_some() {
            return Err(TransferFailure::InProgress);
        }
        let to = message.to.as_ref();
        protocol::Transfer::check(&self.node.id, to, self.node.log.borrow().membership())?;
        let peer = |id: &NodeId| self.peers.iter().find(|peer| peer.id == *id && !peer.leaves);
        let named = to.and_then(peer).map(|peer| peer.session);
        let rule = protocol::Transfer::begin(self.node.now(), self.node.reloadable().election_timeout, named);
        self.transfer = Some(Transferring { number: message.number, rule, target: None });
        self.commitment.send_now(WatchMatches(true));
        Ok(())
    }
}

impl Handler<Transfer> for Leader {
    type Result = ();

    fn handle(&mut self, message: Transfer, _: &mut Context<Self>) {
        if !self.tenure.is_live() {
            return;
        }
        if let Err(why) = self.begin_transfer(&message) {
            let number = message.number;
            self.node.ports().front.transfer_ended(TransferEnded { number, why });
        }
    }
}

impl Handler<MatchesKnown> for Leader {
    type Result = ();

    fn handle(&mut self, MatchesKnown { matches }: MatchesKnown, _: &mut Context<Self>) {
        if let Some(transfer) = self.transfer.as_mut().filter(|_| self.tenure.is_live()) {
            transfer.rule.know(matches);
            self.go_on_transferring();
        }
    }
}

impl Handler<TimeoutNowAnswered> for Leader {
    type Result = ();

    fn handle(&mut self, TimeoutNowAnswered { number, result }: TimeoutNowAnswered, _: &mut Context<Self>) {
        let transfer = self.transfer.as_ref().filter(|transfer| transfer.number == number);
        let Some(target) = transfer.and_then(|transfer| transfer.target.clone()) else { return };
        if !self.tenure.is_live() {
            return;
        }
        match result {
            // It asks no more for the vote of one that has none.
            Ok(Response::TimeoutNow(answer)) if answer.accepted && self.said_farewell => self.leave(),
            Ok(Response::TimeoutNow(answer)) if answer.accepted => {}
            Ok(Response::TimeoutNow(answer)) => {
                let term = self.tenure.term();
                if answer.term > term {
                    let reason = StepDownReason::HigherTerm;
                    let step_down = StepDown { term, seen: answer.term, reason };
                    return self.node.ports().consensus.step_down.send_now(step_down);
                }
                self.end_transfer(TransferFailure::TargetRefused(target));
            }
            Err(RpcError::NotSent(_)) => self.end_transfer(TransferFailure::TargetUnreachable(target)),
            // It may have arrived. Writes taken up now would keep the other from being elected (hashicorp/raft#581).
            Ok(_) | Err(_) => {}
        }
    }
}

struct Answers {
    port: Port<Leader>,
}

impl ResponseSink for Answers {
    fn respond(&self, number: u64, result: Result<Response, RpcError>) {
        self.port.send_now(TimeoutNowAnswered { number, result });
    }
}
