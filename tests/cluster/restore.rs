//! A user's snapshot in place of the state of a cluster: whole, everywhere, at one place of the log, or not at all.

use std::{io, time::Duration};

use raftix::{Apply, Restore, RestoreError, Snapshot, SnapshotError, types::LogIndex};

use crate::support::{Put, World, ms, secs, simulate, state_of};

/// Gives `state` to `n`, to be restored.
async fn restore(world: &World, n: usize, state: Vec<u8>) -> Result<LogIndex, RestoreError> {
    restore_within(world, n, state, secs(20)).await
}

async fn restore_within(
    world: &World,
    n: usize,
    state: Vec<u8>,
    timeout: Duration,
) -> Result<LogIndex, RestoreError> {
    world.raft(n).send(Restore::new(io::Cursor::new(state), timeout)).await.expect("the node runs")
}

/// Commands that make a state of some megabytes: more pieces than are ever under way at once.
fn large() -> Vec<String> {
    (0..40).map(|n| format!("{n}:").repeat(32 << 10)).collect()
}

fn large_state(commands: &[String]) -> Vec<u8> {
    state_of(&commands.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Lets small pieces make many.
fn in_small_pieces(world: &mut World) {
    world.config.entry_bytes_max = 100;
    world.config.pending_bytes_max = 1000;
}

#[test]
fn it_replaces_the_state_of_every_node_and_later_commands_go_on_from_there() {
    simulate(async {
        let world = World::running(3, 901).await;
        let leader = world.leader().await;
        world.apply(leader, "before").await.unwrap();
        let at = restore(&world, leader, state_of(&["x", "y"])).await.unwrap();
        assert_eq!(world.recording(leader).commands(), ["x", "y"]);
        assert!(world.status(leader).applied_index >= at);
        assert_eq!(world.apply(leader, "after").await.unwrap(), 3);
        world.ensure_same().await;
        assert_eq!(world.read(leader).await.unwrap(), ["x", "y", "after"]);
    });
}

#[test]
fn a_large_one_goes_through_in_many_pieces() {
    simulate(async {
        let world = World::running(3, 902).await;
        let leader = world.leader().await;
        let commands = large();
        let before = world.status(leader).last_index;
        let at = restore(&world, leader, large_state(&commands)).await.unwrap();
        assert!(at.0 - before.0 >= 10, "pieces from {before} to {at}");
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), commands);
    });
}

#[test]
fn an_empty_one_is_a_state_if_the_state_machine_says_so() {
    simulate(async {
        let world = World::running(1, 903).await;
        let refused = restore(&world, 0, Vec::new()).await.unwrap_err();
        assert!(matches!(refused, RestoreError::Invalid(_)), "{refused}");
        world.apply(0, "x").await.unwrap();
        restore(&world, 0, state_of(&[])).await.unwrap();
        assert!(world.read(0).await.unwrap().is_empty());
    });
}

#[test]
fn what_is_no_state_is_refused_before_anything_of_it_is_in_the_log() {
    simulate(async {
        let mut world = World::new(3, 904);
        world.config.snapshot_bytes_max = 1000;
        world.start_all().await;
        let leader = world.leader().await;
        world.apply(leader, "x").await.unwrap();
        let last = world.status(leader).last_index;
        let refused = restore(&world, leader, b"no state".to_vec()).await.unwrap_err();
        assert!(matches!(refused, RestoreError::Invalid(_)), "{refused}");
        let refused = restore(&world, leader, vec![0; 1001]).await.unwrap_err();
        assert!(matches!(refused, RestoreError::TooLarge { bytes_max: 1000 }), "{refused}");
        assert_eq!(world.status(leader).last_index, last);
        world.ensure_same().await;
        assert_eq!(world.read(leader).await.unwrap(), ["x"]);
    });
}

#[test]
fn a_follower_names_the_leader() {
    simulate(async {
        let world = World::running(3, 905).await;
        let leader = world.leader().await;
        for follower in world.followers().await {
            let refused = restore(&world, follower, state_of(&["x"])).await.unwrap_err();
            let RestoreError::NotLeader { leader: Some(hint) } = &refused else { panic!("{refused}") };
            assert_eq!(hint.id.as_str(), world.id(leader));
        }
    });
}

