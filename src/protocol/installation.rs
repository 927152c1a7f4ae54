//! The follower's side of a snapshot that arrives in pieces (Raft §7, Figure 13).
//!
//! ```text
//! Receiving   pieces are taken in order, each once; what does not fit is answered with where to go on
//!    │
//! everything is written
//!    ▼
//! Finishing   published, the log's front replaced, the state restored: carried to its end whoever leads by then,
//!             since what a snapshot holds is committed in every term
//! ```
//!
//! A session is one snapshot of one leader in one term. While there is one, entries are refused: they would be
//! written to a log that is about to be replaced.

use std::time::Duration;

use crate::types::{InstallSnapshot, LogIndex, NodeId, SnapshotMeta, Term};

/// How much may be taken and not written, in bytes: several times what a leader has under way. More is not taken, and is
/// asked for again when the disk has caught up.
const UNWRITTEN_BYTES_MAX: u64 = 32 << 20;

/// See the module.
#[derive(Clone, Debug)]
pub struct Installation {
    /// A larger snapshot is refused before a byte of it is written.
    bytes_max: u64,
    /// How long a leader may be silent about a session before it is dropped.
    patience: Duration,
    /// How many sessions there were.
    begun: u64,
    session: Option<Session>,
}

/// One snapshot of one leader.
#[derive(Clone, Debug)]
struct Session {
    number: u64,
    term: Term,
    leader: NodeId,
    snapshot: SnapshotMeta,
    /// Content up to here was taken, in order. `written <= taken <= snapshot.bytes`.
    taken: u64,
    /// Content up to here is in the file.
    written: u64,
    finishing: bool,
    /// When the leader last sent something that was wanted, or asked.
    heard: Duration,
}

/// What becomes of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The snapshot is no news here: answer `Installed`.
    Known,
    /// It is too large, or another one is being installed: answer `Refused`.
    Refused,
    /// Answer `Wanted { offset: wanted }` as soon as everything before `wanted` is written.
    Piece {
        /// The number of the session.
        session: u64,
        /// The session is new: what there was of another is to be removed, and a file begun.
        begins: bool,
        /// The piece is the next one: write it.
        taken: bool,
        /// Where the content goes on.
        wanted: u64,
    },
    /// Everything is here: answer when it is installed.
    Finishing,
}

impl Installation {
    /// Nothing is being installed. A leader that does not go on within `patience` loses its session.
    pub fn new(bytes_max: u64, patience: Duration) -> Self {
        Self { bytes_max, patience, begun: 0, session: None }
    }

    /// Whether a snapshot is on its way: entries are refused meanwhile.
    pub fn is_busy(&self) -> bool {
        self.session.is_some()
    }

