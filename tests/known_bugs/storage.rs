//! Disks that lose power, fail or have no file to give: what is left is what was promised.

use std::{io::ErrorKind, path::Path, sync::Arc};

use raftix::{
    Apply, ApplyError, Fatal,
    sim::vfs::{Effect, Fault, Operation, SimVfs, SyncFailure},
    storage::{
        LogStore,
        wal::{Wal, WalOptions},
    },
    system::FlushGate,
    types::{
        AppendEntries, AppendOutcome, EntryBatch, EntryBuffer, EntryKind, Heartbeat, LogId, LogIndex,
        Request, Term,
    },
};

use crate::support::{Put, Stage, World, entries, let_time_run_out, ms, simulate};

/// `n1` has entries up to 4 in term 2 and hears of no leader; it gave `n2` its vote in term 5.
async fn voter() -> Stage {
    let stage = Stage::new().await;
    stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "c"]), 2).await;
    let_time_run_out(&stage.world).await;
    assert!(stage.n2.request_vote(stage.n2.candidacy(5, (4, 2))).await.granted);
    stage
}

/// Its term is raised by a candidate that gets no vote. Written in two parts, the new term would stand beside the
/// old vote.
#[test]
fn regress_a1_a_term_and_its_vote_are_written_as_one() {
    simulate(async {
        for at in 0..3 {
            for seed in 0..6 {
                let mut stage = voter().await;
                stage.world.disk(0).inject(Fault::power_off_at(at));
                let _ = stage.n3.ask(Request::RequestVote(stage.n3.candidacy(6, (2, 2)))).await;
                stage.world.lose_power(0, seed).await;
                stage.world.start(0).await;
                let term = stage.world.status(0).term;
                assert!([Term(5), Term(6)].contains(&term), "{term}");
                // Before that it votes for nobody, whatever its record says.
                tokio::time::sleep(stage.world.config.heartbeat_timeout).await;
                let old = stage.n2.request_vote(stage.n2.candidacy(6, (2, 2))).await;
                assert!(!old.granted, "{at}, {seed}: its log was not compared");
                assert!(stage.n3.request_vote(stage.n3.candidacy(6, (4, 2))).await.granted, "it is free");
                assert!(!stage.n2.request_vote(stage.n2.candidacy(6, (4, 2))).await.granted);
            }
        }
    });
}

#[test]
fn regress_b11_a_single_node_acknowledges_nothing_that_it_can_lose() {
    simulate(async {
        for at in 0..12 {
            let mut world = World::running(1, 1100 + at).await;
            world.disk(0).inject(Fault::power_off_at(at));
            let mut acknowledged = 0;
            while world.apply(0, &format!("c{acknowledged}")).await.is_ok() {
                acknowledged += 1;
            }
            world.lose_power(0, at).await;
            world.start(0).await;
            world.leader().await;
            let kept = world.read(0).await.unwrap();
            assert!(kept.len() >= acknowledged, "{acknowledged} were acknowledged, {} are left", kept.len());
        }
        // Nor while its disk takes its time.
        let mut world = World::new(1, 1100);
        let gate = FlushGate::new();
        let held = gate.clone();
        world.start_with(0, |builder, _| builder.flush_gate(held)).await;
        world.leader().await;
        gate.close();
        let write = world.raft(0).send(Apply(Put::from("held")).timeout(ms(200)));
        assert!(matches!(write.await.unwrap(), Err(ApplyError::OutcomeUnknown { .. })));
        assert_eq!(world.recording(0).len(), 0);
    });
}

#[test]
fn regress_g11_a_single_node_that_restarts_applies_everything_without_another_write() {
    simulate(async {
        let mut world = World::running(1, 1111).await;
        world.apply_all((0..20).map(|n| format!("c{n}"))).await;
        for _ in 0..3 {
            world.restart(0).await;
            assert_eq!(world.recording(0).len(), 0);
            assert_eq!(world.read(0).await.unwrap().len(), 20);
        }
    });
}

fn open(disk: &SimVfs) -> Wal {
    let options = WalOptions { segment_bytes: 8 << 10, background: false, ..WalOptions::default() };
    Wal::open(Arc::new(disk.clone()), Path::new("wal"), options)
}

fn batch(first: u64, term: u64, count: u64) -> EntryBatch {
    let mut buffer = EntryBuffer::default();
    for index in first..first + count {
        buffer.push(EntryKind::Command, format!("{index}@{term}").repeat(80).as_bytes());
    }
    buffer.seal(LogIndex(first), Term(term))
}

/// A log of forty entries over several segments.
fn prepared() -> SimVfs {
    let disk = SimVfs::new();
    let mut wal = open(&disk);
    wal.recover().unwrap();
    for first in (1..40).step_by(4) {
        wal.append(&batch(first, 1, 4)).unwrap();
        wal.flush().unwrap();
    }
    disk
}

fn ends(last: LogId) -> (u64, u64) {
    (last.index.get(), last.term.get())
}

/// Replaces all but the first four; whether it was acknowledged.
fn replace(disk: &SimVfs, wal: &mut Wal) -> bool {
    let replaced = wal.truncate(LogIndex(5)).and_then(|()| wal.append(&batch(5, 2, 2)));
    let replaced = replaced.and_then(|()| wal.flush()).is_ok();
    replaced && wal.append(&batch(7, 2, 30)).and_then(|()| wal.flush()).is_ok() && !disk.is_off()
}

