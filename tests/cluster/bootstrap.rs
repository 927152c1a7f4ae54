//! From blank disks to a cluster, whatever happens meanwhile; and what becomes of a node that lost its disk.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use raftix::{
    ApplyError, Config, ServerRole, Snapshot, StartError,
    sim::vfs::Fault,
    storage::{
        StorageError,
        memory::MemoryStore,
        snapshot::file::FileSnapshotStore,
        vfs::Vfs,
        wal::{Wal, WalOptions},
    },
    types::{Incarnation, LogIndex, Term},
};
use tokio::time::sleep;

use crate::support::{Stage, World, agree, ms, secs, simulate};

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn standing(world: &World, n: usize) -> String {
    world.status(n).standing
}

fn is_quarantined(world: &World, n: usize) -> bool {
    world.status(n).role == ServerRole::Quarantined && standing(world, n).starts_with("quarantined")
}

/// All are members of one cluster, and it works.
async fn expect_formed(world: &World) {
    let formed = |world: &World| world.all().all(|n| standing(world, n) == "member");
    world.wait_for("everybody to be a member", formed).await;
    for n in world.all() {
        let command = format!("from {}", world.id(n));
        world.leader().await;
        world.apply(n, &command).await.unwrap();
    }
    world.ensure_same().await;
    for n in world.all() {
        assert_eq!(world.status(n).voters.len(), world.count());
        assert_eq!(world.recording(n).len(), world.count());
    }
}

#[test]
fn blank_nodes_form_a_cluster_in_whatever_order_and_at_whatever_pace_they_start() {
    simulate(async {
        for order in ORDERS {
            for pause in [0, 3, 120, 2500] {
                let mut world = World::new(3, 81 + pause);
                for n in order {
                    world.start(n).await;
                    sleep(ms(pause)).await;
                }
                expect_formed(&world).await;
            }
        }
    });
}

#[test]
fn nothing_is_formed_while_a_listed_node_is_missing() {
    simulate(async {
        let mut world = World::new(3, 82);
        world.start(0).await;
        world.start(2).await;
        sleep(secs(30)).await;
        for n in [0, 2] {
            assert!(standing(&world, n).starts_with("blank"), "{}", standing(&world, n));
            assert_eq!((world.status(n).term, world.status(n).last_index), (Term(0), LogIndex(0)));
        }
        let error = world.apply(0, "early").await.unwrap_err();
        assert!(matches!(error, ApplyError::NotLeader { leader: None, .. }), "{error}");
        world.start(1).await;
        expect_formed(&world).await;
    });
}

#[test]
fn nodes_with_different_lists_form_nothing() {
    simulate(async {
        let mut world = World::new(3, 83);
        world.start(0).await;
        world.start(1).await;
        let mut other = world.peers();
        other.push(("n4".to_owned(), "n4:0".to_owned()));
        world.start_with(2, |builder, _| builder.peers(other)).await;
        sleep(secs(10)).await;
        assert!(world.all().all(|n| standing(&world, n).starts_with("blank")));
        world.restart(2).await;
        expect_formed(&world).await;
    });
}

/// Starts all; `n`'s disk loses power at its operation number `k`. Whether it got that far.
async fn lose_power_at(world: &mut World, n: usize, k: u64) -> bool {
    world.disk(n).inject(Fault::power_off_at(k));
    for node in world.all() {
        if let Err(error) = world.try_start(node).await {
            assert!(node == n && world.disk(n).is_off(), "{error}");
        }
    }
    for _ in 0..1000 {
        if world.disk(n).is_off() {
            return true;
        }
        let done = |n| world.status(n).last_index >= LogIndex(2);
        if world.all().all(done) {
            return false;
        }
        sleep(ms(1)).await;
    }
    panic!("neither formed nor without power");
}

/// Takes a node's log away and leaves the rest of its directory.
fn remove_log(world: &World, n: usize) {
    let disk = world.disk(n);
    let logs: Vec<PathBuf> = disk.files().into_iter().filter(|file| file.starts_with("data/wal")).collect();
    assert!(!logs.is_empty());
    logs.iter().for_each(|log| disk.remove(log).unwrap());
    disk.sync_dir(Path::new("data/wal")).unwrap();
}

