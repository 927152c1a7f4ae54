//! How requests fail. Each variant says whether the command may still take effect.

mod operating;
mod recover;
mod restore;

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::{
    config::ConfigError,
    storage::StorageError,
    transport::TransportError,
    types::{LogId, LogIndex, MembershipError, NodeId},
};

pub use operating::{BootstrapError, ChangeError, ObserveError, TransferError};
pub use recover::RecoverError;
pub use restore::RestoreError;

/// Who leads, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// The leader.
    pub id: NodeId,
    /// Where it listens for other nodes.
    pub address: String,
}

/// Why an [`Apply`](crate::messages::Apply) did not succeed.
///
/// Every variant but [`OutcomeUnknown`](Self::OutcomeUnknown) and [`SequenceTooOld`](Self::SequenceTooOld) means that
/// this request was *definitely not applied*, and gives the command back.
#[derive(Error)]
#[non_exhaustive]
pub enum ApplyError<C> {
    /// This node is not the leader, or none was found before the deadline. Not applied.
    #[error("not the leader{}", hint(.leader))]
    NotLeader {
        /// Who is, if known.
        leader: Option<LeaderHint>,
        /// The command.
        command: C,
    },
    /// Too many requests or bytes are waiting. Not applied; try again later.
    #[error("overloaded: too many requests wait for an answer")]
    Overloaded {
        /// The command.
        command: C,
    },
    /// The encoded command is larger than [`Config::entry_bytes_max`](crate::Config::entry_bytes_max).
    /// Not applied.
    #[error("the command takes {bytes} bytes, more than {bytes_max}")]
    EntryTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
        /// The command.
        command: C,
    },
    /// The command does not encode. Not applied.
    #[error("the command does not encode: {reason}")]
    Encode {
        /// What serde said.
        reason: String,
        /// The command.
        command: C,
    },
    /// The node is stopping. Not applied.
    #[error("the node is shutting down")]
    ShuttingDown {
        /// The command.
        command: C,
    },
    /// The node has failed. Not applied.
    #[error("the node has failed: {fatal}")]
    Failed {
        /// Why.
        fatal: Fatal,
        /// The command.
        command: C,
    },
    /// The session has ended, or never began: this attempt was not applied. If an earlier one of the same sequence
    /// ended in [`OutcomeUnknown`](Self::OutcomeUnknown), that one may have been, and nothing remembers it.
    #[error("the client session has expired")]
    SessionExpired {
        /// The command.
        command: C,
    },
    /// The session has gone so far past this sequence that its reply is not kept, or the reply was too large to be:
    /// this attempt was not applied, an earlier one may have been.
    #[error("the session has gone past this sequence; its reply is not kept")]
    SequenceTooOld,
    /// It was not decided in time, or leadership was lost meanwhile: the command may have been applied,
    /// may still be, or never will. Only an idempotent command is safe to repeat, or one in a session.
    #[error("outcome unknown: {why}")]
    OutcomeUnknown {
        /// The index it was given, if it got one on this node.
        index: Option<LogIndex>,
        /// What happened.
        why: UnknownReason,
    },
}

/// Why the outcome of a command is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The deadline passed after the command was logged or forwarded.
    #[error("the deadline passed after the command was logged or forwarded")]
    Deadline,
    /// Leadership was lost after the command was logged.
    #[error("leadership was lost after the command was logged")]
    LeadershipLost,
    /// The connection to the leader was lost after the command was forwarded.
    #[error("the connection to the leader was lost after the command was forwarded")]
    ConnectionLost,
    /// The leader could not say.
    #[error("the leader could not say")]
    LeaderUncertain,
    /// The node stopped or failed after the command was logged.
    #[error("the node stopped after the command was logged")]
    Stopped,
    /// The session expired before a retry could tell.
    #[error("the session expired before a retry could tell")]
    SessionExpired,
}

/// Without the command: it may not be printable, and may be a secret.
impl<C> fmt::Debug for ApplyError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApplyError({self})")
    }
}

