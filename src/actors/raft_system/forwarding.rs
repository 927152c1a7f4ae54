//! Requests that belong to a leader elsewhere: one hop, and never sent again once a byte of them may have
//! left.

use std::time::Duration;

use actix::Handler;

use super::{
    ForwardAnswered, RaftSystem,
    batch::{Batch, Outcome, Refusal},
    encoding::{command_bytes, command_of},
};
use crate::{
    error::{LeaderHint, UnknownReason},
    known_bug::KnownBug,
    mailbox::Context,
    messages::Proposal,
    state_machine::StateMachine,
    transport::{Responder, RpcError},
    types::{
        EntryBuffer, EntryKind, ForwardApply, ForwardedCommand, ForwardedResult, NodeId, Request, Response,
    },
};

impl<S: StateMachine> RaftSystem<S> {
    pub(super) fn forward(&mut self, mut batch: Batch<S>, leader: &LeaderHint) {
        let Some(buffer) = batch.proposal.take() else { return };
        let commands = buffer.into_data().into_iter();
        batch.commands = commands.map(|(kind, data)| ForwardedCommand { kind, data }).collect();
        let timeout = batch.latest().saturating_sub(self.now).max(Duration::from_millis(1));
        let request = ForwardApply {
            commands: batch.commands.clone(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        self.node.board.counters.commands_forwarded.add(batch.commands.len() as u64);
        let number = self.next_request();
        self.forwarded.insert(number, batch);
        let responder = Responder::new(self.answers.clone(), number);
        self.node.links.send(&leader.id, &leader.address, Request::ForwardApply(request), responder);
    }

    /// No byte left this node: the batch waits for a leader like one that was never forwarded.
    fn hold_again(&mut self, mut batch: Batch<S>) {
        let mut buffer = EntryBuffer::default();
        for command in std::mem::take(&mut batch.commands) {
            buffer.push(command.kind, &command.data);
        }
        batch.proposal = Proposal::new(buffer);
        self.held.push_back(batch);
    }

    fn forwarded_done(&mut self, batch: &mut Batch<S>, results: Vec<ForwardedResult>) {
        let commands = std::mem::take(&mut batch.commands);
        for (command, result) in commands.iter().zip(results) {
            batch.settle_next(self.outcome_of(command, result));
        }
        // Missing results are no results.
        batch.doubt_beyond(crate::types::LogIndex::ZERO, &UnknownReason::LeaderUncertain);
    }

    fn outcome_of<'a>(&self, command: &'a ForwardedCommand, result: ForwardedResult) -> Outcome<'a, S> {
        let data = (command.kind, &command.data[..]);
        let ends_or_begins = matches!(command.kind, EntryKind::OpenSession | EntryKind::CloseSession);
        match result {
            ForwardedResult::Applied { at, .. } if ends_or_begins => Outcome::SessionDone(at),
            ForwardedResult::Applied { at, reply } => match rmp_serde::from_slice(&reply) {
                Ok(reply) => Outcome::Applied(at, reply),
                Err(_) => Outcome::Unknown(Some(at.index), UnknownReason::LeaderUncertain),
            },
            ForwardedResult::NotLeader { leader } => {
                Outcome::Refused(Refusal::NotLeader(leader.and_then(|id| self.hint(&id))), data)
            }
            ForwardedResult::Overloaded => Outcome::Refused(Refusal::Overloaded, data),
            ForwardedResult::TooLarge { bytes_max } => {
                let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
                let bytes = command_bytes(command.kind, command.data.len());
                Outcome::Refused(Refusal::TooLarge { bytes, bytes_max }, data)
            }
            ForwardedResult::ShuttingDown => Outcome::Refused(Refusal::NotLeader(None), data),
            ForwardedResult::OutcomeUnknown => Outcome::Unknown(None, UnknownReason::LeaderUncertain),
            ForwardedResult::SessionExpired => Outcome::Expired(command_of::<S>(data).map(Box::new)),
            ForwardedResult::SequenceTooOld => Outcome::TooOld,
        }
    }

    pub(super) fn hint(&self, id: &NodeId) -> Option<LeaderHint> {
        let log = self.node.log.borrow();
        let server = log.membership().get(id)?;
        Some(LeaderHint { id: server.id.clone(), address: server.address.clone() })
    }
}

/// Whether not one command of the batch was taken, for want of a leader there.
fn all_refused<S: StateMachine>(batch: &Batch<S>, results: &[ForwardedResult]) -> bool {
    let refused = |result: &ForwardedResult| {
        matches!(result, ForwardedResult::NotLeader { .. } | ForwardedResult::ShuttingDown)
    };
    results.len() == batch.commands.len() && results.iter().all(refused)
}

impl<S: StateMachine> Handler<ForwardAnswered> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, message: ForwardAnswered, _: &mut Context<Self>) {
        if let Some(mut batch) = self.forwarded.remove(&message.request) {
            match message.result {
                // It was not the leader, or is not any more, and has begun nothing of it: the next one will.
                Ok(Response::ForwardApply(answer)) if all_refused(&batch, &answer.results) => {
                    self.hold_again(batch);
                }
                Ok(Response::ForwardApply(answer)) => self.forwarded_done(&mut batch, answer.results),
                // It waits for the next tick, so that a leader that is gone is not asked in a loop.
                Err(RpcError::NotSent(_)) => self.hold_again(batch),
                Err(_) if KnownBug::ForwardedAgain.is_back() => self.hold_again(batch),
                Ok(_) | Err(_) => {
                    batch.doubt_beyond(crate::types::LogIndex::ZERO, &UnknownReason::ConnectionLost);
                }
            }
        } else if self.is_transfer(message.request) {
            self.transfer_answered(message.request, message.result);
        } else if self.is_change(message.request) {
            self.change_answered(message.request, message.result);
        } else {
            self.index_answered(message.request, message.result);
        }
        self.go_on_stopping();
    }
}
