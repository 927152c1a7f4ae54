//! Disks that fail or fill, state machines that panic, entries that do not decode: a node stops with its
//! reason, or gives up leadership, and everybody who waits hears of it.

use raftix::{
    Apply, ApplyError, Fatal, Read, ReadError, Shutdown, StaleRead,
    sim::vfs::{Effect, Fault, Operation, SyncFailure},
    types::{Entries, EntryBuffer, EntryKind, LogIndex, Term},
};
use tokio::time::{Instant, sleep};

use crate::support::{FaultyStore, History, Put, Recorder, Stage, StoreFaults, World, ms, simulate};

fn fail_next_sync(world: &World, n: usize, failure: SyncFailure) {
    world.disk(n).inject(Fault::at(Operation::Sync, Effect::FailSync(failure)));
}

#[test]
fn a_failed_flush_stops_the_node_and_everybody_hears_why() {
    simulate(async {
        for failure in [SyncFailure::KeepsCache, SyncFailure::Reverts] {
            let mut world = World::running(3, 31).await;
            let leader = world.leader().await;
            world.apply(leader, "before").await.unwrap();
            fail_next_sync(&world, leader, failure);
            let raft = world.raft(leader);
            let write = raft.send(Apply(Put::from("during")));
            let read = raft.send(Read(History));
            let fatal = raft.stopped().await.expect("it failed");
            assert!(matches!(fatal, Fatal::Storage(_)), "{fatal}");
            match write.await.unwrap() {
                // Two others may have it by then.
                Ok(_) | Err(ApplyError::OutcomeUnknown { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(matches!(read.await.unwrap(), Ok(_) | Err(ReadError::Failed(Fatal::Storage(_)))));
            let error = raft.send(Apply(Put::from("late"))).await.unwrap().unwrap_err();
            let ApplyError::Failed { fatal: Fatal::Storage(_), command } = error else { panic!("{error}") };
            assert_eq!(command, Put::from("late"));
            for read in [raft.send(Read(History)).await, raft.send(StaleRead(History)).await] {
                assert!(matches!(read.unwrap(), Err(ReadError::Failed(Fatal::Storage(_)))));
            }
            assert_eq!(world.disk(leader).syncs_after_failure(), 0, "the file was never synced again");
            world.crash(leader).await;
            world.leader().await;
            world.apply_all(["after".to_owned()]).await;
            world.start(leader).await;
            world.ensure_same().await;
            assert_eq!(world.recording(leader).count("before"), 1);
            assert_eq!(world.recording(leader).count("late"), 0);
            assert!(world.recording(leader).count("during") <= 1);
        }
    });
}

#[test]
fn a_follower_with_a_failed_flush_acknowledges_nothing_more() {
    simulate(async {
        let mut world = World::running(3, 32).await;
        let (leader, followers) = (world.leader().await, world.followers().await);
        world.disconnect(followers[1]);
        fail_next_sync(&world, followers[0], SyncFailure::KeepsCache);
        let error = world.apply(leader, "lonely").await.unwrap_err();
        assert!(!error.is_refused(), "{error}");
        assert!(matches!(world.raft(followers[0]).stopped().await, Some(Fatal::Storage(_))));
        assert_eq!(world.recording(leader).len(), 0, "the leader alone is no quorum");
    });
}

#[test]
fn a_node_that_failed_can_be_shut_down_and_started_again_at_once() {
    simulate(async {
        let mut world = World::running(3, 33).await;
        let leader = world.leader().await;
        fail_next_sync(&world, leader, SyncFailure::KeepsCache);
        let raft = world.raft(leader);
        let _ = raft.send(Apply(Put::from("during"))).await;
        raft.stopped().await.expect("it failed");
        raft.send(Shutdown).await.expect("a failed node can be shut down");
        // In the same process, while the old node's tasks may still be there.
        let again = raftix::storage::data_dir::DataDir::open(
            std::sync::Arc::new(world.disk(leader).clone()),
            "data".as_ref(),
            &world.id(leader).into(),
        );
        assert!(again.is_ok(), "{again:?}");
        drop(again);
        world.crash(leader).await;
        world.start(leader).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_full_disk_deposes_the_leader_which_goes_on_when_there_is_room() {
    simulate(async {
        let mut world = World::new(3, 34);
        let faults: Vec<StoreFaults> = world.all().map(|_| StoreFaults::default()).collect();
        for n in world.all() {
            let store = FaultyStore::new(&faults[n]);
            world.start_with(n, |builder, _| builder.log_store(store)).await;
        }
        let full = world.leader().await;
        world.apply(full, "before").await.unwrap();
        faults[full].set_full(true);
        let began = Instant::now();
        let during = world.raft(full).send(Apply(Put::from("during")));
        world.wait_for("another leader", |world| world.all().any(|n| n != full && world.leads(n))).await;
        assert!(began.elapsed() < world.config.disk_stall_timeout / 2, "not only when it seems stalled");
        // The others had it before the disk was found full.
        assert!(matches!(during.await.unwrap(), Ok(_) | Err(ApplyError::OutcomeUnknown { .. })));
        world.leader().await;
        assert_eq!(world.apply(full, "forwarded").await.unwrap(), 3, "it serves as a follower");
        assert!(world.status(full).durable_index < world.status(full).last_index);
        faults[full].set_full(false);
        world
            .wait_for("the disk to catch up", |world| {
                world.status(full).durable_index == world.status(full).last_index
            })
            .await;
        world.ensure_same().await;
        // It may lead again.
        for n in world.all().filter(|n| *n != full) {
            faults[n].set_full(true);
        }
        world.apply(full, "wake").await.ok();
        world
            .wait_for("the others to find out", |world| world.all().all(|n| n == full || !world.leads(n)))
            .await;
        world.wait_for("it to lead again", |world| world.leads(full)).await;
    });
}

#[test]
fn a_full_disk_alone_refuses_nothing_that_it_had_acknowledged() {
    simulate(async {
        let mut world = World::running(1, 35).await;
        world.apply(0, "before").await.unwrap();
        let used = world.disk(0).used();
        world.disk(0).set_capacity(Some(used));
        let mut acknowledged = 1;
        while world.leads(0) {
            match world.apply(0, &"x".repeat(1000)).await {
                Ok(_) => acknowledged += 1,
                Err(error) => assert!(!error.is_refused() || !world.leads(0), "{error}"),
            }
            assert!(acknowledged < 1000, "the disk never filled");
        }
        let error = world.raft(0).send(Apply(Put::from("late")).timeout(ms(500))).await.unwrap().unwrap_err();
        assert!(matches!(error, ApplyError::NotLeader { .. }), "{error}");
        world.check();
        world.disk(0).set_capacity(None);
        world.leader().await;
        world.apply(0, "after").await.unwrap();
        let before = world.recording(0).commands();
        assert!(before.len() > acknowledged);
        assert_eq!(world.recording(0).count("late"), 0);
        world.lose_power(0, 9).await;
        world.start(0).await;
        world.leader().await;
        world.ensure_same().await;
        assert_eq!(world.recording(0).commands(), before);
    });
}

#[test]
fn a_panic_of_the_state_machine_stops_its_node_with_what_it_said() {
    simulate(async {
        let mut world = World::new(3, 36);
        world
            .start_with(0, |builder, recording| {
                let machine = Recorder::new(recording);
                builder.state_machine(machine.before_apply(|command| assert_ne!(command, "poison", "spilt")))
            })
            .await;
        world.start(1).await;
        world.start(2).await;
        world.leader().await;
        let raft = world.raft(0);
        let poison = raft.send(Apply(Put::from("poison")));
        let behind = raft.send(Apply(Put::from("behind")));
        let fatal = raft.stopped().await.expect("it failed");
        let Fatal::Panicked { message, .. } = &fatal else { panic!("{fatal}") };
        assert!(message.contains("spilt"), "{message}");
        for outcome in [poison.await.unwrap(), behind.await.unwrap()] {
            // On a follower the leader applied it and said so.
            assert!(matches!(outcome, Ok(_) | Err(ApplyError::OutcomeUnknown { .. })), "{outcome:?}");
        }
        assert!(matches!(raft.send(StaleRead(History)).await.unwrap(), Err(ReadError::Failed(_))));
        world.wait_for("a healthy leader", |world| world.leads(1) || world.leads(2)).await;
        assert_eq!(world.apply(1, "after").await.unwrap(), 3);
        assert_eq!(world.recording(0).len(), 0, "nothing is applied after a panic");
    });
}

#[test]
fn a_committed_command_that_does_not_decode_stops_the_node() {
    simulate(async {
        let stage = Stage::new().await;
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Command, b"\xc1 is no MessagePack");
        let mut garbage = Entries::none();
        garbage.push(buffer.seal(LogIndex(2), Term(2)));
        stage.n2.append(2, (1, 1), garbage, 2).await;
        let fatal = stage.world.raft(0).stopped().await.expect("it failed");
        assert!(matches!(fatal, Fatal::Undecodable { index: LogIndex(2), .. }), "{fatal}");
    });
}

#[test]
fn a_configuration_that_does_not_decode_is_refused_and_hurts_nobody() {
    simulate(async {
        let stage = Stage::new().await;
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Configuration, b"\x93\xff\x00garbage");
        let mut garbage = Entries::none();
        garbage.push(buffer.seal(LogIndex(2), Term(2)));
        stage.n2.append(2, (1, 1), garbage, 2).await;
        sleep(ms(5)).await;
        assert_eq!(stage.world.status(0).last_index, LogIndex(1));
        stage.world.check();
    });
}

#[test]
fn a_log_with_a_damaged_end_says_so_until_it_is_whole_again() {
    simulate(async {
        let mut world = World::running(3, 39).await;
        world.apply_all(["first".to_owned(), "damaged".to_owned()]).await;
        world.ensure_same().await;
        let victim = world.followers().await[0];
        let end = world.status(victim).last_index;
        world.crash(victim).await;
        flip_a_bit_of(&world, victim, "damaged");
        world.disconnect(victim);
        world.start(victim).await;
        let withheld = format!("member, withheld until its log reaches {end}@");
        world
            .wait_for("the damage to show", |world| world.status(victim).standing.starts_with(&withheld))
            .await;
        assert!(world.status(victim).last_index < end);

        // Nobody writes: the leader finds out by itself that the node lost what it had acknowledged.
        world.heal();
        world.wait_for("the log to be whole", |world| world.status(victim).standing == "member").await;
        assert_eq!(world.read(victim).await.unwrap(), ["first", "damaged"]);
        world.ensure_same().await;
    });
}

/// Damages the last place of a node's log where `command` stands.
fn flip_a_bit_of(world: &World, n: usize, command: &str) {
    let disk = world.disk(n);
    let logs = disk.files().into_iter().filter(|file| file.extension().is_some_and(|is| is == "wal"));
    let place = |file: &std::path::PathBuf| {
        let content = disk.content(file);
        content.windows(command.len()).rposition(|window| window == command.as_bytes())
    };
    let (file, offset) = logs
        .filter_map(|file| place(&file).map(|offset| (file, offset)))
        .next_back()
        .expect("it is in the log");
    disk.flip(&file, offset as u64, 1);
}
