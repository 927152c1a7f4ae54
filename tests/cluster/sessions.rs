//! Client sessions: what is sent twice is applied once, and a session that is over applies nothing.

use raftix::{Apply, ApplyError, ClientSession, CloseSession, OpenSession, Snapshot, types::SessionId};
use tokio::time::sleep;

use crate::support::{Put, World, ms, secs, simulate};

async fn open(world: &World, n: usize) -> SessionId {
    world.raft(n).send(OpenSession).await.unwrap().unwrap()
}

async fn apply(
    world: &World,
    n: usize,
    (session, sequence): (SessionId, u64),
    command: &str,
) -> Result<u64, ApplyError<Put>> {
    world.raft(n).send(Apply(Put::from(command)).in_session(session, sequence)).await.unwrap()
}

/// A write whose leader is cut off before it is answered: its outcome is unknown, and it stands in the old leader's log.
async fn in_doubt(world: &mut World, session: SessionId, command: &str) -> usize {
    let old = world.leader().await;
    world.partition(&[old]);
    let sent = Apply(Put::from(command)).in_session(session, 1).timeout(ms(900));
    let answer = world.raft(old).send(sent).await.unwrap();
    assert!(matches!(answer, Err(ApplyError::OutcomeUnknown { .. })), "{answer:?}");
    old
}

#[test]
fn a_command_sent_again_on_any_node_is_applied_once_and_gets_the_first_reply() {
    simulate(async {
        let world = World::running(3, 301).await;
        let session = open(&world, 0).await;
        for n in world.all() {
            assert_eq!(apply(&world, n, (session, 1), "a").await.unwrap(), 1, "on {}", world.id(n));
            assert_eq!(apply(&world, n, (session, 2), "b").await.unwrap(), 2, "on {}", world.id(n));
        }
        world.apply(0, "plain").await.unwrap();
        assert_eq!(apply(&world, 1, (session, 1), "a").await.unwrap(), 1);
        world.ensure_same().await;
        assert_eq!(world.recording(0).commands(), ["a", "b", "plain"]);
    });
}

#[test]
fn many_at_once_in_several_sessions_and_all_twice_are_each_applied_once() {
    simulate(async {
        let world = World::running(3, 302).await;
        let sessions = [open(&world, 0).await, open(&world, 1).await];
        let mut sent = Vec::new();
        for round in 0..2 {
            for (number, session) in sessions.iter().enumerate() {
                for sequence in 0..60 {
                    let put = Apply(Put(format!("{number}.{sequence}"))).in_session(*session, sequence);
                    sent.push(((number, sequence), world.raft((round + number) % 3).send(put)));
                }
            }
        }
        let mut replies = std::collections::BTreeMap::new();
        for (of, answer) in sent {
            let reply = answer.await.unwrap().unwrap();
            assert_eq!(*replies.entry(of).or_insert(reply), reply, "{of:?}");
        }
        world.ensure_same().await;
        assert_eq!(world.recording(0).len(), 120);
    });
}

#[test]
fn a_retry_after_a_change_of_leaders_is_applied_once_whoever_had_the_first_attempt() {
    simulate(async {
        for seed in 310..318 {
            let mut world = World::running(3, seed).await;
            let session = open(&world, 0).await;
            let old = in_doubt(&mut world, session, "paid").await;
            let new = world.leader().await;
            if seed % 2 == 0 {
                // The old leader comes back first, and may be elected again with what it holds.
                world.heal();
                world.leader().await;
            }
            assert_eq!(apply(&world, new, (session, 1), "paid").await.unwrap(), 1);
            world.heal();
            assert_eq!(apply(&world, old, (session, 1), "paid").await.unwrap(), 1);
            world.ensure_same().await;
            assert_eq!(world.recording(new).count("paid"), 1, "seed {seed}");
        }
    });
}

#[test]
fn a_command_that_was_committed_without_its_client_hearing_of_it_is_answered_and_not_applied_again() {
    simulate(async {
        let mut world = World::running(3, 320).await;
        let session = open(&world, 0).await;
        let leader = world.leader().await;
        let follower = world.followers().await[0];
        // It is forwarded, and the node that was asked dies before it hears.
        let sent = world.raft(follower).send(Apply(Put::from("paid")).in_session(session, 1));
        world.wait_for("the command to be applied", |world| world.recording(leader).len() == 1).await;
        world.crash(follower).await;
        drop(sent);
        world.start(follower).await;
        assert_eq!(apply(&world, follower, (session, 1), "paid").await.unwrap(), 1);
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["paid"]);
    });
}

