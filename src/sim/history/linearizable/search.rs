//! One key's run, event by event, with every explanation of what has returned.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Effect, Model, Span,
    explanations::{Explanations, Place, Used},
};
use crate::state_machine::StateMachine;

/// Why a search ended before the run did.
#[derive(Debug)]
pub(super) enum Dead<T> {
    /// The budget is spent.
    Spent,
    /// Nothing explains how this operation returned.
    Unexplained {
        /// Its place among the key's.
        span: usize,
        /// The states that there were just before.
        states: Vec<T>,
    },
}

/// The search.
pub(super) struct Search<'a, S: StateMachine, M: Model<S>> {
    model: &'a M,
    key: &'a M::Key,
    spans: &'a [Span<'a, S>],
    steps_left: u64,
    /// Invoked, not returned, and going to.
    pending: BTreeSet<usize>,
    /// Invoked and of unknown outcome; without those that every explanation has used.
    unknown: BTreeSet<usize>,
}

impl<'a, S: StateMachine, M: Model<S>> Search<'a, S, M> {
    pub(super) fn new(model: &'a M, key: &'a M::Key, spans: &'a [Span<'a, S>], steps_max: u64) -> Self {
        let (pending, unknown) = (BTreeSet::new(), BTreeSet::new());
        Self { model, key, spans, steps_left: steps_max, pending, unknown }
    }

    /// Goes through the run once.
    ///
    /// Nothing need be ordered before something returns, and then only what comes before that: any order can
    /// be told in this way.
    pub(super) fn run(mut self) -> Result<(), Dead<M::State>> {
        let mut explanations = Explanations::new();
        let state = self.model.initial(self.key);
        explanations.insert(Place { state, early: BTreeSet::new() }, Used::new());
        for (_, span, returns) in events(self.spans) {
            if !returns {
                let set =
                    if self.spans[span].returned.is_some() { &mut self.pending } else { &mut self.unknown };
                set.insert(span);
                continue;
            }
            let states = explanations.states();
            explanations = self.explain(explanations, span).ok_or(Dead::Spent)?;
            if explanations.is_empty() {
                return Err(Dead::Unexplained { span, states });
            }
            self.pending.remove(&span);
            for settled in explanations.settle() {
                self.unknown.remove(&settled);
            }
        }
        Ok(())
    }

    /// Every way to go on from `explanations` until `returning` is in the order; `None` if the budget is spent.
    ///
    /// Shorter ways come first, so those that use least are found before those they make superfluous.
    fn explain(
        &mut self,
        explanations: Explanations<M::State>,
        returning: usize,
    ) -> Option<Explanations<M::State>> {
        let mut found = Explanations::new();
        let mut tried = Explanations::new();
        let mut queue: VecDeque<_> = explanations.into_iter().collect();
        while let Some((mut place, used)) = queue.pop_front() {
            let moves = self.absorb(&mut place)?;
            if place.early.remove(&returning) {
                found.insert(place, used);
                continue;
            }
            if !tried.insert(place.clone(), used.clone()) {
                continue;
            }
            for (span, state) in moves {
                let mut early = place.early.clone();
                early.insert(span);
                queue.push_back((Place { state, early }, used.clone()));
            }
            for (span, state) in self.surprises(&place.state, &used)? {
                let early = place.early.clone();
                let used = used.iter().copied().chain([span]).collect();
                queue.push_back((Place { state, early }, used));
            }
        }
        Some(found)
    }

    /// Orders at once every pending operation that is right in this state and leaves it as it is, such as a
    /// read: nothing is lost by that, for wherever else an order has it, it can do without it there. The
    /// pending operations that would change the state are given back, with what they would make of it.
    fn absorb(&mut self, place: &mut Place<M::State>) -> Option<Vec<(usize, M::State)>> {
        let mut moves = Vec::new();
        for &span in &self.pending {
            if place.early.contains(&span) {
                continue;
            }
            self.steps_left = self.steps_left.checked_sub(1)?;
            match step(self.model, &place.state, &self.spans[span]) {
                Some(state) if state == place.state => {
                    place.early.insert(span);
                }
                Some(state) => moves.push((span, state)),
                None => {}
            }
        }
        Some(moves)
    }

    /// The operations of unknown outcome that may have been applied in this state, with what that led to.
    fn surprises(&mut self, from: &M::State, used: &Used) -> Option<Vec<(usize, M::State)>> {
        let mut surprises = Vec::new();
        for &span in self.unknown.difference(used) {
            self.steps_left = self.steps_left.checked_sub(1)?;
            let state = step(self.model, from, &self.spans[span]);
            let state = state.filter(|state| state != from && self.model.may_be_seen(self.key, state));
            surprises.extend(state.map(|state| (span, state)));
        }
        Some(surprises)
    }
}

fn step<S: StateMachine, M: Model<S>>(model: &M, state: &M::State, span: &Span<'_, S>) -> Option<M::State> {
    match span.effect {
        Effect::Applied(command, reply) => model.apply(state, command, reply),
        Effect::Answered(query, answer) => model.answers(state, query, answer).then(|| state.clone()),
    }
}

/// The stamps of the run with whose they are, and whether it returns then.
fn events<S: StateMachine>(spans: &[Span<'_, S>]) -> Vec<(u64, usize, bool)> {
    let invoked = spans.iter().enumerate().map(|(at, span)| (span.invoked, at, false));
    let returned = spans.iter().enumerate().filter_map(|(at, span)| Some((span.returned?, at, true)));
    let mut events: Vec<_> = invoked.chain(returned).collect();
    events.sort_unstable();
    events
}
