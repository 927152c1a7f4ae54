//! Whether what clients saw can be explained at all: the checker that takes nobody's word.
//!
//! A history is linearizable if its operations can be put in one order that keeps what returned before what
//! was invoked later, and in which every reply is the one a single state machine would have given (Herlihy
//! and Wing, 1990). This checker looks for such an order. Positions in the log, terms and nodes are nothing
//! to it, so whatever makes the log wrong does not make it blind.
//!
//! Operations on different keys explain themselves apart. Within a key it goes through the run once and
//! keeps every way to explain what has returned so far, ordering no operation before it must (Lowe, *Testing
//! for linearizability*, 2017): when none is left, the history up to that moment is the shortest that nothing
//! explains. An operation of unknown outcome may be ordered anywhere after it was invoked, or nowhere.
//!
//! The search is exponential at worst. Its budget is counted in steps of the model and not in time, so the
//! same history has the same verdict everywhere; and a search that ran out has not passed.

use std::{collections::BTreeMap, fmt};

use super::{Action, Checkable, History, Operation, Outcome};
use crate::state_machine::{Answer, Reply, StateMachine};

mod explanations;
mod search;

use search::{Dead, Search};

/// A budget that every history of a healthy run stays far below: some seconds.
pub const STEPS_MAX: u64 = 10_000_000;

/// The rules of a state machine, one key at a time: the part of the state that operations on that key see.
///
/// They are told apart from the machine, from replies to what must have been, so that a machine that is
/// wrong in the same way everywhere is found as well.
pub trait Model<S: StateMachine> {
    /// What has a state of its own, apart from all others; `()` if nothing has.
    type Key: Clone + Ord + fmt::Debug;
    /// The state of one key.
    type State: Clone + Ord + fmt::Debug;

    /// The one key that an action is about.
    fn key(&self, action: &Action<S>) -> Self::Key;

    /// The state of a key before every operation.
    fn initial(&self, key: &Self::Key) -> Self::State;

    /// The state after `command`; `None` if it cannot have been answered so in `state`. Without a reply
    /// nobody knows how it was answered; then `None` if it would change nothing.
    fn apply(
        &self,
        state: &Self::State,
        command: &S::Command,
        reply: Option<&Reply<S>>,
    ) -> Option<Self::State>;

    /// Whether `query` can have been answered so in `state`.
    fn answers(&self, state: &Self::State, query: &S::Query, answer: &Answer<S>) -> bool;

    /// Whether it is worth considering that an operation of unknown outcome led to `state`. `false` promises
    /// that every explanation in which one did can do without it; that spares the search much of its work.
    fn may_be_seen(&self, key: &Self::Key, state: &Self::State) -> bool {
        let _ = (key, state);
        true
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<K, T> {
    /// There is an order that explains everything.
    Linearizable,
    /// There is none.
    NotLinearizable(Counterexample<K, T>),
    /// The budget was spent before it was known: this is no pass.
    Undecided {
        /// Where.
        key: K,
        /// The budget, in steps of the model.
        steps_max: u64,
    },
}

/// The shortest part of a history that nothing explains: what was invoked on one key before one of them
/// returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample<K, T> {
    /// The key.
    pub key: K,
    /// The id of the operation whose outcome no order explains.
    pub operation: u64,
    /// When it returned: before that moment everything could be explained.
    pub returned: u64,
    /// What the operation was and what came back, in words.
    pub told: String,
    /// Every state that the key could be in, some operation still under way or not, just before.
    pub states: Vec<T>,
    /// The ids of all operations on the key that count: invoked before that moment and not refused.
    pub prefix: Vec<u64>,
}

impl<K, T> Verdict<K, T> {
    /// Whether the history passed.
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable)
    }
}

impl<K: fmt::Debug, T: fmt::Debug> fmt::Display for Verdict<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => f.write_str("linearizable"),
            Self::NotLinearizable(counterexample) => fmt::Display::fmt(counterexample, f),
            Self::Undecided { key, steps_max } => {
                write!(f, "undecided: key {key:?} takes more than {steps_max} steps")
            }
        }
    }
}

