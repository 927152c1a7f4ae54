//! The ways to explain what has returned so far, without those that others make superfluous.

use std::collections::{BTreeMap, BTreeSet};

/// Where an explanation has led.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<T> {
    pub(super) state: T,
    /// Operations that will return and have not, and are in the order already.
    pub(super) early: BTreeSet<usize>,
}

/// The operations of unknown outcome that an explanation has used.
pub(super) type Used = BTreeSet<usize>;

/// Explanations by where they have led.
///
/// Of two that lead to the same place, one that uses what the other uses and more is left out: whatever
/// explains the future of that one explains the future of the other.
#[derive(Clone, Debug)]
pub(super) struct Explanations<T> {
    /// None of the sets at a place contains another.
    by_place: BTreeMap<Place<T>, Vec<Used>>,
}

impl<T: Clone + Ord> Explanations<T> {
    pub(super) fn new() -> Self {
        Self { by_place: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// Adds one. Whether it is news.
    pub(super) fn insert(&mut self, place: Place<T>, used: Used) -> bool {
        let others = self.by_place.entry(place).or_default();
        if others.iter().any(|other| other.is_subset(&used)) {
            return false;
        }
        others.retain(|other| !used.is_subset(other));
        others.push(used);
        true
    }

    /// All of them, in an order that depends on nothing else.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Place<T>, Used)> {
        let spread =
            |(place, sets): (Place<T>, Vec<Used>)| sets.into_iter().map(move |used| (place.clone(), used));
        self.by_place.into_iter().flat_map(spread)
    }

    /// The states, each once.
    pub(super) fn states(&self) -> Vec<T> {
        let mut states: Vec<T> = self.by_place.keys().map(|place| place.state.clone()).collect();
        states.dedup();
        states
    }

    /// Forgets the operations that every explanation has used, and names them: they tell none from another.
    pub(super) fn settle(&mut self) -> Used {
        let mut sets = self.by_place.values_mut().flatten();
        let mut common = sets.next().cloned().unwrap_or_default();
        sets.for_each(|used| common.retain(|operation| used.contains(operation)));
        if !common.is_empty() {
            self.by_place
                .values_mut()
                .flatten()
                .for_each(|used| used.retain(|operation| !common.contains(operation)));
        }
        common
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(state: char) -> Place<char> {
        Place { state, early: BTreeSet::new() }
    }

    fn all(explanations: Explanations<char>) -> Vec<(char, Vec<usize>)> {
        explanations.into_iter().map(|(place, used)| (place.state, used.into_iter().collect())).collect()
    }

    #[test]
    fn what_uses_more_to_get_to_the_same_place_is_left_out() {
        let mut explanations = Explanations::new();
        assert!(explanations.insert(place('a'), Used::from([1, 2])));
        assert!(!explanations.insert(place('a'), Used::from([1, 2, 3])));
        assert!(explanations.insert(place('a'), Used::from([2, 3])), "neither contains the other");
        assert!(explanations.insert(place('b'), Used::from([1, 2, 3])), "another place");
        assert!(explanations.insert(place('a'), Used::from([2])), "less than both");
        assert_eq!(all(explanations), [('a', vec![2]), ('b', vec![1, 2, 3])]);
    }

    #[test]
    fn what_all_have_used_is_settled() {
        let mut explanations = Explanations::new();
        assert_eq!(explanations.settle(), Used::new());
        explanations.insert(place('a'), Used::from([1, 2]));
        explanations.insert(place('b'), Used::from([1, 3]));
        assert_eq!(explanations.settle(), Used::from([1]));
        assert_eq!(all(explanations), [('a', vec![2]), ('b', vec![3])]);
    }
}