#[test]
fn sessions_outlive_a_restart_of_every_node() {
    simulate(async {
        let mut world = World::running(3, 321).await;
        let session = open(&world, 0).await;
        apply(&world, 1, (session, 1), "a").await.unwrap();
        for n in world.all() {
            world.crash(n).await;
        }
        world.start_all().await;
        let leader = world.leader().await;
        assert_eq!(apply(&world, leader, (session, 1), "a").await.unwrap(), 1);
        assert_eq!(apply(&world, leader, (session, 2), "b").await.unwrap(), 2);
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["a", "b"]);
    });
}

#[test]
fn sessions_outlive_a_restart_from_a_snapshot_without_the_entries_before_it() {
    simulate(async {
        let mut world = World::new(3, 331);
        world.config.trailing_logs = 0;
        world.start_all().await;
        world.leader().await;
        let (session, closed) = (open(&world, 0).await, open(&world, 0).await);
        apply(&world, 1, (session, 1), "a").await.unwrap();
        apply(&world, 1, (closed, 1), "b").await.unwrap();
        world.raft(0).send(CloseSession(closed)).await.unwrap().unwrap();
        world.ensure_same().await;
        for n in world.all() {
            let taken = world.raft(n).send(Snapshot).await.unwrap().unwrap();
            assert_eq!(taken.description.last.index, world.status(n).last_index);
        }
        for n in world.all() {
            world.crash(n).await;
        }
        world.start_all().await;
        let leader = world.leader().await;
        assert_eq!(apply(&world, leader, (session, 1), "a").await.unwrap(), 1);
        assert_eq!(apply(&world, leader, (session, 2), "c").await.unwrap(), 3);
        let error = apply(&world, leader, (closed, 1), "b").await.unwrap_err();
        assert!(matches!(error, ApplyError::SessionExpired { .. }), "{error:?}");
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["a", "b", "c"]);
    });
}

#[test]
fn a_session_expires_by_the_leaders_time_also_across_leaders_and_what_is_sent_in_it_is_given_back() {
    simulate(async {
        let mut world = World::new(3, 322);
        world.config.session_timeout = secs(60);
        world.start_all().await;
        let leader = world.leader().await;
        let session = open(&world, leader).await;
        sleep(secs(50)).await;
        apply(&world, leader, (session, 1), "in time").await.unwrap();
        world.restart(leader).await;
        let next = world.leader().await;
        sleep(secs(50)).await;
        assert_eq!(apply(&world, next, (session, 1), "in time").await.unwrap(), 1);
        sleep(secs(61)).await;
        for (n, sequence) in world.all().zip([1, 2, 3]) {
            let error = apply(&world, n, (session, sequence), "late").await.unwrap_err();
            assert!(matches!(error, ApplyError::SessionExpired { .. }), "{error:?}");
            assert!(error.is_refused());
            assert_eq!(error.into_command(), Some(Put::from("late")));
        }
        world.ensure_same().await;
        assert_eq!(world.recording(next).commands(), ["in time"]);
    });
}

#[test]
fn one_session_too_many_ends_the_one_that_was_active_longest_ago() {
    simulate(async {
        let mut world = World::new(3, 323);
        world.config.sessions_max = 2;
        world.start_all().await;
        world.leader().await;
        let (first, second) = (open(&world, 0).await, open(&world, 1).await);
        sleep(ms(10)).await;
        apply(&world, 0, (first, 1), "kept").await.unwrap();
        let third = open(&world, 2).await;
        let error = apply(&world, 1, (second, 1), "lost").await.unwrap_err();
        assert!(matches!(error, ApplyError::SessionExpired { .. }), "{error:?}");
        assert_eq!(apply(&world, 1, (first, 1), "kept").await.unwrap(), 1);
        assert_eq!(apply(&world, 1, (third, 1), "new").await.unwrap(), 2);
        world.ensure_same().await;
        assert_eq!(world.recording(0).commands(), ["kept", "new"]);
    });
}

#[test]
fn the_limits_are_the_leaders_whoever_was_asked_to_open_a_session() {
    simulate(async {
        let mut world = World::new(3, 324);
        world.start_all().await;
        let (leader, follower) = (world.leader().await, world.followers().await[0]);
        world.config.sessions_max = 1;
        world.restart(follower).await;
        assert_eq!(world.leader().await, leader);
        let (first, second) = (open(&world, follower).await, open(&world, follower).await);
        assert_eq!(apply(&world, follower, (first, 1), "a").await.unwrap(), 1);
        assert_eq!(apply(&world, follower, (second, 1), "b").await.unwrap(), 2);
    });
}

