//! What was applied is not applied again, whatever comes twice, late or in another order.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

const LIMITS: SessionLimits = SessionLimits { timeout_ms: 1000, sessions_max: 3 };

fn reply(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

/// A table with these sessions, opened in this order, a millisecond apart.
fn table(ids: &[u64]) -> Sessions {
    let mut table = Sessions::default();
    for (number, id) in ids.iter().enumerate() {
        table.advance(Some(number as i64 * NS_PER_MS));
        table.open(SessionId(*id), LIMITS);
    }
    table
}

fn apply(table: &mut Sessions, id: u64, sequence: u64, text: &'static str) -> SessionAnswer {
    let answer = table.ask(SessionId(id), sequence);
    if answer == SessionAnswer::Fresh {
        table.answered(SessionId(id), sequence, reply(text));
    }
    answer
}

#[test]
fn a_retry_is_answered_as_the_first_attempt_was() {
    let mut table = table(&[5]);
    assert_eq!(apply(&mut table, 5, 1, "one"), SessionAnswer::Fresh);
    assert_eq!(apply(&mut table, 5, 2, "two"), SessionAnswer::Fresh);
    assert_eq!(apply(&mut table, 5, 1, "again"), SessionAnswer::Duplicate(reply("one").unwrap()));
    assert_eq!(apply(&mut table, 5, 2, "again"), SessionAnswer::Duplicate(reply("two").unwrap()));
}

#[test]
fn sequences_of_a_window_may_come_in_any_order_and_older_ones_are_done_with() {
    let mut table = table(&[5]);
    assert_eq!(apply(&mut table, 5, 100, "a"), SessionAnswer::Fresh);
    assert_eq!(apply(&mut table, 5, 101 - SEQUENCES_KEPT, "b"), SessionAnswer::Fresh);
    assert_eq!(apply(&mut table, 5, 100 - SEQUENCES_KEPT, "c"), SessionAnswer::Forgotten);
    assert_eq!(apply(&mut table, 5, 101, "d"), SessionAnswer::Fresh);
    assert_eq!(apply(&mut table, 5, 101 - SEQUENCES_KEPT, "b"), SessionAnswer::Forgotten);
    assert_eq!(apply(&mut table, 5, u64::MAX, "e"), SessionAnswer::Fresh);
    assert_eq!(apply(&mut table, 5, 101, "d"), SessionAnswer::Forgotten);
}

#[test]
fn a_session_expires_by_the_time_of_the_log_and_every_command_keeps_it() {
    let mut table = table(&[5]);
    for ms in [1000, 2000, 3000] {
        table.advance(Some(ms * NS_PER_MS));
        assert_ne!(apply(&mut table, 5, 1, "one"), SessionAnswer::Expired, "at {ms}");
    }
    table.advance(Some(4001 * NS_PER_MS));
    assert_eq!(apply(&mut table, 5, 1, "one"), SessionAnswer::Expired);
    assert_eq!(apply(&mut table, 5, 2, "two"), SessionAnswer::Expired);
    assert!(table.is_empty());
}

#[test]
fn a_leader_whose_clock_is_behind_moves_nothing_back() {
    let mut table = table(&[5]);
    table.advance(Some(900 * NS_PER_MS));
    table.open(SessionId(6), LIMITS);
    for stamp in [Some(-1), Some(100 * NS_PER_MS), None] {
        table.advance(stamp);
        assert_eq!(table.now_ns, 900 * NS_PER_MS);
    }
    table.advance(Some(1001 * NS_PER_MS));
    assert_eq!(apply(&mut table, 5, 1, "one"), SessionAnswer::Expired);
    assert_eq!(apply(&mut table, 6, 1, "one"), SessionAnswer::Fresh);
}

#[test]
fn one_too_many_costs_the_session_that_was_active_longest_ago() {
    let mut table = table(&[5, 6, 7]);
    table.advance(Some(10 * NS_PER_MS));
    apply(&mut table, 5, 1, "one");
    table.open(SessionId(8), LIMITS);
    assert_eq!(apply(&mut table, 6, 1, "one"), SessionAnswer::Expired);
    table.open(SessionId(9), SessionLimits { sessions_max: 1, ..LIMITS });
    let left: Vec<u64> = table.sessions.keys().map(|id| id.0).collect();
    assert_eq!(left, [9]);
}

#[test]
fn among_sessions_that_were_active_at_the_same_time_the_oldest_goes_first() {
    let mut table = Sessions::default();
    for id in [7, 5, 6, 8] {
        table.open(SessionId(id), LIMITS);
    }
    assert_eq!(table.sessions.keys().map(|id| id.0).collect::<Vec<_>>(), [6, 7, 8]);
}

#[test]
fn what_is_closed_answers_nothing_and_closing_it_again_is_nothing() {
    let mut table = table(&[5, 6]);
    apply(&mut table, 5, 1, "one");
    table.close(SessionId(5));
    table.close(SessionId(5));
    assert_eq!(apply(&mut table, 5, 1, "one"), SessionAnswer::Expired);
    assert_eq!(table.bytes, SESSION_BYTES);
}

#[test]
fn a_reply_too_large_to_keep_is_forgotten_and_its_command_not_applied_again() {
    let mut table = table(&[5]);
    let large = |bytes: usize| Some(Bytes::from(vec![0; bytes]));
    for (sequence, reply) in [(1, large(SESSION_BYTES_MAX + 1)), (2, None), (3, large(SESSION_BYTES_MAX))] {
        assert_eq!(table.ask(SessionId(5), sequence), SessionAnswer::Fresh);
        table.answered(SessionId(5), sequence, reply);
    }
    assert_eq!(table.ask(SessionId(5), 1), SessionAnswer::Forgotten);
    assert_eq!(table.ask(SessionId(5), 2), SessionAnswer::Forgotten);
    assert!(matches!(table.ask(SessionId(5), 3), SessionAnswer::Duplicate(_)));
    apply(&mut table, 5, 4, "small");
    assert_eq!(table.ask(SessionId(5), 3), SessionAnswer::Forgotten);
    assert!(matches!(table.ask(SessionId(5), 4), SessionAnswer::Duplicate(_)));
}

#[test]
fn replies_of_all_sessions_together_are_bounded_and_the_idle_pay() {
    let mut table = Sessions::default();
    let limits = SessionLimits { sessions_max: 1000, ..LIMITS };
    for id in 1..=20 {
        table.advance(Some(id as i64));
        table.open(SessionId(id), limits);
        assert_eq!(table.ask(SessionId(id), 1), SessionAnswer::Fresh);
        table.answered(SessionId(id), 1, Some(Bytes::from(vec![0; SESSION_BYTES_MAX])));
        assert!(table.bytes <= TABLE_BYTES_MAX);
    }
    assert_eq!(table.len(), 15);
    assert_eq!(table.ask(SessionId(1), 1), SessionAnswer::Expired);
    assert!(table.encode().len() <= ENCODED_BYTES_MAX);
    assert_eq!(Sessions::decode(&table.encode()), Ok(table));
}

#[test]
fn no_bytes_are_an_empty_table_and_damaged_ones_are_none() {
    assert_eq!(Sessions::decode(b""), Ok(Sessions::default()));
    let mut table = table(&[5, 6]);
    apply(&mut table, 5, 3, "three");
    let whole = table.encode();
    for end in 1..whole.len() {
        assert!(Sessions::decode(&whole[..end]).is_err(), "cut at {end}");
    }
    assert!(Sessions::decode(&[&whole[..], b"x"].concat()).is_err());
}

#[test]
fn a_table_that_none_can_have_become_is_refused() {
    let session = |id, active_ns, floor, replies| EncodedSession {
        id: SessionId(id),
        timeout_ms: 1,
        active_ns,
        floor,
        replies,
    };
    let decode = |now_ns, sessions: Vec<EncodedSession>| {
        Sessions::decode(&rmp_serde::to_vec(&Encoded { now_ns, sessions }).unwrap())
            .map_err(|damage| damage.0)
    };
    let kept = |sequence| vec![(sequence, reply("r"))];
    assert!(decode(9, vec![session(5, 9, 1, kept(1)), session(6, 0, 0, kept(63))]).is_ok());
    for (now_ns, sessions) in [
        (-1, vec![]),
        (9, vec![session(5, 10, 1, vec![])]),
        (9, vec![session(5, -1, 1, vec![])]),
        (9, vec![session(6, 9, 1, vec![]), session(5, 9, 1, vec![])]),
        (9, vec![session(5, 9, 1, vec![]), session(5, 9, 1, vec![])]),
        (9, vec![session(5, 9, 1, kept(0))]),
        (9, vec![session(5, 9, 1, kept(65))]),
        (9, vec![session(5, 9, 1, [kept(2), kept(2)].concat())]),
        (9, vec![session(5, 9, 1, vec![(1, Some(Bytes::from(vec![0; SESSION_BYTES_MAX + 1])))])]),
    ] {
        assert!(decode(now_ns, sessions).is_err());
    }
}

/// One entry of a log.
#[derive(Clone, Debug)]
enum Entry {
    Open(u64, u32),
    /// A command of the session opened so many openings ago.
    Command(usize, u64, usize),
    Close(usize),
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        2 => (1..2000_u64, 0..5_u32).prop_map(|(timeout, most)| Entry::Open(timeout, most)),
        9 => (0..4_usize, prop_oneof![0..4_u64, 60..70_u64, 125..130_u64], 0..40_usize)
            .prop_map(|(session, sequence, bytes)| Entry::Command(session, sequence, bytes)),
        1 => (0..4_usize).prop_map(Entry::Close),
    ]
}

