//! The leader is killed (`kill -9`), another one leads, and the killed one comes back.

use crate::{scene::Scene, times::Times};

#[test]
fn the_leader_is_killed_twice_and_no_acknowledged_write_is_lost() {
    kill_leaders("failover-short", 2);
}

#[test]
#[ignore = "the whole run: cargo test --release --test operations -- --ignored --nocapture killed"]
fn the_leader_is_killed_twenty_times() {
    kill_leaders("failover", 20);
}

fn kill_leaders(name: &'static str, times: usize) {
    let mut scene = Scene::start(name, 3, &[]);
    let mut gaps = Times::default();
    for _ in 0..times {
        let leader = scene.cluster.leader();
        let Scene { cluster, load, .. } = &mut scene;
        let ((), gap) = load.gap_around(|| {
            cluster[leader].kill();
            assert_ne!(cluster.leader(), leader);
        });
        gaps.add(gap);
        scene.cluster[leader].start();
        scene.cluster[leader].wait_until_ready();
        scene.load.wait_for_writes();
    }
    scene.end(&format!("{times} leaders killed; no write acknowledged for: {gaps}"));
}
