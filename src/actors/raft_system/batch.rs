//! A batch of commands and everybody who waits for it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    Shared,
    encoding::{EntryData, command_of},
};
use crate::{
    error::{ApplyError, Fatal, LeaderHint, ReadError, RestoreError, TransferError, UnknownReason},
    known_bug::KnownBug,
    mailbox::{CreditGuard, Outlet, ReplySender},
    messages::{CloseSession, Indexed, OpenSession, PieceSettled, Proposal, Replied},
    protocol::RestoreStep,
    state_machine::{Reply, StateMachine},
    transport::Responder,
    types::{ForwardApplyResponse, ForwardedCommand, ForwardedResult, LogId, LogIndex, Response, SessionId},
};

/// What whoever opens a session gets.
pub(super) type OpenResult = Result<SessionId, ApplyError<OpenSession>>;
/// What whoever closes one gets.
pub(super) type CloseResult = Result<(), ApplyError<CloseSession>>;
/// What a caller of `Apply` gets.
pub(super) type ApplyResult<S> = Result<Reply<S>, ApplyError<<S as StateMachine>::Command>>;

/// What a caller of `ApplyIndexed` gets.
pub(super) type IndexedResult<S> = Result<Indexed<Reply<S>>, ApplyError<<S as StateMachine>::Command>>;

/// Who waits for one command.
pub(super) enum Caller<S: StateMachine> {
    /// Nobody any more, or nobody yet.
    Nobody,
    /// A client of this node.
    One(ReplySender<ApplyResult<S>>),
    /// The same, that wants to know where its command stands.
    Indexed(ReplySender<IndexedResult<S>>),
    /// A client of this node that sent several at once.
    Part(Shared<Group<S>>, usize),
    /// A client of this node that opens a session.
    Opens(ReplySender<OpenResult>),
    /// A client of this node that closes one.
    Closes(CloseSession, ReplySender<CloseResult>),
    /// Another node.
    Remote(Shared<RemoteGroup>, usize),
    /// A restore, for a piece of its snapshot.
    Piece { restore: u64, last: bool, settled: Outlet<PieceSettled> },
}

/// Several commands of one message.
pub(super) struct Group<S: StateMachine> {
    pub(super) sender: Option<ReplySender<Vec<ApplyResult<S>>>>,
    results: Vec<Option<ApplyResult<S>>>,
    open: usize,
}

/// Several commands of one request of another node.
pub(super) struct RemoteGroup {
    responder: Option<Responder>,
    results: Vec<Option<ForwardedResult>>,
    open: usize,
}

/// Why a command is definitely not applied.
#[derive(Clone)]
pub(super) enum Refusal {
    NotLeader(Option<LeaderHint>),
    Overloaded,
    TooLarge { bytes: usize, bytes_max: usize },
    ShuttingDown,
    Failed(Fatal),
}

/// How a command ended.
pub(super) enum Outcome<'a, S: StateMachine> {
    Applied(LogId, Reply<S>),
    /// A session is opened, or closed.
    SessionDone(LogId),
    /// The session is over; with the command, to give it back.
    Expired(Option<Box<S::Command>>),
    /// The session has gone past the command.
    TooOld,
    /// A piece of a user's snapshot has come to this.
    Piece(LogId, RestoreStep),
    Refused(Refusal, EntryData<'a>),
    Unknown(Option<LogIndex>, UnknownReason),
}

impl<S: StateMachine> Group<S> {
    pub(super) fn new(count: usize) -> Shared<Self> {
        let results = std::iter::repeat_with(|| None).take(count).collect();
        Rc::new(RefCell::new(Self { sender: None, results, open: count }))
    }

    pub(super) fn set(&mut self, slot: usize, result: ApplyResult<S>) {
        if self.results[slot].replace(result).is_none() {
            self.open -= 1;
        }
        self.answer_if_done();
    }

