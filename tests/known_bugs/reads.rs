//! Reads across a change of leader, and beside disks that stand still.

use raftix::{GetStatus, Read, ReadError, ServerRole, system::FlushGate, types::Request};
use tokio::time::sleep;

use crate::support::{History, Stage, World, agree, entries, ms, secs, simulate};

/// The heartbeats of the round are answered at every moment after the next leader has committed something.
#[test]
fn regress_c4_answers_that_arrive_after_the_leader_was_deposed_confirm_no_read() {
    simulate(async {
        for between in 0..12 {
            let stage = Stage::new().await;
            let term = stage.crown().await.get();
            stage.world.apply(0, "old").await.unwrap();
            for puppet in [&stage.n2, &stage.n3] {
                let mut agree = agree(puppet);
                puppet.answer_by(move |request| match request {
                    Request::Heartbeat(_) => None,
                    request => agree(request),
                });
            }
            let read = stage.world.raft(0).send(Read(History).timeout(ms(50)));
            sleep(ms(1)).await;
            let round: Vec<_> = stage.n2.kept().into_iter().chain(stage.n3.kept()).collect();
            assert!(round.len() >= 2, "both were asked");
            let last = stage.world.status(0).last_index.get();
            let new = entries(last + 1, term + 1, &["new"]);
            let deposed = stage.n2.append(term + 1, (last, term), new, last + 1);
            let confirmed = async {
                for _ in 0..between {
                    tokio::task::yield_now().await;
                }
                for (request, responder) in round {
                    responder.respond(Ok(agree(&stage.n2)(&request).unwrap()));
                }
            };
            futures::future::join(deposed, confirmed).await;
            // It asks the next leader, who says nothing.
            let answer = read.await.unwrap();
            assert!(matches!(answer, Err(ReadError::Timeout)), "{between}: {answer:?}");
        }
    });
}

#[test]
fn regress_h14_h30_followers_whose_disks_stand_still_confirm_reads_and_keep_their_leader() {
    simulate(async {
        let mut world = World::new(3, 1400);
        let gates: Vec<FlushGate> = world.all().map(|_| FlushGate::new()).collect();
        for n in world.all() {
            let gate = gates[n].clone();
            world.start_with(n, |builder, _| builder.flush_gate(gate)).await;
        }
        let leader = world.leader().await;
        world.apply(leader, "x").await.unwrap();
        let term = world.status(leader).term;
        for n in world.followers().await {
            gates[n].close();
        }
        // Something to wait for.
        let write = world.apply(leader, "y");
        let reads = async {
            for _ in 0..20 {
                sleep(world.config.heartbeat_timeout).await;
                assert_eq!(world.read(leader).await.unwrap(), ["x"]);
            }
            for n in world.all() {
                let status = world.raft(n).send(GetStatus).await.unwrap();
                assert_eq!((status.term, status.role == ServerRole::Leader), (term, n == leader));
            }
            gates.iter().for_each(FlushGate::open);
        };
        let (write, ()) = futures::future::join(write, reads).await;
        assert_eq!(write.unwrap(), 2);
        assert!(world.config.request_timeout > secs(3), "it waited for the disks alone");
        world.ensure_same().await;
    });
}
