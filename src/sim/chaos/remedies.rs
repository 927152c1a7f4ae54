//! What is done for a run of everything that has had too little of something so far.

use std::time::Duration;

use super::{Chaos, strikes::ask_for_transfer};
use crate::{
    messages::Snapshot,
    sim::{
        activity::Activity,
        changes,
        fault::MembershipDeed,
        workload::Workload,
        world::{End, World},
    },
};

/// How long something unflushed is waited for: a moment at which clients, too, wait for an answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the leader stays down whose clients are to send again.
const SHORT: Duration = Duration::from_millis(300);
/// How long a node stays down that is to need a snapshot afterwards.
const LONG: Duration = Duration::from_secs(4);

impl Chaos {
    /// Does something for one activity that is lacking, drawn by `seed`. Whether one is, and something could be done.
    pub(super) fn remedy<W: Workload>(&mut self, world: &mut World<W>, seed: u64) -> bool {
        let mut rng = fastrand::Rng::with_seed(seed);
        let activities = world.activities();
        let lacking: Vec<Activity> = activities.lacking(true).map(|(activity, _)| activity).collect();
        if lacking.is_empty() {
            return false;
        }
        match lacking[rng.usize(..lacking.len())] {
            Activity::LeaderChange | Activity::UnflushedEnd | Activity::Retry => self.kill_leader(world),
            Activity::MembershipChange => {
                let mut deeds = [
                    MembershipDeed::draw(&mut rng),
                    MembershipDeed::Add,
                    MembershipDeed::AddNonvoter,
                    MembershipDeed::Remove,
                ]
                .into_iter();
                deeds.any(|deed| changes::change_membership(world, deed, seed))
            }
            Activity::SnapshotTaken => take_snapshots(world),
            Activity::SnapshotInstalled => self.leave_behind(world, &mut rng),
            Activity::Transfer => ask_for_transfer(world, None),
            // Clients ask all the time: all it takes is peace.
            Activity::Acknowledged | Activity::LeaseRead => false,
        }
    }

    /// The leader dies while something is under way.
    fn kill_leader<W: Workload>(&mut self, world: &World<W>) -> bool {
        let Some(leader) = world.leader() else { return false };
        self.crash(world, leader, End::Killed, PATIENCE, SHORT);
        true
    }

    /// Some follower is away while the others compact their logs.
    fn leave_behind<W: Workload>(&mut self, world: &World<W>, rng: &mut fastrand::Rng) -> bool {
        let voters = world.oracle.voters();
        let running = voters.iter().filter(|n| world.is_running(**n)).count();
        let leader = world.leader();
        let spare = |n: usize| running > voters.len() / 2 + usize::from(voters.contains(&n));
        let followers: Vec<usize> = world
            .intact()
            .into_iter()
            .filter(|n| world.is_running(*n) && leader.is_some() && leader != Some(*n) && spare(*n))
            .collect();
        if followers.is_empty() {
            return false;
        }
        self.crash(world, followers[rng.usize(..followers.len())], End::Killed, PATIENCE, LONG);
        true
    }
}

/// Every node that runs is asked for a snapshot. Whether one is.
fn take_snapshots<W: Workload>(world: &World<W>) -> bool {
    let mut asked = false;
    for process in world.nodes.iter().filter_map(|node| node.process.as_ref()) {
        tokio::task::spawn_local(process.raft.send(Snapshot));
        asked = true;
    }
    asked
}
