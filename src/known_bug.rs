//! Bugs that Raft implementations have had, each behind a switch, so that a simulation can prove that it
//! would catch them. Feature `known-bugs`, for tests only: never in a service.
//!
//! Where a bug would be, the code asks [`KnownBug::is_back`]. Without the feature that is a constant
//! `false`, and nothing of this is left in the build. With it the answer is the calling thread's, since a
//! simulated world runs on one thread: nodes with threads of their own never see a bug.
//!
//! ```
//! # #[cfg(feature = "known-bugs")] {
//! use raftix::known_bug::{KnownBug, bring_back};
//!
//! let bug: KnownBug = "ack-before-flush".parse().unwrap();
//! let back = bring_back(bug);
//! assert!(bug.is_back());
//! drop(back);
//! assert!(!bug.is_back());
//! # }
//! ```
//!
//! What each variant's *Law* names is what must be seen to break. *Election Safety*, *Log Matching*, *Leader
//! Completeness* and *State Machine Safety* are those of Raft Figure 3; *Durability* is that what a node told
//! others outlives a loss of its power; *Linearizability* and *Outcome* are what clients are told; *Liveness* is
//! that a cluster whose faults are over elects a leader and commits.

macro_rules! known_bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal,)+) => {
        /// A bug of a Raft implementation. See the module.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KnownBug {
            $($(#[$doc])* $bug,)+
        }

        #[cfg(feature = "known-bugs")]
        impl KnownBug {
            /// Every one, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$bug,)+];

            /// Its name in kebab-case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)+
                }
            }
        }
    };
}

