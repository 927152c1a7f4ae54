//! The bugs of replication, commitment and reads, at the rules.

use std::time::Duration;

use bytes::Bytes;
use raftix::{
    known_bug::KnownBug,
    protocol::{
        Commitment, Lease, Progress, ReadRounds, SessionAnswer, Sessions, TermRuns, Verdict, WindowLimits,
        check_append, quorum_index,
    },
    types::{LogId, LogIndex, SessionId, SessionLimits, Term},
};

use crate::differs;

fn id(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

#[test]
fn what_no_quorum_of_the_term_holds_is_committed() {
    // Figure 8: the tenure begins at 3; a majority holds 2, of an older term.
    let figure_8 = || {
        let mut leader = Commitment::new(LogIndex(3), LogIndex(1));
        leader.set_voters([0, 1, 2]);
        leader.matched(1, LogIndex(2));
        leader.matched(2, LogIndex(2));
        leader.commit().get()
    };
    differs(KnownBug::OlderTermCommitted, figure_8, 1, 2);
    let two_of_five = || quorum_index(&mut [9, 4, 9, 4, 4].map(LogIndex)).get();
    differs(KnownBug::QuorumTrustsSortedFront, two_of_five, 4, 9);
}

#[test]
fn requests_are_taken_for_what_they_do_not_show() {
    let mut runs = TermRuns::new(LogId::ZERO);
    runs.extend_same_term(LogIndex(6), Term(2));
    // Entries 3 and 4 once more, behind an entry 2 that is said to be of `prev`.
    let check = |prev| {
        let entries = [(LogIndex(3), Term(2))].into_iter();
        check_append(&runs, LogIndex(1), id(2, prev), entries, LogIndex(4))
    };
    let accept = |from| {
        let from = (from > 0).then_some(LogIndex(from));
        Verdict::Accept { truncate_from: from, append_from: from, proven: LogIndex(4) }
    };
    differs(KnownBug::OverlapTruncates, || check(2), accept(0), accept(3));
    let conflict = Verdict::Conflict { hint: id(0, 0) };
    differs(KnownBug::PrevTermNotCompared, || check(1), conflict, accept(0));
}

/// Three voters, the leader 0 among them; a read waits in round 2.
fn second_round() -> ReadRounds<char> {
    let mut reads = ReadRounds::new();
    for read in ['a', 'b'] {
        reads.join(read);
        let round = reads.begin(LogIndex(5), [0, 1, 2].into_iter(), Some(0)).unwrap();
        if read == 'a' {
            reads.acknowledged(1, round);
        }
    }
    reads
}

#[test]
fn reads_are_confirmed_by_what_came_before_them() {
    let round_one = || second_round().acknowledged(2, 1).map(|(_, reads)| reads);
    differs(KnownBug::EarlierAckConfirmsRead, round_one, None, Some(vec!['b']));
    let late = || {
        let mut reads = second_round();
        reads.join('c');
        reads.acknowledged(1, 2).map(|(_, reads)| reads)
    };
    differs(KnownBug::ReadJoinsRunningRound, late, Some(vec!['b']), Some(vec!['b', 'c']));
    let alone = || {
        let mut reads = ReadRounds::new();
        reads.join('a');
        reads.begin(LogIndex(5), [0, 1, 2].into_iter(), Some(0));
        reads.confirmed().map(|(index, _)| index)
    };
    differs(KnownBug::ReadWithoutRound, alone, None, Some(LogIndex(5)));
}

#[test]
fn the_window_of_a_follower_that_lost_requests_shuts_for_good() {
    let probed_again = || {
        let mut follower = Progress::new(LogIndex(1), WindowLimits { requests: 4, bytes: 100 });
        follower.sent(1, LogIndex::ZERO, 0);
        follower.acknowledged(1, LogIndex::ZERO);
        follower.sent(2, LogIndex(1), 100);
        follower.lost(2);
        follower.sent(3, LogIndex::ZERO, 0);
        follower.acknowledged(3, LogIndex::ZERO);
        follower.may_send()
    };
    differs(KnownBug::InflightBytesKept, probed_again, true, false);
}

#[test]
fn a_retry_in_a_session_is_a_first_attempt_again() {
    let retry = || {
        let mut sessions = Sessions::default();
        sessions.open(SessionId(5), SessionLimits { timeout_ms: 1000, sessions_max: 1 });
        let first = sessions.ask(SessionId(5), 1);
        sessions.answered(SessionId(5), 1, Some(Bytes::from_static(b"one")));
        (first, sessions.ask(SessionId(5), 1))
    };
    let (fresh, known) = (SessionAnswer::Fresh, SessionAnswer::Duplicate(Bytes::from_static(b"one")));
    differs(KnownBug::SessionRetryAppliedAgain, retry, (fresh.clone(), known), (fresh.clone(), fresh));
}

#[test]
fn a_lease_is_believed_too_long() {
    let second = Duration::from_secs(1);
    let end = || Lease::new(100_000).end_of_promise(Duration::ZERO, second);
    differs(KnownBug::LeaseIgnoresDrift, end, second * 9 / 10, second);
    let holds = || {
        let mut lease = Lease::new(0);
        lease.open();
        lease.renew(second);
        lease.give_up();
        lease.holds(Duration::ZERO)
    };
    differs(KnownBug::LeaseKeptInTransfer, holds, false, true);
}
