//! The leader's side of a snapshot on its way to one follower: which piece is sent next (Raft §7, Figure 13).
//!
//! ```text
//! Asking      where shall it go on?      one question at a time
//!    │  ▲
//! wanted, lost
//!    ▼  │
//! Sending     pieces follow one another, as far as the window allows
//!    │
//! everything is there
//!    ▼
//! Waiting     the follower installs it: asked now and then whether it is done
//! ```
//!
//! The follower takes pieces in order and says where it goes on. A piece that it did not take puts the sender back to
//! there, and what is under way behind that piece is forgotten.

use std::collections::VecDeque;

/// See the module. One snapshot, one follower.
#[derive(Clone, Debug)]
pub struct Transmission {
    /// How long the content is.
    bytes: u64,
    /// How long a piece is at most.
    piece_bytes: usize,
    /// How many pieces may be under way.
    window: usize,
    state: State,
    /// Where the next piece begins.
    next: u64,
    /// Requests without an answer, oldest first.
    inflight: VecDeque<Sent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Sending,
    Waiting,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    request: u64,
    /// Where its piece ends; where it begins, if it asks.
    end: u64,
    asks: bool,
}

/// What is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPiece {
    /// An empty piece: where shall it go on?
    Ask,
    /// This part of the content.
    Send {
        /// Where it begins.
        offset: u64,
        /// How long it is; never zero.
        length: usize,
    },
}

impl Transmission {
    /// Of a snapshot with `bytes` of content, of which the follower may have some already.
    pub fn new(bytes: u64, piece_bytes: usize, window: usize) -> Self {
        Self {
            bytes,
            piece_bytes: piece_bytes.max(1),
            window: window.max(1),
            state: State::Asking,
            next: 0,
            inflight: VecDeque::new(),
        }
    }

    /// What may be sent now, if anything.
    pub fn next(&self) -> Option<NextPiece> {
        match self.state {
            State::Asking | State::Waiting => self.inflight.is_empty().then_some(NextPiece::Ask),
            State::Sending if self.next < self.bytes => {
                let left = usize::try_from(self.bytes - self.next).unwrap_or(usize::MAX);
                let length = left.min(self.piece_bytes);
                let has_room = self.inflight.len() < self.window;
                has_room.then_some(NextPiece::Send { offset: self.next, length })
            }
            State::Sending => None,
        }
    }

    /// Whether everything is there, and the follower need only be asked now and then.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// How much of the content the follower need not be sent again, as far as is known.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.inflight.is_empty()
    }

    /// What [`next`](Self::next) named has left. Request numbers rise.
    ///
    /// # Panics
    /// If it is not what is next: a broken invariant.
    pub fn sent(&mut self, request: u64, piece: NextPiece) {
        assert_eq!(Some(piece), self.next(), "a piece that is not the next one");
        let (end, asks) = match piece {
            NextPiece::Ask => (self.next, true),
            NextPiece::Send { offset, length } => (offset.saturating_add(length as u64), false),
        };
        self.next = end;
        self.inflight.push_back(Sent { request, end, asks });
    }

    /// The follower answered `request`: it goes on at `wanted`. An answer to what is forgotten changes nothing.
    pub fn wanted(&mut self, request: u64, wanted: u64) {
        let Some(at) = self.inflight.iter().position(|sent| sent.request == request) else { return };
        let Some(sent) = self.inflight.remove(at) else { return };
        let wanted = wanted.min(self.bytes);
        if sent.asks || wanted < sent.end {
            self.inflight.clear();
            self.next = wanted;
            self.state = State::Sending;
        }
        if self.next == self.bytes && self.inflight.is_empty() {
            self.state = State::Waiting;
        }
    }

    /// `request` will have no answer: nor will what was sent beside it. The follower is asked where to go on.
    pub fn lost(&mut self, request: u64) {
        if self.inflight.iter().any(|sent| sent.request == request) {
            self.inflight.clear();
            self.state = State::Asking;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Option<NextPiece> = Some(NextPiece::Ask);

    fn piece(offset: u64, length: usize) -> Option<NextPiece> {
        Some(NextPiece::Send { offset, length })
    }

    /// Sends what is next.
    fn send(transmission: &mut Transmission, request: u64) {
        let next = transmission.next().unwrap();
        transmission.sent(request, next);
    }

    /// Of ten bytes in pieces of four, two at a time; the follower wants all of it.
    fn sending() -> Transmission {
        let mut transmission = Transmission::new(10, 4, 2);
        send(&mut transmission, 1);
        transmission.wanted(1, 0);
        transmission
    }

    #[test]
    fn it_asks_first_and_then_fills_the_window() {
        let mut transmission = Transmission::new(10, 4, 2);
        assert_eq!(transmission.next(), ASK);
        send(&mut transmission, 1);
        assert_eq!(transmission.next(), None);
        transmission.wanted(1, 0);
        assert_eq!(transmission.next(), piece(0, 4));
        send(&mut transmission, 2);
        send(&mut transmission, 3);
        assert_eq!(transmission.next(), None, "two are under way");
        transmission.wanted(2, 4);
        assert_eq!(transmission.next(), piece(8, 2), "the rest");
        send(&mut transmission, 4);
        transmission.wanted(4, 10);
        assert!(!transmission.is_waiting(), "one is not answered");
        transmission.wanted(3, 8);
        assert!(transmission.is_waiting());
        assert_eq!(transmission.next(), ASK);
    }

    #[test]
    fn it_goes_on_where_the_follower_is() {
        let mut transmission = Transmission::new(10, 4, 2);
        send(&mut transmission, 1);
        transmission.wanted(1, 7);
        assert_eq!(transmission.next(), piece(7, 3));
    }

    #[test]
    fn after_a_loss_it_asks_again_and_late_answers_count_for_nothing() {
        let mut transmission = sending();
        send(&mut transmission, 2);
        send(&mut transmission, 3);
        transmission.lost(3);
        assert_eq!(transmission.next(), ASK);
        transmission.wanted(2, 4);
        transmission.lost(2);
        assert_eq!(transmission.next(), ASK);
        send(&mut transmission, 4);
        transmission.wanted(4, 4);
        assert_eq!(transmission.next(), piece(4, 4));
    }

    #[test]
    fn a_piece_that_was_not_taken_puts_it_back() {
        let mut transmission = sending();
        send(&mut transmission, 2);
        send(&mut transmission, 3);
        transmission.wanted(3, 0);
        assert_eq!(transmission.next(), piece(0, 4));
        transmission.wanted(2, 4);
        assert_eq!(transmission.next(), piece(0, 4), "forgotten");
    }

    #[test]
    fn a_follower_that_lost_everything_gets_everything_again() {
        let mut transmission = sending();
        for request in 2..=4 {
            send(&mut transmission, request);
            transmission.wanted(request, transmission.position());
        }
        send(&mut transmission, 5);
        transmission.wanted(5, 0);
        assert_eq!(transmission.next(), piece(0, 4));
    }

    #[test]
    fn an_empty_snapshot_is_asked_about_until_it_is_installed() {
        let mut transmission = Transmission::new(0, 4, 2);
        send(&mut transmission, 1);
        transmission.wanted(1, 0);
        assert!(transmission.is_waiting());
    }

    #[test]
    fn nothing_beyond_the_end_is_ever_sent() {
        let mut transmission = Transmission::new(10, 4, 2);
        send(&mut transmission, 1);
        transmission.wanted(1, u64::MAX);
        assert!(transmission.is_waiting());
    }

    mod with_a_follower;
}
