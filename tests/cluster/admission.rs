//! What is let in, what is sent away, and what waits for a leader.

use futures::future::join_all;
use raftix::{Apply, ApplyBatch, ApplyError, Read, ReadError, UnknownReason};
use tokio::time::{Instant, sleep};

use crate::support::{History, Put, World, ms, simulate};

/// One node that leads no quorum: what is admitted stays.
async fn stuck(pending_requests_max: usize, pending_bytes_max: usize) -> (World, usize) {
    let mut world = World::new(3, 51);
    world.config.pending_requests_max = pending_requests_max;
    world.config.entry_bytes_max = 1000;
    world.config.pending_bytes_max = pending_bytes_max;
    world.start_all().await;
    let leader = world.leader().await;
    let lone = world.followers().await[0];
    world.partition(&[lone]);
    world.wait_for("the leader to be forgotten", |world| world.status(lone).leader.is_none()).await;
    assert_ne!(lone, leader);
    (world, lone)
}

#[test]
fn requests_beyond_the_limit_are_overloaded_and_given_back_and_credits_return() {
    simulate(async {
        let (world, lone) = stuck(8, 1 << 20).await;
        let raft = world.raft(lone);
        let held: Vec<_> =
            (0..8).map(|n| raft.send(Apply(Put(format!("held{n}"))).timeout(ms(300)))).collect();
        let error = raft.send(Apply(Put::from("ninth"))).await.unwrap().unwrap_err();
        let ApplyError::Overloaded { command } = error else { panic!("{error}") };
        assert_eq!(command, Put::from("ninth"));
        assert!(matches!(raft.send(Read(History)).await.unwrap(), Err(ReadError::Overloaded)));
        for outcome in join_all(held).await {
            assert!(matches!(outcome.unwrap(), Err(ApplyError::NotLeader { leader: None, .. })));
        }
        // Everything came back: as many are held again.
        let held: Vec<_> =
            (0..8).map(|n| raft.send(Apply(Put(format!("again{n}"))).timeout(ms(300)))).collect();
        assert!(matches!(
            raft.send(Apply(Put::from("ninth"))).await.unwrap(),
            Err(ApplyError::Overloaded { .. })
        ));
        drop(held);
    });
}

#[test]
fn bytes_beyond_the_limit_are_overloaded() {
    simulate(async {
        let (world, lone) = stuck(1000, 3000).await;
        let raft = world.raft(lone);
        let held: Vec<_> = (0..3).map(|_| raft.send(Apply(Put("x".repeat(900))).timeout(ms(300)))).collect();
        let result = raft.send(Apply(Put("x".repeat(900)))).await.unwrap();
        assert!(matches!(result, Err(ApplyError::Overloaded { .. })));
        let small = raft.send(Apply(Put::from("small")).timeout(ms(100)));
        assert!(matches!(small.await.unwrap(), Err(ApplyError::NotLeader { .. })), "there was room for it");
        join_all(held).await;
    });
}

#[test]
fn of_one_message_as_many_commands_are_admitted_as_there_is_room_for() {
    simulate(async {
        let mut world = World::new(3, 52);
        world.config.pending_requests_max = 10;
        world.start_all().await;
        let leader = world.leader().await;
        let commands: Vec<Put> = (0..15).map(|n| Put(format!("c{n}"))).collect();
        let results = world.raft(leader).send(ApplyBatch(commands.clone())).await.unwrap();
        assert!(results[..10].iter().all(Result::is_ok));
        for (result, sent) in results.into_iter().zip(commands).skip(10) {
            assert_eq!(result.unwrap_err().into_command(), Some(sent));
        }
        world.ensure_same().await;
        assert_eq!(world.recording(leader).len(), 10);
        // Applied means given back.
        for n in 0..30 {
            world.apply(leader, &format!("more{n}")).await.unwrap();
        }
    });
}

