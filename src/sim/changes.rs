//! Changes of the membership that somebody makes while faults strike.
//!
//! Never such that the voters to be could lose their majority for good: one at a time, only while it is certain which
//! membership is in force, and only as long as enough voters keep their disks.

use std::time::Duration;

use tokio::time::timeout;

use super::{fault::MembershipDeed, workload::Workload, world::World};
use crate::{
    messages::{AddNonvoter, AddVoter, DemoteVoter, RemoveServer},
    types::{Membership, NodeId},
};

/// The fewest voters that a change leaves.
const VOTERS_MIN: usize = 3;
/// How long whoever changes something waits.
const DEADLINE: Duration = Duration::from_secs(4);
/// How long a node that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// The membership in force, if it is certain: a leader has it committed, and an entry of its own term. Whatever else
/// stands at the end of some log will never be committed.
fn settled<W: Workload>(world: &World<W>) -> Option<Membership> {
    if world.changing.as_ref().is_some_and(|changing| !changing.is_finished()) {
        return None;
    }
    let leader = world.leader()?;
    let shared = world.nodes[leader].process.as_ref()?.shared.upgrade()?;
    let log = shared.log.borrow();
    let own_term = log.runs().term_at(log.commit()) == Some(world.seat(leader)?.1);
    (own_term && log.is_membership_settled()).then(|| log.membership().clone())
}

/// The numbers of those who vote, if that is certain.
pub(super) fn settled_voters<W: Workload>(world: &World<W>) -> Option<Vec<usize>> {
    if world.plan.spares == 0 {
        return Some((0..world.nodes.len()).collect());
    }
    let membership = settled(world)?;
    Some((0..world.nodes.len()).filter(|n| membership.is_voter(&world.nodes[*n].id)).collect())
}

/// Has a node change the membership. Whether there was something to change.
pub(super) fn change_membership<W: Workload>(world: &mut World<W>, deed: MembershipDeed, seed: u64) -> bool {
    let Some(membership) = settled(world) else { return false };
    let mut rng = fastrand::Rng::with_seed(seed);
    let candidates: Vec<usize> =
        (0..world.nodes.len()).filter(|n| is_candidate(world, &membership, deed, *n)).collect();
    let running: Vec<usize> = (0..world.nodes.len()).filter(|n| world.is_running(*n)).collect();
    if candidates.is_empty() || running.is_empty() {
        return false;
    }
    let node = &world.nodes[candidates[rng.usize(..candidates.len())]];
    let (id, address) = (node.id.clone(), node.address.clone());
    let asked = running[rng.usize(..running.len())];
    let Some(process) = &world.nodes[asked].process else { return false };
    let raft = process.raft.clone();
    world.changing = Some(tokio::task::spawn_local(async move {
        // What came of it is seen in the log.
        let _ = match deed {
            MembershipDeed::Add => {
                timeout(PATIENCE, raft.send(AddVoter::new(id, address).timeout(DEADLINE))).await
            }
            MembershipDeed::AddNonvoter => {
                timeout(PATIENCE, raft.send(AddNonvoter::new(id, address).timeout(DEADLINE))).await
            }
            MembershipDeed::Demote => {
                timeout(PATIENCE, raft.send(DemoteVoter::new(id).timeout(DEADLINE))).await
            }
            MembershipDeed::Remove => {
                timeout(PATIENCE, raft.send(RemoveServer::new(id).timeout(DEADLINE))).await
            }
        };
    }));
    true
}

/// Has node `asked` remove node `server`, however things stand. Whether it could be asked.
pub(super) fn remove_server<W: Workload>(world: &World<W>, asked: usize, server: usize) -> bool {
    let Some(process) = &world.nodes[asked].process else { return false };
    let remove = RemoveServer::new(world.nodes[server].id.clone()).timeout(DEADLINE);
    // What comes of it is seen in the log.
    tokio::task::spawn_local(process.raft.send(remove));
    true
}

/// Whether `deed` may be done to node `n`.
fn is_candidate<W: Workload>(world: &World<W>, now: &Membership, deed: MembershipDeed, n: usize) -> bool {
    let id = &world.nodes[n].id;
    let votes = now.is_voter(id);
    match deed {
        MembershipDeed::Add => world.is_running(n) && !votes,
        MembershipDeed::AddNonvoter => world.is_running(n) && now.get(id).is_none(),
        MembershipDeed::Demote => votes && can_do_without(world, now, id),
        MembershipDeed::Remove if votes => can_do_without(world, now, id),
        MembershipDeed::Remove => now.get(id).is_some(),
    }
}

/// Whether the other voters are enough, and enough of them keep their disks.
fn can_do_without<W: Workload>(world: &World<W>, now: &Membership, id: &NodeId) -> bool {
    let whole = world.intact();
    let rest: Vec<usize> = (0..world.nodes.len())
        .filter(|n| world.nodes[*n].id != *id && now.is_voter(&world.nodes[*n].id))
        .collect();
    let healthy = rest.iter().filter(|n| whole.contains(n) && !world.nodes[**n].rotted).count();
    rest.len() >= VOTERS_MIN && healthy > rest.len() / 2
}
