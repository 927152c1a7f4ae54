//! Who gets a vote, and what keeps a node from standing.

use raftix::{
    ChangeError, RemoveServer, ServerRole,
    sim::vfs::{Effect, Fault, Operation},
    types::{HeartbeatResponse, Incarnation, LogIndex, Request, Response, Term, TimeoutNow},
};
use tokio::time::{Instant, sleep};

use crate::support::{Puppet, Stage, World, agree, entries, let_time_run_out, ms, secs, simulate};

/// `n1` has entries up to 3 in term 2 and has forgotten the leader that wrote them.
async fn orphan() -> Stage {
    let stage = Stage::new().await;
    stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b"]), 3).await;
    stage.world.wait_for("the leader to be forgotten", |world| world.status(0).leader.is_none()).await;
    let_time_run_out(&stage.world).await;
    stage
}

#[test]
fn a_vote_is_given_once_a_term_and_again_to_the_same_candidate() {
    simulate(async {
        let stage = orphan().await;
        let first = stage.n2.request_vote(stage.n2.candidacy(5, (3, 2))).await;
        assert_eq!((first.granted, first.term), (true, Term(5)));
        assert!(!stage.n3.request_vote(stage.n3.candidacy(5, (9, 4))).await.granted);
        assert!(stage.n2.request_vote(stage.n2.candidacy(5, (3, 2))).await.granted);
        assert!(!stage.n2.request_vote(stage.n2.candidacy(4, (3, 2))).await.granted);
    });
}

#[test]
fn a_vote_that_was_given_survives_a_loss_of_power() {
    simulate(async {
        for seed in 0..8 {
            let mut stage = orphan().await;
            assert!(stage.n2.request_vote(stage.n2.candidacy(5, (3, 2))).await.granted);
            stage.world.lose_power(0, seed).await;
            stage.world.start(0).await;
            // Who starts with state is silent first: a leader may count on what it promised before.
            assert!(!stage.n2.request_vote(stage.n2.candidacy(5, (3, 2))).await.granted);
            tokio::time::sleep(stage.world.config.heartbeat_timeout).await;
            assert!(!stage.n3.request_vote(stage.n3.candidacy(5, (3, 2))).await.granted);
            assert!(stage.n2.request_vote(stage.n2.candidacy(5, (3, 2))).await.granted);
        }
    });
}

#[test]
fn a_vote_whose_record_is_not_durable_is_not_given() {
    simulate(async {
        let stage = orphan().await;
        stage.world.disk(0).inject(Fault::at(Operation::Sync, Effect::PowerOff));
        let request = Request::RequestVote(stage.n2.candidacy(5, (3, 2)));
        let answer = stage.n2.ask(request).await;
        assert!(answer.is_err(), "{answer:?}");
        assert!(stage.world.disk(0).is_off());
    });
}

/// With one puppet's vote and its own it would lead.
#[test]
fn a_candidate_does_not_count_its_own_vote_before_that_is_durable() {
    simulate(async {
        let stage = orphan().await;
        stage.world.disk(0).inject(Fault::at(Operation::Sync, Effect::PowerOff));
        stage.n2.answer_by(agree(&stage.n2));
        stage.world.wait_for("it to stand", |world| world.disk(0).is_off()).await;
        sleep(ms(500)).await;
        assert!(!stage.world.leads(0));
        assert!(!stage.world.traffic.leaders().contains_key(&Term(3)), "nor has it led");
    });
}

#[test]
fn a_candidate_with_an_older_log_is_refused_and_its_term_is_taken_over() {
    simulate(async {
        let stage = orphan().await;
        for last in [(2, 2), (9, 1), (0, 0)] {
            assert!(!stage.n2.request_vote(stage.n2.candidacy(5, last)).await.granted, "{last:?}");
        }
        assert_eq!(stage.world.status(0).term, Term(5));
        assert!(
            stage.n3.request_vote(stage.n3.candidacy(5, (3, 2))).await.granted,
            "the vote was still free"
        );
    });
}

#[test]
fn a_candidate_that_is_no_member_and_has_no_later_log_is_refused_and_raises_no_term() {
    simulate(async {
        let stage = orphan().await;
        let stranger = Puppet::new(&stage.world, "n9", 0);
        assert!(!stranger.request_vote(stranger.candidacy(50, (3, 2))).await.granted);
        assert!(!stranger.pre_vote(stranger.candidacy(50, (3, 2))).await.granted);
        assert_eq!(stage.world.status(0).term, Term(2));
    });
}

