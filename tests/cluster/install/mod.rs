//! A follower that needs what is compacted is brought a snapshot: on the way, when it arrives, and whatever happens
//! meanwhile. Whole clusters here; `receiving` is a real follower with a leader of the test's, `sending` the other way
//! round, and `regressions` what went wrong elsewhere once a snapshot was there.

pub(crate) mod receiving;
mod regressions;
mod sending;

use raftix::{AddVoter, ServerRole, Snapshot, storage::snapshot::SnapshotMeta, types::InstallOutcome};
use tokio::time::sleep;

use crate::support::{World, ms, simulate};

/// Commands that begin with `prefix`.
fn commands(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{prefix}{n}"))
}

/// Three nodes with small pieces, and logs that keep five entries behind a snapshot.
async fn cluster(seed: u64) -> World {
    cluster_with(seed, 20).await
}

/// The same with pieces of this length.
async fn cluster_with(seed: u64, piece_bytes: usize) -> World {
    let mut world = World::new(3, seed);
    world.config.trailing_logs = 5;
    world.config.snapshot_chunk_bytes = piece_bytes;
    world.start_all().await;
    world
}

async fn compact(world: &World, n: usize) -> SnapshotMeta {
    world.raft(n).send(Snapshot).await.unwrap().unwrap()
}

/// A follower that was down while the others wrote a hundred entries and took a snapshot, and who leads.
async fn behind(world: &mut World) -> (usize, usize, SnapshotMeta) {
    let leader = world.leader().await;
    let follower = world.followers().await[0];
    world.apply_all(commands("before", 3)).await;
    world.crash(follower).await;
    world.apply_all(commands("a", 100)).await;
    let meta = compact(world, leader).await;
    (leader, follower, meta)
}

#[test]
fn a_follower_behind_the_log_gets_a_snapshot() {
    simulate(async {
        let mut world = cluster(1).await;
        let (_, follower, meta) = behind(&mut world).await;
        world.start(follower).await;
        world.ensure_same().await;
        assert_eq!(world.status(follower).snapshot_index, meta.description.last.index);
        assert!(world.traffic.pieces().len() > 5);
        // What it got lasts.
        world.restart(follower).await;
        world.ensure_same().await;
        assert_eq!(world.recording(follower).len(), 103);
    });
}

#[test]
fn a_follower_behind_the_log_gets_a_snapshot_and_then_the_entries() {
    simulate(async {
        let mut world = cluster(2).await;
        let (leader, follower, meta) = behind(&mut world).await;
        world.apply_all(commands("b", 30)).await;
        world.start(follower).await;
        world.ensure_same().await;
        assert_eq!(world.status(follower).snapshot_index, meta.description.last.index);
        assert!(world.status(follower).last_index > meta.description.last.index);
        // It counts like any other.
        let other = world.all().find(|n| *n != leader && *n != follower).unwrap();
        world.crash(other).await;
        world.apply(leader, "after").await.unwrap();
        world.ensure_same().await;
        assert_eq!(world.recording(follower).len(), 134);
    });
}

#[test]
fn a_follower_that_keeps_up_never_gets_one() {
    simulate(async {
        let world = cluster(3).await;
        let leader = world.leader().await;
        for _ in 0..5 {
            world.apply_all(commands("a", 20)).await;
            compact(&world, leader).await;
        }
        world.ensure_same().await;
        assert_eq!(world.traffic.pieces(), []);
    });
}

/// Waits for the transfer to be half done, does something, and waits for its end.
async fn half_way(world: &World, meta: &SnapshotMeta) {
    let half = meta.bytes / 2;
    world
        .wait_for("half of it", |world| world.traffic.pieces().iter().any(|(offset, _)| *offset >= half))
        .await;
}

#[test]
fn a_lost_connection_half_way_goes_on_where_it_was() {
    simulate(async {
        let mut world = cluster(4).await;
        let (_, follower, meta) = behind(&mut world).await;
        world.traffic.delay(4, ms(10));
        world.start(follower).await;
        half_way(&world, &meta).await;
        world.disconnect(follower);
        sleep(ms(60)).await;
        world.heal();
        world.ensure_same().await;
        let pieces = world.traffic.pieces();
        let sent: usize = pieces.iter().map(|(_, length)| length).sum();
        assert!((sent as u64) < meta.bytes + 10 * 20, "{sent} of {} bytes were sent: {pieces:?}", meta.bytes);
        assert_eq!(pieces.iter().filter(|piece| **piece == (0, 20)).count(), 1, "it begins once");
    });
}