#[test]
fn a_session_that_is_closed_applies_nothing_more_and_one_never_opened_is_none() {
    simulate(async {
        let world = World::running(3, 325).await;
        let session = open(&world, 0).await;
        apply(&world, 0, (session, 1), "a").await.unwrap();
        for n in world.all() {
            world.raft(n).send(CloseSession(session)).await.unwrap().unwrap();
        }
        for session in [session, SessionId(0), SessionId(u64::MAX)] {
            for n in world.all() {
                let error = apply(&world, n, (session, 1), "a").await.unwrap_err();
                assert!(matches!(error, ApplyError::SessionExpired { .. }), "{error:?}");
            }
        }
        world.ensure_same().await;
        assert_eq!(world.recording(0).commands(), ["a"]);
    });
}

#[test]
fn a_sequence_that_the_session_has_gone_past_is_not_applied_and_not_called_refused() {
    simulate(async {
        let world = World::running(3, 326).await;
        let session = open(&world, 0).await;
        apply(&world, 0, (session, 1), "a").await.unwrap();
        apply(&world, 0, (session, 1000), "b").await.unwrap();
        for n in world.all() {
            let error = apply(&world, n, (session, 1), "a").await.unwrap_err();
            assert!(matches!(error, ApplyError::SequenceTooOld), "{error:?}");
            assert!(!error.is_refused());
        }
        world.ensure_same().await;
        assert_eq!(world.recording(0).commands(), ["a", "b"]);
    });
}

#[test]
fn a_command_too_large_or_without_a_leader_is_refused_and_given_back_in_a_session_too() {
    simulate(async {
        let mut world = World::new(3, 327);
        world.config.entry_bytes_max = 100;
        world.start_all().await;
        world.leader().await;
        let session = open(&world, 0).await;
        let long = "x".repeat(101);
        let error = apply(&world, 0, (session, 1), &long).await.unwrap_err();
        assert!(matches!(error, ApplyError::EntryTooLarge { bytes: 103, bytes_max: 100, .. }), "{error:?}");
        assert_eq!(error.into_command(), Some(Put(long)));
        // What stands before the command does not count.
        apply(&world, 1, (session, 1), &"y".repeat(98)).await.unwrap();
        let alone = world.followers().await[0];
        world.disconnect(alone);
        sleep(secs(1)).await;
        let sent = Apply(Put::from("held")).in_session(session, 2).timeout(ms(100));
        let error = world.raft(alone).send(sent).await.unwrap().unwrap_err();
        assert!(matches!(error, ApplyError::NotLeader { .. }), "{error:?}");
        assert_eq!(error.into_command(), Some(Put::from("held")));
    });
}

#[test]
fn a_client_session_tries_again_by_itself_until_it_knows() {
    simulate(async {
        for seed in 330..336 {
            let mut world = World::running(3, seed).await;
            let old = world.leader().await;
            let mut session = ClientSession::open(&world.raft(old)).await.unwrap();
            assert_eq!(session.apply(Put::from("a")).await.unwrap(), 1);
            world.partition(&[old]);
            let paying = tokio::task::spawn_local(async move {
                let reply = session.apply(Put::from("paid")).await;
                (reply, session)
            });
            world.leader().await;
            sleep(ms(500)).await;
            assert!(!paying.is_finished(), "it is in doubt and goes on");
            world.heal();
            let (reply, mut session) = paying.await.unwrap();
            assert_eq!(reply.unwrap(), 2);
            assert_eq!(session.apply(Put::from("b")).await.unwrap(), 3);
            world.ensure_same().await;
            assert_eq!(world.recording(old).commands(), ["a", "paid", "b"]);
            session.close().await.unwrap();
        }
    });
}

#[test]
fn a_client_session_in_doubt_that_expires_meanwhile_is_told_both() {
    simulate(async {
        let mut world = World::new(3, 329);
        world.config.session_timeout = ms(500);
        world.start_all().await;
        let old = world.leader().await;
        let mut session = ClientSession::open(&world.raft(old)).await.unwrap();
        world.partition(&[old]);
        let paying = tokio::task::spawn_local(async move { session.apply(Put::from("paid")).await });
        world.leader().await;
        sleep(secs(2)).await;
        world.heal();
        let error = paying.await.unwrap().unwrap_err();
        let ApplyError::OutcomeUnknown { why, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*why, raftix::UnknownReason::SessionExpired);
        world.ensure_same().await;
        assert_eq!(world.recording(old).commands(), [""; 0]);
    });
}
