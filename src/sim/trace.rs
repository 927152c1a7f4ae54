//! What happened in a run, in order: a rolling hash of all of it, and the last part in words.
//!
//! Two runs of one seed must have the same hash after the same number of events; where they differ first is
//! where something that no seed decides got in.

use std::{collections::VecDeque, fmt, time::Duration};

use xxhash_rust::xxh3::Xxh3;

/// How many of the newest events are kept to be shown.
const TAIL_EVENTS: usize = 400;
/// How many events pass between two milestones.
const MILESTONE_EVENTS: u64 = 1024;

/// One event. What the numbers mean is said by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Virtual time since the run began.
    pub at: Duration,
    /// What happened.
    pub what: &'static str,
    /// Who did it, or where: the node's number from 1 on, 0 for the world.
    pub node: usize,
    /// What it was about.
    pub about: [u64; 3],
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6} ", self.at.as_secs_f64())?;
        if self.node == 0 {
            write!(f, "world ")?;
        } else {
            write!(f, "n{:<4} ", self.node)?;
        }
        let [a, b, c] = self.about;
        write!(f, "{:<20} {a} {b} {c}", self.what)
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: u64,
    events: u64,
    tail: VecDeque<Event>,
    milestones: Vec<u64>,
}

impl Trace {
    /// Adds an event.
    pub fn note(&mut self, event: Event) {
        let mut hasher = Xxh3::with_seed(self.hash);
        hasher.update(&(event.at.as_nanos() as u64).to_le_bytes());
        hasher.update(event.what.as_bytes());
        hasher.update(&(event.node as u64).to_le_bytes());
        for number in event.about {
            hasher.update(&number.to_le_bytes());
        }
        self.hash = hasher.digest();
        self.events += 1;
        if self.events.is_multiple_of(MILESTONE_EVENTS) {
            self.milestones.push(self.hash);
        }
        if self.tail.len() == TAIL_EVENTS {
            self.tail.pop_front();
        }
        self.tail.push_back(event);
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The newest events, oldest first.
    pub fn tail(&self) -> impl Iterator<Item = &Event> {
        self.tail.iter()
    }

    /// The hashes after every so many events: with [`hash`](Self::hash) and [`events`](Self::events) all that
    /// [`differs_by`](Self::differs_by) needs.
    pub fn milestones(&self) -> &[u64] {
        &self.milestones
    }

    /// What another process told of its trace, to be compared. It has no tail, and nothing may be added to it.
    pub fn told(hash: u64, events: u64, milestones: Vec<u64>) -> Self {
        Self { hash, events, tail: VecDeque::new(), milestones }
    }

    /// After which event at the latest another run differs from this one; `None` if they are the same.
    pub fn differs_by(&self, other: &Self) -> Option<u64> {
        if (self.hash, self.events) == (other.hash, other.events) {
            return None;
        }
        let same = self.milestones.iter().zip(&other.milestones).take_while(|(a, b)| a == b).count();
        Some((same as u64 + 1) * MILESTONE_EVENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> Event {
        Event { at: Duration::from_nanos(number), what: "tick", node: 1, about: [number, 0, 0] }
    }

    #[test]
    fn the_hash_tells_the_order_and_every_number() {
        let hash = |events: &[Event]| {
            let mut trace = Trace::default();
            events.iter().for_each(|event| trace.note(*event));
            trace.hash()
        };
        assert_eq!(hash(&[event(1), event(2)]), hash(&[event(1), event(2)]));
        assert_ne!(hash(&[event(1), event(2)]), hash(&[event(2), event(1)]));
        assert_ne!(hash(&[event(1)]), hash(&[Event { about: [1, 0, 1], ..event(1) }]));
        assert_ne!(hash(&[event(1)]), hash(&[Event { node: 2, ..event(1) }]));
    }

    #[test]
    fn two_runs_are_told_where_they_part() {
        let run = |odd: u64| {
            let mut trace = Trace::default();
            (0..5000).for_each(|n| trace.note(event(if n == odd { 9999 } else { n })));
            trace
        };
        assert_eq!(run(3000).differs_by(&run(3000)), None);
        assert_eq!(run(3000).differs_by(&run(9)), Some(MILESTONE_EVENTS));
        assert_eq!(run(3000).differs_by(&run(4999)), Some(3 * MILESTONE_EVENTS));
        let told = |run: &Trace| Trace::told(run.hash(), run.events(), run.milestones().to_vec());
        assert_eq!(run(3000).differs_by(&told(&run(3000))), None);
        assert_eq!(run(3000).differs_by(&told(&run(4999))), Some(3 * MILESTONE_EVENTS));
    }
}
