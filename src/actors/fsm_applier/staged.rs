//! The pieces of a user's snapshot that are here, put together beside the state.

use crate::{
    messages::StateReplaced,
    protocol::{Restoration, RestoreStep},
    storage::{
        StorageError,
        staging::{StagedSnapshot, StagingArea},
    },
    types::{RestorePiece, Term},
};

/// A snapshot on its way through the log, as far as it is applied.
pub(super) struct Restores {
    rule: Restoration,
    staging: StagingArea,
    /// The bytes that are here of the one that the rule knows to be unfinished.
    staged: Option<StagedSnapshot>,
    /// The state was replaced, and nobody has been told.
    pub(super) replaced: Option<StateReplaced>,
}

impl Restores {
    pub(super) fn new(staging: StagingArea) -> Self {
        Self { rule: Restoration::default(), staging, staged: None, replaced: None }
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.rule.is_unfinished()
    }

    /// An entry of this term is applied.
    #[inline]
    pub(super) fn pass(&mut self, term: Term) {
        if self.rule.is_unfinished() {
            self.rule.pass(term);
            self.drop_unwanted();
        }
    }

    /// Nothing comes any more of the one that is on its way.
    pub(super) fn give_up(&mut self) {
        self.rule = Restoration::default();
        self.drop_unwanted();
    }

    fn drop_unwanted(&mut self) {
        if !self.rule.is_unfinished() {
            self.staged = None;
        }
    }

    /// Takes a piece. With the last one, the snapshot it completes. A piece that finds no room has changed nothing, and may be
    /// taken again.
    pub(super) fn take(
        &mut self,
        term: Term,
        piece: &RestorePiece<'_>,
    ) -> Result<(RestoreStep, Option<StagedSnapshot>), StorageError> {
        let mut rule = self.rule.clone();
        let step = rule.fold(term, piece);
        if step.is_kept() {
            self.stage(piece)?;
        }
        self.rule = rule;
        let whole = if step == RestoreStep::Complete { self.staged.take() } else { None };
        self.drop_unwanted();
        Ok((step, whole))
    }

    fn stage(&mut self, piece: &RestorePiece<'_>) -> Result<(), StorageError> {
        if piece.offset == 0 {
            // Its room may be what the new one needs.
            self.staged = None;
            self.staged = Some(self.staging.create()?);
        }
        self.staged.as_mut().expect("a piece is kept behind the first").append(piece.bytes)
    }
}