    pub(super) fn answer_if_done(&mut self) {
        if self.open == 0
            && let Some(sender) = self.sender.take()
        {
            let _ = sender.send(self.results.drain(..).flatten().collect());
        }
    }
}

impl RemoteGroup {
    pub(super) fn new(responder: Responder, count: usize) -> Shared<Self> {
        Rc::new(RefCell::new(Self { responder: Some(responder), results: vec![None; count], open: count }))
    }

    pub(super) fn set(&mut self, slot: usize, result: ForwardedResult) {
        if self.results[slot].replace(result).is_none() {
            self.open -= 1;
        }
        if self.open == 0
            && let Some(responder) = self.responder.take()
        {
            let results = self.results.drain(..).flatten().collect();
            responder.respond(Ok(Response::ForwardApply(ForwardApplyResponse { results })));
        }
    }
}

impl<S: StateMachine> Caller<S> {
    /// Answers, once.
    pub(super) fn settle(&mut self, outcome: Outcome<'_, S>) {
        match std::mem::replace(self, Self::Nobody) {
            Self::Nobody => {}
            // A caller that has gone needs no answer.
            Self::One(sender) => drop(sender.send(match outcome {
                Outcome::Applied(_, reply) => Ok(reply),
                other => other.into_result(),
            })),
            Self::Indexed(sender) => drop(sender.send(outcome.into_indexed())),
            Self::Part(group, slot) => group.borrow_mut().set(slot, outcome.into_result()),
            Self::Opens(sender) => drop(sender.send(outcome.into_done(OpenSession, |at| at.index.into()))),
            Self::Closes(close, sender) => drop(sender.send(outcome.into_done(close, |_| ()))),
            Self::Remote(group, slot) => group.borrow_mut().set(slot, outcome.into_forwarded()),
            Self::Piece { restore, last, settled } => {
                settled.send_now(PieceSettled { restore, last, result: outcome.into_piece() });
            }
        }
    }
}

impl<S: StateMachine> Outcome<'_, S> {
    /// What the state machine's side says of the entry at `at`.
    pub(super) fn of_replied(at: LogId, replied: Replied<S>) -> Self {
        match replied {
            Replied::Command(reply) => Self::Applied(at, reply),
            Replied::SessionDone => Self::SessionDone(at),
            Replied::SessionExpired(command) => Self::Expired(command),
            Replied::SequenceTooOld => Self::TooOld,
            Replied::Piece(step) => Self::Piece(at, step),
        }
    }

    fn into_result(self) -> ApplyResult<S> {
        self.into_indexed().map(|indexed| indexed.reply)
    }

    fn into_indexed(self) -> IndexedResult<S> {
        Err(match self {
            Self::Applied(at, reply) => return Ok(Indexed { index: at.index, reply }),
            Self::Unknown(index, why) => ApplyError::OutcomeUnknown { index, why },
            Self::TooOld => ApplyError::SequenceTooOld,
            Self::Expired(Some(command)) => ApplyError::SessionExpired { command: *command },
            Self::Refused(refusal, data) => match command_of::<S>(data) {
                Some(command) => refusal.into_error(command),
                None => no_answer(),
            },
            Self::Expired(None) | Self::SessionDone(_) | Self::Piece(..) => no_answer(),
        })
    }

    /// For whoever opens or closes a session.
    fn into_done<T, C>(self, asked: C, done: impl FnOnce(LogId) -> T) -> Result<T, ApplyError<C>> {
        Err(match self {
            Self::SessionDone(at) => return Ok(done(at)),
            Self::Refused(refusal, _) => refusal.into_error(asked),
            Self::Unknown(index, why) => ApplyError::OutcomeUnknown { index, why },
            Self::Applied(..) | Self::Expired(_) | Self::TooOld | Self::Piece(..) => no_answer(),
        })
    }

    /// For a restore.
    fn into_piece(self) -> Result<(LogIndex, RestoreStep), RestoreError> {
        Err(match self {
            Self::Piece(at, step) => return Ok((at.index, step)),
            Self::Refused(refusal, _) => (&refusal).into(),
            Self::Unknown(index, why) => RestoreError::OutcomeUnknown { index, why },
            Self::Applied(..) | Self::SessionDone(_) | Self::Expired(_) | Self::TooOld => {
                RestoreError::OutcomeUnknown { index: None, why: UnknownReason::LeaderUncertain }
            }
        })
    }

    fn into_forwarded(self) -> ForwardedResult {
        match self {
            Self::Applied(at, reply) => match rmp_serde::to_vec(&reply) {
                Ok(reply) => ForwardedResult::Applied { at, reply: Bytes::from(reply) },
                Err(_) => ForwardedResult::OutcomeUnknown,
            },
            Self::Unknown(_, UnknownReason::LeadershipLost) if KnownBug::TruncatedToldAsRefused.is_back() => {
                ForwardedResult::NotLeader { leader: None }
            }
            Self::Unknown(..) | Self::Piece(..) => ForwardedResult::OutcomeUnknown,
            Self::SessionDone(at) => ForwardedResult::Applied { at, reply: Bytes::new() },
            Self::Expired(_) => ForwardedResult::SessionExpired,
            Self::TooOld => ForwardedResult::SequenceTooOld,
            Self::Refused(refusal, _) => match refusal {
                Refusal::NotLeader(leader) => {
                    ForwardedResult::NotLeader { leader: leader.map(|leader| leader.id) }
                }
                Refusal::Overloaded => ForwardedResult::Overloaded,
                Refusal::TooLarge { bytes_max, .. } => {
                    ForwardedResult::TooLarge { bytes_max: bytes_max as u64 }
                }
                Refusal::ShuttingDown | Refusal::Failed(_) => ForwardedResult::ShuttingDown,
            },
        }
    }
}

