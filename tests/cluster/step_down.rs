//! A leader is deposed while everything is under way: entries in flight, commands queued, answers late.
//!
//! Whatever the moment, nothing of the old term takes effect any more, nothing is applied twice, and every
//! caller hears the truth.

use std::future::Future;

use actix::MailboxError;
use futures::future::join_all;
use raftix::{
    Apply, ApplyError,
    types::{AppendEntries, AppendOutcome, Entries, LogIndex, Request, Response, Term},
};

use crate::support::{Puppet, Put, Stage, World, agree, entries, ms, simulate};

type Outcome = Result<Result<u64, ApplyError<Put>>, MailboxError>;

fn send(world: &World, prefix: &str, count: usize) -> Vec<(String, impl Future<Output = Outcome> + use<>)> {
    let commands = (0..count).map(|number| format!("{prefix}{number}"));
    commands.map(|command| (command.clone(), world.raft(0).send(Apply(Put(command))))).collect()
}

/// Waits for every caller's answer and holds it against what was applied.
async fn hear(world: &World, callers: Vec<(String, impl Future<Output = Outcome>)>) -> Vec<Outcome> {
    let (commands, answers): (Vec<_>, Vec<_>) = callers.into_iter().unzip();
    let outcomes = join_all(answers).await;
    for (command, outcome) in commands.iter().zip(&outcomes) {
        let applied = world.recording(0).count(command);
        match outcome {
            Ok(Ok(_)) => assert_eq!(applied, 1, "{command} was acknowledged"),
            Ok(Err(error)) if error.is_refused() => assert_eq!(applied, 0, "{command}: {error}"),
            Ok(Err(_)) => assert!(applied <= 1, "{command} was applied {applied} times"),
            Err(error) => panic!("{command} got no answer: {error}"),
        }
    }
    outcomes
}

fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(Err(ApplyError::OutcomeUnknown { .. })))
}

fn keep_appends(puppet: &Puppet) {
    let mut agree = agree(puppet);
    puppet.answer_by(move |request| match request {
        Request::AppendEntries(_) => None,
        request => agree(request),
    });
}

/// `n1` leads, has committed its first entry, and gets no acknowledgement of anything further.
async fn reign() -> (Stage, u64) {
    let stage = Stage::with(|world| world.config.forwarding = false).await;
    let term = stage.crown().await;
    assert_eq!(stage.world.status(0).last_index, LogIndex(2));
    tokio::time::sleep(ms(10)).await;
    keep_appends(&stage.n2);
    keep_appends(&stage.n3);
    (stage, term.get())
}

/// What the puppets have been sent, answered now as if the entries were there.
fn acknowledge_late(stage: &Stage) -> Vec<AppendEntries> {
    let mut seen = Vec::new();
    for puppet in [&stage.n2, &stage.n3] {
        let mut agree = agree(puppet);
        for (request, responder) in puppet.kept() {
            if let Some(response) = agree(&request) {
                responder.respond(Ok(response));
            }
            if let Request::AppendEntries(request) = request {
                seen.push(request);
            }
        }
    }
    seen
}

