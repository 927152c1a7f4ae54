//! Operations on the cluster: given to the leader here, or by one hop to the leader elsewhere, and to their end.
//!
//! An operation that nobody has begun may be given to the next leader. As soon as the leader here has taken its permit,
//! or a byte of it may have left for another node, only an answer says what became of it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use actix::{Handler, MessageResult};

use super::{RaftSystem, batch::Refusal};
use crate::{
    error::{ChangeError, UnknownReason},
    mailbox::{Context, CreditGuard, Park, Parked, ReplySender},
    messages::{
        AddNonvoter, AddVoter, ChangeCluster, ClusterChanged, Configuration, DemoteVoter, GetConfiguration,
        Permit, RemoveServer, Rpc,
    },
    state_machine::StateMachine,
    transport::{Responder, RpcError},
    types::{
        ChangeFailure, ClusterOperation, ForwardChange, ForwardChangeResponse, LogIndex, MembershipChange,
        NodeId, Request, Response,
    },
};

type ChangeResult = Result<LogIndex, ChangeError>;

/// The operations that have no answer yet, by number.
#[derive(Default)]
pub(super) struct Changes {
    open: BTreeMap<u64, Change>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

struct Change {
    operation: ClusterOperation,
    deadline: Duration,
    caller: Caller,
    stage: Stage,
    /// Returns when the caller is answered.
    _credit: CreditGuard,
}

/// Who waits.
enum Caller {
    /// A client of this node, once its reply sender is parked.
    Client(Rc<RefCell<Option<ReplySender<ChangeResult>>>>),
    /// Another node: it asked the leader, and nobody passes it on.
    Node(Responder),
}

enum Stage {
    /// Nobody has it.
    Held,
    /// The leader here has it, and has begun if the permit is gone.
    Here(Arc<Permit>),
    /// The leader elsewhere may have it.
    Elsewhere,
}

impl Change {
    /// Whether it is certain that nobody has begun it nor will.
    fn call_off(&mut self) -> bool {
        match &self.stage {
            Stage::Held => true,
            Stage::Here(permit) => permit.take(),
            Stage::Elsewhere => false,
        }
    }
}

impl Park<ChangeResult> for RefCell<Option<ReplySender<ChangeResult>>> {
    fn park(&self, sender: ReplySender<ChangeResult>) {
        *self.borrow_mut() = Some(sender);
    }
}

impl<S: StateMachine> RaftSystem<S> {
    fn change_membership(
        &mut self,
        change: MembershipChange,
        timeout: Option<Duration>,
    ) -> Parked<ChangeResult> {
        self.operate(ClusterOperation::ChangeMembership(change), timeout)
    }

    /// Takes an operation of a client in.
    pub(super) fn operate(
        &mut self,
        operation: ClusterOperation,
        timeout: Option<Duration>,
    ) -> Parked<ChangeResult> {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Parked::Now(Err(refusal.into_change_error()));
        }
        if self.leadership.here.is_none() && !self.node.config.forwarding {
            return Parked::Now(Err(ChangeError::NotLeader { leader: self.leadership.leader.clone() }));
        }
        let Some(credit) = self.credits.try_acquire(1, 0) else {
            return Parked::Now(Err(ChangeError::Overloaded));
        };
        // Nothing is answered before the handler returns, when the reply sender is parked.
        let slot = Rc::default();
        let caller = Caller::Client(Rc::clone(&slot));
        self.open_change(operation, caller, timeout.unwrap_or(self.node.config.request_timeout), credit);
        Parked::Later(slot)
    }

    fn open_change(
        &mut self,
        operation: ClusterOperation,
        caller: Caller,
        timeout: Duration,
        credit: CreditGuard,
    ) {
        let deadline = self.node.now().saturating_add(timeout);
        let number = self.next_request();
        let change = Change { operation, deadline, caller, stage: Stage::Held, _credit: credit };
        self.changes.open.insert(number, change);
        self.route_change(number);
    }

    /// Gives an operation that nobody has to whoever leads.
    fn route_change(&mut self, number: u64) {
        let Some(change) = self.changes.open.get_mut(&number) else { return };
        if let Some(leader) = &self.leadership.here {
            let permit = Permit::new();
            change.stage = Stage::Here(permit.clone());
            let operation = change.operation.clone();
            leader.change_cluster.send_now(ChangeCluster { request: number, operation, permit });
            return;
        }
        let elsewhere = self.leadership.leader.clone().filter(|leader| leader.id != self.node.id);
        if matches!(change.caller, Caller::Node(_)) || !self.node.config.forwarding {
            let leader = elsewhere.map(|leader| leader.id);
            self.end_change(number, Err(ChangeFailure::NotLeader { leader }));
        } else if let Some(leader) = elsewhere {
            change.stage = Stage::Elsewhere;
            let timeout = change.deadline.saturating_sub(self.node.recent()).max(Duration::from_millis(1));
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let request = ForwardChange { operation: change.operation.clone(), timeout_ms };
            let responder = Responder::new(self.answers.clone(), number);
            self.node.links.send(&leader.id, &leader.address, Request::ForwardChange(request), responder);
        }
    }

