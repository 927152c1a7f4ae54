//! What the clients of a run asked and were told, and two checkers that never share a premise.
//!
//! | | trusts | finds | cost |
//! |---|---|---|---|
//! | [`log_order`] | that the log is the order of everything | each single lie, named | *n* log *n* |
//! | [`linearizable`] | nothing but what clients saw | that no order explains it | a search, with a budget |
//!
//! A [`History`] knows every operation from the moment it was invoked; what has not returned may still take
//! effect. [`History::to_json_lines`] writes it in the shape that Jepsen's tools read.
//!
//! ```
//! use raftix::{
//!     sim::{
//!         history::{Action, History, Outcome, linearizable, log_order},
//!         kv::{Kv, KvCommand, KvModel, KvQuery, KvReply},
//!     },
//!     types::{LogId, LogIndex, Term},
//! };
//!
//! let mut history = History::<Kv>::new();
//! let put = KvCommand::Put { key: "a".into(), value: "1".into() };
//! let get = KvQuery::Get { key: "a".into() };
//! let at = LogId::new(Term(1), LogIndex(2));
//!
//! // The stamps are positions in the one order of all events of the run.
//! let write = history.invoked(3, 1, "n1".into(), Action::Apply(put));
//! history.returned(9, write, Outcome::Applied { at, reply: KvReply::Replaced(None) });
//! let read = history.invoked(12, 2, "n2".into(), Action::Query(get));
//! history.returned(15, read, Outcome::Answered { at: LogIndex(1), answer: None });
//!
//! // A read after the write was acknowledged that does not see it: both checkers say so.
//! let violation = log_order::check(Kv::default(), &history, &[(at, write)]).unwrap_err();
//! assert_eq!(
//!     violation.to_string(),
//!     "stale: operation 1 (client 2 asked n2: Get { key: \"a\" }) was answered as of 1, but operation 0 \
//!      (client 1 asked n1: Put { key: \"a\", value: \"1\" }) at 2 had returned before it was invoked"
//! );
//! assert!(!linearizable::check(&KvModel::of(&history), &history, linearizable::STEPS_MAX).is_linearizable());
//! ```

use std::fmt;

use actix::Message;

use crate::{
    state_machine::{Answer, Reply, StateMachine},
    types::{LogId, LogIndex, NodeId},
};

mod jepsen;
pub mod linearizable;
pub mod log_order;
mod record;
#[cfg(test)]
mod tests;

pub use record::{Event, History};

/// A state machine whose histories can be checked: what goes in can be given to a second one, what comes
/// out can be compared, and both can be shown. Every machine with these derives is one.
pub trait Checkable:
    StateMachine<
        Command: Message<Result: PartialEq + fmt::Debug> + Clone + fmt::Debug,
        Query: Message<Result: PartialEq + fmt::Debug> + Clone + fmt::Debug,
    >
{
}

impl<S> Checkable for S where
    S: StateMachine<
            Command: Message<Result: PartialEq + fmt::Debug> + Clone + fmt::Debug,
            Query: Message<Result: PartialEq + fmt::Debug> + Clone + fmt::Debug,
        >
{
}

/// One request of one client, from the moment it was invoked.
pub struct Operation<S: StateMachine> {
    /// Unique in its history; commands carry it through the log.
    pub id: u64,
    /// Who asked.
    pub client: u64,
    /// Who was asked.
    pub node: NodeId,
    /// When: a position in the one order of all events of the run.
    pub invoked: u64,
    /// When the client was told, if it was: another such position, later than [`invoked`](Self::invoked).
    pub returned: Option<u64>,
    /// What was asked.
    pub action: Action<S>,
    /// What the client was told; [`Outcome::Unknown`] as long as it was told nothing.
    pub outcome: Outcome<S>,
}

/// What is asked.
pub enum Action<S: StateMachine> {
    /// To change the state.
    Apply(S::Command),
    /// About the state; the answer is to be linearizable.
    Query(S::Query),
}

/// What a client is told.
pub enum Outcome<S: StateMachine> {
    /// The command was applied.
    Applied {
        /// Where it stands in the log.
        at: LogId,
        /// What the state machine answered.
        reply: Reply<S>,
    },
    /// The query was answered.
    Answered {
        /// The state that answered had applied the log up to here.
        at: LogIndex,
        /// What it answered.
        answer: Answer<S>,
    },
    /// It was not done and never will be.
    Refused,
    /// It may or may not have been done, and may still be.
    Unknown,
}

impl<S: Checkable> Clone for Action<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Apply(command) => Self::Apply(command.clone()),
            Self::Query(query) => Self::Query(query.clone()),
        }
    }
}

impl<S: StateMachine> Outcome<S> {
    /// Whether an operation that does `action` can end so.
    fn fits(&self, action: &Action<S>) -> bool {
        match self {
            Self::Applied { .. } => matches!(action, Action::Apply(_)),
            Self::Answered { .. } => matches!(action, Action::Query(_)),
            Self::Refused | Self::Unknown => true,
        }
    }
}

/// For messages: who asked whom for what.
impl<S: Checkable> fmt::Display for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {} (client {} asked {}: {:?})", self.id, self.client, self.node, self.action)
    }
}

/// One line, with everything.
impl<S: Checkable> fmt::Debug for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}..", self.invoked)?;
        if let Some(returned) = self.returned {
            write!(f, "{returned}")?;
        }
        write!(f, "] {self}: {:?}", self.outcome)
    }
}

impl<S: Checkable> fmt::Debug for Action<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply(command) => fmt::Debug::fmt(command, f),
            Self::Query(query) => fmt::Debug::fmt(query, f),
        }
    }
}

impl<S: Checkable> fmt::Debug for Outcome<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { at, reply } => write!(f, "applied at {at}: {reply:?}"),
            Self::Answered { at, answer } => write!(f, "answered as of {at}: {answer:?}"),
            Self::Refused => f.write_str("refused"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