/// Entries with the time in each; clocks of leaders jump both ways.
fn log() -> impl Strategy<Value = Vec<(i64, Entry)>> {
    vec((0..3000_i64, entry()), 0..80)
        .prop_map(|log| log.into_iter().map(|(ms, entry)| (ms * NS_PER_MS, entry)).collect())
}

/// What a replica does with the log; `each` may change the table behind an entry.
fn replay(
    log: &[(i64, Entry)],
    mut each: impl FnMut(usize, &mut Sessions),
) -> (Sessions, Vec<(SessionId, u64, SessionAnswer)>) {
    let mut table = Sessions::default();
    let (mut opened, mut answers) = (Vec::new(), Vec::new());
    for (index, (at_ns, entry)) in log.iter().enumerate() {
        table.advance(Some(*at_ns));
        let session = |back: &usize| opened.iter().rev().nth(*back).copied();
        match entry {
            Entry::Open(timeout_ms, sessions_max) => {
                let id = SessionId(index as u64 + 1);
                table.open(id, SessionLimits { timeout_ms: *timeout_ms, sessions_max: *sessions_max });
                opened.push(id);
            }
            Entry::Command(back, sequence, bytes) => {
                let Some(id) = session(back) else { continue };
                let answer = table.ask(id, *sequence);
                if answer == SessionAnswer::Fresh {
                    // Every reply is another, so that one taken for another shows.
                    let reply = [&index.to_le_bytes()[..], &vec![7; *bytes]].concat();
                    table.answered(id, *sequence, Some(reply.into()));
                }
                answers.push((id, *sequence, answer));
            }
            Entry::Close(back) => session(back).into_iter().for_each(|id| table.close(id)),
        }
        each(index, &mut table);
    }
    (table, answers)
}

