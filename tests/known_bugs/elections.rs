//! Elections that ended in a standstill, or that nobody needed: nodes on paused time.

use futures::future::join_all;
use raftix::{
    Config, Read,
    types::{AppendOutcome, LogIndex, Request, RequestVoteResponse, Response, Term},
};
use tokio::time::{Instant, sleep};

use crate::support::{History, Stage, World, entries, ms, secs, simulate};

/// Waits for a leader, and not for long.
async fn soon_a_leader(world: &World) -> usize {
    let began = Instant::now();
    let leader = world.leader().await;
    let took = began.elapsed();
    assert!(took < 20 * world.config.election_timeout, "a leader took {took:?}");
    leader
}

#[test]
fn regress_a13_a_node_that_missed_several_terms_helps_to_elect_when_it_comes_back() {
    simulate(async {
        for seed in 0..6 {
            let mut world = World::running(3, 1300 + seed).await;
            let late = world.followers().await[0];
            let missed = world.status(late).term;
            world.disconnect(late);
            for round in 0..3 {
                let leader = world.leader().await;
                world.restart(leader).await;
                let leader = world.leader().await;
                world.apply(leader, &format!("c{round}")).await.unwrap();
            }
            let gone = world.leader().await;
            assert!(world.status(gone).term.get() >= missed.get() + 3 && world.status(late).term == missed);
            // It is back at the moment the leader goes: no election without its promise and its vote.
            world.heal();
            world.disconnect(gone);
            let leader = soon_a_leader(&world).await;
            assert_ne!(leader, late, "it lacks what is committed");
            assert_eq!(world.read(late).await.unwrap(), ["c0", "c1", "c2"]);
            world.heal();
            world.leader().await;
            world.ensure_same().await;
        }
    });
}

/// The one without pre-vote runs ahead in term while it is cut off; the one with it has the longer log.
#[test]
fn regress_a14_pre_vote_may_be_switched_on_node_by_node() {
    simulate(async {
        for seed in 0..2 {
            for only_late_asks in [false, true] {
                let mut world = World::running(3, 1400 + seed).await;
                let late = world.followers().await[0];
                for n in world.all() {
                    world.config.pre_vote = (n == late) == only_late_asks;
                    world.restart(n).await;
                    world.leader().await;
                }
                if world.leader().await == late {
                    world.disconnect(late);
                    world.leader().await;
                    world.heal();
                }
                world.disconnect(late);
                let leader = world.leader().await;
                world.apply(leader, "x").await.unwrap();
                sleep(20 * world.config.election_timeout).await;
                let ahead = world.status(late).term > world.status(leader).term;
                assert_eq!(ahead, !only_late_asks, "only who does not ask first runs ahead");
                world.crash(leader).await;
                world.heal();
                let next = soon_a_leader(&world).await;
                assert_ne!(next, late, "it lacks what is committed");
                world.start(leader).await;
                soon_a_leader(&world).await;
                world.ensure_same().await;
            }
        }
    });
}

/// 1100 ms make intervals of 110 ms, which the ticks of 50 ms do not meet.
#[test]
fn regress_a21_heartbeats_keep_their_pace_however_the_ticks_fall() {
    simulate(async {
        let mut world = World::new(3, 2100);
        world.config = Config::default();
        world.config.heartbeat_timeout = ms(1100);
        world.config.election_timeout = ms(1100);
        world.start_all().await;
        world.leader().await;
        let before = world.traffic.heartbeats();
        sleep(100 * world.config.heartbeat_interval()).await;
        let sent = (world.traffic.heartbeats() - before) / 2;
        assert!((98..=102).contains(&sent), "{sent} heartbeats to each peer in 100 intervals");
    });
}

#[test]
fn regress_a24_a_node_that_was_down_for_long_is_heard_of_before_it_stands() {
    simulate(async {
        for seed in 0..2 {
            let mut world = World::new(3, 2400 + seed);
            world.config = Config::default();
            world.start_all().await;
            let (leader, down) = (world.leader().await, world.followers().await[0]);
            let term = world.status(leader).term;
            world.crash(down).await;
            sleep(secs(60)).await;
            world.start(down).await;
            sleep(2 * world.config.heartbeat_interval()).await;
            assert_eq!(world.status(down).leader, Some(world.id(leader).into()));
            sleep(secs(5)).await;
            assert_eq!((world.status(leader).term, world.leads(leader)), (term, true));
        }
    });
}

