//! A leader that brings a snapshot to a follower of the test's.

use raftix::{
    transport::{Responder, RpcError},
    types::{
        AppendEntriesResponse, AppendOutcome, InstallOutcome, InstallSnapshot, InstallSnapshotResponse,
        LogId, LogIndex, Request, Response, Term,
    },
};
use tokio::time::sleep;

use super::{commands, compact, wanted};
use crate::support::{Stage, agree, ms, secs, simulate};

/// `n1` leads with a log that begins behind a snapshot; `n3` has followed all the way, and `n2` asks for the beginning.
async fn needed() -> (Stage, Term) {
    let stage = Stage::with(|world| {
        world.config.trailing_logs = 1;
        world.config.snapshot_chunk_bytes = 30;
        world.config.forwarding = false;
    })
    .await;
    stage.crown().await;
    stage.world.apply_all(commands("a", 20)).await;
    compact(&stage.world, 0).await;
    let incarnation = stage.n2.incarnation();
    let mut agree = agree(&stage.n2);
    stage.n2.answer_by(move |request| match request {
        Request::AppendEntries(request) if request.prev.index > LogIndex::ZERO => {
            let outcome = AppendOutcome::Conflict { refused: request.prev.index, hint: LogId::ZERO };
            Some(Response::AppendEntries(AppendEntriesResponse { term: request.term, incarnation, outcome }))
        }
        Request::InstallSnapshot(_) => None,
        request => agree(request),
    });
    let term = stage.world.status(0).term;
    stage.world.apply(0, "raises the signal").await.unwrap();
    (stage, term)
}

/// The next piece that `n1` sends, and the way to answer it.
async fn next_piece(stage: &Stage) -> (InstallSnapshot, Responder) {
    for _ in 0..10_000 {
        if let Some((Request::InstallSnapshot(piece), responder)) = stage.n2.kept_first() {
            return (piece, responder);
        }
        sleep(ms(1)).await;
    }
    panic!("nothing is sent");
}

fn answer(stage: &Stage, term: Term, outcome: InstallOutcome) -> Result<Response, RpcError> {
    let incarnation = stage.n2.incarnation();
    Ok(Response::InstallSnapshot(InstallSnapshotResponse { term, incarnation, outcome }))
}

#[test]
fn the_leader_asks_first_and_goes_on_after_a_loss_where_it_is_told() {
    simulate(async {
        let (stage, term) = needed().await;
        let (asked, responder) = next_piece(&stage).await;
        assert!(asked.data.is_empty());
        responder.respond(answer(&stage, term, wanted(0)));
        let mut pieces = Vec::new();
        for _ in 0..4 {
            pieces.push(next_piece(&stage).await);
        }
        let offsets: Vec<u64> = pieces.iter().map(|(piece, _)| piece.offset).collect();
        assert_eq!(offsets, [0, 30, 60, 90], "as many as may be under way");
        // Two arrived, and their answers were lost with the connection.
        drop(pieces);
        let (asked, responder) = next_piece(&stage).await;
        assert!(asked.data.is_empty());
        responder.respond(answer(&stage, term, wanted(60)));
        let (piece, _) = next_piece(&stage).await;
        assert_eq!((piece.offset, piece.data.len()), (60, 30));
    });
}

#[test]
fn the_leader_sends_the_entries_behind_it_once_it_is_installed() {
    simulate(async {
        let (stage, term) = needed().await;
        let (asked, responder) = next_piece(&stage).await;
        let last = asked.snapshot.description.last;
        responder.respond(answer(&stage, term, InstallOutcome::Installed));
        let mut seen = None;
        stage.n2.answer_by(|_| None);
        stage
            .world
            .wait_for("the entries", |_| {
                while let Some((request, _)) = stage.n2.kept_first() {
                    if let Request::AppendEntries(request) = request {
                        seen = Some(request.prev);
                    }
                }
                seen.is_some()
            })
            .await;
        assert_eq!(seen, Some(last));
    });
}

#[test]
fn a_refusal_is_not_asked_about_without_a_pause() {
    simulate(async {
        let (stage, term) = needed().await;
        let began = tokio::time::Instant::now();
        for _ in 0..5 {
            let (_, responder) = next_piece(&stage).await;
            responder.respond(answer(&stage, term, InstallOutcome::Refused));
        }
        assert!(began.elapsed() >= stage.world.config.election_timeout * 4);
        stage.world.check();
    });
}

#[test]
fn a_higher_term_in_an_answer_ends_the_leadership() {
    simulate(async {
        let (stage, term) = needed().await;
        let (_, responder) = next_piece(&stage).await;
        let higher = Term(term.get() + 1);
        responder.respond(answer(&stage, higher, InstallOutcome::Refused));
        stage.world.wait_for("the end", |world| world.status(0).term >= higher).await;
        assert!(!stage.world.leads(0));
    });
}

#[test]
fn a_follower_that_never_answers_costs_a_question_now_and_then() {
    simulate(async {
        let (stage, _) = needed().await;
        sleep(secs(20)).await;
        let asked = stage.n2.kept().into_iter().filter(
            |(request, _)| matches!(request, Request::InstallSnapshot(piece) if piece.data.is_empty()),
        );
        assert!((8..40).contains(&asked.count()));
        assert!(stage.world.leads(0), "the other one is enough");
        stage.world.check();
    });
}
