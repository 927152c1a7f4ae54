//! Reads see every write that was answered before them, wherever they are asked, or are not answered.

use futures::future::join_all;
use raftix::{
    Apply, Barrier, Read, ReadError, StaleRead, VerifyLeader,
    types::{LogIndex, Request, Response},
};
use tokio::time::{Instant, sleep};

use crate::support::{History, Puppet, Put, Stage, World, agree, entries, ms, secs, simulate};

#[test]
fn a_read_sees_what_was_written_on_another_node_just_before() {
    simulate(async {
        let world = World::running(3, 61).await;
        for round in 0..30 {
            let (writer, reader) = (round % 3, (round / 3) % 3);
            world.apply(writer, &format!("c{round}")).await.unwrap();
            let seen = world.read(reader).await.unwrap();
            assert_eq!(seen.len(), round + 1, "{} read behind {}", world.id(reader), world.id(writer));
        }
    });
}

#[test]
fn the_same_holds_on_a_slow_network() {
    simulate(async {
        let mut world = World::new(3, 62);
        world.traffic.delay(62, ms(10));
        world.start_all().await;
        world.leader().await;
        for round in 0..30 {
            world.apply(round % 3, &format!("c{round}")).await.unwrap();
            assert_eq!(world.read((round / 3) % 3).await.unwrap().len(), round + 1);
        }
    });
}

#[test]
fn a_restarted_follower_reads_although_nobody_writes_any_more() {
    simulate(async {
        let mut world = World::running(3, 75).await;
        world.apply_all((0..5).map(|n| format!("c{n}"))).await;
        let (leader, follower) = (world.leader().await, world.followers().await[0]);
        for _ in 0..3 {
            world.restart(follower).await;
            assert_eq!(world.read(follower).await.unwrap().len(), 5);
            assert!(world.leads(leader), "no election has helped");
        }
    });
}

#[test]
fn a_deposed_leader_never_answers_from_its_old_state() {
    simulate(async {
        for seed in 63..73 {
            let mut world = World::running(3, seed).await;
            let old = world.leader().await;
            world.apply(old, "old").await.unwrap();
            world.partition(&[old]);
            let early = world.raft(old).send(Read(History).timeout(ms(900)));
            let new = world.leader().await;
            world.apply(new, "new").await.unwrap();
            let late = world.raft(old).send(Read(History).timeout(ms(900)));
            assert_eq!(world.read(new).await.unwrap(), ["old", "new"]);
            for answer in [early.await.unwrap(), late.await.unwrap()] {
                assert!(matches!(answer, Err(ReadError::Timeout)), "{answer:?}");
            }
            assert_eq!(world.raft(old).send(StaleRead(History)).await.unwrap().unwrap(), ["old"]);
            let waiting = world.raft(old).send(Read(History));
            world.heal();
            assert_eq!(waiting.await.unwrap().unwrap(), ["old", "new"], "it finds the new leader");
        }
    });
}

#[test]
fn a_read_that_is_not_confirmed_ends_at_its_deadline() {
    simulate(async {
        let mut world = World::running(3, 74).await;
        let leader = world.leader().await;
        world.disconnect(leader);
        let began = Instant::now();
        let answer = world.raft(leader).send(Read(History).timeout(ms(60))).await.unwrap();
        assert!(matches!(answer, Err(ReadError::Timeout)));
        assert!(began.elapsed() <= ms(60) + 2 * world.config.tick_interval());
    });
}

fn heartbeats(puppet: &Puppet) -> usize {
    puppet.kept().iter().filter(|(request, _)| matches!(request, Request::Heartbeat(_))).count()
}

/// Answers everything but heartbeats, which are kept.
fn keep_heartbeats(puppet: &Puppet) {
    let mut agree = agree(puppet);
    puppet.answer_by(move |request| match request {
        Request::Heartbeat(_) => None,
        request => agree(request),
    });
}