impl<K: fmt::Debug, T: fmt::Debug> fmt::Display for Counterexample<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, returned, told, states, prefix, .. } = self;
        write!(
            f,
            "not linearizable: {told}, at {returned}; nothing explains that. Before, {key:?} could be "
        )?;
        match states.as_slice() {
            [only] => write!(f, "{only:?}")?,
            several => write!(f, "one of {several:?}")?,
        }
        write!(f, ", after some of the operations {prefix:?}")
    }
}

/// Looks for an order that explains `history`, in at most `steps_max` steps of the model for each key.
///
/// A key that fails counts more than one that is undecided; among several that fail it is the one that failed
/// first in the run.
pub fn check<S: Checkable, M: Model<S>>(
    model: &M,
    history: &History<S>,
    steps_max: u64,
) -> Verdict<M::Key, M::State> {
    let (mut failed, mut undecided) = (None::<Counterexample<_, _>>, None);
    for (key, spans) in by_key(model, history) {
        match Search::new(model, &key, &spans, steps_max).run() {
            Ok(()) => {}
            Err(Dead::Spent) => undecided = undecided.or(Some(key)),
            Err(Dead::Unexplained { span, states }) => {
                let counterexample = counterexample(history, key, &spans, span, states);
                if failed.as_ref().is_none_or(|first| counterexample.returned < first.returned) {
                    failed = Some(counterexample);
                }
            }
        }
    }
    match (failed, undecided) {
        (Some(counterexample), _) => Verdict::NotLinearizable(counterexample),
        (None, Some(key)) => Verdict::Undecided { key, steps_max },
        (None, None) => Verdict::Linearizable,
    }
}

/// An operation as far as it matters here.
struct Span<'a, S: StateMachine> {
    id: u64,
    invoked: u64,
    /// When it must have taken effect; `None` for an unknown outcome, which need not and may at any time.
    returned: Option<u64>,
    effect: Effect<'a, S>,
}

enum Effect<'a, S: StateMachine> {
    Applied(&'a S::Command, Option<&'a Reply<S>>),
    Answered(&'a S::Query, &'a Answer<S>),
}

/// What was not refused, by key, in the order invoked. A query without an answer says nothing.
fn by_key<'a, S: StateMachine, M: Model<S>>(
    model: &M,
    history: &'a History<S>,
) -> BTreeMap<M::Key, Vec<Span<'a, S>>> {
    let mut keys = BTreeMap::<M::Key, Vec<Span<'a, S>>>::new();
    for operation in history.operations() {
        let &Operation { id, invoked, returned, ref action, ref outcome, .. } = operation;
        let (returned, effect) = match (action, outcome) {
            (Action::Apply(command), Outcome::Applied { reply, .. }) => {
                (returned, Effect::Applied(command, Some(reply)))
            }
            (Action::Apply(command), Outcome::Unknown) => (None, Effect::Applied(command, None)),
            (Action::Query(query), Outcome::Answered { answer, .. }) => {
                (returned, Effect::Answered(query, answer))
            }
            _ => continue,
        };
        keys.entry(model.key(action)).or_default().push(Span { id, invoked, returned, effect });
    }
    keys
}

fn counterexample<S: Checkable, K, T>(
    history: &History<S>,
    key: K,
    spans: &[Span<'_, S>],
    failed: usize,
    states: Vec<T>,
) -> Counterexample<K, T> {
    let &Span { id, returned, .. } = &spans[failed];
    let returned = returned.expect("only what returned can fail");
    let before = spans.iter().take_while(|span| span.invoked < returned);
    let told = history.get(id).map(|operation| format!("{operation} was {:?}", operation.outcome));
    Counterexample {
        key,
        operation: id,
        returned,
        told: told.expect("spans are of the history"),
        states,
        prefix: before.map(|span| span.id).collect(),
    }
}