#[test]
fn another_life_of_a_member_with_no_later_log_gets_no_vote() {
    simulate(async {
        let stage = orphan().await;
        let mut request = stage.n2.candidacy(5, (3, 2));
        request.incarnation = Incarnation(1);
        assert!(!stage.n2.request_vote(request.clone()).await.granted);
        assert!(!stage.n2.pre_vote(request).await.granted);
    });
}

#[test]
fn while_a_leader_is_heard_nobody_else_gets_a_vote_unless_it_asked_for_that() {
    simulate(async {
        let stage = orphan().await;
        assert!(stage.n2.heartbeat(2).await.follows);
        let request = stage.n3.candidacy(5, (9, 4));
        assert!(!stage.n3.pre_vote(request.clone()).await.granted);
        assert!(!stage.n3.request_vote(request.clone()).await.granted);
        assert_eq!(stage.world.status(0).term, Term(2), "nor is the leader disturbed");
        let mut transfer = request;
        transfer.leadership_transfer = true;
        assert!(stage.n3.request_vote(transfer).await.granted);
    });
}

#[test]
fn a_promise_changes_nothing_and_may_be_given_to_several() {
    simulate(async {
        let stage = orphan().await;
        assert!(stage.n2.pre_vote(stage.n2.candidacy(3, (3, 2))).await.granted);
        assert!(stage.n3.pre_vote(stage.n3.candidacy(3, (3, 2))).await.granted);
        assert!(!stage.n3.pre_vote(stage.n3.candidacy(3, (2, 2))).await.granted, "an older log");
        assert!(!stage.n3.pre_vote(stage.n3.candidacy(1, (3, 2))).await.granted, "a term that is over");
        assert_eq!(stage.world.status(0).term, Term(2));
    });
}

/// hashicorp/raft#609: granting a pre-vote counted as contact, so that a spammer kept everybody from standing.
#[test]
fn promises_given_do_not_keep_a_node_from_standing() {
    simulate(async {
        let stage = orphan().await;
        drop((stage.n2.kept(), stage.n3.kept()));
        let until = Instant::now() + stage.world.config.election_timeout * 2 + ms(50);
        while Instant::now() < until {
            stage.n2.pre_vote(stage.n2.candidacy(3, (3, 2))).await;
            sleep(ms(5)).await;
        }
        assert!(stage.n3.kept().iter().any(|(request, _)| matches!(request, Request::PreVote(_))));
    });
}

#[test]
fn a_node_without_a_quorum_of_promises_stays_in_its_term() {
    simulate(async {
        let stage = orphan().await;
        for _ in 0..10 {
            let_time_run_out(&stage.world).await;
        }
        assert_eq!(stage.world.status(0).term, Term(2));
        assert_eq!(stage.world.status(0).role, ServerRole::Candidate);
    });
}

#[test]
fn votes_of_another_life_of_a_member_do_not_elect() {
    simulate(async {
        let stage = orphan().await;
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| {
                agree(request).map(|response| match response {
                    Response::PreVote(mut vote) => {
                        vote.incarnation = Incarnation(1);
                        Response::PreVote(vote)
                    }
                    other => other,
                })
            });
        }
        for _ in 0..10 {
            let_time_run_out(&stage.world).await;
        }
        assert_eq!((stage.world.status(0).term, stage.world.leads(0)), (Term(2), false));
    });
}

/// hashicorp/raft takes it from anybody, in any state.
#[test]
fn only_the_leader_may_tell_a_follower_to_stand() {
    simulate(async {
        let stage = orphan().await;
        stage.n2.heartbeat(2).await;
        for (puppet, term) in [(&stage.n3, 2), (&stage.n3, 9), (&stage.n2, 1)] {
            let request = Request::TimeoutNow(TimeoutNow { term: Term(term), leader: puppet.id() });
            let Ok(Response::TimeoutNow(response)) = puppet.ask(request).await else { panic!("no answer") };
            assert!(!response.accepted);
        }
        assert_eq!(stage.world.status(0).term, Term(2));
        let request = Request::TimeoutNow(TimeoutNow { term: Term(2), leader: stage.n2.id() });
        let Ok(Response::TimeoutNow(response)) = stage.n2.ask(request).await else { panic!("no answer") };
        assert!(response.accepted);
        assert_eq!(stage.world.status(0).term, Term(3));
    });
}

