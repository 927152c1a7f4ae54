//! Leadership is handed on: fast, to whom it was asked for, without a write in doubt; or not, and the leader goes on.

use std::{future::Future, time::Duration};

use futures::future::join_all;
use raftix::{
    Apply, Config, Read, Shutdown, TransferError, TransferLeadership,
    types::{AppendOutcome, NodeId, Request, Response, TimeoutNowResponse},
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{History, Puppet, Put, Stage, World, agree, ms, secs, simulate};

fn transfer(
    world: &World,
    on: usize,
    to: Option<&str>,
) -> impl Future<Output = Result<NodeId, TransferError>> + use<> {
    let asked = world.raft(on).send(TransferLeadership { to: to.map(NodeId::from) });
    async { asked.await.unwrap() }
}

#[test]
fn the_node_that_is_named_leads_next() {
    simulate(async {
        let world = World::running(5, 500).await;
        for to in [3, 1, 4, 0, 2] {
            let leader = world.leader().await;
            if to != leader {
                let began = Instant::now();
                assert_eq!(transfer(&world, leader, Some(world.id(to))).await.unwrap(), world.id(to).into());
                assert!(began.elapsed() < world.config.heartbeat_timeout, "no election timeout has passed");
                assert_eq!(world.leader().await, to);
            }
        }
        world.ensure_same().await;
    });
}

#[test]
fn without_a_name_a_voter_that_has_everything_leads_next() {
    simulate(async {
        let mut world = World::running(3, 501).await;
        let leader = world.leader().await;
        let followers = world.followers().await;
        world.disconnect(followers[0]);
        world.apply(leader, "x").await.unwrap();
        let to = transfer(&world, leader, None).await.unwrap();
        assert_eq!(to, world.id(followers[1]).into(), "not the one that is cut off");
    });
}

#[test]
fn any_node_may_be_asked() {
    simulate(async {
        let world = World::running(3, 502).await;
        let leader = world.leader().await;
        let followers = world.followers().await;
        let to = world.id(followers[1]);
        assert_eq!(transfer(&world, followers[0], Some(to)).await.unwrap(), to.into());
        assert_eq!(world.leader().await, followers[1]);
        let refused = transfer(&world, leader, Some(to)).await.unwrap_err();
        assert!(matches!(refused, TransferError::Itself(id) if id == to.into()));
    });
}

#[test]
fn what_cannot_be_is_refused() {
    simulate(async {
        let mut world = World::running(3, 503).await;
        let leader = world.leader().await;
        let own = world.id(leader).to_owned();
        let answer = transfer(&world, leader, Some(&own)).await.unwrap_err();
        assert!(matches!(answer, TransferError::Itself(_)), "{answer}");
        let answer = transfer(&world, leader, Some("n9")).await.unwrap_err();
        assert!(matches!(answer, TransferError::UnknownServer(_)), "{answer}");
        let term = world.status(leader).term;
        world.config.forwarding = false;
        let follower = world.followers().await[0];
        world.restart(follower).await;
        let answer = transfer(&world, follower, None).await.unwrap_err();
        assert!(matches!(answer, TransferError::NotLeader { .. }), "{answer}");
        assert_eq!(world.status(leader).term, term);
        let alone = World::running(1, 503).await;
        let answer = transfer(&alone, 0, None).await.unwrap_err();
        assert!(matches!(answer, TransferError::NoTarget), "{answer}");
    });
}

/// hashicorp/raft's `LeadershipTransferWithWrites`; none of the writers is refused or left in doubt.
#[test]
fn no_write_is_lost_doubled_or_in_doubt() {
    simulate(async {
        for seed in 504..508 {
            let world = World::running(5, seed).await;
            world.traffic.delay(seed, ms(4));
            let write = |n: usize| {
                let raft = world.raft(n % 5);
                async move {
                    for k in 0..60 {
                        raft.send(Apply(Put(format!("{n}.{k}")))).await.unwrap().unwrap();
                    }
                }
            };
            let transfers = async {
                for _ in 0..6 {
                    let leader = world.leader().await;
                    transfer(&world, leader, None).await.unwrap();
                    sleep(ms(40)).await;
                }
            };
            tokio::join!(join_all((0..10).map(write)), transfers);
            world.ensure_same().await;
            assert_eq!(world.recording(0).len(), 600);
        }
    });
}

/// hashicorp/raft's `LeadershipTransferToBehindServer`.
#[test]
fn a_node_that_is_behind_catches_up_first() {
    simulate(async {
        let mut world = World::running(3, 509).await;
        let leader = world.leader().await;
        let behind = world.followers().await[0];
        world.disconnect(behind);
        for n in 0..1000 {
            world.apply(leader, &format!("c{n}")).await.unwrap();
        }
        world.heal();
        let to = world.id(behind);
        assert_eq!(transfer(&world, leader, Some(to)).await.unwrap(), to.into());
        assert_eq!(world.read(behind).await.unwrap().len(), 1000);
    });
}

/// hashicorp/raft#696: the flag of a transfer that did not end stayed set.
#[test]
fn regress_g1_h37_a_leader_that_gave_up_on_a_dead_node_takes_writes_again() {
    simulate(async {
        let mut world = World::running(3, 510).await;
        let leader = world.leader().await;
        let dead = world.followers().await[0];
        world.disconnect(dead);
        world.apply(leader, "before").await.unwrap();
        let began = Instant::now();
        let handing = transfer(&world, leader, Some(world.id(dead)));
        sleep(ms(20)).await;
        let second = transfer(&world, leader, None).await.unwrap_err();
        assert!(matches!(second, TransferError::InProgress), "{second}");
        let write = world.apply(leader, "meanwhile");
        let (answer, write) = tokio::join!(handing, write);
        assert!(matches!(answer, Err(TransferError::TimedOut)), "{answer:?}");
        assert_eq!(write.unwrap(), 2, "it waited");
        assert!(began.elapsed() < world.config.election_timeout * 2);
        world.apply(leader, "after").await.unwrap();
        // Deposed in the middle of one, and elected again.
        let handing = transfer(&world, leader, Some(world.id(dead)));
        world.partition(&[leader]);
        drop(handing);
        sleep(secs(2)).await;
        world.heal();
        let new = world.leader().await;
        if new != leader {
            transfer(&world, new, Some(world.id(leader))).await.unwrap();
        }
        assert_eq!(world.apply(leader, "again").await.unwrap(), 4);
    });
}

/// Answers `TimeoutNow` in this way, and agrees with everything else.
fn told_to_stand(puppet: &Puppet, accepted: Option<bool>) {
    let mut agree = agree(puppet);
    puppet.answer_by(move |request| match request {
        Request::TimeoutNow(request) => {
            let term = request.term;
            accepted.map(|accepted| Response::TimeoutNow(TimeoutNowResponse { term, accepted }))
        }
        request => match agree(request) {
            Some(Response::Heartbeat(mut answer)) => {
                answer.sticks_ms = 10_000;
                Some(Response::Heartbeat(answer))
            }
            other => other,
        },
    });
}

#[test]
fn a_node_that_refuses_to_stand_ends_the_transfer_at_once() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        told_to_stand(&stage.n2, Some(false));
        let began = Instant::now();
        let answer = transfer(&stage.world, 0, Some("n2")).await.unwrap_err();
        assert!(matches!(answer, TransferError::TargetRefused(_)), "{answer}");
        assert!(began.elapsed() < ms(20));
        stage.world.apply(0, "x").await.unwrap();
    });
}