#[test]
fn there_is_one_at_a_time() {
    simulate(async {
        let world = World::running(3, 906).await;
        let leader = world.leader().await;
        let first = world.raft(leader).send(Restore::new(io::Cursor::new(state_of(&["x"])), secs(20)));
        let second = restore(&world, leader, state_of(&["y"])).await.unwrap_err();
        assert!(matches!(second, RestoreError::InProgress), "{second}");
        first.await.unwrap().unwrap();
        restore(&world, leader, state_of(&["z"])).await.unwrap();
        assert_eq!(world.read(leader).await.unwrap(), ["z"]);
    });
}

#[test]
fn writes_go_on_meanwhile_and_those_behind_it_are_all_there() {
    simulate(async {
        let mut world = World::new(3, 907);
        in_small_pieces(&mut world);
        world.start_all().await;
        world.traffic.delay(907, ms(2));
        let leader = world.leader().await;
        let words: Vec<String> = (0..500).map(|n| format!("old{n}")).collect();
        let restoring = world.raft(leader).send(Restore::new(io::Cursor::new(large_state(&words)), secs(60)));
        let restoring = tokio::task::spawn_local(restoring);
        let mut written = Vec::new();
        while !restoring.is_finished() || written.len() < 20 {
            let command = format!("new{}", written.len());
            let reply = world.raft(leader).send(Apply(Put(command)).indexed()).await.unwrap().unwrap();
            written.push(reply.index);
        }
        let at = restoring.await.unwrap().unwrap().unwrap();
        assert!(written.iter().any(|index| *index < at), "none was wiped");
        world.ensure_same().await;
        let behind: Vec<String> =
            (0..written.len()).filter(|n| written[*n] > at).map(|n| format!("new{n}")).collect();
        assert_eq!(world.recording(leader).commands(), [words, behind].concat());
    });
}

/// Begins a restore in small pieces, and waits until some of them are in the log and applied.
async fn in_the_middle(
    world: &World,
    leader: usize,
) -> tokio::task::JoinHandle<Result<LogIndex, RestoreError>> {
    world.traffic.delay_exactly(ms(2));
    let words: Vec<String> = (0..2000).map(|n| format!("restored{n}")).collect();
    let sent = world.raft(leader).send(Restore::new(io::Cursor::new(large_state(&words)), secs(20)));
    let begun = world.status(leader).applied_index;
    world
        .wait_for("some pieces", |world| {
            world
                .all()
                .filter(|n| world.is_running(*n))
                .all(|n| world.status(n).applied_index.0 > begun.0 + 10)
        })
        .await;
    tokio::task::spawn_local(async move { sent.await.unwrap_or(Err(RestoreError::ShuttingDown)) })
}

async fn with_small_pieces(seed: u64, set: impl FnOnce(&mut World)) -> (World, usize) {
    let mut world = World::new(3, seed);
    in_small_pieces(&mut world);
    set(&mut world);
    world.start_all().await;
    let leader = world.leader().await;
    world.apply(leader, "before").await.unwrap();
    (world, leader)
}

#[test]
fn a_leader_that_crashes_in_the_middle_leaves_the_old_state_everywhere() {
    simulate(async {
        let (mut world, leader) = with_small_pieces(908, |_| {}).await;
        let _restoring = in_the_middle(&world, leader).await;
        world.crash(leader).await;
        let next = world.leader().await;
        world.apply(next, "after").await.unwrap();
        world.start(leader).await;
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["before", "after"]);
        // Nothing is left that could hold up a snapshot, and the next restore is whole.
        world.raft(next).send(Snapshot).await.unwrap().unwrap();
        restore(&world, next, state_of(&["new"])).await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["new"]);
    });
}

#[test]
fn a_leader_that_is_cut_off_in_the_middle_says_that_nothing_comes_of_it() {
    simulate(async {
        let (mut world, leader) = with_small_pieces(909, |_| {}).await;
        let restoring = in_the_middle(&world, leader).await;
        world.partition(&[leader]);
        let refused = restoring.await.unwrap().unwrap_err();
        assert!(matches!(refused, RestoreError::LeadershipLost), "{refused}");
        world.heal();
        let next = world.leader().await;
        world.apply(next, "after").await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["before", "after"]);
    });
}

