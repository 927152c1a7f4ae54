//! What nodes say to each other (Raft Figure 2, thesis §9.6), whatever carries it.
//!
//! Every request that votes or acknowledges names the sender's [`Incarnation`], so that what a lost
//! data directory promised is never counted for the one that took its place.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ChangeFailure, ClusterId, ClusterOperation, Entries, EntryKind, ForwardTransfer, ForwardTransferResponse,
    Incarnation, LogId, LogIndex, Membership, NodeId, SnapshotMeta, Term,
};

/// A request from one node to another.
#[derive(Clone, Debug)]
pub enum Request {
    /// Replicate entries, or probe for where the logs agree. Bulk lane.
    AppendEntries(AppendEntries),
    /// Say that the leader lives, and ask whether the follower still follows. Control lane.
    Heartbeat(Heartbeat),
    /// Ask whether a vote would be granted. Control lane.
    PreVote(RequestVote),
    /// Ask for a vote. Control lane.
    RequestVote(RequestVote),
    /// Tell a follower to stand for election at once. Control lane.
    TimeoutNow(TimeoutNow),
    /// Ask a peer what it is, before there is a cluster. Control lane.
    Greet(Greet),
    /// Hand commands to the leader. Forward lane.
    ForwardApply(ForwardApply),
    /// Ask the leader for an index up to which a local read must wait. Forward lane.
    ForwardReadIndex(ForwardReadIndex),
    /// Have the leader change the cluster. Forward lane.
    ForwardChange(ForwardChange),
    /// Have the leader hand leadership on. Forward lane.
    ForwardTransfer(ForwardTransfer),
    /// Give a follower a piece of a snapshot in place of entries that are gone. Snapshot lane.
    InstallSnapshot(InstallSnapshot),
}

/// The answer to a [`Request`] of the same name.
#[derive(Clone, Debug)]
pub enum Response {
    /// To [`Request::AppendEntries`].
    AppendEntries(AppendEntriesResponse),
    /// To [`Request::Heartbeat`].
    Heartbeat(HeartbeatResponse),
    /// To [`Request::PreVote`].
    PreVote(RequestVoteResponse),
    /// To [`Request::RequestVote`].
    RequestVote(RequestVoteResponse),
    /// To [`Request::TimeoutNow`].
    TimeoutNow(TimeoutNowResponse),
    /// To [`Request::Greet`].
    Greet(GreetResponse),
    /// To [`Request::ForwardApply`].
    ForwardApply(ForwardApplyResponse),
    /// To [`Request::ForwardReadIndex`].
    ForwardReadIndex(ForwardReadIndexResponse),
    /// To [`Request::ForwardChange`].
    ForwardChange(ForwardChangeResponse),
    /// To [`Request::ForwardTransfer`].
    ForwardTransfer(ForwardTransferResponse),
    /// To [`Request::InstallSnapshot`].
    InstallSnapshot(InstallSnapshotResponse),
}

/// Which connection to a peer a request takes, so that votes and heartbeats never queue behind entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Votes, heartbeats, greetings: small and urgent.
    Control,
    /// Entries.
    Bulk,
    /// Forwarded client requests.
    Forward,
    /// Snapshots: long, and in no hurry.
    Snapshot,
}

impl Request {
    /// The lane this request belongs on.
    pub fn lane(&self) -> Lane {
        match self {
            Self::AppendEntries(_) => Lane::Bulk,
            Self::Heartbeat(_)
            | Self::PreVote(_)
            | Self::RequestVote(_)
            | Self::TimeoutNow(_)
            | Self::Greet(_) => Lane::Control,
            Self::ForwardApply(_)
            | Self::ForwardReadIndex(_)
            | Self::ForwardChange(_)
            | Self::ForwardTransfer(_) => Lane::Forward,
            Self::InstallSnapshot(_) => Lane::Snapshot,
        }
    }

    /// Whether it may come twice without harm. A command, a change or a transfer that did might be done twice.
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Self::ForwardApply(_) | Self::ForwardChange(_) | Self::ForwardTransfer(_))
    }
}