    /// Tries again what found nobody to lead.
    pub(super) fn route_held_changes(&mut self) {
        let is_held = |change: &Change| matches!(change.stage, Stage::Held);
        let held: Vec<u64> = self
            .changes
            .open
            .iter()
            .filter(|(_, change)| is_held(change))
            .map(|(number, _)| *number)
            .collect();
        for number in held {
            self.route_change(number);
        }
    }

    /// Whether the number is that of an operation.
    pub(super) fn is_change(&self, number: u64) -> bool {
        self.changes.open.contains_key(&number)
    }

    /// The leader elsewhere answered, or will not.
    pub(super) fn change_answered(&mut self, number: u64, result: Result<Response, RpcError>) {
        let again = match result {
            // What was certainly not begun waits for the next tick, so that nobody is asked in a loop.
            Err(RpcError::NotSent(_)) => true,
            Ok(Response::ForwardChange(ForwardChangeResponse {
                result: Err(ChangeFailure::NotLeader { .. } | ChangeFailure::ShuttingDown),
            })) => true,
            Ok(Response::ForwardChange(ForwardChangeResponse { result })) => {
                self.end_change(number, result);
                false
            }
            Ok(_) | Err(_) => {
                self.doubt_change(number, UnknownReason::ConnectionLost);
                false
            }
        };
        if let Some(change) = self.changes.open.get_mut(&number).filter(|_| again) {
            change.stage = Stage::Held;
        }
    }

    /// The leader here is deposed. What it has not begun waits for the next one.
    pub(super) fn take_changes_back(&mut self) {
        let here = |change: &Change| matches!(change.stage, Stage::Here(_));
        let numbers: Vec<u64> =
            self.changes.open.iter().filter(|(_, change)| here(change)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(change) = self.changes.open.get_mut(&number) else { continue };
            if change.call_off() {
                change.stage = Stage::Held;
            } else {
                self.doubt_change(number, UnknownReason::LeadershipLost);
            }
        }
    }

    /// Ends what has waited long enough.
    pub(super) fn expire_changes(&mut self) {
        let now = self.now;
        let due = |change: &Change| change.deadline <= now;
        let numbers: Vec<u64> =
            self.changes.open.iter().filter(|(_, change)| due(change)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(change) = self.changes.open.get_mut(&number) else { continue };
            if !change.call_off() {
                self.doubt_change(number, UnknownReason::Deadline);
            } else if matches!(change.stage, Stage::Held) {
                let leader = self.leadership.leader.as_ref().map(|leader| leader.id.clone());
                self.end_change(number, Err(ChangeFailure::NotLeader { leader }));
            } else {
                self.end_change(number, Err(ChangeFailure::Timeout));
            }
        }
    }

    /// Refuses what nobody has begun: the node is stopping.
    pub(super) fn call_off_changes(&mut self) {
        let numbers: Vec<u64> = self.changes.open.keys().copied().collect();
        for number in numbers {
            if self.changes.open.get_mut(&number).is_some_and(Change::call_off) {
                self.end_change(number, Err(ChangeFailure::ShuttingDown));
            }
        }
    }

    /// Ends every operation: the node is going down.
    pub(super) fn settle_all_changes(&mut self) {
        let refusal = self.lifecycle.refusal().unwrap_or(Refusal::ShuttingDown).into_change_error();
        for (_, mut change) in std::mem::take(&mut self.changes.open) {
            let off = change.call_off();
            let unknown = ChangeError::OutcomeUnknown { why: UnknownReason::Stopped };
            let failure = if off { ChangeFailure::ShuttingDown } else { ChangeFailure::OutcomeUnknown };
            change.caller.answer(if off { Err(refusal.clone()) } else { Err(unknown) }, Err(failure));
        }
    }

    fn doubt_change(&mut self, number: u64, why: UnknownReason) {
        if let Some(change) = self.changes.open.remove(&number) {
            let error = ChangeError::OutcomeUnknown { why };
            change.caller.answer(Err(error), Err(ChangeFailure::OutcomeUnknown));
        }
    }

    fn end_change(&mut self, number: u64, result: Result<LogIndex, ChangeFailure>) {
        let Some(change) = self.changes.open.remove(&number) else { return };
        let ClusterOperation::ChangeMembership(about) = &change.operation;
        let told = result.clone().map_err(|failure| self.change_error(failure, about.command.id()));
        change.caller.answer(told, result);
    }

