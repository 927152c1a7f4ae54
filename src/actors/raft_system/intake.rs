//! What was collected from the mailbox and is not on its way yet; the client messages that bring it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::Handler;
use bytes::BufMut;

use super::{
    RaftSystem, Shared,
    batch::{ApplyResult, Caller, Group, IndexedResult, Outcome, Refusal, RemoteGroup, Waiting},
    encoding::{command_bytes, entry_data},
};
use crate::{
    config::Config,
    error::{ApplyError, UnknownReason},
    mailbox::{Context, CreditGuard, Park, Parked, ReplySender, interlude},
    messages::{Apply, ApplyBatch, ApplyIndexed, ApplyWithin, Rpc},
    state_machine::StateMachine,
    types::{EntryBuffer, EntryKind, ForwardApply, SessionCommand, SessionId},
};

/// How much is allocated for the first commands on their way in; then it goes by the last batch.
const BUFFER_BYTES: usize = 64 << 10;
/// How many hops lie between here and the sockets: the leader, the replicators, the connections.
const HOPS_TO_THE_SOCKETS: u32 = 3;

/// Commands in their encoding, and who waits for them.
pub(super) struct Intake<S: StateMachine> {
    pub(super) buffer: EntryBuffer,
    pub(super) waiting: Shared<Vec<Waiting<S>>>,
    /// The admission credits taken for `buffer`.
    pub(super) credits: Option<CreditGuard>,
    /// The list of a batch that is done, for one to come: a large allocation for each batch costs more than its own
    /// time, since the allocator then sorts all the small ones that were freed.
    spare: Vec<Waiting<S>>,
    /// How many commands go on together at most.
    pub(super) count_max: u64,
    bytes_max: usize,
}

impl<S: StateMachine> Intake<S> {
    pub(super) fn new(config: &Config, count_max: u64) -> Self {
        Self {
            buffer: EntryBuffer::with_capacity(BUFFER_BYTES),
            waiting: Shared::default(),
            credits: None,
            spare: Vec::new(),
            count_max,
            bytes_max: config.append_bytes_max,
        }
    }

    fn is_full(&self) -> bool {
        self.buffer.count() >= self.count_max || self.buffer.len() >= self.bytes_max
    }

    /// Keeps the list of a batch that is done.
    pub(super) fn recycle(&mut self, mut waiting: Vec<Waiting<S>>) {
        waiting.clear();
        self.spare = waiting;
    }

    /// Takes everything out. The next burst is probably as large as this one was.
    pub(super) fn take(&mut self) -> (EntryBuffer, Vec<Waiting<S>>, Option<CreditGuard>) {
        let mut waiting = self.waiting.borrow_mut();
        let mut like_this = std::mem::take(&mut self.spare);
        like_this.reserve(waiting.len());
        (self.buffer.split(), std::mem::replace(&mut *waiting, like_this), self.credits.take())
    }
}

/// Puts the reply sender of the message in hand to the command it brought, the last one.
impl<S: StateMachine> Park<ApplyResult<S>> for RefCell<Vec<Waiting<S>>> {
    fn park(&self, sender: ReplySender<ApplyResult<S>>) {
        if let Some(last) = self.borrow_mut().last_mut() {
            last.caller = Caller::One(sender);
        }
    }
}

/// The same for a caller that wants to know the index.
struct WantsIndex<S: StateMachine>(Shared<Vec<Waiting<S>>>);

impl<S: StateMachine> Park<IndexedResult<S>> for WantsIndex<S> {
    fn park(&self, sender: ReplySender<IndexedResult<S>>) {
        if let Some(last) = self.0.borrow_mut().last_mut() {
            last.caller = Caller::Indexed(sender);
        }
    }
}

impl<S: StateMachine> Park<Vec<ApplyResult<S>>> for RefCell<Group<S>> {
    fn park(&self, sender: ReplySender<Vec<ApplyResult<S>>>) {
        let mut group = self.borrow_mut();
        group.sender = Some(sender);
        group.answer_if_done();
    }
}

/// Why a command was not taken in.
enum NotTaken {
    Refused(Refusal),
    Unencodable(String),
}

impl NotTaken {
    fn into_error<C>(self, command: C) -> ApplyError<C> {
        match self {
            Self::Refused(refusal) => refusal.into_error(command),
            Self::Unencodable(reason) => ApplyError::Encode { reason, command },
        }
    }
}

