//! Which piece of a snapshot the leader puts into the log next: in order, and only so many that are not applied.

/// See the module. Reads are asked for one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreFeed {
    length: u64,
    piece_bytes: usize,
    pieces_max: usize,
    /// Where the next piece begins; `None` when the last one is under way.
    next: Option<u64>,
    /// Pieces that were asked for and are not applied. Invariant: at most `pieces_max`.
    under_way: usize,
}

/// One piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPiece {
    /// Where it begins.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: usize,
    /// Whether it is the last.
    pub last: bool,
}

impl RestoreFeed {
    /// A snapshot of `length` bytes in pieces of `piece_bytes`, of which `pieces_max` may be under way; at least one of
    /// each.
    pub fn new(length: u64, piece_bytes: usize, pieces_max: usize) -> Self {
        let (piece_bytes, pieces_max) = (piece_bytes.max(1), pieces_max.max(1));
        Self { length, piece_bytes, pieces_max, next: Some(0), under_way: 0 }
    }

    /// The next piece, if there is one and it may set out. An empty snapshot has one, which is empty.
    pub fn next_piece(&mut self) -> Option<FeedPiece> {
        let offset = self.next.filter(|_| self.under_way < self.pieces_max)?;
        let rest = self.length - offset;
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(self.piece_bytes);
        let end = offset + length as u64;
        let last = end == self.length;
        self.next = Some(end).filter(|_| !last);
        self.under_way += 1;
        Some(FeedPiece { offset, length, last })
    }

    /// A piece is applied.
    pub fn applied(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, length: usize, last: bool) -> FeedPiece {
        FeedPiece { offset, length, last }
    }

    #[test]
    fn pieces_follow_each_other_as_those_before_are_applied() {
        let mut feed = RestoreFeed::new(25, 10, 2);
        assert_eq!(feed.next_piece(), Some(piece(0, 10, false)));
        assert_eq!(feed.next_piece(), Some(piece(10, 10, false)));
        assert_eq!(feed.next_piece(), None, "two are under way");
        feed.applied();
        assert_eq!(feed.next_piece(), Some(piece(20, 5, true)));
        feed.applied();
        feed.applied();
        assert_eq!(feed.next_piece(), None);
    }

    #[test]
    fn a_snapshot_that_fills_its_last_piece_has_no_empty_one_behind_it() {
        let mut feed = RestoreFeed::new(20, 10, 9);
        feed.next_piece();
        assert_eq!(feed.next_piece(), Some(piece(10, 10, true)));
        assert_eq!(feed.next_piece(), None);
    }

    #[test]
    fn an_empty_snapshot_is_one_empty_piece() {
        let mut feed = RestoreFeed::new(0, 10, 2);
        assert_eq!(feed.next_piece(), Some(piece(0, 0, true)));
        assert_eq!(feed.next_piece(), None);
    }
}