#[test]
fn a_new_leader_begins_anew() {
    simulate(async {
        let mut world = cluster(5).await;
        let (leader, follower, meta) = behind(&mut world).await;
        let other = world.all().find(|n| *n != leader && *n != follower).unwrap();
        world.ensure_same().await;
        compact(&world, other).await;
        world.traffic.delay(5, ms(10));
        world.start(follower).await;
        half_way(&world, &meta).await;
        // Not the follower: its log is behind.
        world.crash(leader).await;
        let next = world.leader().await;
        assert_eq!(next, other);
        world.ensure_same().await;
        assert_eq!(world.status(follower).snapshot_index, meta.description.last.index);
        let begun = world.traffic.pieces().iter().filter(|piece| **piece == (0, 20)).count();
        assert_eq!(begun, 2);
        world.start(leader).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_follower_that_crashes_half_way_gets_it_again() {
    simulate(async {
        let mut world = cluster(6).await;
        let (_, follower, meta) = behind(&mut world).await;
        world.traffic.delay(6, ms(10));
        world.start(follower).await;
        half_way(&world, &meta).await;
        world.restart(follower).await;
        world.ensure_same().await;
        assert_eq!(world.status(follower).snapshot_index, meta.description.last.index);
    });
}

#[test]
fn regress_e2_a_leader_whose_snapshot_is_damaged_takes_another() {
    simulate(async {
        let mut world = cluster(8).await;
        let (leader, follower, meta) = behind(&mut world).await;
        let disk = world.disk(leader);
        let file = disk.files().into_iter().find(|file| file.starts_with("data/snapshots")).unwrap();
        disk.flip(&file, disk.content(&file).len() as u64 / 2, 1);
        world.start(follower).await;
        world.ensure_same().await;
        assert_eq!(world.status(follower).snapshot_index, meta.description.last.index);
        assert!(world.leads(leader));
    });
}

#[test]
fn regress_e7_what_is_written_meanwhile_does_not_make_another_one_necessary() {
    simulate(async {
        let mut world = cluster_with(9, 3).await;
        let (leader, follower, meta) = behind(&mut world).await;
        world.traffic.delay(9, ms(10));
        world.start(follower).await;
        half_way(&world, &meta).await;
        world.apply_all(commands("meanwhile", 10)).await;
        compact(&world, leader).await;
        assert!(world.status(follower).snapshot_index < meta.description.last.index, "it is on its way");
        world.ensure_same().await;
        assert_eq!(world.status(follower).snapshot_index, meta.description.last.index);
        let begun = world.traffic.pieces().iter().filter(|piece| **piece == (0, 3)).count();
        assert_eq!(begun, 1);
        world.apply(leader, "after").await.unwrap();
        compact(&world, leader).await;
        world.ensure_same().await;
    });
}

#[test]
fn regress_e17_a_leader_stops_while_a_follower_out_of_reach_needs_a_snapshot() {
    simulate(async {
        let mut world = cluster(10).await;
        let (leader, follower, _) = behind(&mut world).await;
        world.disconnect(follower);
        world.start(follower).await;
        sleep(ms(500)).await;
        let stopping = tokio::time::Instant::now();
        world.stop(leader).await;
        assert!(stopping.elapsed() < ms(100));
        world.heal();
        world.ensure_same().await;
    });
}

#[test]
fn a_new_voter_is_not_given_up_while_a_snapshot_is_on_its_way() {
    simulate(async {
        let mut world = World::joining(3, 1, 16);
        world.config.trailing_logs = 5;
        world.config.snapshot_chunk_bytes = 2;
        for founder in 0..3 {
            world.start(founder).await;
        }
        let leader = world.leader().await;
        world.apply_all(commands("a", 100)).await;
        compact(&world, leader).await;
        world.start(3).await;
        // No entry comes for far longer than a newcomer may be silent.
        world.traffic.delay_exactly(ms(10));
        let begun = tokio::time::Instant::now();
        let add = AddVoter::new(world.id(3), world.address(3)).timeout(ms(60_000));
        world.change(leader, add).await.unwrap();
        assert!(begun.elapsed() > world.config.election_timeout * 12, "{:?}", begun.elapsed());
        world.ensure_same().await;
        assert_eq!(world.status(3).role, ServerRole::Follower);
    });
}

#[test]
fn a_node_with_an_empty_directory_gets_one_although_it_takes_no_part() {
    simulate(async {
        let mut world = cluster(7).await;
        let (_, follower, meta) = behind(&mut world).await;
        world.wipe(follower).await;
        world.start(follower).await;
        let last = meta.description.last.index;
        world.wait_for("the snapshot", |world| world.status(follower).snapshot_index == last).await;
        assert_eq!(world.status(follower).role, ServerRole::Quarantined);
        world.restart(follower).await;
        world.wait_for("the entries", |world| world.status(follower).applied_index >= last).await;
        world.ensure_same().await;
        assert_eq!(world.status(follower).role, ServerRole::Quarantined);
    });
}

fn wanted(offset: usize) -> InstallOutcome {
    InstallOutcome::Wanted { offset: offset as u64 }
}