#[test]
fn a_follower_that_refuses_is_no_contact_for_its_leader() {
    simulate(async {
        let stage = orphan().await;
        stage.crown().await;
        let leads_since = Instant::now();
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match agree(request) {
                Some(Response::Heartbeat(answer)) => {
                    Some(Response::Heartbeat(HeartbeatResponse { follows: false, ..answer }))
                }
                other => other,
            });
        }
        stage.world.wait_for("it to step down", |world| !world.leads(0)).await;
        assert!(leads_since.elapsed() < 2 * stage.world.config.leader_lease_timeout);
    });
}

#[test]
fn a_higher_term_in_any_answer_deposes_the_leader() {
    simulate(async {
        for in_heartbeat in [true, false] {
            let stage = orphan().await;
            let term = stage.crown().await;
            let mut agree = agree(&stage.n3);
            stage.n3.answer_by(move |request| match agree(request) {
                Some(Response::Heartbeat(mut answer)) if in_heartbeat => {
                    answer.term = Term(term.get() + 5);
                    answer.follows = false;
                    Some(Response::Heartbeat(answer))
                }
                Some(Response::AppendEntries(mut answer)) if !in_heartbeat => {
                    answer.term = Term(term.get() + 5);
                    Some(Response::AppendEntries(answer))
                }
                other => other,
            });
            // Entries make it send to `n3`.
            let write = stage.world.apply(0, "x");
            stage.world.wait_for("a higher term", |world| world.status(0).term.get() >= term.get() + 5).await;
            drop(write);
        }
    });
}

#[test]
fn acknowledgements_of_another_life_of_a_member_do_not_commit() {
    simulate(async {
        let stage = orphan().await;
        stage.crown().await;
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match agree(request) {
                Some(Response::AppendEntries(mut answer)) => {
                    answer.incarnation = Incarnation(1);
                    Some(Response::AppendEntries(answer))
                }
                other => other,
            });
        }
        let before = stage.world.status(0).commit_index;
        let error = stage.world.apply(0, "x").await.unwrap_err();
        assert!(!error.is_refused(), "{error}");
        assert_eq!(stage.world.status(0).commit_index, before);
        assert!(stage.world.leads(0), "heartbeats of this life were answered");
    });
}

#[test]
fn a_leader_commits_nothing_of_an_earlier_term_by_counting() {
    simulate(async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b"]), 1).await;
        // Everybody votes for it and acknowledges what is older than its own term only (Raft, Figure 8).
        for puppet in [&stage.n2, &stage.n3] {
            let mut agree = agree(puppet);
            puppet.answer_by(move |request| match request {
                Request::AppendEntries(request) if request.entries.last() > Some(LogIndex(3)) => None,
                Request::AppendEntries(request) if request.prev.index > LogIndex(3) => None,
                request => agree(request),
            });
        }
        stage.world.wait_for("n1 to lead", |world| world.leads(0)).await;
        sleep(ms(300)).await;
        assert!(stage.world.leads(0));
        assert_eq!(stage.world.status(0).commit_index, LogIndex(1));
        assert_eq!(stage.world.status(0).last_index, LogIndex(4));
        assert_eq!(stage.world.recording(0).len(), 0);
    });
}

/// Its log is the longest, so nobody else is elected without its vote; and the others, one of whom is lost, are no
/// majority of the four that they know (thesis §4.2.2).
#[test]
fn a_leader_whose_removal_nobody_else_heard_of_is_elected_once_more_and_finishes_it() {
    for restarted in [false, true] {
        simulate(async move {
            let mut world = World::running(4, 341).await;
            let old = world.leader().await;
            world.apply_all((0..20).map(|n| format!("early {n}"))).await;
            world.ensure_same().await;
            let others = world.followers().await;
            world.disconnect(old);
            let last = world.status(old).last_index;
            let removed = world.change(old, RemoveServer::new(world.id(old)).timeout(secs(2))).await;
            assert!(matches!(removed, Err(ChangeError::OutcomeUnknown { .. })), "{removed:?}");
            assert_eq!(world.status(old).last_index, last.next());
            if restarted {
                world.restart(old).await;
            }
            world.crash(others[0]).await;
            world.heal();
            world.wait_for("the removal", |world| world.status(others[1]).voters.len() == 3).await;
            let new = &others[1..];
            world.wait_for("a leader", |world| new.iter().any(|n| world.leads(*n))).await;
            world.apply(new[0], "of three").await.unwrap();
            assert!(!world.leads(old));
        });
    }
}