#[test]
fn reads_that_come_together_share_a_round_and_later_ones_wait_for_the_next() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        stage.world.apply(0, "x").await.unwrap();
        keep_heartbeats(&stage.n2);
        keep_heartbeats(&stage.n3);
        let raft = stage.world.raft(0);
        let first: Vec<_> = (0..100).map(|_| raft.send(Read(History))).collect();
        sleep(ms(1)).await;
        let late = raft.send(Read(History));
        sleep(ms(1)).await;
        let round: Vec<_> = stage.n2.kept();
        assert!(round.len() <= 2, "a hundred reads took {} heartbeats", round.len());
        assert!(heartbeats(&stage.n3) <= 2);
        // The round of the first is answered; the one that came later is not covered by it.
        let mut answer = agree(&stage.n2);
        for (request, responder) in round {
            responder.respond(Ok(answer(&request).unwrap()));
        }
        for read in join_all(first).await {
            assert_eq!(read.unwrap().unwrap(), ["x"]);
        }
        tokio::pin!(late);
        assert!(tokio::time::timeout(ms(2), &mut late).await.is_err(), "it came after the round began");
        for (request, responder) in stage.n2.kept() {
            responder.respond(Ok(answer(&request).unwrap()));
        }
        assert_eq!(late.await.unwrap().unwrap(), ["x"]);
    });
}

/// hashicorp/raft counts whatever answer comes after the question, also to heartbeats sent before it.
#[test]
fn answers_to_heartbeats_from_before_a_read_do_not_confirm_it() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        keep_heartbeats(&stage.n2);
        keep_heartbeats(&stage.n3);
        sleep(stage.world.config.heartbeat_interval() * 2).await;
        let before: Vec<_> = stage.n2.kept().into_iter().chain(stage.n3.kept()).collect();
        assert!(before.len() >= 2);
        let read = stage.world.raft(0).send(Read(History).timeout(ms(40)));
        sleep(ms(1)).await;
        let mut answer = agree(&stage.n2);
        for (request, responder) in before {
            responder.respond(Ok(answer(&request).unwrap()));
        }
        assert!(matches!(read.await.unwrap(), Err(ReadError::Timeout)));
    });
}

#[test]
fn answers_of_other_lives_of_members_do_not_confirm_a_read() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match agree(request) {
                Some(Response::Heartbeat(mut answer)) => {
                    answer.incarnation.0 += 1;
                    Some(Response::Heartbeat(answer))
                }
                other => other,
            });
        }
        let read = stage.world.raft(0).send(Read(History).timeout(ms(40)));
        assert!(matches!(read.await.unwrap(), Err(ReadError::Timeout)));
    });
}

#[test]
fn a_new_leader_answers_no_read_before_an_entry_of_its_own_is_applied() {
    simulate(async {
        let stage = Stage::new().await;
        // `a` is committed, but the one who said so is gone before this node heard of it.
        stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 1).await;
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match request {
                Request::AppendEntries(_) => None,
                request => agree(request),
            });
        }
        stage.world.wait_for("n1 to lead", |world| world.leads(0)).await;
        let early = stage.world.raft(0).send(Read(History).timeout(ms(100)));
        assert!(matches!(early.await.unwrap(), Err(ReadError::Timeout)), "it knows of no commit in its term");
        let waiting = stage.world.raft(0).send(Read(History));
        stage.crown().await;
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            for (request, responder) in puppet.kept() {
                if let Some(response) = agree(&request) {
                    responder.respond(Ok(response));
                }
            }
        }
        assert_eq!(waiting.await.unwrap().unwrap(), ["a"]);
    });
}

#[test]
fn a_follower_that_lags_answers_only_when_it_has_caught_up() {
    simulate(async {
        let mut world = World::running(3, 75).await;
        let leader = world.leader().await;
        let lagging = world.followers().await[0];
        // It hears the leader's answers, but no entry reaches it.
        world.disconnect(lagging);
        for n in 0..50 {
            world.apply(leader, &format!("c{n}")).await.unwrap();
        }
        world.heal();
        assert_eq!(world.raft(lagging).send(StaleRead(History)).await.unwrap().unwrap().len(), 0);
        assert_eq!(world.read(lagging).await.unwrap().len(), 50);
    });
}