fn check_bounds(table: &Sessions) {
    assert_eq!(table.bytes, table.sessions.values().map(Session::bytes).sum::<usize>());
    assert!(table.bytes <= TABLE_BYTES_MAX);
    let by_activity = table.sessions.iter().map(|(id, session)| (session.active_ns, *id));
    assert_eq!(table.by_activity, by_activity.collect());
    assert!(table.sessions.values().all(|session| session.replies.len() as u64 <= SEQUENCES_KEPT));
}

proptest! {
    #[test]
    fn no_command_is_applied_twice_and_every_retry_gets_the_first_reply(log in log()) {
        let (_, answers) = replay(&log, |_, table| check_bounds(table));
        let mut applied = BTreeMap::new();
        for (id, sequence, answer) in answers {
            match answer {
                SessionAnswer::Fresh => {
                    prop_assert!(applied.insert((id, sequence), None).is_none(), "{id} {sequence} twice");
                }
                SessionAnswer::Duplicate(reply) => {
                    let first = applied.get_mut(&(id, sequence));
                    prop_assert!(first.is_some(), "the reply of what was never applied");
                    let first = first.unwrap().get_or_insert(reply.clone());
                    prop_assert_eq!(first, &reply);
                }
                SessionAnswer::Forgotten | SessionAnswer::Expired => {}
            }
        }
    }

    #[test]
    fn a_snapshot_at_any_point_changes_nothing(log in log(), at in 0..80_usize) {
        let (table, answers) = replay(&log, |_, _| {});
        let restored = replay(&log, |index, table| {
            if index == at {
                *table = Sessions::decode(&table.encode()).unwrap();
            }
        });
        prop_assert_eq!(restored.1, answers);
        prop_assert_eq!(restored.0.encode(), table.encode());
        prop_assert_eq!(restored.0, table);
    }

    #[test]
    fn a_damaged_table_is_refused_or_keeps_every_bound(log in log(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = replay(&log, |_, _| {}).0.encode();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(table) = Sessions::decode(&bytes) {
            check_bounds(&table);
        }
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(table) = Sessions::decode(&bytes) {
            check_bounds(&table);
        }
    }
}