known_bugs! {
    /// A vote is written as two records, each with a flush of its own: the new term beside the old candidate,
    /// then the candidate; and a candidate that asks again is not compared with the log. A crash between the
    /// two leaves a vote that was never given, for a candidate that may be behind.
    ///
    /// *Source*: hashicorp/raft#661. *Correct*: term and vote are one record, and the log is compared each time.
    /// *Law*: Leader Completeness; a recovered vote is one that was given.
    TornVote = "torn-vote",
    /// A vote leaves before its record is durable; after a loss of power the voter gives it again.
    ///
    /// *Source*: ongardie/raft.tla PR#5, openraft ee460f37. *Correct*: the answer waits for the flush.
    /// *Law*: Election Safety; Durability.
    VoteBeforeFlush = "vote-before-flush",
    /// A higher term is adopted and not written; after a restart the node is in an older one, and may win or
    /// follow again in a term that it has passed.
    ///
    /// *Source*: ongardie/raft.tla PR#5. *Correct*: each new term is written before anything is told in it.
    /// *Law*: Election Safety; a node's term never falls, and is never below its last entry's.
    TermNotSaved = "term-not-saved",
    /// While the record of a vote is being written, another candidate of the same term gets one too.
    ///
    /// *Source*: camunda/zeebe#5356. *Correct*: a vote counts as given from the moment of the decision.
    /// *Law*: Election Safety.
    SecondVoteInFlight = "second-vote-in-flight",
    /// The promise of a pre-vote that comes late is counted as a vote in the election after it.
    ///
    /// *Source*: canonical/raft#196. *Correct*: an answer counts for the question that was asked.
    /// *Law*: Election Safety.
    PreVoteCountsAsVote = "pre-vote-counts-as-vote",
    /// A candidate counts its own vote while the record is being written, and stands anew meanwhile; after a loss of
    /// power it can win the same term twice.
    ///
    /// *Source*: openraft 558e1b94. *Correct*: the own vote waits for its flush as any other.
    /// *Law*: Election Safety; Durability.
    OwnVoteBeforeFlush = "own-vote-before-flush",
    /// Granting a pre-vote makes a node patient anew, so that one that asks often and never stands keeps
    /// everybody else from standing.
    ///
    /// *Source*: hashicorp/raft#609 (42d3446). *Correct*: a promise changes nothing. *Law*: Liveness.
    PreVoteRefreshesContact = "pre-vote-refreshes-contact",
    /// Candidates are compared by the length of their logs alone: a long tail of an old term beats what is
    /// committed.
    ///
    /// *Source*: Raft §5.4.1, where it is ruled out. *Correct*: by the last entry's term, then its index.
    /// *Law*: Leader Completeness.
    CandidateComparedByLength = "candidate-compared-by-length",
    /// The grants of an older election are counted in the one that is open.
    ///
    /// *Source*: openraft 511f33c7. *Correct*: an answer counts in its own round. *Law*: Election Safety.
    OlderRoundCounted = "older-round-counted",
    /// A refused pre-vote's higher term is not noticed: whoever is behind asks about the same term for ever.
    ///
    /// *Source*: openraft#1796 (d6a6d562). *Correct*: the term is adopted. *Law*: Liveness.
    RefusedPreVoteTermIgnored = "refused-pre-vote-term-ignored",
    /// An entry of an older term is committed by counting who holds it, although a later leader may still
    /// replace it.
    ///
    /// *Source*: Raft Figure 8, logcabin#44, canonical/raft#220. *Correct*: only entries of the leader's own term
    /// are counted. *Law*: Leader Completeness; State Machine Safety.
    OlderTermCommitted = "older-term-committed",
    /// The quorum's index is read off where it would be if the voters who are furthest came first: with five voters,
    /// two may commit. With three it takes a leader that is behind with its own disk.
    ///
    /// *Source*: openraft#1802 (f076cf6f). *Correct*: every match index is looked at.
    /// *Law*: what is committed is durable on a quorum; Leader Completeness.
    QuorumTrustsSortedFront = "quorum-trusts-sorted-front",
    /// A leader counts an entry as its own before its flush is done.
    ///
    /// *Source*: openraft a9f696a9, etcd-io/etcd#14370. *Correct*: its own match is its durable index.
    /// *Law*: what is committed is durable on a quorum; Durability.
    LeaderCountsBeforeFlush = "leader-counts-before-flush",
    /// A follower acknowledges entries before they are durable.
    ///
    /// *Source*: openraft ee460f37, tikv#994. *Correct*: the acknowledgement waits for the flush.
    /// *Law*: what is committed is durable on a quorum; Durability.
    AckBeforeFlush = "ack-before-flush",
    /// After a truncation, flushes of what was cut still count for what was written in its place.
    ///
    /// *Source*: etcd-io/raft 2e0653d, openraft cecb5de8. *Correct*: a truncation lowers the durable index, and what
    /// each flush on its way can raise it to. *Law*: the durable index is on the medium and within the log.
    LateFlushCounted = "late-flush-counted",
    /// A follower commits up to the leader's commit index as far as its log goes, past what the request has shown to
    /// be equal: a stale suffix is applied.
    ///
    /// *Source*: hashicorp/raft, `appendEntries` at its present head. *Correct*: no further than the last entry of
    /// the request. *Law*: State Machine Safety.
    CommitBeyondProven = "commit-beyond-proven",
    /// A request that overlaps the log truncates what follows though nothing conflicts: a late one removes what
    /// was acknowledged since. Entries known to be committed here are spared, so that the node does not stop itself.
    ///
    /// *Source*: hashicorp/raft 0f31a01. *Correct*: only from the first conflict on.
    /// *Law*: Durability; what is committed is durable on a quorum.
    OverlapTruncates = "overlap-truncates",
    /// The entry before a request is looked for by its index alone.
    ///
    /// *Source*: Raft §5.3, where it is ruled out. *Correct*: index and term must match. *Law*: Log Matching.
    PrevTermNotCompared = "prev-term-not-compared",
    /// A snapshot is installed into a log that has an entry of another term at the snapshot's last index: that entry and
    /// everything behind it stay, the leader's entries fit nowhere, and the snapshot comes again and again.
    ///
    /// *Source*: hashicorp/raft#697. *Correct*: a log that does not hold the snapshot's last entry goes, all of it.
    /// *Law*: Log Matching; Liveness.
    StaleSuffixKeptUnderSnapshot = "stale-suffix-kept-under-snapshot",
    /// A read joins the round of heartbeats that is already running, with the index taken when that began: what was
    /// acknowledged to a client since is missed by a reader on another node.
    ///
    /// *Source*: etcd-io/etcd#20418; hashicorp/raft `VerifyLeader`. *Correct*: it joins the next round.
    /// *Law*: Linearizability.
    ReadJoinsRunningRound = "read-joins-running-round",
    /// Answers to heartbeats sent before a round began count for it: a deposed leader goes on reading.
    ///
    /// *Source*: etcd-io/etcd#20418; hashicorp/raft `VerifyLeader`. *Correct*: only answers to what was sent in
    /// that round or later. *Law*: Linearizability.
    EarlierAckConfirmsRead = "earlier-ack-confirms-read",
    /// A new leader answers reads before it knows what was committed before it.
    ///
    /// *Source*: etcd-io/etcd#7331, redisraft PR#22. *Correct*: when the first entry of its term is committed.
    /// *Law*: Linearizability.
    ReadBeforeTermCommit = "read-before-term-commit",
    /// A leader answers reads from its commit index without asking whether it still leads.
    ///
    /// *Source*: etcd-io/etcd#741. *Correct*: a round of heartbeats confirms it. *Law*: Linearizability.
    ReadWithoutRound = "read-without-round",
    /// A read is answered before the state machine has reached its index.
    ///
    /// *Source*: thesis §6.4, step 4; the caller's own task in hashicorp/raft. *Correct*: it waits.
    /// *Law*: Linearizability.
    ReadBeforeApplied = "read-before-applied",
    /// A leader takes the whole of its voters' promises for its lease: where its clock is the slower one, it still reads
    /// when somebody else has been elected and has written.
    ///
    /// *Source*: thesis §6.4.1, where a bound is asked for; nebula#5379 is near. *Correct*: a promise is cut by how far
    /// clocks may differ. *Law*: Linearizability.
    LeaseIgnoresDrift = "lease-ignores-drift",
    /// A leader that has told another node to stand at once goes on reading by its lease.
    ///
    /// *Source*: openraft#1747, tikv#4680. *Correct*: it gives the lease up first, for the rest of its term.
    /// *Law*: Linearizability.
    LeaseKeptInTransfer = "lease-kept-in-transfer",
    /// A voter that was restarted votes at once; the leader still counts on what it promised before.
    ///
    /// *Source*: thesis §6.4.1, which does not say it; TiKV's leases need it. *Correct*: it is silent for a heartbeat
    /// timeout. *Law*: Linearizability.
    RestartedVoterForgetsLease = "restarted-voter-forgets-lease",
    /// A leadership that is over is not revoked: what is still queued for its actors is carried out.
    ///
    /// *Source*: etcd-io/etcd PR#17814; compare hashicorp/raft#695. *Correct*: it is revoked before anything else of
    /// the next term happens. *Law*: nobody appends or sends in a term that it does not lead; Linearizability.
    TenureNotRevoked = "tenure-not-revoked",
    /// A node that lost its directory votes and acknowledges as if it had not, and all of it counts.
    ///
    /// *Source*: tikv#9579. *Correct*: it is quarantined, and another incarnation's votes and acknowledgements count
    /// for nothing. *Law*: Leader Completeness; Election Safety.
    WipedNodeTakesPart = "wiped-node-takes-part",
    /// Acknowledgements count from whatever incarnation they come, beside what an earlier one acknowledged.
    ///
    /// *Source*: tikv/raft-rs#571; hashicorp/raft keys matches by server id. *Correct*: only those of the
    /// incarnation that the membership names. *Law*: what is committed is durable on a quorum of admitted
    /// incarnations.
    OtherIncarnationAcks = "other-incarnation-acks",
    /// A sync that failed is tried again, and its success believed; the system had dropped the pages.
    ///
    /// *Source*: PostgreSQL's fsync bug of 2018 ("Can Applications Recover from fsync Failures?", ATC 2020).
    /// *Correct*: the node stops. *Law*: Durability.
    FailedSyncTriedAgain = "failed-sync-tried-again",
    /// What recovery found in the page cache alone counts as durable at once: the process was killed, then the
    /// power goes.
    ///
    /// *Source*: the same paper; etcd-io/etcd PR#15069 is near. *Correct*: it is flushed before it counts.
    /// *Law*: Durability.
    RecoveredTailNotFlushed = "recovered-tail-not-flushed",
    /// Recovery takes whole records behind a damaged one in the last flush, which a loss of power may leave, and
    /// does not hold the log against what that flush says it ended with.
    ///
    /// *Source*: raft-engine 0.4.0. *Correct*: the log ends before the first damage, and the node is withheld.
    /// *Law*: Durability; a node starts after any loss of power.
    RecordBehindDamageTaken = "record-behind-damage-taken",
    /// Records of a segment's former life look like those of the present one.
    ///
    /// *Source*: raft-engine's recycled files, which sign each record for it. *Correct*: a record's checksum covers
    /// the segment's id. *Law*: a node starts after any crash; what it recovers is what it had written.
    SegmentIdNotChecked = "segment-id-not-checked",
    /// A damaged end of the log is cut, and the node goes on as if it had never been acknowledged.
    ///
    /// *Source*: eBay/NuRaft#185. *Correct*: it keeps the vote that the flush ended with, and does not help a candidate
    /// that is behind what it had promised. *Law*: Durability; Leader Completeness.
    DamagedTailForgotten = "damaged-tail-forgotten",
    /// A new leader hands the last entry that was applied to the state machine once more.
    ///
    /// *Source*: of the kind of etcd-io/etcd#13766. *Correct*: one cursor, whoever leads.
    /// *Law*: each entry is applied once, in order; Linearizability.
    EntryHandedTwice = "entry-handed-twice",
    /// A retry of a session's command is applied as if it were the first attempt.
    ///
    /// *Source*: thesis §6.3, where it is ruled out. *Correct*: it gets the reply that was given then.
    /// *Law*: exactly once.
    SessionRetryAppliedAgain = "session-retry-applied-again",
    /// A snapshot carries the state and not the table of sessions: after a restart from it nobody knows what was
    /// applied.
    ///
    /// *Source*: thesis §6.3, where it is ruled out. *Correct*: the table is a part of the state.
    /// *Law*: exactly once; Outcome.
    SessionsNotInSnapshot = "sessions-not-in-snapshot",
    /// A command that a deposed leader had appended is told to the node that forwarded it as definitely not applied;
    /// another node may still hold and commit it.
    ///
    /// *Source*: the reading of hashicorp/raft's `ErrLeadershipLost` as `ErrNotLeader`. *Correct*: the outcome is
    /// unknown. *Law*: Outcome.
    TruncatedToldAsRefused = "truncated-told-as-refused",
    /// A forwarded request whose answer was lost is sent again, and applied twice.
    ///
    /// *Source*: redisraft#13. *Correct*: once a byte of it may have left, its outcome is unknown.
    /// *Law*: each command is applied once; Linearizability.
    ForwardedAgain = "forwarded-again",
    /// A leader changes the membership before an entry of its own term is committed. Two leaders in a row then change the
    /// one that both began with, into two whose majorities do not meet.
    ///
    /// *Source*: Diego Ongaro, raft-dev 2015 (logcabin, and every implementation of the dissertation's text).
    /// *Correct*: a change waits until the first entry of the term is committed. *Law*: Leader Completeness; Durability.
    ChangeBeforeTermCommit = "change-before-term-commit",
    /// The bytes on their way are not zeroed when a follower is probed again: the window shuts for good.
    ///
    /// *Source*: etcd-io/raft e419ba5. *Correct*: they live and die with the requests. *Law*: Liveness.
    InflightBytesKept = "inflight-bytes-kept",
}