/// What was encoded here decodes, and what was asked is what is answered, unless the command's serde impls disagree
/// or a peer answers something else.
fn no_answer<C>() -> ApplyError<C> {
    ApplyError::OutcomeUnknown { index: None, why: UnknownReason::LeaderUncertain }
}

impl Refusal {
    pub(super) fn into_transfer_error(self) -> TransferError {
        match self {
            Self::NotLeader(leader) => TransferError::NotLeader { leader },
            Self::Overloaded | Self::TooLarge { .. } => TransferError::Overloaded,
            Self::ShuttingDown => TransferError::ShuttingDown,
            Self::Failed(fatal) => TransferError::Failed(fatal),
        }
    }

    pub(super) fn into_read_error(self) -> ReadError {
        match self {
            Self::NotLeader(leader) => ReadError::NotLeader { leader },
            Self::Overloaded | Self::TooLarge { .. } => ReadError::Overloaded,
            Self::ShuttingDown => ReadError::ShuttingDown,
            Self::Failed(fatal) => ReadError::Failed(fatal),
        }
    }

    pub(super) fn into_error<C>(self, command: C) -> ApplyError<C> {
        match self {
            Self::NotLeader(leader) => ApplyError::NotLeader { leader, command },
            Self::Overloaded => ApplyError::Overloaded { command },
            Self::TooLarge { bytes, bytes_max } => ApplyError::EntryTooLarge { bytes, bytes_max, command },
            Self::ShuttingDown => ApplyError::ShuttingDown { command },
            Self::Failed(fatal) => ApplyError::Failed { fatal, command },
        }
    }
}

/// One command's caller and until when he waits.
pub(super) struct Waiting<S: StateMachine> {
    pub(super) caller: Caller<S>,
    pub(super) deadline: Duration,
}

/// Who may be given a batch that nobody has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Whoever leads, wherever he is.
    Cluster,
    /// This node when it leads: other nodes' commands are never passed on, one hop.
    Node,
    /// The leader that it was made for.
    Term,
}

