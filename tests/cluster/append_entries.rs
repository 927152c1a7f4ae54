//! What a follower does with each kind of AppendEntries: term, position, entries, commit index.

use raftix::{
    ServerRole,
    transport::RpcError,
    types::{
        AppendEntries, AppendOutcome, Entries, Heartbeat, LogId, LogIndex, Request, RequestVoteResponse,
        Response, Term,
    },
};

use crate::support::{Stage, entries, joined, let_time_run_out, simulate};

/// `n1` follows `n2` in term 2: entry 1 founded the cluster, 2 to 4 are `a`, `b`, `c`; 2 is committed.
async fn follower() -> Stage {
    let stage = Stage::new().await;
    let response = stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "c"]), 2).await;
    assert_eq!(response.outcome, matched(4));
    expect(&stage, 2, 4, 2, &["a"]);
    stage
}

fn matched(index: u64) -> AppendOutcome {
    AppendOutcome::Matched { matched: LogIndex(index) }
}

#[track_caller]
fn expect(stage: &Stage, term: u64, last: u64, commit: u64, applied: &[&str]) {
    let status = stage.world.status(0);
    assert_eq!(status.term, Term(term), "term");
    assert_eq!((status.last_index, status.durable_index), (LogIndex(last), LogIndex(last)), "log");
    assert_eq!(status.commit_index, LogIndex(commit), "commit");
    assert_eq!(stage.world.recording(0).commands(), applied, "applied");
    assert_eq!(status.fatal, None);
}

#[test]
fn a_request_of_an_older_term_is_refused_and_changes_nothing() {
    simulate(async {
        let stage = follower().await;
        let response = stage.n3.append(1, (4, 2), entries(5, 1, &["x"]), 4).await;
        assert_eq!((response.term, response.outcome), (Term(2), AppendOutcome::Refused));
        expect(&stage, 2, 4, 2, &["a"]);
        assert_eq!(stage.world.status(0).leader, Some("n2".into()));
        assert!(!stage.n3.heartbeat(1).await.follows);
    });
}

#[test]
fn a_request_of_a_newer_term_makes_its_sender_the_leader() {
    simulate(async {
        let stage = follower().await;
        let response = stage.n3.append(7, (4, 2), entries(5, 7, &["x"]), 5).await;
        assert_eq!((response.term, response.outcome), (Term(7), matched(5)));
        expect(&stage, 7, 5, 5, &["a", "b", "c", "x"]);
        assert_eq!(stage.world.status(0).leader, Some("n3".into()));
    });
}

/// `n1` stands in term 3: everybody promised it a vote and nobody gives it.
async fn candidate() -> Stage {
    let stage = follower().await;
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
    assert_eq!(stage.world.status(0).role, ServerRole::Candidate);
    stage
}

#[test]
fn a_candidate_follows_a_leader_of_its_own_term() {
    simulate(async {
        let stage = candidate().await;
        assert_eq!(stage.n3.append(3, (4, 2), entries(5, 3, &["x"]), 4).await.outcome, matched(5));
        let status = stage.world.status(0);
        assert_eq!((status.role, status.leader), (ServerRole::Follower, Some("n3".into())));
        expect(&stage, 3, 5, 4, &["a", "b", "c"]);
    });
}

#[test]
fn a_candidate_refuses_an_older_term_and_goes_on_standing() {
    simulate(async {
        let stage = candidate().await;
        let response = stage.n2.append(2, (4, 2), entries(5, 2, &["x"]), 4).await;
        assert_eq!((response.term, response.outcome), (Term(3), AppendOutcome::Refused));
        assert_eq!(stage.world.status(0).role, ServerRole::Candidate);
        expect(&stage, 3, 4, 2, &["a"]);
    });
}

#[test]
fn a_candidate_follows_a_heartbeat_of_its_own_term() {
    simulate(async {
        let stage = candidate().await;
        assert!(stage.n2.heartbeat(3).await.follows);
        assert_eq!(stage.world.status(0).role, ServerRole::Follower);
    });
}

#[test]
fn entries_behind_the_end_of_the_log_are_appended() {
    simulate(async {
        let stage = follower().await;
        assert_eq!(stage.n2.append(2, (4, 2), entries(5, 2, &["d", "e"]), 2).await.outcome, matched(6));
        expect(&stage, 2, 6, 2, &["a"]);
    });
}

#[test]
fn a_request_past_the_end_is_refused_with_a_hint_at_the_end() {
    simulate(async {
        let stage = follower().await;
        let response = stage.n2.append(2, (9, 2), entries(10, 2, &["x"]), 9).await;
        let hint = LogId::new(Term(2), LogIndex(4));
        assert_eq!(response.outcome, AppendOutcome::Conflict { refused: LogIndex(9), hint });
        expect(&stage, 2, 4, 2, &["a"]);
    });
}

#[test]
fn a_request_behind_an_entry_of_another_term_is_refused_and_removes_nothing() {
    simulate(async {
        let stage = follower().await;
        let response = stage.n3.append(3, (4, 3), entries(5, 3, &["x"]), 4).await;
        let AppendOutcome::Conflict { refused, hint } = response.outcome else { panic!("{response:?}") };
        assert_eq!(refused, LogIndex(4));
        assert!(hint < LogId::new(Term(3), refused), "the leader looks further back: {hint}");
        expect(&stage, 3, 4, 2, &["a"]);
    });
}