#[test]
fn regress_b32_a_replacement_across_segments_survives_a_loss_of_power_at_every_operation() {
    let before = prepared();
    let whole = before.fork();
    let mut wal = open(&whole);
    wal.recover().unwrap();
    let opened = whole.operations();
    assert!(replace(&whole, &mut wal));
    let operations = whole.operations() - opened;
    assert!(operations >= 4 && before.files().len() > 4, "several segments: {:?}", before.files());
    for at in 0..=operations {
        for seed in 0..8 {
            let disk = before.fork();
            let mut wal = open(&disk);
            wal.recover().unwrap();
            disk.inject(Fault::power_off_at(at));
            let acknowledged = replace(&disk, &mut wal);
            assert_eq!(acknowledged, at == operations);
            disk.power_loss(at * 8 + seed);
            let recovered = open(&disk).recover().unwrap_or_else(|error| panic!("{at}, {seed}: {error}"));
            let (found, withheld) = (ends(recovered.last), recovered.withheld.map(ends));
            let sound = match withheld {
                None if acknowledged => found == (36, 2),
                None => [(40, 1), (4, 1), (6, 2), (36, 2)].contains(&found),
                // It knows that it had more, and takes no part until it has that again.
                Some(promised) => {
                    !acknowledged
                        && [(6, 2), (36, 2)].contains(&promised)
                        && (4..promised.0 + 1).contains(&found.0)
                }
            };
            assert!(sound, "{at}, {seed}: it ends at {found:?}, withheld {withheld:?}");
        }
    }
}

/// The truncation fails; or it is done, and then the write of what replaces it fails.
#[test]
fn regress_b33_h55_a_follower_whose_replacement_fails_acknowledges_nothing_and_comes_back_sound() {
    simulate(async {
        for (operation, skip) in
            [(Operation::Write, 0), (Operation::Write, 1), (Operation::Sync, 0), (Operation::Sync, 1)]
        {
            let mut stage = Stage::new().await;
            stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "c"]), 2).await;
            stage.n3.heartbeat(3).await;
            let effect = match operation {
                Operation::Sync => Effect::FailSync(SyncFailure::KeepsCache),
                _ => Effect::Fail(ErrorKind::Other),
            };
            stage.world.disk(0).inject(Fault::at(operation, effect).after(skip));
            let request = AppendEntries {
                term: Term(3),
                leader: stage.n3.id(),
                prev: LogId::new(Term(2), LogIndex(2)),
                commit: LogIndex(2),
                entries: entries(3, 3, &["x"]),
            };
            let answer = stage.n3.ask(Request::AppendEntries(request)).await;
            assert!(answer.is_err(), "{answer:?}");
            let fatal = stage.world.raft(0).stopped().await.expect("it failed");
            assert!(matches!(fatal, Fatal::Storage(_)), "{fatal}");
            stage.world.crash(0).await;
            stage.world.start(0).await;
            let last = stage.world.status(0).last_index.get();
            assert!([2, 3, 4].contains(&last), "{last}");
            let response = stage.n3.append(3, (2, 2), entries(3, 3, &["x"]), 3).await;
            assert_eq!(response.outcome, AppendOutcome::Matched { matched: LogIndex(3) });
            stage.world.lose_power(0, 33).await;
            stage.world.start(0).await;
            let response = stage.n3.append(3, (3, 3), entries(4, 3, &["y"]), 4).await;
            assert_eq!(response.outcome, AppendOutcome::Matched { matched: LogIndex(4) });
            assert_eq!(stage.world.recording(0).commands(), ["a", "x", "y"]);
        }
    });
}

#[test]
fn regress_f10_a_system_without_a_file_to_give_stops_the_node_with_a_reason_and_loses_nothing() {
    simulate(async {
        let mut world = World::running(1, 1010).await;
        // What a process gets that has opened as many files as it may.
        world.disk(0).inject(Fault::at(Operation::Create, Effect::Fail(ErrorKind::Other)));
        let mut acknowledged = 0;
        while world.apply(0, &"x".repeat(1000)).await.is_ok() {
            acknowledged += 1;
            assert!(acknowledged < 1000, "no file was ever wanted");
        }
        let fatal = world.raft(0).stopped().await.expect("it failed");
        assert!(matches!(fatal, Fatal::Storage(_)), "{fatal}");
        world.lose_power(0, 10).await;
        world.start(0).await;
        assert!(world.read(0).await.unwrap().len() >= acknowledged);
    });
}

#[test]
fn regress_h13_a_term_that_cannot_be_written_stops_the_node() {
    simulate(async {
        for failure in [SyncFailure::KeepsCache, SyncFailure::Reverts] {
            let stage = voter().await;
            stage.world.disk(0).inject(Fault::at(Operation::Sync, Effect::FailSync(failure)));
            let request = Request::RequestVote(stage.n3.candidacy(6, (4, 2)));
            let answer = stage.n3.ask(request).await;
            assert!(answer.is_err(), "{answer:?}");
            let fatal = stage.world.raft(0).stopped().await.expect("it failed");
            assert!(matches!(fatal, Fatal::Storage(_)), "{fatal}");
            let heartbeat = Heartbeat { term: Term(6), leader: stage.n2.id(), round: 1 };
            assert!(stage.n2.ask(Request::Heartbeat(heartbeat)).await.is_err(), "it does not go on");
            assert_eq!(stage.world.disk(0).syncs_after_failure(), 0);
        }
    });
}