async fn yield_times(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[test]
fn whenever_a_leader_is_deposed_its_callers_hear_the_truth() {
    simulate(async {
        for between in 0..24 {
            let (stage, term) = reign().await;
            let world = &stage.world;
            let flying = send(world, "flying", 10);
            world.wait_for("ten entries", |world| world.status(0).last_index == LogIndex(12)).await;
            let queued = send(world, "queued", 5);
            yield_times(between).await;
            let new = entries(3, term + 1, &["x", "y"]);
            let response = stage.n2.append(term + 1, (2, term), new, 4).await;
            let late = acknowledge_late(&stage);
            assert!(late.iter().all(|request| request.term == Term(term)));
            assert_eq!(response.outcome, AppendOutcome::Matched { matched: LogIndex(4) });
            let outcomes = hear(world, flying).await;
            assert!(outcomes.iter().all(is_unknown), "{between}: {outcomes:?}");
            hear(world, queued).await;
            assert_eq!(world.recording(0).commands(), ["x", "y"], "{between}");
            let status = world.status(0);
            assert_eq!((status.last_index, status.commit_index), (LogIndex(4), LogIndex(4)));
            assert!(acknowledge_late(&stage).is_empty(), "nothing was sent in the old term afterwards");
            world.check();
        }
    });
}

#[test]
fn callers_are_not_left_waiting_when_their_entries_were_replaced_by_no_command() {
    simulate(async {
        let (stage, term) = reign().await;
        let began = tokio::time::Instant::now();
        let flying = send(&stage.world, "flying", 10);
        stage.world.wait_for("ten entries", |world| world.status(0).last_index == LogIndex(12)).await;
        let mut noop = raftix::types::EntryBuffer::default();
        noop.push(raftix::types::EntryKind::Noop, b"");
        let mut new = Entries::none();
        new.push(noop.seal(LogIndex(3), Term(term + 1)));
        stage.n2.append(term + 1, (2, term), new, 3).await;
        let outcomes = hear(&stage.world, flying).await;
        assert!(outcomes.iter().all(is_unknown));
        assert!(began.elapsed() < stage.world.config.request_timeout, "not only at their deadline");
    });
}

#[test]
fn what_the_next_leader_keeps_is_applied_once_and_may_be_acknowledged() {
    simulate(async {
        for between in 0..12 {
            let (stage, term) = reign().await;
            let world = &stage.world;
            let flying = send(world, "flying", 10);
            world.wait_for("ten entries", |world| world.status(0).last_index == LogIndex(12)).await;
            yield_times(between).await;
            // The next leader has the first five of them.
            stage.n2.append(term + 1, (7, term), entries(8, term + 1, &["x"]), 8).await;
            acknowledge_late(&stage);
            let outcomes = hear(world, flying).await;
            assert!(outcomes[5..].iter().all(is_unknown), "{outcomes:?}");
            let applied = ["flying0", "flying1", "flying2", "flying3", "flying4", "x"];
            assert_eq!(world.recording(0).commands(), applied);
            world.check();
        }
    });
}

#[test]
fn acknowledgements_of_an_old_tenure_commit_nothing_in_the_next_one() {
    simulate(async {
        let (stage, term) = reign().await;
        let world = &stage.world;
        let flying = send(world, "flying", 3);
        world.wait_for("three entries", |world| world.status(0).last_index == LogIndex(5)).await;
        let late: Vec<_> = stage.n2.kept().into_iter().chain(stage.n3.kept()).collect();
        assert!(!late.is_empty());
        // Deposed by a leader that replaces everything, then elected again.
        stage.n2.append(term + 1, (2, term), entries(3, term + 1, &["x"]), 2).await;
        hear(world, flying).await;
        world.wait_for("n1 to lead again", |world| world.leads(0)).await;
        let before = world.status(0).commit_index;
        for (request, responder) in late {
            let mut agree = agree(&stage.n2);
            let Some(Response::AppendEntries(mut answer)) = agree(&request) else { continue };
            answer.outcome = AppendOutcome::Matched { matched: LogIndex(5) };
            responder.respond(Ok(Response::AppendEntries(answer)));
        }
        tokio::time::sleep(ms(5)).await;
        assert_eq!((world.status(0).commit_index, world.recording(0).len()), (before, 0));
    });
}

#[test]
fn a_leader_that_is_deposed_and_elected_again_keeps_serving() {
    simulate(async {
        let (stage, term) = reign().await;
        let lost = send(&stage.world, "lost", 3);
        stage.world.wait_for("three entries", |world| world.status(0).last_index == LogIndex(5)).await;
        stage.n2.append(term + 1, (2, term), entries(3, term + 1, &["x"]), 2).await;
        stage.crown().await;
        hear(&stage.world, lost).await;
        let served = send(&stage.world, "served", 3);
        assert!(hear(&stage.world, served).await.iter().all(|outcome| matches!(outcome, Ok(Ok(_)))));
        assert_eq!(stage.world.recording(0).commands(), ["x", "served0", "served1", "served2"]);
    });
}