#[test]
fn one_whose_time_is_over_takes_no_effect_and_holds_up_no_snapshot() {
    simulate(async {
        let (world, leader) = with_small_pieces(910, |_| {}).await;
        world.traffic.delay_exactly(ms(2));
        let words: Vec<String> = (0..5000).map(|n| format!("restored{n}")).collect();
        let refused = restore_within(&world, leader, large_state(&words), ms(300)).await.unwrap_err();
        assert!(matches!(refused, RestoreError::Timeout), "{refused}");
        world.apply(leader, "after").await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["before", "after"]);
        for n in world.all() {
            world.raft(n).send(Snapshot).await.unwrap().unwrap();
        }
        restore(&world, leader, state_of(&["new"])).await.unwrap();
        assert_eq!(world.read(leader).await.unwrap(), ["new"]);
    });
}

#[test]
fn no_snapshot_is_taken_while_part_of_one_is_here_and_one_follows_at_once() {
    simulate(async {
        let (world, leader) = with_small_pieces(911, |world| world.config.trailing_logs = 0).await;
        let restoring = in_the_middle(&world, leader).await;
        let refused = world.raft(leader).send(Snapshot).await.unwrap().unwrap_err();
        assert!(matches!(refused, SnapshotError::Restoring), "{refused}");
        let at = restoring.await.unwrap().unwrap();
        world
            .wait_for("snapshots behind it", |world| {
                world.all().all(|n| world.status(n).snapshot_index >= at)
            })
            .await;
    });
}

#[test]
fn a_restart_in_the_middle_goes_on_with_the_pieces_from_the_log() {
    simulate(async {
        let (mut world, leader) = with_small_pieces(912, |_| {}).await;
        let follower = world.followers().await[0];
        let restoring = in_the_middle(&world, leader).await;
        world.restart(follower).await;
        restoring.await.unwrap().unwrap();
        world.apply(leader, "after").await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(follower).len(), 2001);
    });
}

#[test]
fn a_restart_behind_it_finds_the_restored_state() {
    simulate(async {
        let mut world = World::running(3, 913).await;
        let leader = world.leader().await;
        world.apply(leader, "before").await.unwrap();
        restore(&world, leader, state_of(&["x", "y"])).await.unwrap();
        world.apply(leader, "after").await.unwrap();
        world.ensure_same().await;
        for n in world.all() {
            world.lose_power(n, 913 + n as u64).await;
        }
        world.start_all().await;
        let leader = world.leader().await;
        world.apply(leader, "again").await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["x", "y", "after", "again"]);
    });
}

#[test]
fn a_follower_that_was_away_gets_the_restored_state_from_the_log_or_from_a_snapshot() {
    for trailing_logs in [0, 10_000] {
        simulate(async move {
            let (mut world, leader) =
                with_small_pieces(914, |world| world.config.trailing_logs = trailing_logs).await;
            let away = world.followers().await[0];
            world.crash(away).await;
            let words: Vec<String> = (0..300).map(|n| format!("restored{n}")).collect();
            let at = restore(&world, leader, large_state(&words)).await.unwrap();
            world.apply(leader, "after").await.unwrap();
            world.wait_for("a snapshot", |world| world.status(leader).snapshot_index >= at).await;
            world.start(away).await;
            world.ensure_same().await;
            assert_eq!(world.recording(away).len(), 301);
            let installed = !world.traffic.pieces().is_empty();
            assert_eq!(installed, trailing_logs == 0, "with {trailing_logs} entries kept");
        });
    }
}

#[test]
fn sessions_live_on_and_a_retry_is_applied_no_second_time() {
    simulate(async {
        let world = World::running(3, 915).await;
        let leader = world.leader().await;
        let session = world.raft(leader).send(raftix::OpenSession).await.unwrap().unwrap();
        let put = |sequence| Apply(Put::from("once")).in_session(session, sequence);
        assert_eq!(world.raft(leader).send(put(1)).await.unwrap().unwrap(), 1);
        restore(&world, leader, state_of(&["x", "y"])).await.unwrap();
        assert_eq!(world.raft(leader).send(put(1)).await.unwrap().unwrap(), 1, "the reply of then");
        assert_eq!(world.read(leader).await.unwrap(), ["x", "y"]);
        assert_eq!(world.raft(leader).send(put(2)).await.unwrap().unwrap(), 3);
        world.ensure_same().await;
    });
}