/// Leader → follower: entries to append behind `prev` (Raft §5.3).
#[derive(Clone, Debug)]
pub struct AppendEntries {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: NodeId,
    /// The entry just before `entries`; the follower refuses unless its log holds it.
    pub prev: LogId,
    /// The leader's commit index. The follower commits no further than this request covers.
    pub commit: LogIndex,
    /// What to append; empty to probe or to pass on the commit index.
    pub entries: Entries,
}

/// Follower → leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendEntriesResponse {
    /// The follower's term; a higher one deposes the leader.
    pub term: Term,
    /// The follower's incarnation; another than the membership names counts for nothing.
    pub incarnation: Incarnation,
    /// What became of the request.
    pub outcome: AppendOutcome,
}

/// What a follower did with an [`AppendEntries`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// Everything up to `matched` is equal to the leader's log and durable.
    Matched {
        /// The smaller of the durable index and the last index this leader proved equal.
        matched: LogIndex,
    },
    /// The log does not hold `prev`; the hint lets the leader skip whole terms (Raft §5.3, end).
    Conflict {
        /// The `prev.index` that was refused, so that late answers are told from fresh ones.
        refused: LogIndex,
        /// Where the follower's log may agree: look no later than here.
        hint: LogId,
    },
    /// Of an older term, or the node takes no entries now.
    Refused,
}

/// Leader → follower, on a connection of its own: never waits for log, disk or entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: NodeId,
    /// Which round of heartbeats this belongs to; the answer repeats it (thesis §6.4).
    pub round: u64,
}

/// Follower → leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatResponse {
    /// The follower's term.
    pub term: Term,
    /// The follower's incarnation.
    pub incarnation: Incarnation,
    /// The round that was answered.
    pub round: u64,
    /// Whether the follower follows this leader in this term.
    pub follows: bool,
    /// For how long, in milliseconds from when the heartbeat came, the follower elects nobody else; zero if it
    /// does not follow.
    pub sticks_ms: u64,
}

/// Candidate → voter (Raft §5.2; pre-vote: thesis §9.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestVote {
    /// The term stood for. In a pre-vote nobody has entered it yet.
    pub term: Term,
    /// The candidate.
    pub candidate: NodeId,
    /// The candidate's incarnation.
    pub incarnation: Incarnation,
    /// The end of the candidate's log, flushed or not.
    pub last: LogId,
    /// The leader itself asked for this election: stickiness does not apply.
    pub leadership_transfer: bool,
    /// The candidate is withheld and needs every voter, each comparing its real tail.
    pub unanimous: bool,
}

/// Voter → candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestVoteResponse {
    /// The voter's term. In a granted pre-vote, the term asked about.
    pub term: Term,
    /// The voter's incarnation.
    pub incarnation: Incarnation,
    /// Whether the vote is given; a real one is durable by now.
    pub granted: bool,
}

/// Leader → follower: stand for election now (thesis §3.10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: NodeId,
}

/// Follower → leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutNowResponse {
    /// The follower's term.
    pub term: Term,
    /// Whether it stands.
    pub accepted: bool,
}

/// Who are you? A blank node asks its listed peers, to form a cluster with them; a leader asks a server that is to
/// be added; a node that waits to be added asks members, to learn which cluster that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greet {
    /// The asking node.
    pub from: NodeId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Hash of the list of peers it was started with: ids and addresses; zero if it was given none.
    pub peers_hash: u64,
    /// The cluster that a leader is about to add the greeted node to; [`ClusterId::NONE`] if it only asks.
    pub admits: ClusterId,
}

/// What a node is, told to one that greets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GreetResponse {
    /// The answering node.
    pub from: NodeId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Hash of the list of peers it was started with; zero if it was given none.
    pub peers_hash: u64,
    /// `None` while it is blank and knows of no cluster that it is to belong to.
    pub state: Option<ClusterState>,
}

/// What a node that belongs to a cluster, or waits to be let into one, can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The membership of entry 1, if the node knows it.
    pub first: Option<Membership>,
}