/// See the module.
pub(super) struct Batch<S: StateMachine> {
    pub(super) proposal: Arc<Proposal>,
    pub(super) reach: Reach,
    /// Where the first entry went, once that was asked of the proposal, which has a lock.
    first: Cell<Option<LogId>>,
    waiting: Vec<Waiting<S>>,
    settled: usize,
    /// No caller's deadline is earlier.
    earliest: Duration,
    /// The commands' encodings, once they were forwarded.
    pub(super) commands: Vec<ForwardedCommand>,
    /// Returns with the batch: when the last of it is applied, not when its callers gave up.
    _credits: Option<CreditGuard>,
}

impl<S: StateMachine> Batch<S> {
    pub(super) fn new(
        proposal: Arc<Proposal>,
        waiting: Vec<Waiting<S>>,
        reach: Reach,
        credits: Option<CreditGuard>,
    ) -> Self {
        let earliest = waiting.iter().map(|waiting| waiting.deadline).min().unwrap_or(Duration::MAX);
        let first = Cell::new(None);
        Self {
            proposal,
            reach,
            first,
            waiting,
            settled: 0,
            earliest,
            commands: Vec::new(),
            _credits: credits,
        }
    }

    /// Whether every command's end came by.
    pub(super) fn is_done(&self) -> bool {
        self.settled == self.waiting.len()
    }

    /// The list of those who waited, for another batch.
    pub(super) fn into_waiting(self) -> Vec<Waiting<S>> {
        self.waiting
    }

    /// Settles the next command in order.
    pub(super) fn settle_next(&mut self, outcome: Outcome<'_, S>) {
        if let Some(waiting) = self.waiting.get_mut(self.settled) {
            waiting.caller.settle(outcome);
            self.settled += 1;
        }
    }

    /// The index the next command in order has, if the batch was appended.
    pub(super) fn next_at(&self) -> Option<LogId> {
        let first = self.first.get().or_else(|| self.proposal.first())?;
        self.first.set(Some(first));
        Some(LogId::new(first.term, first.index.plus(self.settled as u64)))
    }

    /// Refuses every command: it reached neither the store nor a replicator.
    pub(super) fn refuse<'a>(mut self, refusal: &Refusal, data: impl Iterator<Item = EntryData<'a>>) {
        for data in data {
            self.settle_next(Outcome::Refused(refusal.clone(), data));
        }
    }

    /// Gives up on every command with an index beyond `known`: nobody here can say what becomes of it.
    pub(super) fn doubt_beyond(&mut self, known: LogIndex, why: &UnknownReason) {
        let first = self.proposal.first().map(|first| first.index);
        for (number, waiting) in self.waiting.iter_mut().enumerate() {
            let index = first.map(|first| first.plus(number as u64));
            if index.is_none_or(|index| index > known) {
                waiting.caller.settle(Outcome::Unknown(index, why.clone()));
            }
        }
    }

    /// Whether nobody waits for any of it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.waiting.iter().all(|waiting| matches!(waiting.caller, Caller::Nobody))
    }

    /// Whether somebody's deadline has come.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.earliest
    }

    /// Settles those whose deadline has come, with what `end` says of the command with that number.
    pub(super) fn expire<'a>(&mut self, now: Duration, mut end: impl FnMut(usize) -> Outcome<'a, S>) {
        if !self.is_due(now) {
            return;
        }
        self.earliest = Duration::MAX;
        for (number, waiting) in self.waiting.iter_mut().enumerate() {
            if waiting.deadline <= now {
                waiting.caller.settle(end(number));
            } else if !matches!(waiting.caller, Caller::Nobody) {
                self.earliest = self.earliest.min(waiting.deadline);
            }
        }
    }

    /// The latest deadline anybody still waits for.
    pub(super) fn latest(&self) -> Duration {
        self.waiting.iter().map(|waiting| waiting.deadline).max().unwrap_or_default()
    }
}
