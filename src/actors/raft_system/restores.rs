//! A restore at the front door: who waits for it, and when its pieces may go into the log.
//!
//! ```text
//! feeding         pieces go into the log, in the term in which the restore began; ended here, it never takes effect
//! last piece out  only the log says what comes of it
//! over            the caller is answered; what it gave may still be read
//! ```
//!
//! A piece is a batch of its own, bound to this leadership. What is ended while pieces of it are in the log is given up
//! there too, so that it does not hold up snapshots.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::Handler;
use bytes::BufMut;

use super::{
    RaftSystem,
    batch::{Batch, Caller, Reach, Refusal, Waiting},
};
use crate::{
    actors::restorer::{FeedLimits, Restorer},
    config::Config,
    error::{RestoreError, UnknownReason},
    mailbox::{Context, CreditGuard, Park, Parked, Port, ReplySender},
    messages::{FeedingEnded, PieceApplied, PieceSettled, Proposal, ProposePiece, Restore, StopActor},
    protocol::RestoreStep,
    state_machine::StateMachine,
    types::{EntryBuffer, EntryKind, LogIndex, RestorePiece, Term},
};

/// The largest piece, in bytes, unless entries are to be smaller.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// The most pieces that are in the log and not applied.
const PIECES_MAX: usize = 8;

type RestoreResult = Result<LogIndex, RestoreError>;

/// The restore that is under way, if any: there is one at a time.
#[derive(Default)]
pub(super) struct Restores {
    under_way: Option<UnderWay>,
}

struct UnderWay {
    number: u64,
    /// Its pieces go into the log in this term alone.
    term: Term,
    deadline: Duration,
    stage: Stage,
    caller: Rc<RefCell<Option<ReplySender<RestoreResult>>>>,
    restorer: Port<Restorer>,
    /// For everything that is in the log and not applied.
    _credit: CreditGuard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not all of it is on its way into the log, but some may be.
    Feeding { begun: bool },
    /// All of it is on its way into the log.
    Sent,
    /// The caller is answered, and a copy may still be made.
    Over,
}

impl Park<RestoreResult> for RefCell<Option<ReplySender<RestoreResult>>> {
    fn park(&self, sender: ReplySender<RestoreResult>) {
        self.replace(Some(sender));
    }
}

impl Restores {
    fn numbered(&mut self, number: u64) -> Option<&mut UnderWay> {
        self.under_way.as_mut().filter(|restore| restore.number == number)
    }

    fn is_feeding(&self) -> bool {
        self.under_way.as_ref().is_some_and(|restore| matches!(restore.stage, Stage::Feeding { .. }))
    }
}

fn feed_limits(config: &Config) -> FeedLimits {
    let piece_bytes = PIECE_BYTES_MAX.min(config.entry_bytes_max);
    let pieces_max = (config.pending_bytes_max / 2 / piece_bytes).clamp(1, PIECES_MAX);
    FeedLimits { piece_bytes, pieces_max }
}

impl<S: StateMachine> RaftSystem<S> {
    fn begin_restore(&mut self, restore: Restore) -> Result<Parked<RestoreResult>, RestoreError> {
        if let Some(refusal) = self.lifecycle.refusal() {
            return Err((&refusal).into());
        }
        if self.leadership.here.is_none() {
            return Err(RestoreError::NotLeader { leader: self.leadership.leader.clone() });
        }
        if self.restores.under_way.is_some() {
            return Err(RestoreError::InProgress);
        }
        let limits = feed_limits(&self.node.config);
        let bytes = limits.piece_bytes * limits.pieces_max;
        let credit = self.credits.try_acquire(1, bytes as u64).ok_or(RestoreError::Overloaded)?;
        let number = self.next_request();
        let caller = Rc::<RefCell<_>>::default();
        self.restores.under_way = Some(UnderWay {
            number,
            term: self.leadership.term,
            deadline: self.node.now().saturating_add(restore.timeout),
            stage: Stage::Feeding { begun: false },
            caller: caller.clone(),
            restorer: Restorer::start(&self.node, number, restore, S::check_snapshot, limits),
            _credit: credit,
        });
        Ok(Parked::Later(caller))
    }

    /// Answers the caller of the restore under way. Another may begin as soon as no copy is being made for this one: that
    /// lasts until whoever gives the snapshot lets go.
    fn end_restore(&mut self, result: RestoreResult) {
        let Some(restore) = &mut self.restores.under_way else { return };
        let stage = std::mem::replace(&mut restore.stage, Stage::Over);
        if stage == Stage::Over {
            return;
        }
        restore.restorer.send_now(StopActor);
        if let Some(sender) = restore.caller.take() {
            // A caller that has gone needs no answer.
            let _ = sender.send(result);
        }
        let (number, term) = (restore.number, restore.term);
        if stage != (Stage::Feeding { begun: false }) {
            self.restores.under_way = None;
        }
        if stage == (Stage::Feeding { begun: true }) && self.leads_in(term) {
            self.send_piece(number, &RestorePiece::given_up(number), Caller::Nobody, Duration::MAX);
        }
    }

