//! The switches of `raftix::known_bug` that take actors to show. Those of a rule alone are in `known_bug_switches`.

use std::future::Future;

use raftix::{
    Apply, ApplyError, DemoteVoter, OpenSession, Read, Snapshot,
    known_bug::{KnownBug, bring_back},
    sim::vfs::Operation,
    system::FlushGate,
    transport::RpcError,
    types::{
        AppendOutcome, Entries, ForwardApply, ForwardReadIndexResponse, ForwardedResult, LogIndex, Request,
        RequestVoteResponse, Response,
    },
};
use tokio::time::{sleep, timeout};

use crate::install::receiving::Sent;
use crate::support::{History, Puppet, Put, Stage, World, agree, entries, let_time_run_out, ms, simulate};

/// What a world comes to without the bug, and with it.
#[track_caller]
fn differs<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(
    bug: KnownBug,
    run: impl Fn() -> F,
    sound: T,
    broken: T,
) {
    simulate(async {
        assert_eq!(run().await, sound, "without {bug}");
        let _back = bring_back(bug);
        assert_eq!(run().await, broken, "with {bug}");
    });
}

/// Whether it is done before anybody's patience runs out.
async fn soon(what: impl Future) -> bool {
    timeout(ms(20), what).await.is_ok()
}

/// `n1` with a disk that can be held back.
async fn gated() -> (Stage, FlushGate) {
    let gate = FlushGate::new();
    let mut world = World::new(3, 1);
    let (n2, n3) = (Puppet::new(&world, "n2", 0), Puppet::new(&world, "n3", 0));
    world.start_with(0, |builder, _| builder.flush_gate(gate.clone())).await;
    world.wait_for("membership", |world| world.status(0).standing == "member").await;
    (Stage { world, n2, n3 }, gate)
}

/// `n1` has followed `n2` in term 2 and forgotten it; its disk is held back from now on.
async fn orphan() -> (Stage, FlushGate) {
    let (stage, gate) = gated().await;
    stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b"]), 3).await;
    stage.world.wait_for("the leader to be forgotten", |world| world.status(0).leader.is_none()).await;
    let_time_run_out(&stage.world).await;
    gate.close();
    (stage, gate)
}

#[test]
fn a_vote_leaves_before_its_record_is_durable() {
    let answered = || async {
        let (stage, _gate) = orphan().await;
        soon(stage.n2.request_vote(stage.n2.candidacy(5, (3, 2)))).await
    };
    differs(KnownBug::VoteBeforeFlush, answered, false, true);
}

async fn two_candidates() -> (bool, bool) {
    let (stage, gate) = orphan().await;
    let granted = |response: RequestVoteResponse| response.granted;
    let (first, second, ()) = tokio::join!(
        stage.n2.request_vote(stage.n2.candidacy(5, (3, 2))),
        stage.n3.request_vote(stage.n3.candidacy(5, (3, 2))),
        async {
            sleep(ms(5)).await;
            gate.open();
        },
    );
    (granted(first), granted(second))
}

#[test]
fn a_second_candidate_gets_a_vote_while_the_first_ones_is_written() {
    differs(KnownBug::SecondVoteInFlight, two_candidates, (true, false), (true, true));
}

#[test]
fn each_half_of_a_torn_vote_has_a_flush_of_its_own() {
    let flushes = || async {
        let (stage, gate) = orphan().await;
        let before = stage.world.disk(0).count(Operation::Sync);
        let vote = stage.n2.request_vote(stage.n2.candidacy(5, (3, 2)));
        tokio::join!(vote, async {
            sleep(ms(5)).await;
            gate.open();
        });
        stage.world.disk(0).count(Operation::Sync) - before
    };
    differs(KnownBug::TornVote, flushes, 1, 2);
}

#[test]
fn entries_are_acknowledged_before_they_are_durable() {
    let answered = || async {
        let (stage, gate) = gated().await;
        gate.close();
        soon(stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 1)).await
    };
    differs(KnownBug::AckBeforeFlush, answered, false, true);
}