#[test]
fn regress_a26_reads_cause_no_elections_however_many() {
    simulate(async {
        let mut world = World::new(3, 2600);
        world.traffic.delay(2600, ms(10));
        world.start_all().await;
        let leader = world.leader().await;
        world.apply(leader, "x").await.unwrap();
        let term = world.status(leader).term;
        let mut reads = Vec::new();
        for n in 0..3000 {
            reads.push(world.raft(n % 3).send(Read(History)));
            sleep(ms(1)).await;
        }
        for read in join_all(reads).await {
            assert_eq!(read.unwrap().unwrap(), ["x"]);
        }
        assert_eq!((world.status(leader).term, world.leads(leader)), (term, true));
    });
}

#[test]
fn regress_h42_a_node_that_hears_nothing_of_its_leader_neither_disturbs_nor_blocks() {
    simulate(async {
        for seed in 0..4 {
            let mut world = World::running(3, 4200 + seed).await;
            let (leader, deaf) = (world.leader().await, world.followers().await[0]);
            let term = world.status(leader).term;
            world.network.cut(world.address(leader), world.address(deaf));
            world.restart(deaf).await;
            sleep(secs(5)).await;
            assert_eq!((world.status(leader).term, world.leads(leader)), (term, true), "seed {seed}");
            world.crash(leader).await;
            soon_a_leader(&world).await;
            world.heal();
            world.start(leader).await;
            world.leader().await;
            world.ensure_same().await;
        }
    });
}

/// A heartbeat of term T+1 arrives at every moment between the election of T and its first entry.
#[test]
fn regress_h35_a_leader_deposed_at_any_moment_of_its_beginning_sends_and_writes_nothing_more() {
    simulate(async {
        for between in 0..24 {
            let stage = Stage::new().await;
            stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b"]), 2).await;
            // Everybody promises, nobody votes by itself.
            for puppet in [&stage.n2, &stage.n3] {
                let incarnation = puppet.incarnation();
                puppet.answer_by(move |request| match request {
                    Request::PreVote(request) => Some(Response::PreVote(RequestVoteResponse {
                        term: request.term,
                        incarnation,
                        granted: true,
                    })),
                    _ => None,
                });
            }
            stage.world.wait_for("n1 to stand", |world| world.status(0).term == Term(3)).await;
            for (request, responder) in stage.n2.kept() {
                if let Request::RequestVote(request) = request {
                    let incarnation = stage.n2.incarnation();
                    let vote = RequestVoteResponse { term: request.term, incarnation, granted: true };
                    responder.respond(Ok(Response::RequestVote(vote)));
                }
            }
            for _ in 0..between {
                tokio::task::yield_now().await;
            }
            assert!(stage.n3.heartbeat(4).await.follows);
            drop((stage.n2.kept(), stage.n3.kept()));
            let last = stage.world.status(0).last_index;
            sleep(ms(20)).await;
            let late: Vec<_> = stage.n2.kept().into_iter().chain(stage.n3.kept()).collect();
            assert!(late.is_empty(), "{between}: {late:?}");
            let status = stage.world.status(0);
            assert_eq!((status.term, status.leader, status.last_index), (Term(4), Some("n3".into()), last));
            // Nor did it send anything in term 3 from the moment it answered in term 4.
            stage.world.check();
            // What it wrote, if anything, is of the term that it won.
            let end = if last == LogIndex(3) { (3, 2) } else { (4, 3) };
            let response = stage.n3.append(4, end, entries(end.0 + 1, 4, &["c"]), end.0 + 1).await;
            assert!(matches!(response.outcome, AppendOutcome::Matched { .. }), "{response:?}");
            assert_eq!(stage.world.recording(0).commands(), ["a", "b", "c"]);
        }
    });
}