#[test]
fn a_read_on_an_idle_follower_does_not_wait_for_a_heartbeat() {
    simulate(async {
        let world = World::running(3, 76).await;
        let follower = world.followers().await[0];
        let leader = world.leader().await;
        world.apply(leader, "x").await.unwrap();
        let began = Instant::now();
        world.read(follower).await.unwrap();
        let took = began.elapsed();
        assert!(took < world.config.heartbeat_interval(), "{took:?}");
    });
}

/// Answers everything, and promises to elect nobody else for this long.
fn promise(puppet: &Puppet, sticks_ms: u64) {
    let mut agree = agree(puppet);
    puppet.answer_by(move |request| match agree(request) {
        Some(Response::Heartbeat(mut answer)) => {
            answer.sticks_ms = sticks_ms;
            Some(Response::Heartbeat(answer))
        }
        other => other,
    });
}

#[test]
fn a_lease_is_worth_what_the_voters_promise_from_when_they_were_asked() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        stage.world.apply(0, "x").await.unwrap();
        promise(&stage.n2, 100);
        sleep(stage.world.config.heartbeat_interval() * 2).await;
        let began = Instant::now();
        keep_heartbeats(&stage.n2);
        keep_heartbeats(&stage.n3);
        let raft = stage.world.raft(0);
        let read = async || tokio::time::timeout(ms(1), raft.send(Read(History).lease())).await;
        assert_eq!(read().await.unwrap().unwrap().unwrap(), ["x"]);
        assert_eq!(heartbeats(&stage.n3), 0, "nobody was asked");
        // 10 % less than what was promised, and what the newest heartbeat was sent earlier.
        sleep(ms(90) - stage.world.config.heartbeat_interval() - began.elapsed()).await;
        let mut held_until = began.elapsed();
        while read().await.is_ok() {
            held_until = began.elapsed();
            sleep(ms(1)).await;
        }
        assert!(held_until < ms(90), "{held_until:?}");
        assert!(heartbeats(&stage.n3) > 0, "without a lease it asks");
    });
}

#[test]
fn there_is_no_lease_before_anything_of_the_term_is_committed() {
    simulate(async {
        let stage = Stage::new().await;
        for puppet in [&stage.n2, &stage.n3] {
            promise(puppet, 10_000);
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match request {
                Request::AppendEntries(_) => None,
                request => match agree(request) {
                    Some(Response::Heartbeat(mut answer)) => {
                        answer.sticks_ms = 10_000;
                        Some(Response::Heartbeat(answer))
                    }
                    other => other,
                },
            });
        }
        stage.world.wait_for("n1 to lead", |world| world.leads(0)).await;
        sleep(ms(50)).await;
        let early = tokio::time::timeout(ms(50), stage.world.raft(0).send(Read(History).lease())).await;
        assert!(early.is_err(), "it does not know what is committed");
    });
}

#[test]
fn a_leader_that_is_cut_off_reads_by_its_lease_and_never_after_another_was_elected() {
    simulate(async {
        for seed in 400..406 {
            let mut world = World::running(3, seed).await;
            let old = world.leader().await;
            world.apply(old, "old").await.unwrap();
            sleep(ms(50)).await;
            world.partition(&[old]);
            let read = |world: &World| {
                let raft = world.raft(old);
                async move { tokio::time::timeout(ms(1), raft.send(Read(History).lease())).await }
            };
            let mut by_lease = 0;
            while !world.all().any(|n| n != old && world.leads(n)) {
                by_lease += u32::from(matches!(read(&world).await, Ok(Ok(Ok(_)))));
                sleep(ms(1)).await;
            }
            assert!(by_lease > 10, "{by_lease}");
            assert!(read(&world).await.is_err());
        }
    });
}

#[test]
fn a_lease_read_on_a_follower_is_fresh_too() {
    simulate(async {
        let world = World::running(3, 77).await;
        let (leader, follower) = (world.leader().await, world.followers().await[0]);
        for round in 1..10 {
            world.apply(leader, "x").await.unwrap();
            assert_eq!(world.raft(follower).send(Read(History).lease()).await.unwrap().unwrap().len(), round);
        }
    });
}