#[test]
fn what_was_taken_from_one_cluster_is_restored_in_another() {
    simulate(async {
        let one = World::running(1, 916).await;
        one.apply_all((0..10).map(|n| format!("c{n}"))).await;
        let state = state_of(&one.recording(0).commands().iter().map(String::as_str).collect::<Vec<_>>());
        let other = World::running(3, 917).await;
        let leader = other.leader().await;
        restore(&other, leader, state).await.unwrap();
        other.ensure_same().await;
        assert_eq!(other.recording(leader).commands(), one.recording(0).commands());
    });
}

#[test]
fn a_node_that_stops_refuses_what_is_not_all_in_the_log() {
    simulate(async {
        let (mut world, leader) = with_small_pieces(918, |_| {}).await;
        let restoring = in_the_middle(&world, leader).await;
        world.stop(leader).await;
        let refused = restoring.await.unwrap().unwrap_err();
        assert!(matches!(refused, RestoreError::ShuttingDown), "{refused}");
        world.start(leader).await;
        world.leader().await;
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["before"]);
    });
}

/// Leaves `n` what its log has allocated, and no more.
fn fill_disk(world: &World, n: usize) {
    world.disk(n).set_capacity(Some(world.disk(n).used()));
}

#[test]
fn a_follower_without_room_for_its_copy_waits_and_follows_on() {
    simulate(async {
        let (world, leader) = with_small_pieces(919, |_| {}).await;
        let follower = world.followers().await[0];
        fill_disk(&world, follower);
        let words: Vec<String> = (0..300).map(|n| format!("restored{n}")).collect();
        let at = restore(&world, leader, large_state(&words)).await.unwrap();
        world.apply(leader, "after").await.unwrap();
        world
            .wait_for("the log on the follower", |world| {
                world.status(follower).durable_index >= world.status(leader).commit_index
            })
            .await;
        let status = world.status(follower);
        assert!(status.applied_index < at, "it has no copy: {status:?}");
        assert_eq!(status.fatal, None);
        world.disk(follower).set_capacity(None);
        world.ensure_same().await;
        assert_eq!(world.recording(follower).len(), 301);
    });
}

#[test]
fn a_restart_without_room_for_its_copy_waits_too() {
    simulate(async {
        let (mut world, leader) = with_small_pieces(920, |_| {}).await;
        let follower = world.followers().await[0];
        fill_disk(&world, follower);
        let words: Vec<String> = (0..300).map(|n| format!("restored{n}")).collect();
        let at = restore(&world, leader, large_state(&words)).await.unwrap();
        world.restart(follower).await;
        world.wait_for("the log on the follower", |world| world.status(follower).durable_index >= at).await;
        assert_eq!((world.status(follower).fatal, world.status(follower).applied_index < at), (None, true));
        world.disk(follower).set_capacity(None);
        world.ensure_same().await;
        assert_eq!(world.recording(follower).len(), 300);
    });
}

#[test]
fn a_leader_without_room_to_put_it_together_lets_somebody_lead_who_has_some() {
    simulate(async {
        let (world, leader) = with_small_pieces(921, |_| {}).await;
        let restoring = in_the_middle(&world, leader).await;
        fill_disk(&world, leader);
        let refused = restoring.await.unwrap().unwrap_err();
        assert!(matches!(refused, RestoreError::LeadershipLost), "{refused}");
        let others: Vec<usize> = world.all().filter(|n| *n != leader).collect();
        world
            .wait_for("another leader", |world| {
                others.iter().any(|n| world.status(*n).role == raftix::ServerRole::Leader)
            })
            .await;
        world.apply(others[0], "after").await.unwrap();
        assert_eq!(world.status(leader).fatal, None);
        world.disk(leader).set_capacity(None);
        world.ensure_same().await;
        assert_eq!(world.recording(leader).commands(), ["before", "after"]);
    });
}
