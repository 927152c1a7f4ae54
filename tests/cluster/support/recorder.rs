//! A state machine that remembers what it was given, and refuses to be given it out of order.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use actix::Message;
use raftix::prelude::*;
use serde::{Deserialize, Serialize};

/// Add this to the history; the answer is its length.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(crate) struct Put(pub(crate) String);

impl From<&str> for Put {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Ask for every command so far, in order.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<String>")]
pub(crate) struct History;

/// What was applied, with its position. A clone is the same recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<(LogId, String)>>>);

impl Recording {
    pub(crate) fn all(&self) -> Vec<(LogId, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.all().into_iter().map(|(_, command)| command).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn count(&self, command: &str) -> usize {
        self.all().iter().filter(|(_, applied)| applied == command).count()
    }

    fn replace(&self, applied: Vec<(LogId, String)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = applied;
    }

    /// # Panics
    /// If `at` does not come after everything before it: the node fails with that reason.
    fn add(&self, at: LogId, command: String) -> u64 {
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, _)) = applied.last() {
            assert!(before.index < at.index && before.term <= at.term, "{at} applied after {before}");
        }
        applied.push((at, command));
        applied.len() as u64
    }
}

/// What a test does while a command is applied.
type Hook = Arc<dyn Fn(&str) + Send + Sync>;
/// What a test does before a state is written.
type PersistHook = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// See the module.
#[derive(Default)]
pub(crate) struct Recorder {
    recording: Recording,
    hook: Option<Hook>,
    persist_hook: Option<PersistHook>,
}

impl Recorder {
    pub(crate) fn new(recording: Recording) -> Self {
        Self { recording, hook: None, persist_hook: None }
    }

    /// Calls `hook` before each state is written, which fails if it does.
    pub(crate) fn before_persist(
        mut self,
        hook: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.persist_hook = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` before each command is applied.
    pub(crate) fn before_apply(mut self, hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }
}

impl StateMachine for Recorder {
    type Command = Put;
    type Query = History;

    fn apply(&mut self, at: LogId, Put(command): Put) -> u64 {
        if let Some(hook) = &self.hook {
            hook(&command);
        }
        self.recording.add(at, command)
    }

    fn query(&self, _: History) -> Vec<String> {
        self.recording.commands()
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(Recorded { applied: self.recording.all(), hook: self.persist_hook.clone() }))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        let applied = decode(reader)?
            .into_iter()
            .map(|(index, term, command)| (LogId::new(Term(term), LogIndex(index)), command));
        self.recording.replace(applied.collect());
        Ok(())
    }

    fn check_snapshot(reader: &mut dyn io::Read) -> io::Result<()> {
        decode(reader).map(drop)
    }
}

/// A state as it is written: index, term and command of each.
fn decode(reader: &mut dyn io::Read) -> io::Result<Vec<(u64, u64, String)>> {
    rmp_serde::from_read(reader).map_err(io::Error::other)
}

/// The state after these commands, in the bytes that a recorder restores.
pub(crate) fn state_of(commands: &[&str]) -> Vec<u8> {
    let applied: Vec<_> = commands.iter().map(|command| (0_u64, 0_u64, (*command).to_owned())).collect();
    rmp_serde::to_vec(&applied).unwrap()
}

/// What was applied up to one moment.
struct Recorded {
    applied: Vec<(LogId, String)>,
    hook: Option<PersistHook>,
}

impl StateSnapshot for Recorded {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook())?;
        let plain = |(at, command): &(LogId, String)| (at.index.0, at.term.0, command.clone());
        let applied: Vec<_> = self.applied.iter().map(plain).collect();
        rmp_serde::encode::write(&mut &mut *writer, &applied).map_err(io::Error::other)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({} commands)", self.recording.len())
    }
}