#[test]
fn who_knows_the_index_of_its_write_reads_it_on_any_node() {
    simulate(async {
        let mut world = World::running(3, 78).await;
        let leader = world.leader().await;
        let lagging = world.followers().await[0];
        let writer = world.followers().await[1];
        world.disconnect(lagging);
        for n in 0..3 {
            world.apply(leader, &format!("c{n}")).await.unwrap();
        }
        let written = world.raft(writer).send(Apply(Put::from("mine")).indexed()).await.unwrap().unwrap();
        assert_eq!((written.reply, written.index), (4, world.status(leader).commit_index));
        let own = StaleRead(History).min_index(written.index);
        assert_eq!(world.raft(leader).send(own.clone()).await.unwrap().unwrap().len(), 4);
        let early = world.raft(lagging).send(own.clone().timeout(ms(100))).await.unwrap();
        assert!(matches!(early, Err(ReadError::Timeout)), "{early:?}");
        let waiting = world.raft(lagging).send(own);
        sleep(ms(100)).await;
        world.heal();
        assert_eq!(waiting.await.unwrap().unwrap().last().unwrap(), "mine");
        let never = StaleRead(History).min_index(LogIndex(u64::MAX)).timeout(ms(10));
        assert!(matches!(world.raft(leader).send(never).await.unwrap(), Err(ReadError::Timeout)));
    });
}

/// hashicorp/raft's `TestRaft_Barrier`, on every node.
#[test]
fn a_barrier_waits_for_everything_sent_before_it() {
    simulate(async {
        let world = World::running(3, 79).await;
        world.traffic.delay(79, ms(5));
        for n in world.all() {
            let raft = world.raft(n);
            let writes: Vec<_> = (0..100).map(|k| raft.send(Apply(Put(format!("{n}.{k}"))))).collect();
            let index = raft.send(Barrier::default()).await.unwrap().unwrap();
            assert!(world.status(n).applied_index >= index);
            assert_eq!(world.recording(n).len(), (n + 1) * 100, "those of the others before, too");
            for write in join_all(writes).await {
                write.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn barriers_that_come_together_take_one_entry_and_end_at_their_deadline() {
    simulate(async {
        let mut world = World::running(3, 80).await;
        let leader = world.leader().await;
        sleep(ms(50)).await;
        let last = world.status(leader).last_index;
        let raft = world.raft(leader);
        let barriers = join_all((0..50).map(|_| raft.send(Barrier::default()))).await;
        barriers.into_iter().for_each(|barrier| assert_eq!(barrier.unwrap().unwrap(), last.next()));
        world.disconnect(leader);
        let late = raft.send(Barrier { timeout: Some(ms(40)) }).await.unwrap();
        assert!(matches!(late, Err(ReadError::Timeout)), "{late:?}");
        let waiting = raft.send(Barrier::default());
        sleep(secs(1)).await;
        world.heal();
        waiting.await.unwrap().unwrap();
    });
}

#[test]
fn a_leader_is_verified_by_a_quorum_of_voters() {
    simulate(async {
        let mut world = World::running(3, 81).await;
        let leader = world.leader().await;
        let followers = world.followers().await;
        let verify = |world: &World, n: usize| world.raft(n).send(VerifyLeader { timeout: Some(ms(50)) });
        verify(&world, leader).await.unwrap().unwrap();
        let answer = verify(&world, followers[0]).await.unwrap();
        assert!(matches!(answer, Err(ReadError::NotLeader { leader: Some(_) })), "{answer:?}");
        // One of two followers will do.
        world.disconnect(followers[0]);
        verify(&world, leader).await.unwrap().unwrap();
        world.disconnect(followers[1]);
        let answer = verify(&world, leader).await.unwrap();
        assert!(matches!(answer, Err(ReadError::Timeout)), "{answer:?}");
        let deposed = world.raft(leader).send(VerifyLeader::default());
        let answer = deposed.await.unwrap();
        assert!(matches!(answer, Err(ReadError::NotLeader { .. })), "it steps down: {answer:?}");
    });
}