    /// A failure in this node's words.
    fn change_error(&self, failure: ChangeFailure, id: &NodeId) -> ChangeError {
        let id = id.clone();
        match failure {
            ChangeFailure::NotLeader { leader } => {
                ChangeError::NotLeader { leader: leader.and_then(|leader| self.hint(&leader)) }
            }
            ChangeFailure::Overloaded => ChangeError::Overloaded,
            ChangeFailure::ConfigurationChanged { index } => ChangeError::ConfigurationChanged { index },
            ChangeFailure::QuorumUnreachable => ChangeError::QuorumUnreachable,
            ChangeFailure::Unreachable => ChangeError::Unreachable { id },
            ChangeFailure::Foreign => ChangeError::Foreign { id },
            ChangeFailure::AnotherLife => ChangeError::AnotherLife { id },
            ChangeFailure::Invalid(reason) => ChangeError::Invalid { reason },
            ChangeFailure::NotCaughtUp => ChangeError::NotCaughtUp { id },
            ChangeFailure::Timeout => ChangeError::Timeout,
            ChangeFailure::ShuttingDown => ChangeError::ShuttingDown,
            ChangeFailure::OutcomeUnknown => {
                ChangeError::OutcomeUnknown { why: UnknownReason::LeaderUncertain }
            }
        }
    }
}

impl Caller {
    /// Answers with the one or, if it is another node, the other.
    fn answer(self, client: ChangeResult, node: Result<LogIndex, ChangeFailure>) {
        match self {
            Self::Client(slot) => {
                if let Some(sender) = slot.take() {
                    // A caller that has gone needs no answer.
                    let _ = sender.send(client);
                }
            }
            Self::Node(responder) => {
                responder.respond(Ok(Response::ForwardChange(ForwardChangeResponse { result: node })));
            }
        }
    }
}

impl Refusal {
    fn into_change_error(self) -> ChangeError {
        match self {
            Self::NotLeader(leader) => ChangeError::NotLeader { leader },
            Self::Overloaded | Self::TooLarge { .. } => ChangeError::Overloaded,
            Self::ShuttingDown => ChangeError::ShuttingDown,
            Self::Failed(fatal) => ChangeError::Failed(fatal),
        }
    }
}

impl<S: StateMachine> Handler<AddVoter> for RaftSystem<S> {
    type Result = Parked<ChangeResult>;

    fn handle(&mut self, message: AddVoter, _: &mut Context<Self>) -> Self::Result {
        self.change_membership(message.change, message.timeout)
    }
}

impl<S: StateMachine> Handler<AddNonvoter> for RaftSystem<S> {
    type Result = Parked<ChangeResult>;

    fn handle(&mut self, message: AddNonvoter, _: &mut Context<Self>) -> Self::Result {
        self.change_membership(message.change, message.timeout)
    }
}

impl<S: StateMachine> Handler<DemoteVoter> for RaftSystem<S> {
    type Result = Parked<ChangeResult>;

    fn handle(&mut self, message: DemoteVoter, _: &mut Context<Self>) -> Self::Result {
        self.change_membership(message.change, message.timeout)
    }
}

impl<S: StateMachine> Handler<RemoveServer> for RaftSystem<S> {
    type Result = Parked<ChangeResult>;

    fn handle(&mut self, message: RemoveServer, _: &mut Context<Self>) -> Self::Result {
        self.change_membership(message.change, message.timeout)
    }
}

impl<S: StateMachine> Handler<GetConfiguration> for RaftSystem<S> {
    type Result = MessageResult<GetConfiguration>;

    fn handle(&mut self, _: GetConfiguration, _: &mut Context<Self>) -> Self::Result {
        let log = self.node.log.borrow();
        MessageResult(Configuration {
            membership: log.membership().clone(),
            index: log.membership_index(),
            committed: log.is_membership_settled(),
        })
    }
}

impl<S: StateMachine> Handler<ClusterChanged> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, ClusterChanged { request, result }: ClusterChanged, _: &mut Context<Self>) {
        self.end_change(request, result);
        self.go_on_stopping();
    }
}

/// An operation of another node: for the leader here, or for nobody.
impl<S: StateMachine> Handler<Rpc<ForwardChange>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<ForwardChange>, _: &mut Context<Self>) {
        let caller = Caller::Node(rpc.responder);
        if self.lifecycle.refusal().is_some() {
            return caller.answer(Err(ChangeError::ShuttingDown), Err(ChangeFailure::ShuttingDown));
        }
        let Some(credit) = self.credits.try_acquire(1, 0) else {
            return caller.answer(Err(ChangeError::Overloaded), Err(ChangeFailure::Overloaded));
        };
        let ForwardChange { operation, timeout_ms } = rpc.request;
        self.open_change(operation, caller, Duration::from_millis(timeout_ms), credit);
    }
}