impl<C> ApplyError<C> {
    /// Whether the command is known not to have been applied by this request, now and for ever.
    pub fn is_refused(&self) -> bool {
        !matches!(self, Self::OutcomeUnknown { .. } | Self::SequenceTooOld)
    }

    /// The command, if it was given back.
    pub fn into_command(self) -> Option<C> {
        match self {
            Self::NotLeader { command, .. }
            | Self::Overloaded { command }
            | Self::EntryTooLarge { command, .. }
            | Self::Encode { command, .. }
            | Self::ShuttingDown { command }
            | Self::SessionExpired { command }
            | Self::Failed { command, .. } => Some(command),
            Self::OutcomeUnknown { .. } | Self::SequenceTooOld => None,
        }
    }
}

/// Why a [`Read`](crate::messages::Read) was not answered. Reads change nothing and may be repeated.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// This node is not the leader, and forwarding is off or would not help.
    #[error("not the leader{}", hint(.leader))]
    NotLeader {
        /// Who is, if known.
        leader: Option<LeaderHint>,
    },
    /// No leader confirmed the read, or the state machine did not answer it, before the deadline.
    #[error("the read was not confirmed before its deadline")]
    Timeout,
    /// Too many requests are waiting.
    #[error("overloaded: too many requests wait for an answer")]
    Overloaded,
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has failed.
    #[error("the node has failed: {0}")]
    Failed(Fatal),
}

/// Why a node stopped for good. Every waiting caller gets it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Fatal {
    /// The store failed; after a failed flush nothing of it can be trusted until a restart.
    #[error("storage failed: {0}")]
    Storage(Arc<StorageError>),
    /// An actor or the state machine panicked.
    #[error("{actor} panicked: {message}")]
    Panicked {
        /// Which.
        actor: String,
        /// What it said.
        message: String,
    },
    /// A thread that the node needs could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(String),
    /// Something happened that the protocol excludes.
    #[error("broken invariant: {0}")]
    Invariant(String),
    /// A committed command does not decode: the state machine is of another version.
    #[error("entry {index} does not decode: {reason}")]
    Undecodable {
        /// Which entry.
        index: LogIndex,
        /// What serde said.
        reason: String,
    },
    /// The state machine cannot read a snapshot: it is of another version. Or one that a user restores cannot be put
    /// together or read here.
    #[error("the snapshot up to {last} cannot be restored: {reason}")]
    Restore {
        /// The last entry that it holds, or the one with which it takes effect.
        last: LogId,
        /// What the state machine said.
        reason: String,
    },
}

/// Why a [`Snapshot`](crate::messages::Snapshot) was not taken. The log keeps what it holds.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Nothing was applied since the newest snapshot.
    #[error("nothing was applied since the newest snapshot")]
    NothingNew,
    /// The state machine has no snapshots, or the node has no place for them.
    #[error("snapshots are not supported: {0}")]
    Unsupported(&'static str),
    /// One is being taken already.
    #[error("a snapshot is being taken already")]
    InProgress,
    /// Part of a snapshot that a user restores is here, and it would be missing in this one.
    #[error("the state is about to be replaced by a restore")]
    Restoring,
    /// The store has no room, or another error; the node goes on without this snapshot.
    #[error("the snapshot was given up: {0}")]
    Storage(Arc<StorageError>),
    /// The state could not be written: what the state machine or the medium said.
    #[error("the state could not be written: {0}")]
    Persist(String),
    /// The node is stopping.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has failed.
    #[error("the node has failed: {0}")]
    Failed(Fatal),
}

/// Why a node did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The list of peers is not a membership.
    #[error("peers: {0}")]
    Peers(#[from] MembershipError),
    /// The store did not open.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The address cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Something is missing that has no default.
    #[error("{0}")]
    Incomplete(&'static str),
    /// The cluster was to be recovered first.
    #[error("recovering the cluster: {0}")]
    Recover(#[from] RecoverError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

fn hint(leader: &Option<LeaderHint>) -> String {
    match leader {
        Some(leader) => format!("; {} at {} is", leader.id, leader.address),
        None => "; none is known".to_owned(),
    }
}
