//! Replication to one follower that loses, refuses or ignores requests: it goes on, and holds up nobody else.

use std::future::Future;

use actix::MailboxError;
use futures::future::join_all;
use raftix::{
    Apply, ApplyError, Shutdown,
    transport::{Responder, RpcError},
    types::{AppendEntries, AppendEntriesResponse, AppendOutcome, LogId, LogIndex, Request, Response, Term},
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Puppet, Put, Stage, agree, ms, secs, simulate};

/// Answers everything but AppendEntries, which are kept.
fn keep_appends(puppet: &Puppet) {
    let mut agree = agree(puppet);
    puppet.answer_by(move |request| match request {
        Request::AppendEntries(_) => None,
        request => agree(request),
    });
}

fn kept_appends(puppet: &Puppet) -> Vec<(AppendEntries, Responder)> {
    let append = |(request, responder)| match request {
        Request::AppendEntries(request) => Some((request, responder)),
        _ => None,
    };
    puppet.kept().into_iter().filter_map(append).collect()
}

/// `n1` leads and needs `n2` for whatever it commits: `n3` has nothing to say to entries.
async fn pair(set: impl FnOnce(&mut raftix::Config)) -> Stage {
    let stage = Stage::with(|world| set(&mut world.config)).await;
    stage.crown().await;
    keep_appends(&stage.n3);
    stage.world.apply(0, "first").await.unwrap();
    stage
}

/// The next AppendEntries to `n2` after everything was quiet, and nothing after it.
async fn intercept(stage: &Stage) -> (AppendEntries, Responder) {
    keep_appends(&stage.n2);
    sleep(3 * stage.world.config.heartbeat_interval()).await;
    let mut kept = kept_appends(&stage.n2);
    assert_eq!(kept.len(), 1, "{kept:?}");
    kept.remove(0)
}

#[test]
fn regress_b17_a_follower_with_everything_that_lost_a_request_gets_the_next_entry() {
    simulate(async {
        let stage = pair(|_| {}).await;
        let (request, responder) = intercept(&stage).await;
        assert!(request.entries.is_empty(), "it has everything");
        responder.respond(Err(RpcError::Lost("unreachable".to_owned())));
        stage.n2.answer_by(agree(&stage.n2));
        let next = timeout(4 * stage.world.config.heartbeat_interval(), stage.world.apply(0, "next"));
        assert_eq!(next.await.expect("it is sent").unwrap(), 2);
    });
}

#[test]
fn regress_b25_a_lost_request_slows_nothing_down_once_the_next_one_is_answered() {
    simulate(async {
        let stage = pair(|_| {}).await;
        let (_, responder) = intercept(&stage).await;
        drop(responder);
        stage.n2.answer_by(agree(&stage.n2));
        stage.world.apply(0, "next").await.unwrap();
        let began = Instant::now();
        for n in 0..50 {
            stage.world.apply(0, &format!("c{n}")).await.unwrap();
        }
        assert!(began.elapsed() < stage.world.config.heartbeat_interval(), "{:?}", began.elapsed());
    });
}

type Outcome = Result<Result<u64, ApplyError<Put>>, MailboxError>;

fn ten_commands(stage: &Stage) -> Vec<impl Future<Output = Outcome> + use<>> {
    let raft = stage.world.raft(0);
    (0..10).map(|n| raft.send(Apply(Put(format!("c{n}"))))).collect()
}

/// Two requests may be on their way, with one entry each. Whatever becomes of them, all ten entries arrive.
#[test]
fn regress_h40_a_refusal_in_the_middle_of_a_pipeline_stops_nothing_for_good() {
    simulate(async {
        for first in 0..4 {
            for second in 0..4 {
                let stage = pair(|config| {
                    config.max_append_entries = 1;
                    config.inflight_requests_max = 2;
                })
                .await;
                keep_appends(&stage.n2);
                let commands = ten_commands(&stage);
                sleep(ms(2)).await;
                let kept = kept_appends(&stage.n2);
                assert_eq!(kept.len(), 2);
                for ((request, responder), fate) in kept.into_iter().zip([first, second]) {
                    meet(&stage.n2, &request, responder, fate);
                    sleep(ms(1)).await;
                }
                // What was sent meanwhile has no answer either.
                drop(kept_appends(&stage.n2));
                stage.n2.answer_by(agree(&stage.n2));
                for outcome in join_all(commands).await {
                    outcome.unwrap().unwrap_or_else(|error| panic!("{first}, {second}: {error}"));
                }
                assert_eq!(stage.world.recording(0).len(), 11);
            }
        }
    });
}

/// Answers one request by one of four fates.
fn meet(puppet: &Puppet, request: &AppendEntries, responder: Responder, fate: usize) {
    let refused = request.prev.index;
    let outcome = match fate {
        0 => AppendOutcome::Matched { matched: request.entries.last().unwrap_or(refused) },
        1 => AppendOutcome::Conflict { refused, hint: LogId::new(Term(1), LogIndex(1)) },
        2 => AppendOutcome::Refused,
        _ => return drop(responder),
    };
    let (term, incarnation) = (request.term, puppet.incarnation());
    responder.respond(Ok(Response::AppendEntries(AppendEntriesResponse { term, incarnation, outcome })));
}

#[test]
fn regress_b26_a_peer_that_never_answers_holds_up_neither_writes_nor_a_shutdown() {
    simulate(async {
        let stage = pair(|_| {}).await;
        // Not even its heartbeats are answered any more.
        stage.n3.answer_by(|_| None);
        let began = Instant::now();
        for n in 0..50 {
            stage.world.apply(0, &format!("c{n}")).await.unwrap();
        }
        assert!(began.elapsed() < stage.world.config.heartbeat_interval(), "{:?}", began.elapsed());
        sleep(secs(5)).await;
        assert!(stage.world.leads(0), "{:?}", stage.world.status(0));
        let raft = stage.world.raft(0);
        timeout(secs(1), raft.send(Shutdown)).await.expect("it ends").unwrap();
        assert!(!stage.n3.kept().is_empty(), "and some requests never had an answer");
    });
}
