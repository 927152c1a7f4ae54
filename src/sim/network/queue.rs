//! What happens when: one queue for the whole network. Events of one instant keep the order they were
//! planned in. Entries are small and are never searched for: who has no more use for one lets it come.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use tokio::time::Instant;

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<T> {
    pub(super) due: Instant,
    /// In the order of planning; no two events have the same.
    pub(super) number: u64,
    /// What it is about.
    pub(super) about: T,
}

impl<T> Event<T> {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl<T> PartialEq for Event<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Event<T> {}

impl<T> PartialOrd for Event<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Event<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// The events to come.
#[derive(Debug)]
pub(super) struct Queue<T> {
    events: BinaryHeap<Reverse<Event<T>>>,
    planned: u64,
    /// Whether the first event is another than when this was last asked.
    hastened: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { events: BinaryHeap::new(), planned: 0, hastened: false }
    }
}

impl<T: Copy> Queue<T> {
    /// Plans an event.
    pub(super) fn plan(&mut self, due: Instant, about: T) -> Event<T> {
        let event = Event { due, number: self.planned, about };
        self.planned += 1;
        self.put_back(event);
        event
    }

    /// Puts an event back that was taken out too early: it keeps its place before all planned after it.
    pub(super) fn put_back(&mut self, event: Event<T>) {
        self.hastened |= self.first().is_none_or(|first| event.due < first);
        self.events.push(Reverse(event));
    }

    /// When the first event is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.events.peek().map(|event| event.0.due)
    }

    /// Takes out the first event if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Event<T>> {
        if self.first()? > now {
            return None;
        }
        self.events.pop().map(|event| event.0)
    }

    /// Whether something is due earlier than all there was, since the last call.
    pub(super) fn take_hastened(&mut self) -> bool {
        std::mem::take(&mut self.hastened)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_come_by_time_and_then_as_they_were_planned() {
        let (now, mut queue) = (Instant::now(), Queue::default());
        let later = now + Duration::from_secs(1);
        queue.plan(later, 'c');
        queue.plan(now, 'a');
        queue.plan(now, 'b');
        queue.plan(later, 'd');
        let mut pop = |at| queue.pop(at).map(|event| event.about);
        assert_eq!([pop(now), pop(now), pop(now)], [Some('a'), Some('b'), None]);
        assert_eq!([pop(later), pop(later), pop(later)], [Some('c'), Some('d'), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_back_keeps_its_place() {
        let (now, mut queue) = (Instant::now(), Queue::default());
        queue.plan(now, 'a');
        queue.plan(now, 'b');
        let first = queue.pop(now).unwrap();
        queue.put_back(first);
        assert_eq!(queue.pop(now).unwrap().about, 'a');
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_earlier_event_hastens() {
        let (now, mut queue) = (Instant::now(), Queue::default());
        let at = |secs| now + Duration::from_secs(secs);
        let mut plan = |secs| {
            queue.plan(at(secs), ());
            queue.take_hastened()
        };
        assert_eq!([plan(5), plan(6), plan(5), plan(4)], [true, false, false, true]);
    }
}