/// Any node → leader: append these commands. One hop: the leader never passes them on.
#[derive(Clone, Debug)]
pub struct ForwardApply {
    /// The commands in order.
    pub commands: Vec<ForwardedCommand>,
    /// How long the caller still waits, in milliseconds from receipt.
    pub timeout_ms: u64,
}

/// What the leader is to append for another node: a command, or what belongs to a client's session. What depends on
/// time or on settings the leader fills in, so that one clock and one set-up decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedCommand {
    /// What it is: [`Command`](EntryKind::Command), or one of the kinds of sessions.
    pub kind: EntryKind,
    /// The data of the entry. The limits in [`OpenSession`](EntryKind::OpenSession) are replaced by the leader's.
    pub data: Bytes,
}

impl From<Bytes> for ForwardedCommand {
    /// A command, as the state machine's encoding.
    fn from(command: Bytes) -> Self {
        Self { kind: EntryKind::Command, data: command }
    }
}

impl From<Vec<u8>> for ForwardedCommand {
    fn from(command: Vec<u8>) -> Self {
        Bytes::from(command).into()
    }
}

/// Leader → forwarding node, one result per command, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardApplyResponse {
    /// One for each command.
    pub results: Vec<ForwardedResult>,
}

/// What became of one forwarded command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForwardedResult {
    /// Applied at `at`; the state machine's reply, encoded. Of what opens or closes a session the reply is empty.
    Applied {
        /// Where it stands in the log.
        at: LogId,
        /// The reply.
        reply: Bytes,
    },
    /// Not leader; definitely not applied.
    NotLeader {
        /// Who is, if known.
        leader: Option<NodeId>,
    },
    /// No room; definitely not applied.
    Overloaded,
    /// Larger than the limit, in bytes; definitely not applied.
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Stopping; definitely not applied.
    ShuttingDown,
    /// It was not decided in time and may still be applied.
    OutcomeUnknown,
    /// Its session is over; this attempt is definitely not applied.
    SessionExpired,
    /// Its session has gone past it; this attempt is definitely not applied, an earlier one may have been.
    SequenceTooOld,
}

/// Any node → leader: up to where must a read that starts now wait (thesis §6.4)?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardReadIndex {
    /// How long the caller still waits, in milliseconds from receipt.
    pub timeout_ms: u64,
    /// Whether to wait also for what is proposed and not committed yet: by an entry behind it.
    pub barrier: bool,
}

/// Leader → asking node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardReadIndexResponse {
    /// The index, confirmed by a quorum after the request came; or who leads instead.
    pub result: Result<LogIndex, Option<NodeId>>,
}

/// Any node → leader: do this to the cluster. One hop; at most once, since it might be done twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardChange {
    /// What.
    pub operation: ClusterOperation,
    /// How long the caller still waits, in milliseconds from receipt.
    pub timeout_ms: u64,
}

/// Leader → forwarding node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardChangeResponse {
    /// The index of the membership that came out, or why there is none.
    pub result: Result<LogIndex, ChangeFailure>,
}

/// Leader → follower: a piece of a snapshot that stands for entries the leader has no more (Raft §7, Figure 13).
///
/// Every piece says what snapshot it is of, so that each can be the first that a follower gets.
#[derive(Clone, Debug)]
pub struct InstallSnapshot {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: NodeId,
    /// What is being sent, and the cluster it is of.
    pub snapshot: SnapshotMeta,
    /// Where `data` lies in the snapshot's content, in bytes.
    pub offset: u64,
    /// A part of the content; empty to ask where to go on.
    pub data: Bytes,
}

/// Follower → leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallSnapshotResponse {
    /// The follower's term; a higher one deposes the leader.
    pub term: Term,
    /// The follower's incarnation.
    pub incarnation: Incarnation,
    /// What became of the request.
    pub outcome: InstallOutcome,
}

/// What a follower did with an [`InstallSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstallOutcome {
    /// The content is here up to `offset`; what begins there is wanted next. With all of the content here it is being
    /// installed.
    Wanted {
        /// In bytes.
        offset: u64,
    },
    /// The log stands behind the snapshot, durably: entries may follow. Also if it did before.
    Installed,
    /// Of an older term, larger than this node takes, or it takes no snapshot now.
    Refused,
}