#[test]
fn a_leader_counts_what_it_has_not_flushed() {
    let committed = || async {
        let (stage, gate) = gated().await;
        stage.crown().await;
        keep_appends(&stage.n3);
        gate.close();
        soon(stage.world.apply(0, "x")).await
    };
    differs(KnownBug::LeaderCountsBeforeFlush, committed, false, true);
}

fn keep_appends(puppet: &Puppet) {
    let mut agree = agree(puppet);
    puppet.answer_by(move |request| match request {
        Request::AppendEntries(_) => None,
        request => agree(request),
    });
}

#[test]
fn a_stale_suffix_is_committed() {
    let committed = || async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "stale"]), 2).await;
        stage.n3.append(7, (3, 2), Entries::none(), 4).await;
        stage.world.status(0).commit_index.get()
    };
    differs(KnownBug::CommitBeyondProven, committed, 3, 4);
}

#[test]
fn a_new_leader_reads_before_it_knows_what_is_committed() {
    let read = || async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 1).await;
        keep_appends(&stage.n2);
        keep_appends(&stage.n3);
        stage.world.wait_for("n1 to lead", |world| world.leads(0)).await;
        stage.world.raft(0).send(Read(History).timeout(ms(50))).await.unwrap().ok()
    };
    differs(KnownBug::ReadBeforeTermCommit, read, None, Some(vec![]));
}

#[test]
fn a_read_is_answered_before_its_index_is_applied() {
    let read = || async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), Entries::none(), 1).await;
        stage.n2.answer_by(|request| {
            let Request::ForwardReadIndex(_) = request else { return None };
            Some(Response::ForwardReadIndex(ForwardReadIndexResponse { result: Ok(LogIndex(9)) }))
        });
        stage.world.raft(0).send(Read(History).timeout(ms(20))).await.unwrap().is_ok()
    };
    differs(KnownBug::ReadBeforeApplied, read, false, true);
}

#[test]
fn another_incarnations_acknowledgements_commit() {
    let committed = || async {
        let stage = Stage::new().await;
        stage.crown().await;
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match agree(request) {
                Some(Response::AppendEntries(mut answer)) => {
                    answer.incarnation.0 += 1;
                    Some(Response::AppendEntries(answer))
                }
                other => other,
            });
        }
        soon(stage.world.apply(0, "x")).await
    };
    differs(KnownBug::OtherIncarnationAcks, committed, false, true);
    differs(KnownBug::WipedNodeTakesPart, committed, false, true);
}

#[test]
fn a_wiped_node_elects_a_leader() {
    let elected = || async {
        let mut world = World::running(3, 7).await;
        let (leader, followers) = (world.leader().await, world.followers().await);
        world.apply(leader, "x").await.unwrap();
        world.wipe(followers[0]).await;
        world.start(followers[0]).await;
        world
            .wait_for("quarantine", |world| world.status(followers[0]).standing.contains("quarantined"))
            .await;
        world.wait_applied(followers[0], LogIndex(3)).await;
        world.crash(leader).await;
        sleep(world.config.election_timeout * 10).await;
        world.leads(followers[1])
    };
    differs(KnownBug::WipedNodeTakesPart, elected, false, true);
}

#[test]
fn a_forwarded_request_that_was_lost_is_sent_again() {
    let sent = || async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), Entries::none(), 1).await;
        let mut sent = 0;
        let answer = stage.world.raft(0).send(Apply(Put::from("x")).timeout(ms(60)));
        for _ in 0..4 {
            sleep(ms(10)).await;
            stage.n2.heartbeat(2).await;
            for (request, responder) in stage.n2.kept() {
                if let Request::ForwardApply(_) = request {
                    sent += 1;
                    responder.respond(Err(RpcError::Lost("cut".to_owned())));
                }
            }
        }
        drop(answer);
        sent > 1
    };
    differs(KnownBug::ForwardedAgain, sent, false, true);
}