impl<S: StateMachine> RaftSystem<S> {
    /// Takes a command in, with its session and sequence if it has one, or says why not.
    fn take_in(
        &mut self,
        command: &S::Command,
        session: Option<(SessionId, u64)>,
        timeout: Duration,
        caller: Caller<S>,
        ctx: &mut Context<Self>,
    ) -> Result<(), NotTaken> {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Err(NotTaken::Refused(refusal));
        }
        self.cut_if_full();
        let kind = if session.is_some() { EntryKind::SessionCommand } else { EntryKind::Command };
        let encoded = self.intake.buffer.push_with(kind, |bytes| {
            if let Some((session, sequence)) = session {
                bytes.put_slice(&SessionCommand::header(session, sequence));
            }
            rmp_serde::encode::write(&mut bytes.writer(), command)
        });
        let bytes = match encoded {
            Ok(bytes) => bytes,
            Err(error) => return Err(NotTaken::Unencodable(error.to_string())),
        };
        if let Err(refusal) = self.admit(command_bytes(kind, bytes)) {
            self.intake.buffer.pop(kind, bytes);
            return Err(NotTaken::Refused(refusal));
        }
        self.enlist(caller, timeout, ctx);
        Ok(())
    }

    pub(super) fn cut_if_full(&mut self) {
        if self.intake.is_full() {
            self.cut_batch();
        }
    }

    /// Checks the limits and takes the credits for a command of this length.
    pub(super) fn admit(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes_max = self.node.config.entry_bytes_max;
        if bytes > bytes_max {
            return Err(Refusal::TooLarge { bytes, bytes_max });
        }
        let admitted = match &mut self.intake.credits {
            Some(credits) => credits.extend(1, bytes as u64),
            none => {
                *none = self.credits.try_acquire(1, bytes as u64);
                none.is_some()
            }
        };
        if !admitted {
            self.node.board.counters.commands_overloaded.add(1);
            return Err(Refusal::Overloaded);
        }
        Ok(())
    }

    pub(super) fn enlist(&mut self, caller: Caller<S>, timeout: Duration, ctx: &mut Context<Self>) {
        self.arm_flush();
        let deadline = self.now.saturating_add(timeout);
        self.intake.waiting.borrow_mut().push(Waiting { caller, deadline });
        if self.intake.is_full() {
            // Not before this command's caller is parked beside it.
            interlude(ctx, HOPS_TO_THE_SOCKETS, Self::cut_batch);
        }
    }

    pub(super) fn apply_one(
        &mut self,
        command: S::Command,
        session: Option<(SessionId, u64)>,
        timeout: Duration,
        ctx: &mut Context<Self>,
    ) -> Parked<ApplyResult<S>> {
        match self.take_in(&command, session, timeout, Caller::Nobody, ctx) {
            Ok(()) => Parked::Later(self.intake.waiting.clone()),
            Err(not_taken) => Parked::Now(Err(not_taken.into_error(command))),
        }
    }
}

impl<S: StateMachine> Handler<Apply<S::Command>> for RaftSystem<S> {
    type Result = Parked<ApplyResult<S>>;

    fn handle(&mut self, Apply(command): Apply<S::Command>, ctx: &mut Self::Context) -> Self::Result {
        self.apply_one(command, None, self.node.config.request_timeout, ctx)
    }
}

impl<S: StateMachine> Handler<ApplyWithin<S::Command>> for RaftSystem<S> {
    type Result = Parked<ApplyResult<S>>;

    fn handle(&mut self, message: ApplyWithin<S::Command>, ctx: &mut Self::Context) -> Self::Result {
        self.apply_one(message.command, None, message.timeout, ctx)
    }
}

impl<S: StateMachine> Handler<ApplyIndexed<S::Command>> for RaftSystem<S> {
    type Result = Parked<IndexedResult<S>>;

    fn handle(&mut self, message: ApplyIndexed<S::Command>, ctx: &mut Self::Context) -> Self::Result {
        let timeout = message.timeout.unwrap_or(self.node.config.request_timeout);
        match self.take_in(&message.command, None, timeout, Caller::Nobody, ctx) {
            Ok(()) => Parked::Later(Rc::new(WantsIndex(self.intake.waiting.clone()))),
            Err(not_taken) => Parked::Now(Err(not_taken.into_error(message.command))),
        }
    }
}

impl<S: StateMachine> Handler<ApplyBatch<S::Command>> for RaftSystem<S> {
    type Result = Parked<Vec<ApplyResult<S>>>;

    fn handle(
        &mut self,
        ApplyBatch(commands): ApplyBatch<S::Command>,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let group = Group::new(commands.len());
        let timeout = self.node.config.request_timeout;
        for (slot, command) in commands.into_iter().enumerate() {
            let caller = Caller::Part(group.clone(), slot);
            if let Err(not_taken) = self.take_in(&command, None, timeout, caller, ctx) {
                group.borrow_mut().set(slot, Err(not_taken.into_error(command)));
            }
        }
        Parked::Later(group)
    }
}

/// Commands of another node: taken in like local ones, but in a batch of their own that is never passed on.
impl<S: StateMachine> Handler<Rpc<ForwardApply>> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, rpc: Rpc<ForwardApply>, ctx: &mut Self::Context) {
        self.cut_batch();
        let ForwardApply { commands, timeout_ms } = rpc.request;
        let group = RemoteGroup::new(rpc.responder, commands.len());
        let timeout = Duration::from_millis(timeout_ms);
        for (slot, command) in commands.iter().enumerate() {
            let mut caller = Caller::<S>::Remote(group.clone(), slot);
            let Some(data) = entry_data::<S>(command, &self.node.config) else {
                // Committed, it would stop every node of the cluster at each start, for good.
                tracing::error!(node = %self.node.id, "refused a forwarded command that does not decode");
                caller.settle(Outcome::Unknown(None, UnknownReason::LeaderUncertain));
                continue;
            };
            let bytes = command_bytes(command.kind, data.len());
            let refusal = self.lifecycle.refusal().or_else(|| self.admit(bytes).err());
            if let Some(refusal) = refusal {
                caller.settle(Outcome::Refused(refusal, (command.kind, &data)));
                continue;
            }
            self.intake.buffer.push(command.kind, &data);
            self.enlist(caller, timeout, ctx);
            if self.intake.is_full() {
                self.cut_remote_batch();
            }
        }
        self.cut_remote_batch();
    }
}
