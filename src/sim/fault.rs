//! What can be done to a simulated cluster.

use std::{fmt, time::Duration};

use super::vfs::SyncFailure;

/// Which node a fault is meant for: told when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Whoever leads then; the first node if nobody does.
    Leader,
    /// The node with this number, counted from zero.
    Node(usize),
}

/// How a membership is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipDeed {
    /// Somebody who has no vote gets one.
    Add,
    /// Somebody who is no member becomes a nonvoter.
    AddNonvoter,
    /// A voter loses its vote.
    Demote,
    /// A member is removed.
    Remove,
}

impl MembershipDeed {
    /// Some deed: voters are added and removed most.
    pub(super) fn draw(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(..10) {
            0..4 => Self::Add,
            4 => Self::AddNonvoter,
            5 => Self::Demote,
            _ => Self::Remove,
        }
    }
}

/// A fault and what is needed to do it again.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// `kill -9`: what was written is in the page cache, what was not is gone.
    Kill {
        /// Whom.
        target: Target,
        /// How long to wait for a moment at which something is not flushed.
        patience: Duration,
        /// Until it is started again.
        down: Duration,
    },
    /// The machine loses power and with it an arbitrary part of what was not flushed.
    PowerLoss {
        /// Whom.
        target: Target,
        /// At which change of the disk from now on; `None` at the moment that `patience` waits for.
        operation: Option<u64>,
        /// How long to wait for a moment at which something is not flushed.
        patience: Duration,
        /// Decides what survives.
        seed: u64,
        /// Until it is started again.
        down: Duration,
    },
    /// The process dies between a write and its flush: what was written is in the page cache alone.
    KillInFlush {
        /// Whom.
        target: Target,
        /// At which change of the disk from now on.
        operation: u64,
        /// How long after its next start the machine loses power, if it does: before what it found in the page
        /// cache is durable, unless it saw to that.
        then_power_loss: Option<Duration>,
        /// Until it is started again.
        down: Duration,
    },
    /// Every machine loses power at the same instant.
    SitePowerLoss {
        /// Decides what survives.
        seed: u64,
        /// Until they are started again.
        down: Duration,
    },
    /// The data directory is lost, and the node started with an empty one.
    Wipe {
        /// Whom.
        target: Target,
    },
    /// An orderly shutdown and a start.
    Restart {
        /// Whom.
        target: Target,
        /// Until it is started again.
        down: Duration,
    },
    /// The process is stopped (`SIGSTOP`) and goes on.
    Pause {
        /// Whom.
        target: Target,
        /// How long.
        span: Duration,
    },
    /// Two groups cannot reach each other.
    Partition {
        /// The numbers of one group, as bits.
        group: u64,
        /// How long.
        span: Duration,
    },
    /// Some directions are lost, drawn link by link: one-way and partial partitions.
    PartialPartition {
        /// Draws the directions.
        seed: u64,
        /// How many of a hundred directions are lost.
        percent: u8,
        /// How long.
        span: Duration,
    },
    /// What goes from one node to another is held back, and arrives later all at once.
    Clog {
        /// From whom.
        from: Target,
        /// To whom.
        to: usize,
        /// How long.
        span: Duration,
    },
    /// The connections of a node break.
    Reset {
        /// Whose.
        target: Target,
    },
    /// The network is as bad as these say, all over.
    Weather {
        /// Per thousand: lost, doubled, reordered, damaged, connection reset.
        per_mille: [u16; 5],
        /// The longest latency.
        latency: Duration,
        /// How long.
        span: Duration,
    },
    /// A disk hangs.
    DiskStall {
        /// Whose.
        target: Target,
        /// How long.
        span: Duration,
    },
    /// A disk has no room.
    DiskFull {
        /// Whose.
        target: Target,
        /// How long.
        span: Duration,
    },
    /// A write fails once (`EIO`).
    WriteError {
        /// Whose.
        target: Target,
        /// Until the node that stopped for it is started again.
        down: Duration,
    },
    /// A flush fails once.
    FailedFlush {
        /// Whose.
        target: Target,
        /// What the page cache holds afterwards.
        how: SyncFailure,
        /// Until the node that stopped for it is started again.
        down: Duration,
    },
    /// Somebody changes the membership, as far as a majority of healthy voters stays. Not a fault.
    ChangeMembership {
        /// How.
        deed: MembershipDeed,
        /// Decides whose, and which node is asked.
        seed: u64,
    },
    /// Somebody has one node remove another at once, whatever the state of the cluster. Not a fault.
    RemoveServer {
        /// Who is asked.
        asked: usize,
        /// Who is to go.
        server: usize,
    },
    /// A bit of what is on a disk turns while the node is down.
    Rot {
        /// Whose.
        target: Target,
        /// Decides where.
        seed: u64,
        /// Until it is started again.
        down: Duration,
    },
    /// Whoever leads is asked to hand leadership on: no fault, but a moment at which others strike harder.
    Transfer {
        /// To whom; `None` for whoever is furthest.
        to: Option<usize>,
    },
    /// Clients ask nothing for a while. Never drawn: for plans that are made for something.
    Quiet {
        /// How long.
        span: Duration,
    },
    /// Something is done for one of the activities that the run has had too little of so far. Not a fault, and never
    /// drawn.
    Remedy {
        /// Decides for which, and how.
        seed: u64,
    },
    /// A state machine takes its time.
    SlowMachine {
        /// Whose.
        target: Target,
        /// For each portion.
        each: Duration,
        /// How long.
        span: Duration,
    },
}

impl Fault {
    /// Its kind's name, in the counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::PowerLoss { operation: None, .. } => "power loss",
            Self::PowerLoss { operation: Some(_), .. } => "power loss in a flush",
            Self::KillInFlush { .. } => "kill in a flush",
            Self::SitePowerLoss { .. } => "power loss of all",
            Self::Wipe { .. } => "wipe",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::Partition { .. } => "partition",
            Self::PartialPartition { .. } => "partial partition",
            Self::Clog { .. } => "clog",
            Self::Reset { .. } => "reset",
            Self::Weather { .. } => "weather",
            Self::DiskStall { .. } => "disk stall",
            Self::DiskFull { .. } => "disk full",
            Self::WriteError { .. } => "write error",
            Self::FailedFlush { .. } => "failed flush",
            Self::ChangeMembership { .. } | Self::RemoveServer { .. } => "membership change",
            Self::Rot { .. } => "rot",
            Self::Transfer { .. } => "transfer",
            Self::Quiet { .. } => "quiet",
            Self::Remedy { .. } => "remedy",
            Self::SlowMachine { .. } => "slow state machine",
        }
    }
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Virtual time since the run began.
    pub at: Duration,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} s  {:?}", self.at.as_secs_f64(), self.fault)
    }
}
