//! Whether everybody was told the truth, given the log: the checker that names each lie.
//!
//! The log is the order of everything, so nothing has to be searched: what clients were told is held against
//! a fresh state machine that applies the log once more, and their real time against positions. It is the
//! only one of the two checkers that knows of *refused* and of positions, and it trusts the log it is given;
//! [`linearizable`](super::linearizable) does not.

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

use super::{Action, Checkable, Event, History, Operation, Outcome};
use crate::{
    state_machine::{Answer, StateMachine},
    types::{LogId, LogIndex},
};

/// A lie, or an order that clients could see was not kept. Operations are in words, with who asked whom.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// The log is none: its indexes must rise, and its terms must not fall.
    #[error("the log is in no order: {after} comes after {before}")]
    Disorder {
        /// An entry's position.
        before: LogId,
        /// That of the entry after it.
        after: LogId,
    },
    /// An entry that no client asked for.
    #[error("out of nowhere: {at} holds operation {id}, and no client asked to apply that")]
    NobodyAsked {
        /// Its position.
        at: LogId,
        /// The id it carries.
        id: u64,
    },
    /// An operation stands in the log more than once.
    #[error("doubled: {operation} stands at {first} and at {second}")]
    Doubled {
        /// Which.
        operation: Told,
        /// One position.
        first: LogId,
        /// Another.
        second: LogId,
    },
    /// A client was told that its operation was applied, and it was not.
    #[error("lost: {operation} was acknowledged at {told} and stands nowhere")]
    Lost {
        /// Which.
        operation: Told,
        /// Where it was said to stand.
        told: LogId,
    },
    /// A client was told another position than the real one.
    #[error("misplaced: {operation} was acknowledged at {told} and stands at {stands}")]
    Misplaced {
        /// Which.
        operation: Told,
        /// Where it was said to stand.
        told: LogId,
        /// Where it stands.
        stands: LogId,
    },
    /// A client was told that its operation was not applied and never will be, and it was.
    #[error("refused and applied: {operation} was refused and stands at {stands}")]
    RefusedAndApplied {
        /// Which.
        operation: Told,
        /// Where it stands.
        stands: LogId,
    },
    /// An operation stands before something that was over when it began.
    #[error(
        "reordered: {later} stands at {at}, but {earlier} at {earlier_at} had returned before it was invoked"
    )]
    Reordered {
        /// What was over: a command, or a query.
        earlier: Told,
        /// Its position; of a query, the one it was answered as of.
        earlier_at: LogIndex,
        /// The command that was invoked afterwards.
        later: Told,
        /// Its position.
        at: LogIndex,
    },
    /// A query was answered from a state older than what was over when it began.
    #[error(
        "stale: {query} was answered as of {at}, but {earlier} at {earlier_at} had returned before it was invoked"
    )]
    Stale {
        /// What was over: a command, or a query.
        earlier: Told,
        /// Its position; of a query, the one it was answered as of.
        earlier_at: LogIndex,
        /// The query.
        query: Told,
        /// The position it was answered as of.
        at: LogIndex,
    },
    /// A client was told another reply than the log gives.
    #[error("wrong reply: {operation} at {at} was told {told}, and the log gives {replayed}")]
    WrongReply {
        /// Which.
        operation: Told,
        /// Where it stands.
        at: LogId,
        /// What the client was told.
        told: String,
        /// What it should have been.
        replayed: String,
    },
    /// A client was told another answer than the log gives.
    #[error("wrong answer: {query} as of {at} was told {told}, and the log gives {replayed}")]
    WrongAnswer {
        /// Which.
        query: Told,
        /// The position it was answered as of.
        at: LogIndex,
        /// What the client was told.
        told: String,
        /// What it should have been.
        replayed: String,
    },
}

/// An operation, for reading.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: u64,
    /// Who asked whom for what.
    pub words: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl<S: Checkable> From<&Operation<S>> for Told {
    fn from(operation: &Operation<S>) -> Self {
        Self { id: operation.id, words: operation.to_string() }
    }
}

/// Holds `history` against the log that was applied, as position and operation id of each command in it, from
/// the first. `machine` is a fresh one.
///
/// Says the first violation: what is wrong with the log comes before what clients were told of it, then comes
/// their real time, then replies and answers in the order of the log.
pub fn check<S: Checkable>(machine: S, history: &History<S>, log: &[(LogId, u64)]) -> Result<(), Violation> {
    let places = places(history, log)?;
    outcomes(history, &places)?;
    real_time(history, &places)?;
    replay(machine, history, log)
}