#[test]
fn what_a_deposed_leader_had_appended_is_told_as_refused() {
    let told = || async {
        let stage = Stage::new().await;
        let term = stage.crown().await.get();
        keep_appends(&stage.n2);
        keep_appends(&stage.n3);
        let commands = vec![rmp_serde::to_vec(&Put::from("x")).unwrap().into()];
        let forwarded = stage.n2.ask(Request::ForwardApply(ForwardApply { commands, timeout_ms: 5000 }));
        let (answer, ()) = tokio::join!(forwarded, async {
            sleep(ms(5)).await;
            stage.n3.heartbeat(term + 1).await;
        });
        match answer {
            Ok(Response::ForwardApply(answer)) => answer.results,
            other => panic!("{other:?}"),
        }
    };
    let refused = ForwardedResult::NotLeader { leader: None };
    differs(KnownBug::TruncatedToldAsRefused, told, vec![ForwardedResult::OutcomeUnknown], vec![refused]);
}

#[test]
fn a_deposed_leader_appends_what_is_queued() {
    let appended = || async {
        let stage = Stage::new().await;
        let term = stage.crown().await;
        keep_appends(&stage.n2);
        keep_appends(&stage.n3);
        let raft = stage.world.raft(0);
        let last = stage.world.status(0).last_index;
        let write = raft.send(Apply(Put::from("x")));
        let answer = stage.n3.append(term.get() + 1, (1, 1), Entries::none(), 1).await;
        assert_eq!(answer.outcome, AppendOutcome::Matched { matched: LogIndex(1) });
        drop(write);
        stage.world.status(0).last_index.since(last)
    };
    differs(KnownBug::TenureNotRevoked, appended, 0, 1);
}

#[test]
fn a_session_is_unknown_after_a_restart_from_a_snapshot() {
    let expired = || async {
        let mut world = World::new(1, 7);
        world.config.trailing_logs = 0;
        world.start(0).await;
        world.leader().await;
        let session = world.raft(0).send(OpenSession).await.unwrap().unwrap();
        world.raft(0).send(Apply(Put::from("a")).in_session(session, 1)).await.unwrap().unwrap();
        world.raft(0).send(Snapshot).await.unwrap().unwrap();
        world.restart(0).await;
        world.leader().await;
        let again = world.raft(0).send(Apply(Put::from("a")).in_session(session, 1)).await.unwrap();
        matches!(again, Err(ApplyError::SessionExpired { .. }))
    };
    differs(KnownBug::SessionsNotInSnapshot, expired, false, true);
}

#[test]
fn a_membership_is_changed_before_a_commit_in_the_term() {
    let appended = || async {
        let stage = Stage::new().await;
        // An earlier leader has told it that the first membership is committed.
        stage.n2.append(2, (1, 1), Entries::none(), 1).await;
        keep_appends(&stage.n2);
        keep_appends(&stage.n3);
        stage.world.wait_for("n1 to lead", |world| world.leads(0)).await;
        let last = stage.world.status(0).last_index;
        let change = stage.world.raft(0).send(DemoteVoter::new("n3"));
        sleep(ms(20)).await;
        drop(change);
        stage.world.status(0).last_index.since(last)
    };
    differs(KnownBug::ChangeBeforeTermCommit, appended, 0, 1);
}

#[test]
fn a_stale_suffix_stays_under_a_snapshot() {
    let ends = async || {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["x", "y", "z", "x", "y", "z", "x"]), 1).await;
        let sent = Sent::new(&stage.n2, 4, 3, &["a", "b", "c", "d"]).await;
        sent.outcome(&stage.n2, 0, sent.content.len()).await;
        stage.world.wait_for("the snapshot", |world| world.status(0).commit_index == LogIndex(5)).await;
        stage.world.status(0).last_index
    };
    differs(KnownBug::StaleSuffixKeptUnderSnapshot, ends, LogIndex(5), LogIndex(8));
}
