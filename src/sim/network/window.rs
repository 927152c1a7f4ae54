//! Numbered things of which the old ones mostly go first: found by number without a search, and bounded
//! in how far they reach back.

use std::{collections::VecDeque, ops::Range};

/// The things there are, by number. No number is used twice.
#[derive(Debug)]
pub(super) struct Window<T> {
    /// The number of the front slot.
    first: u64,
    /// The front one is never empty.
    slots: VecDeque<Option<T>>,
    span_max: usize,
}

impl<T> Window<T> {
    /// An empty window that never reaches further back than `span_max` numbers.
    pub(super) fn new(span_max: usize) -> Self {
        Self { first: 0, slots: VecDeque::new(), span_max }
    }

    /// The numbers there may be something at.
    pub(super) fn numbers(&self) -> Range<u64> {
        self.first..self.next()
    }

    /// The number the next one gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Adds one, numbered [`next`](Self::next). Returns the oldest if there is no room for both.
    pub(super) fn push(&mut self, item: T) -> Option<T> {
        let oldest = if self.slots.len() >= self.span_max { self.take(self.first) } else { None };
        self.slots.push_back(Some(item));
        oldest
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let at = self.at(number)?;
        self.slots.get_mut(at)?.as_mut()
    }

    /// Takes one out.
    pub(super) fn take(&mut self, number: u64) -> Option<T> {
        let at = self.at(number)?;
        let item = self.slots.get_mut(at)?.take();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        item
    }

    fn at(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_number_until_it_is_taken() {
        let mut window = Window::new(10);
        for item in 0..5 {
            assert_eq!((window.next(), window.push(item)), (item, None));
        }
        assert_eq!([window.take(1), window.take(3), window.take(3)], [Some(1), Some(3), None]);
        assert_eq!(window.numbers(), 0..5);
        assert_eq!([window.take(0), window.take(2)], [Some(0), Some(2)]);
        assert_eq!((window.numbers(), window.get_mut(4)), (4..5, Some(&mut 4)));
        assert_eq!([window.take(4), window.take(u64::MAX)], [Some(4), None]);
        assert_eq!((window.numbers(), window.get_mut(2)), (5..5, None));
    }

    #[test]
    fn beyond_its_span_the_oldest_goes() {
        let mut window = Window::new(2);
        let pushed = [10, 11, 12].map(|item| window.push(item));
        assert_eq!(pushed, [None, None, Some(10)]);
        assert_eq!((window.numbers(), window.get_mut(1)), (1..3, Some(&mut 11)));
    }
}