    fn leads_in(&self, term: Term) -> bool {
        self.leadership.here.is_some() && self.leadership.term == term
    }

    fn send_piece(&mut self, number: u64, piece: &RestorePiece<'_>, caller: Caller<S>, deadline: Duration) {
        // What came before goes before.
        self.cut_batch();
        tracing::trace!(node = %self.node.id, restore = number, offset = piece.offset, "piece");
        let mut buffer = EntryBuffer::with_capacity(piece.bytes.len() + 2 * RestorePiece::HEADER_BYTES);
        let Ok(_) = buffer.push_with(EntryKind::RestorePiece, |data| {
            data.put_slice(&piece.header());
            data.put_slice(piece.bytes);
            Ok::<_, std::convert::Infallible>(())
        });
        let waiting = vec![Waiting { caller, deadline }];
        self.route(Batch::new(Proposal::new(buffer), waiting, Reach::Term, None));
    }

    /// The leader here is deposed: what is not all in its log never will be.
    pub(super) fn break_restore_off(&mut self) {
        if self.restores.is_feeding() {
            self.end_restore(Err(RestoreError::LeadershipLost));
        }
    }

    /// Ends a restore that is not all in the log when its time is over.
    pub(super) fn expire_restore(&mut self) {
        let due = self.restores.under_way.as_ref().is_some_and(|restore| restore.deadline <= self.now);
        if due && self.restores.is_feeding() {
            self.end_restore(Err(RestoreError::Timeout));
        }
    }

    /// Ends a restore that is not all in the log: the node is stopping.
    pub(super) fn call_off_restore(&mut self) {
        if self.restores.is_feeding() {
            self.end_restore(Err(RestoreError::ShuttingDown));
        }
    }

    /// Ends whatever is under way: the node is going down.
    pub(super) fn settle_restore(&mut self, refusal: &Refusal) {
        let feeding = self.restores.is_feeding();
        let unknown = RestoreError::OutcomeUnknown { index: None, why: UnknownReason::Stopped };
        self.end_restore(Err(if feeding { refusal.into() } else { unknown }));
    }
}

impl From<&Refusal> for RestoreError {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            // Its pieces were to go to this leader alone.
            Refusal::NotLeader(_) => Self::LeadershipLost,
            Refusal::Overloaded | Refusal::TooLarge { .. } => Self::Overloaded,
            Refusal::ShuttingDown => Self::ShuttingDown,
            Refusal::Failed(fatal) => Self::Failed(fatal.clone()),
        }
    }
}

impl<S: StateMachine> Handler<Restore> for RaftSystem<S> {
    type Result = Parked<RestoreResult>;

    fn handle(&mut self, restore: Restore, _: &mut Context<Self>) -> Self::Result {
        self.begin_restore(restore).unwrap_or_else(|error| Parked::Now(Err(error)))
    }
}

impl<S: StateMachine> Handler<ProposePiece> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, message: ProposePiece, _: &mut Context<Self>) {
        let ProposePiece { restore: number, offset, whole: (length, checksum), bytes } = message;
        let Some(restore) = self.restores.numbered(number) else { return };
        let (term, deadline) = (restore.term, restore.deadline);
        if !matches!(restore.stage, Stage::Feeding { .. }) {
            return;
        }
        let piece = RestorePiece { restore: number, offset, length, checksum, bytes: &bytes };
        let last = piece.is_last();
        restore.stage = if last { Stage::Sent } else { Stage::Feeding { begun: true } };
        debug_assert!(self.leads_in(term), "a restore ends with its leadership");
        let caller = Caller::Piece { restore: number, last, settled: self.pieces.clone() };
        self.send_piece(number, &piece, caller, deadline);
    }
}

impl<S: StateMachine> Handler<PieceSettled> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, PieceSettled { restore, last, result }: PieceSettled, _: &mut Context<Self>) {
        let Some(under_way) = self.restores.numbered(restore) else { return };
        let feeding = matches!(under_way.stage, Stage::Feeding { .. });
        match result {
            Ok((index, RestoreStep::Complete)) if last => self.end_restore(Ok(index)),
            Ok((_, RestoreStep::Begun | RestoreStep::Extended)) => under_way.restorer.send_now(PieceApplied),
            // What becomes of the last one says what becomes of all.
            Ok(_) if last || feeding => self.end_restore(Err(RestoreError::Damaged)),
            Err(error) if last => self.end_restore(Err(error)),
            Err(error) if feeding => self.end_restore(Err(error.of_unfinished())),
            Ok(_) | Err(_) => {}
        }
        self.go_on_stopping();
    }
}

impl<S: StateMachine> Handler<FeedingEnded> for RaftSystem<S> {
    type Result = ();

    fn handle(&mut self, FeedingEnded { restore, result }: FeedingEnded, _: &mut Context<Self>) {
        if self.restores.numbered(restore).is_none() {
            return;
        }
        if let Err(error) = result {
            self.end_restore(Err(error));
        }
        self.restores.under_way = None;
    }
}
