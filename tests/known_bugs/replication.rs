//! What was acknowledged, truncated or counted wrongly.

use raftix::{
    Apply, ApplyError, Fatal,
    protocol::{Progress, TermRuns, WindowLimits},
    sim::vfs::{Effect, Fault, Operation},
    types::{AppendOutcome, Entries, LogId, LogIndex, Term},
};
use tokio::time::{sleep, timeout};

use crate::{
    forgetful::{ForgetfulStore, Forgetfulness},
    support::{Put, Stage, World, entries, let_time_run_out, ms, secs, simulate},
};

fn at(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

/// The follower acknowledged request 2, crashed before the answer arrived, and lost a damaged tail.
#[test]
fn regress_b4_an_acknowledgement_from_before_a_follower_lost_entries_counts_for_nothing() {
    let mut ours = TermRuns::new(LogId::ZERO);
    ours.append(LogIndex(20), [(LogIndex(1), Term(1))].into_iter());
    let mut progress = Progress::new(LogIndex(9), WindowLimits { requests: 4, bytes: 1000 });
    progress.sent(1, LogIndex(8), 0);
    progress.acknowledged(1, LogIndex(8));
    progress.sent(2, LogIndex(10), 10);
    progress.sent(3, LogIndex(12), 10);
    assert!(progress.refused(3, LogIndex(10), at(5, 1), &ours));
    progress.sent(4, LogIndex(9), 10);
    assert!(progress.refused(4, LogIndex(8), at(5, 1), &ours), "what it had acknowledged is gone");
    assert_eq!((progress.matched(), progress.next()), (LogIndex::ZERO, LogIndex(6)));
    assert!(!progress.acknowledged(2, LogIndex(10)), "true when it was sent, and not any more");
    progress.sent(5, LogIndex(12), 10);
    assert!(!progress.acknowledged(3, LogIndex(12)));
    assert_eq!(progress.matched(), LogIndex::ZERO);
    assert!(progress.acknowledged(5, LogIndex(12)));
    assert_eq!((progress.matched(), progress.next()), (LogIndex(12), LogIndex(13)));
}

#[test]
fn regress_b10_a_leader_that_cannot_read_its_log_stops_and_sends_nothing_made_up() {
    simulate(async {
        let mut world = World::new(3, 1000);
        world.config.log_cache_bytes = 1;
        world.start_all().await;
        let (leader, lagging) = (world.leader().await, world.followers().await[0]);
        world.disconnect(lagging);
        let commands: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
        world.apply_all(commands.clone()).await;
        world.disk(leader).inject(Fault::at(Operation::Read, Effect::Fail(std::io::ErrorKind::Other)));
        world.heal();
        let raft = world.raft(leader);
        let fatal = timeout(secs(5), raft.stopped()).await.expect("it stops").expect("with a reason");
        assert!(matches!(fatal, Fatal::Storage(_)), "{fatal}");
        world.crash(leader).await;
        world.leader().await;
        world.ensure_same().await;
        assert_eq!(world.recording(lagging).commands(), commands);
    });
}

#[test]
fn regress_b19_what_ends_in_doubt_gives_its_room_back() {
    simulate(async {
        let mut world = World::new(3, 1900);
        world.config.pending_requests_max = 8;
        world.config.unflushed_bytes_max = 2000;
        world.start_all().await;
        for _ in 0..5 {
            let leader = world.leader().await;
            world.disconnect(leader);
            let raft = world.raft(leader);
            let wait = ms(400);
            let lost: Vec<_> = (0..8).map(|_| raft.send(Apply(Put("x".repeat(300))).timeout(wait))).collect();
            let ninth = raft.send(Apply(Put::from("ninth")));
            assert!(matches!(ninth.await.unwrap(), Err(ApplyError::Overloaded { .. })));
            for outcome in lost {
                assert!(outcome.await.unwrap().is_err());
            }
            world.heal();
            world.leader().await;
            let served: Vec<_> = (0..8).map(|_| raft.send(Apply(Put("y".repeat(300))))).collect();
            for outcome in served {
                outcome.await.unwrap().unwrap();
            }
        }
        world.ensure_same().await;
    });
}

#[test]
fn regress_b27_a_store_that_returns_nothing_is_asked_again_at_the_next_tick_and_not_in_a_loop() {
    simulate(async {
        let mut world = World::new(3, 2700);
        world.config.log_cache_bytes = 1;
        let forgetful: Vec<Forgetfulness> = world.all().map(|_| Forgetfulness::default()).collect();
        for n in world.all() {
            let store = ForgetfulStore::new(&forgetful[n]);
            world.start_with(n, |builder, _| builder.log_store(store)).await;
        }
        let (leader, lagging) = (world.leader().await, world.followers().await[0]);
        world.disconnect(lagging);
        world.apply_all((0..50).map(|n| format!("c{n}"))).await;
        forgetful[leader].set(true);
        world.heal();
        let before = forgetful[leader].reads();
        let ticks = 20;
        sleep(ticks * world.config.tick_interval()).await;
        let reads = forgetful[leader].reads() - before;
        assert!(reads > 1, "it is asked again");
        // A quiet peer is told the commit index now and then, and its answer is an occasion, too.
        assert!(reads <= 2 * ticks, "{reads} reads in {ticks} ticks");
        assert!(world.leads(leader) && world.status(leader).fatal.is_none());
        assert_eq!(world.recording(lagging).len(), 0);
        forgetful[leader].set(false);
        world.ensure_same().await;
        assert_eq!(world.recording(lagging).len(), 50);
    });
}

#[test]
fn regress_b28_giving_a_vote_removes_nothing_from_the_log() {
    simulate(async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "c"]), 2).await;
        let_time_run_out(&stage.world).await;
        for (term, last, granted) in [(5, (9, 4), true), (6, (3, 2), false), (7, (4, 2), true)] {
            let response = stage.n3.request_vote(stage.n3.candidacy(term, last)).await;
            assert_eq!(response.granted, granted, "term {term}");
            let status = stage.world.status(0);
            assert_eq!((status.last_index, status.durable_index), (LogIndex(4), LogIndex(4)));
        }
        // A leader that has all of it finds all of it.
        let response = stage.n2.append(8, (4, 2), Entries::none(), 4).await;
        assert_eq!(response.outcome, AppendOutcome::Matched { matched: LogIndex(4) });
        assert_eq!(stage.world.recording(0).commands(), ["a", "b", "c"]);
    });
}