#[test]
fn a_command_that_is_too_large_is_given_back_wherever_it_is_sent() {
    simulate(async {
        let mut world = World::new(3, 53);
        world.config.entry_bytes_max = 100;
        world.start_all().await;
        let leader = world.leader().await;
        for n in world.all() {
            let large = Put("x".repeat(200));
            let error = world.raft(n).send(Apply(large.clone())).await.unwrap().unwrap_err();
            let ApplyError::EntryTooLarge { bytes, bytes_max: 100, command } = error else {
                panic!("{error}")
            };
            assert!(bytes > 200 && command == large);
            let fits = "y".repeat(90);
            world.apply(n, &fits).await.unwrap();
        }
        world.ensure_same().await;
        assert_eq!(world.recording(leader).len(), 3);
    });
}

#[test]
fn a_leader_with_a_smaller_limit_refuses_what_a_follower_let_through() {
    simulate(async {
        let mut world = World::new(3, 54);
        world.start(0).await;
        world.config.entry_bytes_max = 100;
        world.start(1).await;
        world.start(2).await;
        if world.leader().await == 0 {
            world.disconnect(0);
            world.leader().await;
            world.heal();
        }
        assert_ne!(world.leader().await, 0);
        let large = Put("x".repeat(200));
        let error = world.raft(0).send(Apply(large.clone())).await.unwrap().unwrap_err();
        assert!(matches!(error, ApplyError::EntryTooLarge { bytes_max: 100, .. }), "{error}");
        assert_eq!(error.into_command(), Some(large));
    });
}

#[test]
fn without_a_leader_a_command_is_refused_at_its_deadline_and_never_applied() {
    simulate(async {
        let (mut world, lone) = stuck(1000, 1 << 20).await;
        let began = Instant::now();
        let held = world.raft(lone).send(Apply(Put::from("held")).timeout(ms(400)));
        let batch = world.raft(lone).send(ApplyBatch(vec![Put::from("a"), Put::from("b")]));
        let ApplyError::NotLeader { leader: None, command } = held.await.unwrap().unwrap_err() else {
            panic!("another error")
        };
        assert_eq!(command, Put::from("held"));
        let took = began.elapsed();
        assert!(took >= ms(400) && took <= ms(400) + 2 * world.config.tick_interval(), "{took:?}");
        for result in batch.await.unwrap() {
            assert!(result.unwrap_err().is_refused());
        }
        world.heal();
        world.leader().await;
        sleep(ms(2000)).await;
        world.ensure_same().await;
        assert_eq!(world.recording(lone).len(), 0);
    });
}

#[test]
fn what_waits_for_a_leader_goes_to_the_first_that_is_known() {
    simulate(async {
        let (mut world, lone) = stuck(1000, 1 << 20).await;
        let held = world.raft(lone).send(Apply(Put::from("held")));
        sleep(ms(500)).await;
        world.heal();
        assert_eq!(held.await.unwrap().unwrap(), 1);
        world.ensure_same().await;
    });
}

#[test]
fn what_was_appended_without_a_quorum_is_in_doubt_at_its_deadline() {
    simulate(async {
        let mut world = World::new(3, 55);
        world.config.leader_lease_timeout = world.config.heartbeat_timeout;
        world.start_all().await;
        let leader = world.leader().await;
        world.disconnect(leader);
        let began = Instant::now();
        let error =
            world.raft(leader).send(Apply(Put::from("x")).timeout(ms(50))).await.unwrap().unwrap_err();
        assert!(
            matches!(error, ApplyError::OutcomeUnknown { why: UnknownReason::Deadline, index: Some(_) }),
            "{error}"
        );
        assert!(began.elapsed() <= ms(50) + 2 * world.config.tick_interval());
    });
}

#[test]
fn a_caller_that_does_not_wait_leaves_nothing_behind() {
    simulate(async {
        let mut world = World::new(3, 56);
        world.config.pending_requests_max = 4;
        world.start_all().await;
        let leader = world.leader().await;
        for n in 0..50 {
            let gone = world.raft(leader).send(Apply(Put(format!("c{n}"))));
            tokio::task::yield_now().await;
            drop(gone);
            sleep(ms(20)).await;
        }
        for n in 0..4 {
            world.apply(leader, &format!("last{n}")).await.unwrap();
        }
        world.ensure_same().await;
    });
}
