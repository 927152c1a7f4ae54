//! Pieces of a user's snapshot as entries: with the last one the snapshot replaces the state.

use std::{io, sync::Arc};

use super::{
    FsmStep,
    step::{Halt, RESTORE_BYTES},
};
use crate::{
    error::Fatal,
    messages::{Replied, StateReplaced},
    state_machine::StateMachine,
    storage::{StorageError, staging::StagedSnapshot},
    types::{EntryRef, RestorePiece},
};

impl<S: StateMachine> FsmStep<S> {
    /// The entry is a piece: the same on every node. One that has no room for it waits: the log has it.
    pub(super) fn apply_piece(&mut self, entry: EntryRef<'_>) -> Result<Replied<S>, Halt> {
        let at = entry.id();
        let undecodable =
            || Fatal::Undecodable { index: at.index, reason: "no piece of a snapshot".to_owned() };
        let piece = RestorePiece::decode(entry.data).ok_or_else(undecodable)?;
        let taken = self.restores.take(entry.term, &piece);
        let (step, whole) = taken.map_err(|error| match error {
            StorageError::Full { .. } => Halt::Full(Arc::new(error)),
            error => Halt::Failed(Fatal::Storage(Arc::new(error))),
        })?;
        let failed = |reason| Fatal::Restore { last: at, reason };
        if let Some(mut whole) = whole {
            verify(&mut whole, piece.checksum).map_err(failed)?;
            let mut reader = io::BufReader::with_capacity(RESTORE_BYTES, whole.reader());
            self.machine.restore(&mut reader).map_err(|error| failed(error.to_string()))?;
            self.restores.replaced = Some(StateReplaced { at });
        }
        Ok(Replied::Piece(step))
    }

    /// The log ends here for good, and with it a restore whose last piece it lacks.
    pub(crate) fn give_up_restore(&mut self) {
        self.restores.give_up();
    }
}

/// Whether what the disk gives back is what was put there: damage that is found later finds a state half replaced.
fn verify(whole: &mut StagedSnapshot, checksum: u32) -> Result<(), String> {
    let mut sum = Summing(0);
    let mut reader = io::BufReader::with_capacity(RESTORE_BYTES, whole.reader());
    io::copy(&mut reader, &mut sum).map_err(|error| error.to_string())?;
    if sum.0 == checksum { Ok(()) } else { Err("the copy that was put together here is damaged".to_owned()) }
}

/// The checksum of what is written to it.
struct Summing(u32);

impl io::Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = crc32c::crc32c_append(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
