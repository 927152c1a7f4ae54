//! Where restores take effect: each at one place among the commands, the same on every node, or nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{Oracle, Violation};
use crate::types::LogIndex;

const LAW: &str = "a restore is one write of everything";

/// Every restore that took effect, by whoever was first.
#[derive(Debug, Default)]
pub(super) struct Restores {
    /// In order: the last command before it, and its number.
    done: Vec<(LogIndex, u64)>,
    /// The same, by number.
    places: BTreeMap<u64, usize>,
    /// The last command that was applied behind all of them.
    frontier: LogIndex,
    refused: BTreeSet<u64>,
}

impl Restores {
    /// How many a state has seen whose last one has this number.
    fn seen(&self, number: u64) -> usize {
        self.places.get(&number).map_or(0, |place| place + 1)
    }

    /// The state of which `number` was the last restore has seen a command.
    fn holds(&mut self, node: usize, command: LogIndex, number: u64) -> Result<(), Violation> {
        let seen = self.seen(number);
        let from = seen.checked_sub(1).map_or(LogIndex::ZERO, |last| self.done[last].0);
        let to = self.done.get(seen).map(|(before, _)| *before);
        if command < from || to.is_some_and(|to| command > to) {
            let what = format!("n{} is at {command} with {seen} of {:?}", node + 1, self.done);
            return Err(Violation::new(LAW, what));
        }
        if to.is_none() {
            self.frontier = self.frontier.max(command);
        }
        Ok(())
    }

    fn takes_effect(
        &mut self,
        node: usize,
        before: LogIndex,
        last: u64,
        number: u64,
    ) -> Result<(), Violation> {
        let seen = self.seen(last);
        let known = self.done.get(seen).copied();
        let fits = known.map_or(before >= self.frontier, |known| known == (before, number));
        if !fits || (known.is_none() && self.places.contains_key(&number)) || self.refused.contains(&number) {
            let what = format!("n{} restores {number} behind {before} and {last}, not {known:?}", node + 1);
            return Err(Violation::new(LAW, what));
        }
        if known.is_none() {
            self.places.insert(number, seen);
            self.done.push((before, number));
            self.frontier = before;
        }
        Ok(())
    }
}

impl Oracle {
    /// The state of `node`, which had seen `last` as its last restore, is replaced behind the command at `before`.
    pub(crate) fn restores(&self, node: usize, before: LogIndex, last: u64, number: u64) {
        self.note("replace", Some(node), [before.0, last, number]);
        self.check(|state| state.restores.takes_effect(node, before, last, number));
    }

    /// The state of `node` has seen the command at `command`, and `number` as its last restore.
    pub(crate) fn holds_restores(&self, node: usize, command: LogIndex, number: u64) {
        self.check(|state| state.restores.holds(node, command, number));
    }

    /// Somebody was told that the restore of this number took effect, or never will.
    pub(crate) fn restore_answered(&self, number: u64, told: Option<bool>) {
        self.check(|state| {
            let restores = &mut state.restores;
            let done = restores.places.contains_key(&number);
            match told {
                Some(true) if !done => {
                    Err(Violation::new(LAW, format!("{number} is acknowledged, and is not done")))
                }
                Some(false) if done => Err(Violation::new(LAW, format!("{number} is refused, and done"))),
                Some(false) => {
                    restores.refused.insert(number);
                    Ok(())
                }
                _ => Ok(()),
            }
        });
    }

    /// How many took effect.
    pub(crate) fn restores_done(&self) -> u64 {
        self.state().restores.done.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(index: u64) -> LogIndex {
        LogIndex(index)
    }

    #[test]
    fn every_node_sees_the_same_restores_between_the_same_commands() {
        let mut restores = Restores::default();
        restores.holds(0, at(5), 0).unwrap();
        restores.takes_effect(0, at(5), 0, 1).unwrap();
        restores.takes_effect(0, at(5), 1, 3).unwrap();
        restores.holds(1, at(5), 0).unwrap();
        assert!(restores.holds(1, at(6), 0).is_err(), "it has missed both");
        assert!(restores.takes_effect(1, at(4), 0, 1).is_err(), "at another place");
        assert!(restores.takes_effect(1, at(5), 0, 3).is_err(), "in another order");
        restores.takes_effect(1, at(5), 0, 1).unwrap();
        restores.holds(0, at(9), 3).unwrap();
        assert!(restores.takes_effect(1, at(8), 3, 4).is_err(), "another has gone past it");
        restores.takes_effect(1, at(9), 3, 4).unwrap();
        assert!(restores.takes_effect(1, at(9), 4, 1).is_err(), "twice");
    }
}
