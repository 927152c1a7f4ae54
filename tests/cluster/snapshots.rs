//! Snapshots of a node's own state: when they are taken, what of the log goes for them, and what a start makes of them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use raftix::{
    Apply, Placement, Shutdown, Snapshot, SnapshotError,
    storage::{
        LogStore,
        data_dir::DataDir,
        memory::MemoryStore,
        snapshot::{SnapshotDescription, SnapshotMeta, SnapshotStore, content, file::FileSnapshotStore},
        vfs::Vfs,
        wal::Wal,
    },
    types::{ClusterId, GroupId, LogId, LogIndex},
};
use tokio::time::timeout;

use crate::support::{Put, Recorder, World, in_real_time, ms, secs, simulate};

async fn snapshot(world: &World, n: usize) -> Result<SnapshotMeta, SnapshotError> {
    world.raft(n).send(Snapshot).await.expect("the node runs")
}

fn commands(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("c{n}"))
}

/// One node that leads.
async fn alone(seed: u64, set: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(1, seed);
    set(&mut world);
    world.start(0).await;
    world.leader().await;
    world
}

/// What lies before the first entry of the log of a node that does not run.
fn base(world: &World, n: usize) -> LogId {
    let vfs: Arc<dyn Vfs> = Arc::new(world.disk(n).clone());
    let directory = DataDir::open(vfs.clone(), Path::new("data"), &world.id(n).into()).unwrap();
    let options = directory.wal_options(GroupId::ZERO);
    Wal::open(vfs, &directory.wal_dir(), options).recover().unwrap().base.last
}

/// The files of a node's snapshots, oldest first.
fn files(world: &World, n: usize) -> Vec<PathBuf> {
    let mut files = world.disk(n).files();
    files.retain(|file| file.starts_with("data/snapshots"));
    files.sort();
    files
}

/// Puts a snapshot of one command among those of a node that does not run.
fn publish(world: &World, n: usize, description: SnapshotDescription) {
    let vfs: Arc<dyn Vfs> = Arc::new(world.disk(n).clone());
    let mut store = FileSnapshotStore::new(vfs, Path::new("data/snapshots"));
    store.recover().unwrap();
    let mut sink = store.create(description).unwrap();
    content::write_header(&mut sink, &[]).unwrap();
    io::Write::write_all(&mut sink, &rmp_serde::to_vec(&vec![(39, 1, "ahead")]).unwrap()).unwrap();
    sink.publish(None).unwrap();
}

/// Turns a bit in the middle of the content of a snapshot.
fn damage(world: &World, n: usize, file: &Path) {
    let at = world.disk(n).content(file).len() / 2;
    world.disk(n).flip(file, at as u64, 1);
}