    /// Whether one is here and being installed. The node must not stand for election before that is done: its log is
    /// not what it will be.
    pub fn is_finishing(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.finishing)
    }

    /// What is being installed, in the session `number`.
    pub fn snapshot(&self, number: u64) -> Option<&SnapshotMeta> {
        self.session.as_ref().filter(|session| session.number == number).map(|session| &session.snapshot)
    }

    /// How much of the content is written, and how much there is.
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.session.as_ref().map(|session| (session.written, session.snapshot.bytes))
    }

    /// A piece of the current leader in the current term has arrived, on a node that has committed up to `commit`.
    pub fn arrived(&mut self, now: Duration, piece: &InstallSnapshot, commit: LogIndex) -> Arrival {
        if piece.snapshot.description.last.index <= commit {
            return Arrival::Known;
        }
        if piece.snapshot.bytes > self.bytes_max || self.prefers_its_own(piece) {
            return Arrival::Refused;
        }
        let begins = !self.is_of(piece);
        if begins {
            self.begin(now, piece);
        }
        let Some(session) = self.session.as_mut() else { return Arrival::Refused };
        if session.finishing {
            return Arrival::Finishing;
        }
        // A piece that is here already, or that others must come before, is none; nor is one that asks.
        let fits = session.taken - session.written < UNWRITTEN_BYTES_MAX;
        let taken = fits && piece.offset == session.taken && !piece.data.is_empty();
        if taken {
            session.taken = piece.offset.saturating_add(piece.data.len() as u64).min(session.snapshot.bytes);
        }
        session.heard = now;
        Arrival::Piece { session: session.number, begins, taken, wanted: session.taken }
    }

    /// The content of the session `number` is written up to `written`. Whether that is all of it: publish it.
    pub fn written(&mut self, now: Duration, number: u64, written: u64) -> bool {
        let Some(session) = self.session.as_mut().filter(|session| session.number == number) else {
            return false;
        };
        session.written = session.written.max(written.min(session.taken));
        session.heard = now;
        let complete = session.written == session.snapshot.bytes && !session.finishing;
        session.finishing |= complete;
        complete
    }

    /// The session `number` is over: its snapshot is installed, or cannot be. Whether there was one.
    pub fn ended(&mut self, number: u64) -> bool {
        let is_current = self.session.as_ref().is_some_and(|session| session.number == number);
        if is_current {
            self.session = None;
        }
        is_current
    }

    /// Somebody else leads, or the term is another: a snapshot that is not all here is dropped. The number of its session.
    /// A leader that was not heard of for a while may still go on.
    pub fn led_by(&mut self, term: Term, leader: Option<&NodeId>) -> Option<u64> {
        self.drop_if(|session| session.term != term || leader.is_some_and(|leader| *leader != session.leader))
    }

    /// Time passes: a session whose leader does not go on is dropped. Its number. One that waits for this node's own
    /// disk is not.
    pub fn tick(&mut self, now: Duration) -> Option<u64> {
        let patience = self.patience;
        self.drop_if(|session| {
            session.written == session.taken && now.saturating_sub(session.heard) > patience
        })
    }

    fn drop_if(&mut self, over: impl FnOnce(&Session) -> bool) -> Option<u64> {
        let session = self.session.as_ref().filter(|session| !session.finishing && over(session))?;
        let number = session.number;
        self.session = None;
        Some(number)
    }

    /// Whether `piece` must not displace what there is: that is all here, or the piece comes late and is of an older
    /// snapshot of the same leader.
    fn prefers_its_own(&self, piece: &InstallSnapshot) -> bool {
        !self.is_of(piece)
            && self.session.as_ref().is_some_and(|session| {
                let last = |snapshot: &SnapshotMeta| snapshot.description.last;
                session.finishing
                    || (session.term == piece.term && last(&session.snapshot) > last(&piece.snapshot))
            })
    }

    fn is_of(&self, piece: &InstallSnapshot) -> bool {
        self.session.as_ref().is_some_and(|session| {
            session.term == piece.term && session.leader == piece.leader && session.snapshot == piece.snapshot
        })
    }

    fn begin(&mut self, now: Duration, piece: &InstallSnapshot) {
        self.begun += 1;
        self.session = Some(Session {
            number: self.begun,
            term: piece.term,
            leader: piece.leader.clone(),
            snapshot: piece.snapshot.clone(),
            taken: 0,
            written: 0,
            finishing: false,
            heard: now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClusterId, LogId, SnapshotDescription};

    const PATIENCE: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn installation() -> Installation {
        Installation::new(100, PATIENCE)
    }

    /// A piece of a snapshot of ten bytes that ends at index 9.
    fn piece(term: u64, offset: u64, length: usize) -> InstallSnapshot {
        let last = LogId::new(Term(2), LogIndex(9));
        let description =
            SnapshotDescription { last, cluster: ClusterId(1), ..SnapshotDescription::default() };
        InstallSnapshot {
            term: Term(term),
            leader: "n1".into(),
            snapshot: SnapshotMeta { description, bytes: 10, checksum: 3 },
            offset,
            data: vec![0; length].into(),
        }
    }

    fn arrives(installation: &mut Installation, piece: &InstallSnapshot) -> Arrival {
        installation.arrived(at(0), piece, LogIndex(4))
    }

    fn answer(session: u64, begins: bool, taken: bool, wanted: u64) -> Arrival {
        Arrival::Piece { session, begins, taken, wanted }
    }

    #[test]
    fn pieces_are_taken_in_order_and_once() {
        let mut installation = installation();
        assert_eq!(arrives(&mut installation, &piece(3, 0, 0)), answer(1, true, false, 0), "a question");
        assert_eq!(arrives(&mut installation, &piece(3, 4, 4)), answer(1, false, false, 0), "a gap");
        assert_eq!(arrives(&mut installation, &piece(3, 0, 4)), answer(1, false, true, 4));
        assert_eq!(arrives(&mut installation, &piece(3, 0, 4)), answer(1, false, false, 4), "again");
        assert_eq!(arrives(&mut installation, &piece(3, 2, 4)), answer(1, false, false, 4), "in part");
        assert_eq!(arrives(&mut installation, &piece(3, 4, 6)), answer(1, false, true, 10));
        assert!(!installation.written(at(1), 1, 4));
        assert!(!installation.is_finishing());
        assert!(installation.written(at(1), 1, 10), "all of it");
        assert!(!installation.written(at(1), 1, 10), "published once");
        assert_eq!(arrives(&mut installation, &piece(3, 0, 0)), Arrival::Finishing);
        assert!(installation.ended(1) && !installation.is_busy());
    }

    #[test]
    fn a_snapshot_at_or_below_the_commit_index_is_no_news() {
        let mut installation = installation();
        assert_eq!(installation.arrived(at(0), &piece(3, 0, 4), LogIndex(9)), Arrival::Known);
        assert_eq!(installation.arrived(at(0), &piece(3, 0, 4), LogIndex(20)), Arrival::Known);
        assert!(!installation.is_busy());
    }

    #[test]
    fn one_that_is_too_large_is_refused_before_anything_is_written() {
        let mut installation = Installation::new(9, PATIENCE);
        assert_eq!(arrives(&mut installation, &piece(3, 0, 4)), Arrival::Refused);
        assert!(!installation.is_busy());
    }

    #[test]
    fn another_snapshot_or_another_term_begins_anew() {
        let mut installation = installation();
        arrives(&mut installation, &piece(3, 0, 4));
        let mut other = piece(3, 4, 4);
        other.snapshot.checksum = 4;
        assert_eq!(arrives(&mut installation, &other), answer(2, true, false, 0));
        assert_eq!(arrives(&mut installation, &piece(4, 4, 4)), answer(3, true, false, 0));
        assert!(!installation.written(at(1), 1, 4), "what an earlier session writes counts for nothing");
        assert_eq!(installation.progress(), Some((0, 10)));
    }

    #[test]
    fn a_late_piece_of_an_older_snapshot_displaces_nothing() {
        let mut installation = installation();
        arrives(&mut installation, &piece(3, 0, 4));
        let mut older = piece(3, 0, 4);
        older.snapshot.description.last.index = LogIndex(8);
        assert_eq!(arrives(&mut installation, &older), Arrival::Refused);
        assert_eq!(arrives(&mut installation, &piece(3, 4, 4)), answer(1, false, true, 8));
    }

    #[test]
    fn a_session_ends_with_its_leader_unless_everything_is_here() {
        let mut installation = installation();
        arrives(&mut installation, &piece(3, 0, 4));
        assert_eq!(installation.led_by(Term(3), Some(&"n1".into())), None);
        assert_eq!(installation.led_by(Term(3), None), None, "it may be heard of again");
        assert_eq!(installation.led_by(Term(4), None), Some(1));
        arrives(&mut installation, &piece(4, 0, 10));
        installation.written(at(1), 2, 10);
        assert_eq!(installation.led_by(Term(5), None), None);
        assert_eq!(installation.tick(at(60_000)), None);
        assert_eq!(arrives(&mut installation, &piece(5, 0, 0)), Arrival::Refused, "one at a time");
        assert!(installation.is_finishing());
    }

    #[test]
    fn a_leader_that_does_not_go_on_loses_its_session() {
        let mut installation = installation();
        arrives(&mut installation, &piece(3, 0, 4));
        assert_eq!(installation.tick(at(5000)), None, "the leader waits for this disk");
        installation.written(at(5000), 1, 4);
        assert_eq!(installation.tick(at(6000)), None);
        assert_eq!(installation.tick(at(6001)), Some(1));
        assert!(!installation.is_busy());
    }

    #[test]
    fn no_more_is_taken_than_the_disk_keeps_up_with() {
        let mut installation = Installation::new(u64::MAX, PATIENCE);
        let large = |offset| {
            let mut large = piece(3, offset, 16 << 20);
            large.snapshot.bytes = 1 << 30;
            large
        };
        arrives(&mut installation, &large(0));
        assert_eq!(arrives(&mut installation, &large(16 << 20)), answer(1, false, true, 32 << 20));
        assert_eq!(arrives(&mut installation, &large(32 << 20)), answer(1, false, false, 32 << 20));
        installation.written(at(1), 1, 16 << 20);
        assert_eq!(arrives(&mut installation, &large(32 << 20)), answer(1, false, true, 48 << 20));
    }

    #[test]
    fn nothing_is_written_that_was_not_taken() {
        let mut installation = installation();
        arrives(&mut installation, &piece(3, 0, 4));
        assert!(!installation.written(at(1), 1, u64::MAX));
        assert_eq!(installation.progress(), Some((4, 10)));
    }
}