/// Where each operation stands: at most once, and only if somebody asked for it.
fn places<S: Checkable>(
    history: &History<S>,
    log: &[(LogId, u64)],
) -> Result<BTreeMap<u64, LogId>, Violation> {
    for pair in log.windows(2) {
        let (before, after) = (pair[0].0, pair[1].0);
        if after.index <= before.index || after.term < before.term {
            return Err(Violation::Disorder { before, after });
        }
    }
    let mut places = BTreeMap::new();
    for &(at, id) in log {
        let asked = history.get(id).filter(|operation| matches!(operation.action, Action::Apply(_)));
        let operation = asked.ok_or(Violation::NobodyAsked { at, id })?;
        if let Some(first) = places.insert(id, at) {
            return Err(Violation::Doubled { operation: operation.into(), first, second: at });
        }
    }
    Ok(places)
}

/// What clients were told of their commands is so.
fn outcomes<S: Checkable>(history: &History<S>, places: &BTreeMap<u64, LogId>) -> Result<(), Violation> {
    for operation in history.operations() {
        let stands = places.get(&operation.id).copied();
        match (&operation.outcome, stands) {
            (&Outcome::Applied { at: told, .. }, None) => {
                return Err(Violation::Lost { operation: operation.into(), told });
            }
            (&Outcome::Applied { at: told, .. }, Some(stands)) if told != stands => {
                return Err(Violation::Misplaced { operation: operation.into(), told, stands });
            }
            (Outcome::Refused, Some(stands)) => {
                return Err(Violation::RefusedAndApplied { operation: operation.into(), stands });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whatever was over when something began comes before it.
///
/// Of what is over only the furthest counts, so one pass is enough. A command of unknown outcome is never
/// over; but wherever it stands, it does not stand before what was over when it was asked for.
fn real_time<S: Checkable>(history: &History<S>, places: &BTreeMap<u64, LogId>) -> Result<(), Violation> {
    let mut furthest: Option<(LogIndex, &Operation<S>)> = None;
    for (_, event) in history.events() {
        match (event, furthest) {
            (Event::Invoked(operation), Some((earlier_at, earlier))) => {
                let stands = places.get(&operation.id).map(|at| at.index);
                match (&operation.outcome, stands) {
                    (&Outcome::Answered { at, .. }, _) if at < earlier_at => {
                        let (earlier, query) = (earlier.into(), operation.into());
                        return Err(Violation::Stale { earlier, earlier_at, query, at });
                    }
                    (_, Some(at)) if at <= earlier_at => {
                        let (earlier, later) = (earlier.into(), operation.into());
                        return Err(Violation::Reordered { earlier, earlier_at, later, at });
                    }
                    _ => {}
                }
            }
            (Event::Invoked(_), None) => {}
            (Event::Returned(operation), _) => {
                let at = match operation.outcome {
                    Outcome::Applied { at, .. } => at.index,
                    Outcome::Answered { at, .. } => at,
                    Outcome::Refused | Outcome::Unknown => continue,
                };
                if furthest.is_none_or(|furthest| furthest.0 < at) {
                    furthest = Some((at, operation));
                }
            }
        }
    }
    Ok(())
}

/// A fresh machine that is given the log says what everybody was told.
fn replay<S: Checkable>(mut machine: S, history: &History<S>, log: &[(LogId, u64)]) -> Result<(), Violation> {
    let mut queries: Vec<Question<'_, S>> = history.operations().iter().filter_map(Question::of).collect();
    queries.sort_by_key(|query| query.at);
    let mut queries = queries.into_iter().peekable();
    for &(at, id) in log {
        while let Some(query) = queries.next_if(|query| query.at < at.index) {
            query.ask(&machine)?;
        }
        let operation = history.get(id).expect("every entry was asked for");
        let Action::Apply(command) = &operation.action else { continue };
        let replayed = machine.apply(at, command.clone());
        match &operation.outcome {
            Outcome::Applied { reply, .. } if *reply != replayed => {
                let (told, replayed) = (format!("{reply:?}"), format!("{replayed:?}"));
                return Err(Violation::WrongReply { operation: operation.into(), at, told, replayed });
            }
            _ => {}
        }
    }
    queries.try_for_each(|query| query.ask(&machine))
}

/// A query that was answered.
struct Question<'a, S: StateMachine> {
    at: LogIndex,
    query: &'a S::Query,
    answer: &'a Answer<S>,
    operation: &'a Operation<S>,
}

impl<'a, S: Checkable> Question<'a, S> {
    fn of(operation: &'a Operation<S>) -> Option<Self> {
        match (&operation.action, &operation.outcome) {
            (Action::Query(query), Outcome::Answered { at, answer }) => {
                Some(Self { at: *at, query, answer, operation })
            }
            _ => None,
        }
    }

    fn ask(&self, machine: &S) -> Result<(), Violation> {
        let replayed = machine.query(self.query.clone());
        if replayed == *self.answer {
            return Ok(());
        }
        let (told, replayed) = (format!("{:?}", self.answer), format!("{replayed:?}"));
        Err(Violation::WrongAnswer { query: self.operation.into(), at: self.at, told, replayed })
    }
}