#[test]
fn regress_c6_c7_a_lease_is_given_up_before_anybody_is_told_to_stand_and_not_regained() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        stage.world.apply(0, "x").await.unwrap();
        told_to_stand(&stage.n2, Some(true));
        told_to_stand(&stage.n3, None);
        sleep(stage.world.config.heartbeat_interval() * 2).await;
        let raft = stage.world.raft(0);
        let read = async || timeout(ms(1), raft.send(Read(History).lease())).await;
        let keep = |puppet: &Puppet| {
            puppet.answer_by(move |request| match request {
                Request::TimeoutNow(request) => {
                    let term = request.term;
                    Some(Response::TimeoutNow(TimeoutNowResponse { term, accepted: true }))
                }
                _ => None,
            });
        };
        // Nobody answers heartbeats any more, so nothing but a lease answers a read.
        keep(&stage.n2);
        keep(&stage.n3);
        assert!(read().await.is_ok());
        let handing = transfer(&stage.world, 0, Some("n2"));
        sleep(ms(2)).await;
        assert!(read().await.is_err(), "n2 may lead by now");
        told_to_stand(&stage.n2, None);
        told_to_stand(&stage.n3, None);
        assert!(matches!(handing.await, Err(TransferError::TimedOut)));
        sleep(stage.world.config.heartbeat_interval() * 2).await;
        keep(&stage.n2);
        keep(&stage.n3);
        assert!(read().await.is_err(), "and n2 may still come to lead");
    });
}

