//! Bugs of others around an installed snapshot, by the ids of docs/known-bugs.md.

use std::{path::Path, sync::Arc};

use raftix::{
    storage::{LogStore, data_dir::DataDir, vfs::Vfs, wal::Wal},
    types::{
        AppendOutcome, GroupId, InstallOutcome, LogId, LogIndex, Membership, NodeId, Request, Response, Term,
        TimeoutNow,
    },
};

use super::receiving::{LETTERS, Sent, expect, matched};
use crate::support::{Puppet, Stage, entries, simulate};

fn at(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

/// Where the log on the disk of `n1`, which does not run, begins and ends.
fn on_disk(stage: &Stage) -> (LogId, LogId) {
    let vfs: Arc<dyn Vfs> = Arc::new(stage.world.disk(0).clone());
    let directory = DataDir::open(vfs.clone(), Path::new("data"), &"n1".into()).unwrap();
    let options = directory.wal_options(GroupId::ZERO);
    let recovered = Wal::open(vfs, &directory.wal_dir(), options).recover().unwrap();
    (recovered.base.last, recovered.last)
}

/// Has `leader` tell `n1` to stand, and gives the end of the log by which it then does.
async fn stands_by(stage: &Stage, leader: &Puppet, term: u64) -> LogId {
    let request = TimeoutNow { term: Term(term), leader: leader.id() };
    let Ok(Response::TimeoutNow(response)) = leader.ask(Request::TimeoutNow(request)).await else {
        panic!("no answer")
    };
    assert!(response.accepted);
    let candidacy = |puppet: &Puppet| {
        puppet.kept().into_iter().find_map(|(request, _)| match request {
            Request::RequestVote(request) => Some(request.last),
            _ => None,
        })
    };
    let mut last = None;
    stage
        .world
        .wait_for("it to stand", |_| {
            last = last.or_else(|| candidacy(leader));
            last.is_some()
        })
        .await;
    last.expect("it was waited for")
}

/// Elsewhere the entries that follow a restored state were taken wherever they came, with nothing before them.
#[test]
fn regress_e3_behind_an_installed_snapshot_the_log_goes_on_without_a_gap() {
    simulate(async {
        let mut stage = Stage::new().await;
        Sent::new(&stage.n2, 2, 2, &LETTERS).await.install(&stage.n2).await;
        for (prev, first) in [((8, 2), 9), ((20, 2), 21)] {
            let response = stage.n2.append(2, prev, entries(first, 2, &["x"]), 7).await;
            assert!(matches!(response.outcome, AppendOutcome::Conflict { .. }), "{:?}", response.outcome);
        }
        expect(&stage, 7, 7, &LETTERS);
        let response = stage.n2.append(2, (7, 2), entries(8, 2, &["g", "h"]), 9).await;
        assert_eq!(response.outcome, matched(9));
        stage.world.crash(0).await;
        assert_eq!(on_disk(&stage), (at(7, 2), at(9, 2)), "from the snapshot's end on, all of it");
        stage.world.start(0).await;
        let response = stage.n2.append(2, (9, 2), entries(10, 2, &["i"]), 10).await;
        assert_eq!(response.outcome, matched(10));
        expect(&stage, 10, 10, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    });
}

/// Elsewhere restoring the state deleted the log, while the node went on with the last index that it knew.
#[test]
fn regress_e32_after_a_restore_the_log_on_disk_ends_where_the_node_says() {
    // A log that holds the snapshot's last entry keeps what follows it; one that does not begins anew.
    for (stale, of, base, last) in [(false, 2, at(5, 2), at(7, 2)), (true, 3, at(5, 3), at(5, 3))] {
        simulate(async move {
            let mut stage = Stage::with(|world| world.config.trailing_logs = 0).await;
            let here = if stale { ["x"; 6] } else { LETTERS };
            stage.n2.append(2, (1, 1), entries(2, 2, &here), 1).await;
            Sent::new(&stage.n2, 4, of, &LETTERS[..4]).await.install(&stage.n2).await;
            let told = stage.world.status(0).last_index;
            assert_eq!(told, last.index);
            stage.world.crash(0).await;
            let (begins, ends) = on_disk(&stage);
            assert_eq!(ends, last, "stale: {stale}");
            assert!(begins == base || (!stale && begins.index < base.index), "stale: {stale}: {begins}");
            stage.world.start(0).await;
            expect(&stage, told.get(), 5, &LETTERS[..4]);
        });
    }
}

/// Elsewhere a node stood by a snapshot that it had not installed, or among members that it did not know of yet.
#[test]
fn regress_a25_a_node_stands_by_what_it_holds_while_a_snapshot_arrives_and_by_that_afterwards() {
    simulate(async {
        let stage = Stage::new().await;
        let sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        let half = sent.content.len() / 2;
        sent.outcome(&stage.n2, 0, half).await;
        assert_eq!(stands_by(&stage, &stage.n2, 2).await, at(1, 1));
        let refused = sent.outcome(&stage.n2, half, sent.content.len()).await;
        assert_eq!(refused, InstallOutcome::Refused, "its sender leads no more");
    });
    simulate(async {
        let stage = Stage::new().await;
        let mut sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        let before = sent.meta.description.membership.clone();
        let stays = before.servers().iter().filter(|server| server.id != NodeId::from("n3")).cloned();
        sent.meta.description.membership = Membership::new(stays).unwrap();
        sent.install(&stage.n2).await;
        stage.n3.kept();
        assert_eq!(stands_by(&stage, &stage.n2, 2).await, at(7, 2));
        let asked = |(request, _): &(Request, _)| matches!(request, Request::RequestVote(_));
        assert!(!stage.n3.kept().iter().any(asked), "n3 is no member any more");
    });
}