#[test]
fn entries_that_are_there_already_change_nothing() {
    simulate(async {
        let stage = follower().await;
        assert_eq!(stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "c"]), 2).await.outcome, matched(4));
        assert_eq!(stage.n2.append(2, (2, 2), entries(3, 2, &["b"]), 2).await.outcome, matched(3));
        expect(&stage, 2, 4, 2, &["a"]);
    });
}

#[test]
fn of_entries_that_are_there_in_part_the_rest_is_appended() {
    simulate(async {
        let stage = follower().await;
        let again = joined(entries(3, 2, &["b", "c"]), &entries(5, 3, &["d"]));
        assert_eq!(stage.n3.append(3, (2, 2), again, 5).await.outcome, matched(5));
        expect(&stage, 3, 5, 5, &["a", "b", "c", "d"]);
    });
}

#[test]
fn entries_that_conflict_replace_everything_from_there_on() {
    simulate(async {
        let stage = follower().await;
        assert_eq!(stage.n3.append(3, (2, 2), entries(3, 3, &["x"]), 3).await.outcome, matched(3));
        expect(&stage, 3, 3, 3, &["a", "x"]);
    });
}

#[test]
fn entries_that_are_there_in_part_and_then_conflict_replace_only_the_rest() {
    simulate(async {
        let stage = follower().await;
        let mixed = joined(entries(2, 2, &["a", "b"]), &entries(4, 3, &["x", "y"]));
        assert_eq!(stage.n3.append(3, (1, 1), mixed, 5).await.outcome, matched(5));
        expect(&stage, 3, 5, 5, &["a", "b", "x", "y"]);
    });
}

#[test]
fn what_replaced_a_conflict_survives_a_crash_and_what_it_replaced_does_not_come_back() {
    simulate(async {
        let mut stage = follower().await;
        assert_eq!(stage.n3.append(3, (2, 2), entries(3, 3, &["x"]), 2).await.outcome, matched(3));
        stage.world.lose_power(0, 5).await;
        stage.world.start(0).await;
        expect(&stage, 3, 3, 0, &[]);
        assert_eq!(stage.n3.append(3, (3, 3), Entries::none(), 3).await.outcome, matched(3));
        expect(&stage, 3, 3, 3, &["a", "x"]);
    });
}

#[test]
fn a_probe_within_the_log_matches_and_keeps_what_is_behind_it() {
    simulate(async {
        let stage = follower().await;
        assert_eq!(stage.n2.append(2, (3, 2), Entries::none(), 2).await.outcome, matched(3));
        expect(&stage, 2, 4, 2, &["a"]);
    });
}

/// hashicorp/raft commits up to its own last index here, and may apply a suffix that is none of the leader's.
#[test]
fn a_follower_commits_no_further_than_the_request_covers() {
    simulate(async {
        let stage = follower().await;
        stage.n3.append(3, (3, 2), Entries::none(), 100).await;
        expect(&stage, 3, 4, 3, &["a", "b"]);
        stage.n3.append(3, (3, 2), entries(4, 3, &["x"]), 100).await;
        expect(&stage, 3, 4, 4, &["a", "b", "x"]);
    });
}

#[test]
fn the_commit_index_never_falls() {
    simulate(async {
        let stage = follower().await;
        stage.n2.append(2, (4, 2), Entries::none(), 4).await;
        stage.n2.append(2, (4, 2), Entries::none(), 1).await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 2).await;
        expect(&stage, 2, 4, 4, &["a", "b", "c"]);
    });
}

#[test]
fn replacing_a_committed_entry_stops_the_node_with_a_reason() {
    simulate(async {
        for (prev, new) in [((1, 1), entries(2, 3, &["x"])), ((2, 3), entries(3, 3, &["x"]))] {
            let stage = follower().await;
            let request = AppendEntries {
                term: Term(3),
                leader: stage.n3.id(),
                prev: LogId::new(Term(prev.1), LogIndex(prev.0)),
                commit: LogIndex(2),
                entries: new,
            };
            let answer = stage.n3.ask(Request::AppendEntries(request)).await;
            assert!(answer.is_err(), "{answer:?}");
            let fatal = stage.world.raft(0).stopped().await.expect("it failed");
            assert!(fatal.to_string().contains("committed entry 2"), "{fatal}");
            assert_eq!(stage.world.recording(0).commands(), ["a"]);
            assert!(
                stage
                    .n3
                    .ask(Request::Heartbeat(Heartbeat { term: Term(3), leader: stage.n3.id(), round: 1 }))
                    .await
                    .is_err(),
                "it answers nobody any more"
            );
        }
    });
}

#[test]
fn a_leader_only_speaks_for_itself() {
    simulate(async {
        let stage = follower().await;
        for claimed in ["n1", "n3", "n9"] {
            let heartbeat = Heartbeat { term: Term(9), leader: claimed.into(), round: 1 };
            match stage.n2.ask(Request::Heartbeat(heartbeat)).await {
                Ok(Response::Heartbeat(response)) => assert!(!response.follows, "{claimed}"),
                Err(RpcError::Dropped) => {}
                other => panic!("{other:?}"),
            }
        }
        expect(&stage, 2, 4, 2, &["a"]);
    });
}

#[test]
fn refused_requests_do_not_keep_a_follower_quiet() {
    simulate(async {
        let stage = follower().await;
        for _ in 0..60 {
            stage.n3.append(1, (4, 2), Entries::none(), 0).await;
            stage.n3.heartbeat(1).await;
            tokio::time::sleep(stage.world.config.heartbeat_interval()).await;
        }
        assert!(stage.n2.kept().iter().any(|(request, _)| matches!(request, Request::PreVote(_))));
        let_time_run_out(&stage.world).await;
    });
}