#[cfg(not(feature = "known-bugs"))]
impl KnownBug {
    /// No.
    #[inline(always)]
    pub(crate) const fn is_back(self) -> bool {
        false
    }
}

#[cfg(feature = "known-bugs")]
pub use switch::{Back, UnknownBug, bring_back};

#[cfg(feature = "known-bugs")]
mod switch {
    use std::{cell::Cell, fmt, marker::PhantomData, str::FromStr};

    use crate::known_bug::KnownBug;

    thread_local! {
        static BACK: Cell<Option<KnownBug>> = const { Cell::new(None) };
    }

    /// As long as this lives, its bug is back on this thread.
    #[derive(Debug)]
    #[must_use = "the bug is gone when this is dropped"]
    pub struct Back {
        /// Not to be dropped on another thread.
        _here: PhantomData<*const ()>,
    }

    /// Brings `bug` back on this thread. Where it changes what is written to a disk, that disk is to be read under it
    /// as well.
    ///
    /// # Panics
    /// If another one is back: two would hide each other.
    pub fn bring_back(bug: KnownBug) -> Back {
        let other = BACK.get();
        assert!(other.is_none(), "{other:?} is back already: {bug:?}");
        BACK.set(Some(bug));
        Back { _here: PhantomData }
    }

    impl Drop for Back {
        fn drop(&mut self) {
            BACK.set(None);
        }
    }

    impl KnownBug {
        /// Whether it is back on this thread.
        pub fn is_back(self) -> bool {
            BACK.get() == Some(self)
        }
    }

    impl fmt::Display for KnownBug {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.name())
        }
    }

    /// No bug has that name.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("no known bug is called `{0}`")]
    pub struct UnknownBug(String);

    impl FromStr for KnownBug {
        type Err = UnknownBug;

        fn from_str(name: &str) -> Result<Self, Self::Err> {
            let found = Self::ALL.iter().find(|bug| bug.name() == name);
            found.copied().ok_or_else(|| UnknownBug(name.to_owned()))
        }
    }
}