#[test]
fn a_node_that_loses_power_at_any_step_of_the_bootstrap_becomes_a_member_all_the_same() {
    simulate(async {
        for n in 0..3 {
            let mut k = 0;
            loop {
                let mut world = World::new(3, 84);
                let struck = lose_power_at(&mut world, n, k).await;
                world.lose_power(n, k).await;
                world.start(n).await;
                expect_formed(&world).await;
                // Its directory knows that a member's votes depend on the log beside it.
                world.crash(n).await;
                remove_log(&world, n);
                let refused = world.try_start(n).await;
                assert!(
                    matches!(refused, Err(StartError::Storage(StorageError::Corrupt { .. }))),
                    "n{} after losing power at operation {k}: {refused:?}",
                    n + 1
                );
                if !struck {
                    break;
                }
                k += 1;
            }
            assert!(k > 10, "only {k} operations");
        }
    });
}

#[test]
fn a_crash_of_everybody_at_any_moment_of_the_bootstrap_is_recovered_from() {
    simulate(async {
        for moment in 0..60 {
            let mut world = World::new(3, 85);
            world.traffic.delay(moment, ms(30));
            world.start_all().await;
            sleep(ms(moment * 4)).await;
            for n in world.all() {
                world.lose_power(n, moment ^ n as u64).await;
            }
            world.start_all().await;
            expect_formed(&world).await;
        }
    });
}

#[test]
fn a_node_that_was_wiped_while_the_cluster_formed_never_makes_two_of_it() {
    simulate(async {
        let mut formed_again = 0;
        for moment in 0..40 {
            let mut world = World::new(3, 86);
            world.config = Config::default();
            world.traffic.delay(moment, ms(30));
            world.start_all().await;
            sleep(ms(moment * 4)).await;
            let wiped = moment as usize % 3;
            world.wipe(wiped).await;
            world.start(wiped).await;
            sleep(secs(20)).await;
            world.check();
            let leaders: Vec<usize> = world.all().filter(|n| world.leads(*n)).collect();
            assert!(leaders.len() <= 1, "moment {moment}: {leaders:?}");
            if let [leader] = leaders[..] {
                world.apply(leader, "x").await.unwrap();
                formed_again += usize::from(standing(&world, wiped) == "member");
            }
            let intact = (0..3).filter(|n| *n != wiped);
            let alone = intact.filter(|n| standing(&world, *n) == "member").count();
            assert!(!leaders.is_empty() || alone > 0, "moment {moment}: nobody knows of a cluster");
        }
        assert!(formed_again > 0, "a wipe before the cluster is formed does no harm");
    });
}

/// Three nodes; the last one lacks `precious`, which the first two acknowledged. The second is wiped.
async fn bereft() -> World {
    let mut world = World::running(3, 87).await;
    let first = world.leader().await;
    let followers = world.followers().await;
    assert_eq!(followers.len(), 2);
    world.disconnect(followers[1]);
    world.apply(first, "precious").await.unwrap();
    world.crash(first).await;
    world.wipe(followers[0]).await;
    world.heal();
    world
}

/// If the wiped node voted, it and the one without the entry would elect a leader without it.
#[test]
fn a_wiped_node_and_one_that_lacks_an_entry_elect_nobody_and_the_entry_is_not_lost() {
    simulate(async {
        let mut world = bereft().await;
        let absent =
            world.all().find(|n| !world.is_running(*n) && !world.disk(*n).files().is_empty()).unwrap();
        let wiped = world.all().find(|n| world.disk(*n).files().is_empty()).unwrap();
        let behind = world.all().find(|n| *n != absent && *n != wiped).unwrap();
        let term = world.status(behind).term;
        world.start(wiped).await;
        world.wait_for("the quarantine", |world| is_quarantined(world, wiped)).await;
        sleep(secs(30)).await;
        assert!(!world.leads(behind) && !world.leads(wiped), "nobody is elected");
        assert_eq!(world.status(behind).term, term, "nor promised a vote");
        assert_eq!(world.recording(behind).len(), 0);
        world.start(absent).await;
        world.leader().await;
        assert!(world.leads(absent), "only who has the entry can lead");
        world.apply(behind, "next").await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(wiped).commands(), ["precious", "next"]);
        assert!(is_quarantined(&world, wiped), "the old membership names another life of it");
    });
}

