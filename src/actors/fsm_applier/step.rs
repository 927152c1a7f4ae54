//! What the applier does, without actors or threads.

use std::{
    any::Any,
    collections::VecDeque,
    error::Error,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::staged::Restores;
use crate::{
    error::Fatal,
    known_bug::KnownBug,
    messages::{
        Applied, FsmFailed, FsmMutate, FsmQuery, FsmRestore, FsmRoom, FsmSnapshotted, NoState, Queried,
        Replied, Restored, StateReplaced,
    },
    protocol::Sessions,
    state_machine::{Reply, StateMachine},
    storage::{StorageError, snapshot::content, staging::StagingArea},
    types::{Entries, EntryBatch, EntryKind, EntryRef, LogId},
};

/// A slow state machine's callers hear after this long, not when its whole queue is done.
const REPLY_INTERVAL: Duration = Duration::from_millis(1);
/// How many entries pass at most between looks at the clock.
const ENTRIES_PER_LOOK_MAX: u64 = 32;
/// How much of a snapshot is read at once, in bytes: state machines ask for a few at a time.
pub(super) const RESTORE_BYTES: usize = 256 << 10;

/// One thing to do.
pub(crate) enum FsmWork<S: StateMachine> {
    Mutate(FsmMutate),
    Query(FsmQuery<S>),
    Snapshot,
    Restore(FsmRestore),
    /// Go on with what found no room.
    Retry,
}

/// One thing done.
pub(crate) enum FsmCompletion<S: StateMachine> {
    Applied(Applied<S>),
    Queried(Queried<S>),
    Snapshotted(FsmSnapshotted),
    Restored(Restored),
    Replaced(StateReplaced),
    Room(FsmRoom),
    Failed(FsmFailed),
}

/// Why an entry is not applied.
pub(super) enum Halt {
    /// There is no room for it yet. It has changed nothing.
    Full(Arc<StorageError>),
    /// It never can be.
    Failed(Fatal),
}

impl From<Fatal> for Halt {
    fn from(fatal: Fatal) -> Self {
        Self::Failed(fatal)
    }
}

/// See the module.
pub(crate) struct FsmStep<S: StateMachine> {
    pub(super) machine: S,
    /// Part of the replicated state: which commands of clients' sessions were applied.
    pub(super) sessions: Sessions,
    /// A user's snapshot on its way through the log.
    pub(super) restores: Restores,
    /// The last entry whose effect the state holds.
    last: LogId,
    /// What changes the state and waits, in order, while there is no room for its first entry.
    blocked: VecDeque<FsmWork<S>>,
    /// Whether something does.
    full: bool,
    /// After a panic the state cannot be trusted: nothing is applied or answered any more.
    failed: bool,
}

/// What is applied and not reported yet.
struct Portion<S: StateMachine> {
    last: LogId,
    bytes: usize,
    replies: Vec<(LogId, Replied<S>)>,
}

/// When the next portion is to be reported: looks at the clock the less often the faster the entries go.
struct Pace {
    reported: Instant,
    entries_per_look: u64,
    until_look: u64,
}

impl Pace {
    fn start() -> Self {
        Self { reported: Instant::now(), entries_per_look: 1, until_look: 1 }
    }

    /// Another entry is applied.
    fn is_due(&mut self) -> bool {
        self.until_look -= 1;
        if self.until_look > 0 {
            return false;
        }
        let now = Instant::now();
        let due = now.duration_since(self.reported) >= REPLY_INTERVAL;
        if due {
            self.reported = now;
        }
        self.entries_per_look = if due { 1 } else { (self.entries_per_look * 2).min(ENTRIES_PER_LOOK_MAX) };
        self.until_look = self.entries_per_look;
        due
    }
}

impl<S: StateMachine> FsmStep<S> {
    /// Applies to `machine`; what a user restores is put together in `staging`.
    pub(crate) fn new(machine: S, staging: StagingArea) -> Self {
        let (sessions, restores) = (Sessions::default(), Restores::new(staging));
        let blocked = VecDeque::new();
        Self { machine, sessions, restores, last: LogId::ZERO, blocked, full: false, failed: false }
    }

    /// The state machine with all that was applied.
    pub(crate) fn into_machine(self) -> S {
        self.machine
    }

    pub(crate) fn perform(&mut self, work: FsmWork<S>, emit: &mut dyn FnMut(FsmCompletion<S>)) {
        if self.failed {
            return;
        }
        // Everything of the user's runs in here: apply and query, snapshot and restore, and how commands decode and
        // are dropped.
        let done = catch_unwind(AssertUnwindSafe(|| match work {
            FsmWork::Query(message) => {
                self.query(message, emit);
                Ok(())
            }
            FsmWork::Snapshot => {
                self.snapshot(emit);
                Ok(())
            }
            FsmWork::Retry => self.retry(emit),
            work if self.full => {
                self.blocked.push_back(work);
                Ok(())
            }
            work => self.change(work, emit).map(drop),
        }));
        let done = done.unwrap_or_else(|panic| Err(panicked(&*panic)));
        if let Err(fatal) = done {
            self.failed = true;
            emit(FsmCompletion::Failed(FsmFailed { fatal }));
        }
    }

    /// Does what changes the state. Whether it is done; what is left of it waits for room.
    fn change(&mut self, work: FsmWork<S>, emit: &mut dyn FnMut(FsmCompletion<S>)) -> Result<bool, Fatal> {
        match work {
            FsmWork::Mutate(message) => self.mutate(message, emit),
            FsmWork::Restore(message) => self.restore(message, emit).map(|()| true),
            FsmWork::Query(_) | FsmWork::Snapshot | FsmWork::Retry => Ok(true),
        }
    }

    /// Goes on with what waits for room.
    fn retry(&mut self, emit: &mut dyn FnMut(FsmCompletion<S>)) -> Result<(), Fatal> {
        while let Some(work) = self.blocked.pop_front() {
            if !self.change(work, emit)? {
                return Ok(());
            }
        }
        if std::mem::take(&mut self.full) {
            emit(FsmCompletion::Room(FsmRoom { full: None }));
        }
        Ok(())
    }

    /// `rest` is to be applied before anything else, when there is room for the first of it.
    fn wait_for_room(
        &mut self,
        rest: FsmMutate,
        error: Arc<StorageError>,
        emit: &mut dyn FnMut(FsmCompletion<S>),
    ) {
        self.blocked.push_front(FsmWork::Mutate(rest));
        if !std::mem::replace(&mut self.full, true) {
            emit(FsmCompletion::Room(FsmRoom { full: Some(error) }));
        }
    }

    fn mutate(&mut self, message: FsmMutate, emit: &mut dyn FnMut(FsmCompletion<S>)) -> Result<bool, Fatal> {
        let count = if message.replies { message.entries.count() as usize } else { 0 };
        let mut portion = Portion { last: LogId::ZERO, bytes: 0, replies: Vec::with_capacity(count) };
        let left = self.apply_all(&message, &mut portion, emit)?;
        if left.is_none() || portion.last != LogId::ZERO {
            portion.report(emit);
        }
        if let Some(replaced) = self.restores.replaced.take() {
            emit(FsmCompletion::Replaced(replaced));
        }
        let Some((entries, error)) = left else { return Ok(true) };
        self.wait_for_room(FsmMutate { entries, replies: message.replies }, error, emit);
        Ok(false)
    }

    /// Applies one entry after another. What is left from the first that has no room on, and why.
    fn apply_all(
        &mut self,
        message: &FsmMutate,
        portion: &mut Portion<S>,
        emit: &mut dyn FnMut(FsmCompletion<S>),
    ) -> Result<Option<(Entries, Arc<StorageError>)>, Fatal> {
        // A single entry needs no look at the clock.
        let mut pace = (message.entries.count() > 1).then(Pace::start);
        for batch in message.entries.batches() {
            for entry in batch.iter() {
                match self.apply(entry, message.replies, portion) {
                    Ok(()) => {}
                    Err(Halt::Failed(fatal)) => return Err(fatal),
                    Err(Halt::Full(error)) => {
                        let rest = message.entries.starting_at(entry.index);
                        portion.bytes += batch.len() - rest.batches().first().map_or(0, EntryBatch::len);
                        return Ok(Some((rest, error)));
                    }
                }
                if pace.as_mut().is_some_and(Pace::is_due) {
                    portion.report(emit);
                }
            }
            portion.bytes += batch.len();
        }
        Ok(None)
    }

    fn apply(&mut self, entry: EntryRef<'_>, replies: bool, portion: &mut Portion<S>) -> Result<(), Halt> {
        self.restores.pass(entry.term);
        let replied = self.outcome_of(entry)?;
        portion.last = entry.id();
        self.last = entry.id();
        if let Some(replied) = replied.filter(|_| replies) {
            portion.replies.push((entry.id(), replied));
        }
        Ok(())
    }

    /// What an entry comes to, if anybody may wait for it.
    fn outcome_of(&mut self, entry: EntryRef<'_>) -> Result<Option<Replied<S>>, Halt> {
        let replied = match entry.kind {
            EntryKind::Command => Replied::Command(self.apply_command(entry, entry.data)?),
            EntryKind::OpenSession | EntryKind::SessionCommand | EntryKind::CloseSession => {
                self.apply_in_session(entry)?
            }
            EntryKind::RestorePiece => self.apply_piece(entry)?,
            EntryKind::Noop | EntryKind::Barrier | EntryKind::Configuration => return Ok(None),
        };
        Ok(Some(replied))
    }

    /// Applies the command that `entry` brought.
    pub(super) fn apply_command(&mut self, entry: EntryRef<'_>, command: &[u8]) -> Result<Reply<S>, Fatal> {
        self.machine.apply_encoded(entry.id(), command).map_err(|error| undecodable(entry, &*error))
    }

    fn query(&self, message: FsmQuery<S>, emit: &mut dyn FnMut(FsmCompletion<S>)) {
        let answer = |(number, query)| (number, self.machine.query(query));
        let answers = message.queries.into_iter().map(answer).collect();
        emit(FsmCompletion::Queried(Queried { answers }));
    }

    fn snapshot(&self, emit: &mut dyn FnMut(FsmCompletion<S>)) {
        let state = if self.restores.is_unfinished() || self.full {
            Err(NoState::Restoring)
        } else {
            self.machine.snapshot().ok_or(NoState::Unsupported)
        };
        let forgotten = KnownBug::SessionsNotInSnapshot.is_back();
        let sessions = if forgotten { Vec::new() } else { self.sessions.encode() };
        emit(FsmCompletion::Snapshotted(FsmSnapshotted { at: self.last, sessions, state }));
    }

    fn restore(&mut self, message: FsmRestore, emit: &mut dyn FnMut(FsmCompletion<S>)) -> Result<(), Fatal> {
        let last = message.source.meta().description.last;
        let mut reader = io::BufReader::with_capacity(RESTORE_BYTES, message.source);
        let failed = |error: &dyn ToString| Fatal::Restore { last, reason: error.to_string() };
        let sessions = content::read_header(&mut reader).map_err(|error| failed(&error))?;
        self.sessions = Sessions::decode(&sessions).map_err(|error| failed(&error))?;
        // None is taken between the first piece and the last: whatever was on its way is in it, or is void.
        self.restores.give_up();
        if message.state {
            self.machine.restore(&mut reader).map_err(|error| failed(&error))?;
        }
        self.last = last;
        emit(FsmCompletion::Restored(Restored { last }));
        Ok(())
    }
}

#[cold]
fn undecodable(entry: EntryRef<'_>, error: &dyn Error) -> Fatal {
    Fatal::Undecodable { index: entry.index, reason: error.to_string() }
}

impl<S: StateMachine> Portion<S> {
    fn report(&mut self, emit: &mut dyn FnMut(FsmCompletion<S>)) {
        emit(FsmCompletion::Applied(Applied {
            last: self.last,
            bytes: std::mem::take(&mut self.bytes),
            replies: std::mem::take(&mut self.replies),
        }));
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Fatal {
    let message = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Fatal::Panicked { actor: "state machine".to_owned(), message }
}

#[cfg(test)]
mod tests;