#[test]
fn regress_e22_a_restart_has_the_state_of_the_snapshot_and_the_trailing_entries_stay() {
    simulate(async {
        let mut world = alone(1, |world| world.config.trailing_logs = 10).await;
        world.apply_all(commands(100)).await;
        let all = world.recording(0).all();
        let applied = world.status(0).applied_index;
        let meta = snapshot(&world, 0).await.unwrap();
        assert_eq!(meta.description.last.index, applied);
        assert_eq!(world.status(0).snapshot_index, applied);
        assert_eq!(meta.description.membership.servers().len(), 1);
        world.stop(0).await;
        assert_eq!(base(&world, 0).index, LogIndex(applied.get() - 10));
        let again = Arc::new(AtomicUsize::new(0));
        let count = again.clone();
        world
            .start_with(0, |builder, recording| {
                let machine = Recorder::new(recording).before_apply(move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
                builder.state_machine(machine)
            })
            .await;
        world.wait_applied(0, applied).await;
        assert_eq!(world.recording(0).all(), all);
        assert_eq!(again.load(Ordering::Relaxed), 0, "what the snapshot holds is not applied again");
        assert_eq!(world.status(0).snapshot_index, applied);
        world.leader().await;
        world.apply(0, "after").await.unwrap();
        assert_eq!(world.read(0).await.unwrap().len(), 101);
        world.check();
    });
}

#[test]
fn one_comes_by_itself_once_enough_was_applied() {
    simulate(async {
        let set = |world: &mut World| {
            (world.config.snapshot_threshold, world.config.snapshot_interval) = (50, ms(100));
        };
        let world = alone(2, set).await;
        world.apply_all(commands(30)).await;
        tokio::time::sleep(secs(1)).await;
        assert_eq!(world.status(0).snapshot_index, LogIndex::ZERO, "too few");
        world.apply_all(commands(30)).await;
        world.wait_for("a snapshot", |world| world.status(0).snapshot_index > LogIndex(50)).await;
        assert_eq!(files(&world, 0).len(), 1);
    });
}

#[test]
fn the_newest_are_kept_and_older_ones_go() {
    simulate(async {
        let world = alone(3, |world| world.config.snapshots_retained = 2).await;
        for command in commands(5) {
            world.apply(0, &command).await.unwrap();
            snapshot(&world, 0).await.unwrap();
        }
        world.wait_for("older ones to go", |world| files(world, 0).len() == 2).await;
    });
}

#[test]
fn without_anything_new_there_is_none() {
    simulate(async {
        let mut world = World::new(3, 4);
        world.start(0).await;
        let blank = snapshot(&world, 0).await.unwrap_err();
        assert!(matches!(blank, SnapshotError::NothingNew), "{blank}");
        world.start(1).await;
        world.start(2).await;
        let leader = world.leader().await;
        world.apply(leader, "x").await.unwrap();
        snapshot(&world, leader).await.unwrap();
        let idle = snapshot(&world, leader).await.unwrap_err();
        assert!(matches!(idle, SnapshotError::NothingNew), "{idle}");
        world.apply(leader, "y").await.unwrap();
        snapshot(&world, leader).await.unwrap();
    });
}

#[test]
fn a_node_without_a_place_for_them_says_so() {
    simulate(async {
        let mut world = World::new(1, 5);
        world.config.snapshot_interval = ms(50);
        world.config.snapshot_threshold = 1;
        world.start_with(0, |builder, _| builder.log_store(MemoryStore::new())).await;
        world.leader().await;
        world.apply_all(commands(10)).await;
        let none = snapshot(&world, 0).await.unwrap_err();
        assert!(matches!(none, SnapshotError::Unsupported(_)), "{none}");
        tokio::time::sleep(secs(1)).await;
        world.check();
    });
}

/// A node with threads, whose state is written when it is told to.
async fn slow_writer(seed: u64) -> (World, mpsc::Sender<()>) {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let mut world = World::new(1, seed);
    world.config.trailing_logs = 0;
    world.config.request_timeout = secs(2);
    world
        .start_with(0, |builder, recording| {
            let machine = Recorder::new(recording).before_persist(move || {
                // Returns when the test says so or is over, at the latest after 30 s.
                let _ = blocked.lock().unwrap().recv_timeout(secs(30));
                Ok(())
            });
            builder.placement(Placement::Dedicated).state_machine(machine)
        })
        .await;
    world.leader().await;
    (world, release)
}

#[test]
fn regress_e14_entries_go_on_being_applied_while_a_state_is_written_and_it_is_taken_once() {
    in_real_time(async {
        let (mut world, release) = slow_writer(6).await;
        world.apply_all(commands(20)).await;
        let captured = world.status(0).applied_index;
        let taking = world.raft(0).send(Snapshot);
        let second = snapshot(&world, 0).await.unwrap_err();
        assert!(matches!(second, SnapshotError::InProgress), "{second}");
        world.apply_all(commands(20)).await;
        assert_eq!(world.status(0).snapshot_index, LogIndex::ZERO, "not before it is durable");
        release.send(()).unwrap();
        let meta = taking.await.unwrap().unwrap();
        assert_eq!(meta.description.last.index, captured, "the state as of then");
        assert_eq!(world.status(0).snapshot_index, captured);
        let all = world.recording(0).all();
        assert_eq!(all.len(), 40);
        world.stop(0).await;
        assert_eq!(base(&world, 0).index, captured);
        world.start(0).await;
        world.leader().await;
        world.wait_for("the state", |world| world.recording(0).len() == 40).await;
        assert_eq!(world.recording(0).all(), all);
    });
}

#[test]
fn a_shutdown_waits_until_nothing_is_written_and_leaves_nothing_half_written() {
    in_real_time(async {
        let (mut world, release) = slow_writer(7).await;
        world.apply_all(commands(5)).await;
        let taking = world.raft(0).send(Snapshot);
        world.wait_for("it to be begun", |world| !files(world, 0).is_empty()).await;
        let mut stopping = Box::pin(world.raft(0).send(Shutdown));
        let early = timeout(ms(200), &mut stopping).await;
        assert!(early.is_err(), "the directory is let go while a state is written there");
        release.send(()).unwrap();
        stopping.await.unwrap();
        assert!(files(&world, 0).is_empty(), "what was begun is removed before the directory is let go");
        let given_up = taking.await.unwrap().unwrap_err();
        assert!(matches!(given_up, SnapshotError::ShuttingDown), "{given_up}");
        world.stop(0).await;
        world.start(0).await;
        world.leader().await;
    });
}

#[test]
fn regress_e33_a_shutdown_waits_only_so_long_for_a_state_to_be_written() {
    in_real_time(async {
        let (mut world, release) = slow_writer(13).await;
        world.apply_all(commands(5)).await;
        let taking = world.raft(0).send(Snapshot);
        world.wait_for("it to be begun", |world| !files(world, 0).is_empty()).await;
        timeout(secs(10), world.stop(0)).await.expect("it ends");
        let given_up = taking.await.unwrap().unwrap_err();
        assert!(matches!(given_up, SnapshotError::ShuttingDown), "{given_up}");
        let refused = world.try_start(0).await.unwrap_err();
        assert!(
            refused.to_string().contains("simulated process"),
            "who writes there has it still: {refused}"
        );
        drop(release);
        let starting = async {
            while world.try_start(0).await.is_err() {
                tokio::time::sleep(ms(5)).await;
            }
        };
        timeout(secs(10), starting).await.expect("the writer lets go");
        assert!(files(&world, 0).is_empty(), "what it had begun is gone");
    });
}

#[test]
fn a_state_that_cannot_be_written_costs_the_snapshot_and_nothing_else() {
    simulate(async {
        let mut world = World::new(1, 8);
        world.config.trailing_logs = 0;
        let turn = Arc::new(AtomicUsize::new(0));
        let turns = turn.clone();
        world
            .start_with(0, |builder, recording| {
                let machine = Recorder::new(recording).before_persist(move || {
                    match turns.fetch_add(1, Ordering::Relaxed) {
                        0 => Err(io::Error::other("no ink")),
                        1 => panic!("the pen broke"),
                        _ => Ok(()),
                    }
                });
                builder.state_machine(machine)
            })
            .await;
        world.leader().await;
        world.apply_all(commands(10)).await;
        let refused = snapshot(&world, 0).await.unwrap_err();
        assert!(matches!(&refused, SnapshotError::Persist(why) if why.contains("no ink")), "{refused}");
        let broken = snapshot(&world, 0).await.unwrap_err();
        assert!(matches!(broken, SnapshotError::Persist(_)), "{broken}");
        assert!(files(&world, 0).is_empty(), "nothing is left of them");
        world.apply(0, "on").await.unwrap();
        world.check();
        snapshot(&world, 0).await.unwrap();
        assert_eq!(turn.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn regress_e6_without_room_for_a_snapshot_the_log_stays() {
    simulate(async {
        let mut world = alone(9, |world| world.config.trailing_logs = 0).await;
        world.apply_all(commands(50)).await;
        world.disk(0).set_capacity(Some(world.disk(0).used()));
        snapshot(&world, 0).await.unwrap_err();
        assert_eq!(world.status(0).snapshot_index, LogIndex::ZERO);
        world.disk(0).set_capacity(None);
        world.check();
        world.stop(0).await;
        assert_eq!(base(&world, 0), LogId::ZERO);
        world.start(0).await;
        world.leader().await;
        snapshot(&world, 0).await.unwrap();
        assert_eq!(world.read(0).await.unwrap().len(), 50);
    });
}

#[test]
fn regress_e21_a_log_that_ends_before_the_snapshot_begins_anew_behind_it() {
    simulate(async {
        let mut world = alone(10, |_| ()).await;
        world.apply_all(commands(3)).await;
        let meta = snapshot(&world, 0).await.unwrap();
        let term = meta.description.last.term;
        world.stop(0).await;
        let ahead = LogId::new(term, LogIndex(40));
        let description = SnapshotDescription { last: ahead, ..meta.description };
        publish(&world, 0, description);
        world.start(0).await;
        world.leader().await;
        world.apply(0, "behind").await.unwrap();
        assert_eq!(world.read(0).await.unwrap(), ["ahead", "behind"]);
        world.stop(0).await;
        assert_eq!(base(&world, 0), ahead);
        world.start(0).await;
        world.leader().await;
        assert_eq!(world.read(0).await.unwrap(), ["ahead", "behind"]);
    });
}

#[test]
fn a_damaged_snapshot_is_passed_over_if_the_log_goes_on_from_the_one_before() {
    simulate(async {
        let mut world = alone(11, |_| ()).await;
        world.apply_all(commands(10)).await;
        snapshot(&world, 0).await.unwrap();
        world.apply_all(commands(10)).await;
        snapshot(&world, 0).await.unwrap();
        let all = world.recording(0).all();
        world.stop(0).await;
        damage(&world, 0, &files(&world, 0)[1]);
        world.start(0).await;
        world.leader().await;
        world.wait_for("the state", |world| world.recording(0).len() == all.len()).await;
        assert_eq!(world.recording(0).all(), all);
    });
}

#[test]
fn regress_e26_a_log_that_no_readable_snapshot_reaches_is_refused() {
    simulate(async {
        let mut world = alone(12, |world| world.config.trailing_logs = 3).await;
        world.apply_all(commands(10)).await;
        snapshot(&world, 0).await.unwrap();
        world.apply_all(commands(10)).await;
        snapshot(&world, 0).await.unwrap();
        world.stop(0).await;
        let kept = files(&world, 0);
        assert_eq!(kept.len(), 2);
        damage(&world, 0, &kept[1]);
        let refused = world.try_start(0).await.unwrap_err().to_string();
        assert!(refused.contains("no snapshot reaches there"), "{refused}");
        assert!(
            refused.contains("checksum") && refused.contains("Restore the snapshot from a copy"),
            "{refused}"
        );
    });
}

#[test]
fn a_snapshot_of_another_cluster_is_refused() {
    simulate(async {
        let mut world = alone(14, |_| ()).await;
        world.apply_all(commands(3)).await;
        let own = snapshot(&world, 0).await.unwrap().description;
        world.stop(0).await;
        let last = LogId::new(own.last.term, LogIndex(40));
        publish(&world, 0, SnapshotDescription { last, cluster: ClusterId(7), ..own });
        let refused = world.try_start(0).await.unwrap_err().to_string();
        assert!(refused.contains("belongs to cluster"), "{refused}");
    });
}

#[test]
fn a_member_whose_first_entry_is_compacted_is_a_member_of_its_cluster_still() {
    simulate(async {
        let mut world = World::new(3, 13);
        world.config.trailing_logs = 0;
        world.start_all().await;
        world.apply_all(commands(20)).await;
        world.ensure_same().await;
        for n in world.all() {
            snapshot(&world, n).await.unwrap();
        }
        for n in world.all() {
            world.stop(n).await;
            assert!(base(&world, n).index > LogIndex(1));
        }
        world.start_all().await;
        world.leader().await;
        assert!(world.all().all(|n| world.status(n).standing == "member"), "{:?}", world.roles());
        world.apply_all(commands(3)).await;
        world.ensure_same().await;
        world.wipe(2).await;
        world.start(2).await;
        world
            .wait_for("it to be told", |world| {
                world.status(2).standing.contains("the cluster exists already")
            })
            .await;
    });
}

#[test]
fn regress_e25_a_follower_that_needs_what_is_compacted_stops_nobody() {
    simulate(async {
        let mut world = World::new(3, 14);
        world.config.trailing_logs = 0;
        world.start_all().await;
        let leader = world.leader().await;
        let follower = world.followers().await[0];
        world.crash(follower).await;
        world.apply_all(commands(20)).await;
        snapshot(&world, leader).await.unwrap();
        world.start(follower).await;
        tokio::time::sleep(secs(5)).await;
        world.apply(leader, "on").await.unwrap();
        assert!(world.leads(leader));
        world.check();
    });
}

#[test]
fn a_state_machine_that_keeps_its_state_by_itself_is_not_given_it_again() {
    simulate(async {
        let mut world = alone(15, |world| world.config.no_snapshot_restore_on_start = true).await;
        world.apply_all(commands(10)).await;
        let last = snapshot(&world, 0).await.unwrap().description.last;
        world.apply(0, "behind").await.unwrap();
        world.restart(0).await;
        world.wait_applied(0, last.index).await;
        world.leader().await;
        world.apply(0, "on").await.unwrap();
        assert_eq!(world.recording(0).commands(), ["behind", "on"], "only what is behind the snapshot");
    });
}

#[test]
fn a_state_that_cannot_be_restored_stops_the_node() {
    simulate(async {
        let mut world = alone(16, |_| ()).await;
        world.apply_all(commands(3)).await;
        let mut meta = snapshot(&world, 0).await.unwrap();
        world.stop(0).await;
        meta.description.last.index = meta.description.last.index.next();
        let vfs: Arc<dyn Vfs> = Arc::new(world.disk(0).clone());
        let mut store = FileSnapshotStore::new(vfs, Path::new("data/snapshots"));
        store.recover().unwrap();
        let mut sink = store.create(meta.description).unwrap();
        content::write_header(&mut sink, &[]).unwrap();
        io::Write::write_all(&mut sink, b"of another version").unwrap();
        sink.publish(None).unwrap();
        world.start(0).await;
        let fatal = world.raft(0).stopped().await.expect("it does not run without a state");
        assert!(fatal.to_string().contains("cannot be restored"), "{fatal}");
    });
}

#[test]
fn regress_b37_a_crash_at_any_time_leaves_a_state_that_the_log_goes_on_from() {
    simulate(async {
        for seed in 0..8 {
            let set = |world: &mut World| {
                world.config.trailing_logs = seed % 3;
                (world.config.snapshot_threshold, world.config.snapshot_interval) = (3, ms(20));
            };
            let mut world = alone(100 + seed, set).await;
            let mut acknowledged = Vec::new();
            for round in 0..10 {
                world.disk(0).inject(raftix::sim::vfs::Fault::power_off_at(seed * 7 + round * 11));
                for n in 0..10 {
                    let command = format!("r{round} c{n}");
                    let asked = world.raft(0).send(Apply(Put::from(command.as_str())).timeout(ms(200)));
                    match asked.await {
                        Ok(Ok(_)) => acknowledged.push(command),
                        _ => break,
                    }
                    tokio::time::sleep(ms(15)).await;
                }
                world.lose_power(0, seed * 31 + round).await;
                world.start(0).await;
                world.leader().await;
                let read = world.read(0).await.unwrap();
                let lost = acknowledged.iter().find(|command| !read.contains(command));
                assert_eq!(lost, None, "seed {seed}, round {round}");
            }
            assert!(world.status(0).snapshot_index > LogIndex::ZERO, "seed {seed}");
            world.check();
        }
    });
}