/// openraft#1805: what makes a node a voter is the last that it must have.
#[test]
fn regress_d8_nobody_is_told_to_stand_who_lacks_an_entry_or_before_all_is_committed() {
    simulate(async {
        let stage = Stage::new().await;
        stage.crown().await;
        let keep = |puppet: &Puppet| {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match request {
                Request::AppendEntries(_) | Request::TimeoutNow(_) => None,
                request => agree(request),
            });
        };
        keep(&stage.n2);
        keep(&stage.n3);
        let write = stage.world.raft(0).send(Apply(Put::from("x")));
        sleep(ms(2)).await;
        let handing = transfer(&stage.world, 0, Some("n2"));
        sleep(ms(20)).await;
        let asked = stage.n2.kept();
        assert!(asked.iter().all(|(request, _)| !matches!(request, Request::TimeoutNow(_))), "it lacks x");
        for (request, responder) in asked {
            let answer = agree(&stage.n2)(&request).unwrap();
            assert!(matches!(&answer, Response::AppendEntries(a) if a.outcome != AppendOutcome::Refused));
            responder.respond(Ok(answer));
        }
        write.await.unwrap().unwrap();
        sleep(ms(5)).await;
        assert!(stage.n2.kept().iter().any(|(request, _)| matches!(request, Request::TimeoutNow(_))));
        drop(handing);
    });
}

#[test]
fn a_leader_that_stops_lets_somebody_else_lead_first() {
    simulate(async {
        let mut world = World::running(3, 511).await;
        let leader = world.leader().await;
        let followers = world.followers().await;
        let began = Instant::now();
        let writes: Vec<_> =
            (0..50).map(|k| world.raft(followers[k % 2]).send(Apply(Put(format!("c{k}"))))).collect();
        world.stop(leader).await;
        let took = began.elapsed();
        assert!(took < world.config.heartbeat_timeout / 2, "{took:?}");
        assert!(followers.iter().any(|n| world.leads(*n)), "without an election timeout");
        for write in join_all(writes).await {
            write.unwrap().unwrap();
        }
        world.start(leader).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_leader_that_stops_alone_waits_for_nobody_longer_than_an_election_timeout() {
    simulate(async {
        let mut world = World::running(3, 512).await;
        let leader = world.leader().await;
        world.partition(&[leader]);
        let began = Instant::now();
        world.raft(leader).send(Shutdown).await.unwrap();
        let took = began.elapsed();
        assert!(took <= world.config.election_timeout + 4 * world.config.tick_interval(), "{took:?}");
        world.check();
    });
}

/// How long no write is answered when leadership moves, with every message on its way for `latency` and another client
/// asking every millisecond: the median of many.
async fn gap(latency: Duration, seed: u64) -> Duration {
    let mut world = World::new(3, seed);
    world.config = Config::default();
    world.traffic.delay_exactly(latency);
    world.start_all().await;
    world.leader().await;
    let mut gaps = Vec::new();
    for _ in 0..15 {
        let leader = world.leader().await;
        sleep(ms(200)).await;
        let raft = world.raft(leader);
        let done = |k: u64| {
            let write = raft.send(Apply(Put(k.to_string())));
            async {
                write.await.unwrap().unwrap();
                Instant::now()
            }
        };
        let mut writes = Vec::new();
        let mut handing = None;
        for k in 0..100 {
            if k == 30 {
                handing = Some(transfer(&world, leader, None));
            }
            writes.push(tokio::task::spawn_local(done(k)));
            sleep(ms(1)).await;
        }
        handing.unwrap().await.unwrap();
        let mut ends: Vec<Instant> = join_all(writes).await.into_iter().map(Result::unwrap).collect();
        ends.sort();
        gaps.push(ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap());
    }
    gaps.sort();
    gaps[gaps.len() / 2]
}

#[test]
fn writes_wait_for_a_few_round_trips_and_not_for_a_timeout() {
    simulate(async {
        for latency in [ms(1), ms(5), ms(20)] {
            let gap = gap(latency, 513).await;
            println!("{latency:?} each way: {gap:?}");
            assert!(gap <= latency * 12 + ms(8), "{latency:?} each way: {gap:?}");
        }
    });
}