#[test]
fn a_wiped_node_replays_the_log_and_its_acknowledgements_do_not_count() {
    simulate(async {
        let mut world = World::running(3, 88).await;
        let leader = world.leader().await;
        let followers = world.followers().await;
        let (wiped, other) = (followers[0], followers[1]);
        world.apply(leader, "before").await.unwrap();
        world.wipe(wiped).await;
        world.start(wiped).await;
        world.apply(leader, "between").await.unwrap();
        // Whoever has nothing of the log yet is not among those that must be the same.
        world.wait_applied(wiped, world.status(leader).applied_index).await;
        world.ensure_same().await;
        assert!(is_quarantined(&world, wiped));
        assert_eq!(world.recording(wiped).commands(), ["before", "between"], "it replays the old log");
        assert_eq!(world.status(wiped).voters.len(), 3, "and the old membership in it");
        let applied = world.status(leader).applied_index;
        world.crash(other).await;
        let error = world.apply(leader, "unsupported").await.unwrap_err();
        assert!(!error.is_refused(), "{error}");
        world.wait_for("the leader to step down", |world| !world.leads(leader)).await;
        assert_eq!(world.status(leader).applied_index, applied);
        assert_eq!(world.status(leader).commit_index, applied);
        sleep(secs(20)).await;
        assert!(!world.leads(leader) && !world.leads(wiped));
        world.start(other).await;
        world.leader().await;
        world.apply_all(["after".to_owned()]).await;
        world.ensure_same().await;
        world.restart(wiped).await;
        world.leader().await;
        world.ensure_same().await;
        assert!(is_quarantined(&world, wiped), "a restart changes nothing about that");
    });
}

#[test]
fn a_store_without_an_identity_is_quarantined_after_a_restart() {
    simulate(async {
        let stage = Stage::new().await;
        let mut world = stage.world;
        stage.n2.answer_by(agree(&stage.n2));
        world.wait_for("n1 to lead", |world| world.leads(0)).await;
        world.crash(0).await;
        // The log of a cluster of which nothing says that it was this directory's.
        let mut store = MemoryStore::new();
        let mut config = raftix::types::EntryBuffer::default();
        config.push(raftix::types::EntryKind::Configuration, &membership().encode());
        raftix::storage::LogStore::append(&mut store, &config.seal(LogIndex(1), Term(1))).unwrap();
        world.start_with(0, |builder, _| builder.log_store(store)).await;
        assert!(is_quarantined(&world, 0));
        sleep(secs(10)).await;
        assert!(is_quarantined(&world, 0));
        assert_eq!(world.status(0).term, Term(0), "it does not stand");
        let candidacy = stage.n3.candidacy(9, (9, 8));
        assert!(!stage.n3.request_vote(candidacy.clone()).await.granted);
        assert!(!stage.n3.pre_vote(candidacy).await.granted);
        assert!(!stage.n3.heartbeat(10).await.follows, "it is no contact for a quorum");
    });
}

fn membership() -> raftix::types::Membership {
    let server = |n: u64| raftix::types::Server {
        id: format!("n{n}").into(),
        address: format!("n{n}:0"),
        suffrage: raftix::types::Suffrage::Voter,
        incarnation: raftix::types::Incarnation(1000),
    };
    raftix::types::Membership::new((1..=3).map(server)).unwrap()
}

/// Starts a node whose log and snapshots are in stores of its own: no directory says whose they are.
async fn start_on_own_stores(world: &mut World) {
    let vfs: Arc<dyn Vfs> = Arc::new(world.disk(0).clone());
    let incarnation = Incarnation(7);
    let options =
        WalOptions { segment_bytes: 64 << 10, background: false, incarnation, ..WalOptions::default() };
    let log = Wal::open(vfs.clone(), Path::new("own/wal"), options);
    let snapshots = FileSnapshotStore::new(vfs, Path::new("own/snapshots"));
    world
        .start_with(0, |builder, _| builder.log_store(log).snapshot_store(snapshots).incarnation(incarnation))
        .await;
}

#[test]
fn a_node_with_stores_of_its_own_knows_its_cluster_although_entry_1_is_compacted() {
    simulate(async {
        let mut world = World::new(1, 90);
        world.config.trailing_logs = 0;
        start_on_own_stores(&mut world).await;
        world.leader().await;
        let cluster = world.status(0).cluster;
        assert!(cluster.is_some());
        // The second snapshot is of a node that knows its cluster from the first.
        for command in ["first", "second"] {
            world.apply(0, command).await.unwrap();
            let taken = world.raft(0).send(Snapshot).await.unwrap().unwrap();
            assert_eq!(Some(taken.description.cluster.to_string()), cluster);
            world.stop(0).await;
            start_on_own_stores(&mut world).await;
            assert_eq!(world.status(0).cluster, cluster);
            assert_eq!(standing(&world, 0), "member");
            world.leader().await;
        }
        assert_eq!(world.read(0).await.unwrap(), ["first", "second"]);
    });
}
