//! How a restore is refused.

use std::sync::Arc;

use thiserror::Error;

use super::{Fatal, LeaderHint, UnknownReason, hint};
use crate::{storage::StorageError, types::LogIndex};

/// Why a [`Restore`](crate::Restore) is not known to have replaced the state.
///
/// Every variant but [`OutcomeUnknown`](Self::OutcomeUnknown) means that this restore takes *no effect*, now and for
/// ever: a restore without its last piece is nothing.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// This node is not the leader; a restore is not passed on.
    #[error("not the leader{}", hint(.leader))]
    NotLeader {
        /// Who is, if known.
        leader: Option<LeaderHint>,
    },
    /// Another restore is under way, or has not let go yet of what it was given.
    #[error("another restore is under way")]
    InProgress,
    /// Too many requests or bytes are waiting.
    #[error("overloaded: too many requests wait for an answer")]
    Overloaded,
    /// The node has no place for snapshots.
    #[error("snapshots are not supported: {0}")]
    Unsupported(&'static str),
    /// The snapshot is larger than [`Config::snapshot_bytes_max`](crate::Config::snapshot_bytes_max).
    #[error("the snapshot takes more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The snapshot could not be read to its end.
    #[error("the snapshot cannot be read: {0}")]
    Unreadable(String),
    /// The state machine says that this is no state of its.
    #[error("the state machine refuses the snapshot: {0}")]
    Invalid(String),
    /// There is no room to keep the snapshot while it is checked and sent, or another error of the disk.
    #[error("the snapshot cannot be kept meanwhile: {0}")]
    Storage(Arc<StorageError>),
    /// What came out of the log is not what was put into it: the copy that the leader kept meanwhile was damaged.
    #[error("the snapshot was damaged on its way")]
    Damaged,
    /// Leadership was lost before the last piece was in the log.
    #[error("leadership was lost before the snapshot was in the log")]
    LeadershipLost,
    /// The deadline passed before the last piece was in the log.
    #[error("the snapshot was not in the log before the deadline")]
    Timeout,
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has failed.
    #[error("the node has failed: {0}")]
    Failed(Fatal),
    /// The last piece was on its way into the log, and it is not known what became of it: the state may have been
    /// replaced, may still be, or never will. It may be restored again.
    #[error("outcome unknown: {why}")]
    OutcomeUnknown {
        /// The index of the last piece, if it got one.
        index: Option<LogIndex>,
        /// What happened.
        why: UnknownReason,
    },
}

impl RestoreError {
    /// Whether this restore is known to take no effect, now and for ever.
    pub fn is_refused(&self) -> bool {
        !matches!(self, Self::OutcomeUnknown { .. })
    }

    /// What is told of a restore when this became of a piece before its last: the piece may be in the log, and is nothing
    /// by itself, so that no more than why is left to say.
    pub(crate) fn of_unfinished(self) -> Self {
        match self {
            Self::OutcomeUnknown { why: UnknownReason::Deadline, .. } => Self::Timeout,
            Self::OutcomeUnknown { why: UnknownReason::Stopped, .. } => Self::ShuttingDown,
            Self::OutcomeUnknown { .. } => Self::LeadershipLost,
            refused => refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_restore_without_its_last_piece_nothing_is_unknown_but_the_reason_is_told() {
        let unknown = |why| RestoreError::OutcomeUnknown { index: Some(LogIndex(7)), why }.of_unfinished();
        assert!(matches!(unknown(UnknownReason::Deadline), RestoreError::Timeout));
        assert!(matches!(unknown(UnknownReason::Stopped), RestoreError::ShuttingDown));
        assert!(matches!(unknown(UnknownReason::LeadershipLost), RestoreError::LeadershipLost));
        assert!(matches!(unknown(UnknownReason::LeaderUncertain), RestoreError::LeadershipLost));
        assert!(matches!(RestoreError::Overloaded.of_unfinished(), RestoreError::Overloaded));
        let failed = Fatal::Thread("none".to_owned());
        assert!(matches!(RestoreError::Failed(failed).of_unfinished(), RestoreError::Failed(_)));
    }
}
