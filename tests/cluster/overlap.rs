//! Persisting, replicating and applying go on beside each other: in real time, with threads.
//!
//! The delays are injected where the work is, and measured there, so that a busy machine slows both sides of
//! each comparison.

use std::sync::{Mutex, mpsc};

use futures::future::join_all;
use raftix::{
    Apply, ApplyError, Placement, Read, ReadError, Shutdown, StaleRead, UnknownReason, types::LogIndex,
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{FaultyStore, History, Put, Recorder, StoreFaults, World, in_real_time, ms, secs};

/// Three nodes, each with a thread for its log and one for its state machine.
async fn threaded(
    set: impl FnOnce(&mut World),
    before_apply: impl Fn(&str) + Clone + Send + Sync + 'static,
) -> (World, Vec<StoreFaults>) {
    let mut world = World::new(3, 41);
    // A busy machine must not look like a dead leader.
    world.config.heartbeat_timeout = ms(500);
    world.config.election_timeout = ms(500);
    world.config.leader_lease_timeout = ms(400);
    set(&mut world);
    let faults: Vec<StoreFaults> = world.all().map(|_| StoreFaults::default()).collect();
    for n in world.all() {
        let store = FaultyStore::new(&faults[n]);
        let hook = before_apply.clone();
        world
            .start_with(n, |builder, recording| {
                let machine = Recorder::new(recording).before_apply(hook);
                builder.log_store(store).placement(Placement::Dedicated).state_machine(machine)
            })
            .await;
    }
    world.leader().await;
    (world, faults)
}

#[test]
fn the_flushes_of_leader_and_followers_overlap() {
    in_real_time(async {
        let (world, faults) = threaded(|_| {}, |_| {}).await;
        let leader = world.leader().await;
        faults.iter().for_each(|faults| faults.set_flush_takes(ms(5)));
        let mut best = 0.0_f64;
        // One flush after the other would reach half of it, however often it is tried. What is missing to the whole is
        // how long threads take to wake, which differs from machine to machine.
        for _ in 0..8 {
            faults[leader].measure();
            let began = Instant::now();
            for _ in 0..30 {
                world.apply(leader, "x").await.unwrap();
            }
            let per_write = began.elapsed() / 30;
            let (_, flush) = faults[leader].measured();
            best = best.max(flush.as_secs_f64() / per_write.as_secs_f64());
            if best >= 0.75 {
                break;
            }
        }
        assert!(best >= 0.75, "one client commits at {best:.2} of a flush's rate");
        assert!(best < 1.5, "or without a flush of its own: {best:.2}");
        world.check();
    });
}

#[expect(clippy::disallowed_methods, reason = "an injected fault takes real time")]
fn dawdle() {
    std::thread::sleep(ms(1));
}

#[test]
fn a_slow_state_machine_delays_no_append_no_heartbeat_and_no_vote() {
    in_real_time(async {
        let (world, _) = threaded(|_| {}, |_| dawdle()).await;
        let leader = world.leader().await;
        let term = world.status(leader).term;
        let heartbeats = world.traffic.heartbeats();
        let began = Instant::now();
        let raft = world.raft(leader);
        let writes: Vec<_> = (0..400).map(|n| raft.send(Apply(Put(format!("c{n}"))))).collect();
        let last = LogIndex(2 + 400);
        let all_durable = |world: &World| world.all().all(|n| world.status(n).durable_index >= last);
        world.wait_for("everything to be durable everywhere", all_durable).await;
        for n in world.all() {
            let status = world.status(n);
            assert!(status.applied_index.get() < 200, "{n} applied {} by then", status.applied_index);
        }
        let mut answered = join_all(writes).await.into_iter();
        assert!(answered.all(|outcome| outcome.unwrap().is_ok()));
        let intervals = began.elapsed().as_secs_f64() / world.config.heartbeat_interval().as_secs_f64();
        let sent = (world.traffic.heartbeats() - heartbeats) as f64 / 2.0;
        assert!(sent > intervals * 0.5, "{sent} heartbeats to each peer in {intervals:.0} intervals");
        assert_eq!(world.status(leader).term, term, "nobody stood");
        world.ensure_same().await;
    });
}

#[test]
fn the_callers_of_a_slow_state_machine_hear_as_soon_as_theirs_is_applied() {
    in_real_time(async {
        #[expect(clippy::disallowed_methods, reason = "an injected fault takes real time")]
        let (world, _) = threaded(|_| {}, |_| std::thread::sleep(ms(10))).await;
        let raft = world.raft(world.leader().await);
        let began = Instant::now();
        let mut writes: Vec<_> = (0..40).map(|n| raft.send(Apply(Put(format!("c{n}"))))).collect();
        let first = writes.remove(0);
        first.await.unwrap().unwrap();
        let took = began.elapsed();
        join_all(writes).await;
        let all = began.elapsed();
        assert!(took < all / 2, "the first of 40 heard after {took:?}, the last after {all:?}");
    });
}

#[test]
fn everybody_has_an_answer_at_the_deadline_although_apply_never_returns() {
    in_real_time(async {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = std::sync::Arc::new(Mutex::new(blocked));
        let hook = move |command: &str| {
            if command == "stop" {
                // Returns when the test is over, at the latest after 30 s.
                let _ = blocked.lock().unwrap().recv_timeout(secs(30));
            }
        };
        let deadline = ms(500);
        let (world, _) = threaded(|world| world.config.request_timeout = deadline, hook).await;
        let leader = world.leader().await;
        let raft = world.raft(leader);
        let began = Instant::now();
        let stop = raft.send(Apply(Put::from("stop")));
        let behind = raft.send(Apply(Put::from("behind")));
        let forwarded = world.raft((leader + 1) % 3).send(Apply(Put::from("forwarded")));
        sleep(ms(50)).await;
        let read = raft.send(Read(History));
        let stale = raft.send(StaleRead(History));
        let brief = raft.send(Apply(Put::from("brief")).timeout(ms(100)));
        let is_late = |outcome: &ApplyError<Put>| {
            matches!(outcome, ApplyError::OutcomeUnknown { why: UnknownReason::Deadline, .. })
        };
        let slack = ms(300);
        assert!(is_late(&brief.await.unwrap().unwrap_err()));
        assert!(began.elapsed() < ms(150) + slack);
        assert!(is_late(&stop.await.unwrap().unwrap_err()));
        assert!(is_late(&behind.await.unwrap().unwrap_err()));
        let forwarded = forwarded.await.unwrap().unwrap_err();
        assert!(matches!(forwarded, ApplyError::OutcomeUnknown { .. }), "{forwarded}");
        assert!(matches!(read.await.unwrap(), Err(ReadError::Timeout)));
        assert!(matches!(stale.await.unwrap(), Err(ReadError::Timeout)));
        assert!(began.elapsed() < ms(50) + deadline + slack, "{:?}", began.elapsed());
        assert!(world.leads(leader), "it leads on");
        let asked = Instant::now();
        let last = raft.send(Apply(Put::from("last")));
        sleep(ms(20)).await;
        let shutdown = raft.send(Shutdown);
        assert!(matches!(last.await.unwrap(), Err(ApplyError::OutcomeUnknown { .. })));
        timeout(secs(10), shutdown).await.expect("it ends").unwrap();
        assert!(asked.elapsed() < deadline + ms(20) + slack, "{:?}", asked.elapsed());
        drop(release);
    });
}

#[test]
fn a_leader_whose_disk_hangs_commits_by_its_followers_flushes_and_does_not_count_itself() {
    in_real_time(async {
        let (mut world, faults) = threaded(|_| {}, |_| {}).await;
        let leader = world.leader().await;
        let follower = world.followers().await[0];
        world.apply(leader, "before").await.unwrap();
        world.ensure_same().await;
        let durable = world.status(leader).durable_index;
        faults[leader].set_stuck(true);
        for n in 0..20 {
            world.apply(leader, &format!("c{n}")).await.unwrap();
        }
        let status = world.status(leader);
        assert_eq!(status.durable_index, durable);
        assert_eq!(status.applied_index, LogIndex(durable.get() + 20));
        world.disconnect(follower);
        let alone = world.raft(leader).send(Apply(Put::from("alone")).timeout(ms(200)));
        let error = alone.await.unwrap().unwrap_err();
        assert!(matches!(error, ApplyError::OutcomeUnknown { .. }), "{error}");
        assert_eq!(world.status(leader).commit_index, status.commit_index);
        assert!(world.leads(leader), "the other follower answers");
        faults[leader].set_stuck(false);
        let committed = LogIndex(status.commit_index.get() + 1);
        world.wait_applied(leader, committed).await;
        world.heal();
        world.leader().await;
        world.ensure_same().await;
    });
}

#[test]
fn a_leader_whose_disk_stalls_gives_up_leadership_and_may_lead_again() {
    in_real_time(async {
        let stall = ms(200);
        let (world, faults) = threaded(|world| world.config.disk_stall_timeout = stall, |_| {}).await;
        let stalled = world.leader().await;
        faults[stalled].set_stuck(true);
        world.apply(stalled, "x").await.unwrap();
        let began = Instant::now();
        world.wait_for("it to step down", |world| !world.leads(stalled)).await;
        assert!(began.elapsed() < stall + secs(2), "{:?}", began.elapsed());
        world.wait_for("another leader", |world| world.all().any(|n| n != stalled && world.leads(n))).await;
        for other in world.all().filter(|n| *n != stalled) {
            faults[other].set_stuck(true);
        }
        faults[stalled].set_stuck(false);
        let nudge = world.raft(stalled).send(Apply(Put::from("nudge")).timeout(ms(50)));
        let _ = nudge.await;
        for other in world.all().filter(|n| *n != stalled) {
            world.wait_for("the others to give up too", |world| !world.leads(other)).await;
            faults[other].set_stuck(false);
        }
        world.leader().await;
        world.apply(stalled, "after").await.unwrap();
        world.ensure_same().await;
    });
}
