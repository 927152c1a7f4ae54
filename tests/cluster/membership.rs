//! Changes of the membership: who is added, removed, moved and refused, and what becomes of it when leaders and nodes
//! come and go meanwhile.

use raftix::{
    AddNonvoter, AddVoter, ChangeError, DemoteVoter, RemoveServer, ServerRole,
    types::{LogIndex, Suffrage},
};
use tokio::{task::spawn_local, time::sleep};

use crate::support::{World, ms, secs, simulate};

fn add(world: &World, n: usize) -> AddVoter {
    AddVoter::new(world.id(n), world.address(n))
}

fn add_nonvoter(world: &World, n: usize) -> AddNonvoter {
    AddNonvoter::new(world.id(n), world.address(n))
}

fn remove(world: &World, n: usize) -> RemoveServer {
    RemoveServer::new(world.id(n))
}

/// `n1 n2 (n3)`: nonvoters in brackets.
async fn members(world: &World, n: usize) -> String {
    let configuration = world.configuration(n).await;
    let shown = configuration.membership.servers().iter().map(|server| match server.suffrage {
        Suffrage::Voter => server.id.to_string(),
        Suffrage::Nonvoter => format!("({})", server.id),
    });
    shown.collect::<Vec<_>>().join(" ")
}

async fn voters(world: &World, count: usize) {
    let agree = |world: &World| {
        let running = world.all().filter(|n| world.is_running(*n));
        running.map(|n| world.status(n)).all(|status| status.voters.len() == count)
    };
    world.wait_for("everybody to know the voters", agree).await;
}

#[test]
fn a_new_node_joins_and_votes() {
    simulate(async {
        let mut world = World::with_spares(1, 2, 301).await;
        world.apply_all((0..200).map(|n| format!("early {n}"))).await;
        for (n, expected) in [(1, "n1 n2"), (2, "n1 n2 n3")] {
            let index = world.change(0, add(&world, n)).await.unwrap();
            let configuration = world.configuration(0).await;
            assert_eq!((configuration.index, configuration.committed), (LogIndex(index), true));
            assert_eq!(members(&world, 0).await, expected);
            world.ensure_same().await;
        }
        voters(&world, 3).await;
        for n in world.all() {
            assert_eq!(world.status(n).standing, "member");
            world.apply(n, &format!("late {n}")).await.unwrap();
        }
        // It takes two of three now, and the new ones are as good as the founder.
        world.crash(0).await;
        let leader = world.leader().await;
        assert_ne!(leader, 0);
        world.apply(leader, "without the founder").await.unwrap();
        world.start(0).await;
        world.leader().await;
        world.ensure_same().await;
    });
}

#[test]
fn a_node_that_joined_is_a_member_after_a_restart_too() {
    simulate(async {
        let mut world = World::with_spares(3, 1, 302).await;
        let leader = world.leader().await;
        world.change(leader, add(&world, 3)).await.unwrap();
        world.restart(3).await;
        world.leader().await;
        assert_eq!(world.status(3).standing, "member");
        world.apply(3, "still here").await.unwrap();
        world.ensure_same().await;
    });
}

#[test]
fn every_node_takes_changes_and_tells_the_index_that_the_next_one_compares_with() {
    simulate(async {
        let world = World::with_spares(3, 1, 303).await;
        let leader = world.leader().await;
        let follower = world.followers().await.into_iter().find(|n| *n != 3).unwrap();
        let before = world.configuration(follower).await;
        assert_eq!(before.index, LogIndex(1));
        let index = world.change(follower, add(&world, 3).prev_index(before.index)).await.unwrap();
        let stale = world.change(follower, remove(&world, 3).prev_index(before.index)).await;
        assert!(
            matches!(&stale, Err(ChangeError::ConfigurationChanged { index: LogIndex(at) }) if *at == index),
            "{stale:?}"
        );
        let known = world.configuration(leader).await.index;
        assert_eq!(known, LogIndex(index));
        world.change(3, remove(&world, follower).prev_index(known)).await.unwrap();
    });
}

#[test]
fn what_is_in_force_already_is_answered_with_its_index_and_writes_nothing() {
    simulate(async {
        let world = World::running(3, 304).await;
        let leader = world.leader().await;
        let last = world.status(leader).last_index;
        assert_eq!(world.change(leader, add(&world, 1)).await.unwrap(), 1);
        assert_eq!(world.change(leader, add_nonvoter(&world, 1)).await.unwrap(), 1);
        assert_eq!(world.change(leader, RemoveServer::new("nobody")).await.unwrap(), 1);
        assert_eq!(world.change(leader, DemoteVoter::new("nobody")).await.unwrap(), 1);
        assert_eq!(world.status(leader).last_index, last);
    });
}

#[test]
fn a_removed_follower_learns_it_and_stops() {
    simulate(async {
        let mut world = World::running(3, 305).await;
        let leader = world.leader().await;
        let gone = world.followers().await[0];
        world.change(leader, remove(&world, gone)).await.unwrap();
        world.bury(gone).await;
        assert_eq!(world.leader().await, leader);
        world.apply(leader, "of two").await.unwrap();
        voters(&world, 2).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_removed_follower_that_goes_on_disturbs_nobody_and_can_come_back() {
    for pre_vote in [true, false] {
        simulate(async move {
            let mut world = World::new(3, 306);
            world.config.shutdown_on_remove = false;
            world.config.pre_vote = pre_vote;
            world.start_all().await;
            let leader = world.leader().await;
            let gone = world.followers().await[0];
            let term = world.status(leader).term;
            world.change(leader, remove(&world, gone)).await.unwrap();
            world.restart(gone).await;
            sleep(secs(20)).await;
            assert_eq!((world.leads(leader), world.status(leader).term), (true, term));
            assert!(!world.status(gone).voters.iter().any(|id| id.as_str() == world.id(gone)));
            world.change(leader, add(&world, gone)).await.unwrap();
            voters(&world, 3).await;
            world.leader().await;
            world.apply(gone, "back").await.unwrap();
            world.ensure_same().await;
        });
    }
}

#[test]
fn a_node_with_a_higher_term_that_is_added_ends_no_more_than_one_tenure() {
    simulate(async {
        let mut world = World::new(3, 307);
        world.config.shutdown_on_remove = false;
        world.config.pre_vote = false;
        world.start_all().await;
        let leader = world.leader().await;
        let gone = world.followers().await[0];
        // Cut off, it stands in vain; removed meanwhile, it does not know that it is.
        world.disconnect(gone);
        sleep(secs(5)).await;
        world.change(leader, remove(&world, gone)).await.unwrap();
        assert!(world.status(gone).term > world.status(leader).term);
        world.heal();
        let again = |world: &World| world.leads(leader);
        sleep(secs(2)).await;
        world.wait_for("the leader to lead", again).await;
        let leader = world.all().find(|n| world.leads(*n)).unwrap();
        let added = world.change(leader, add_nonvoter(&world, gone)).await;
        assert!(matches!(added, Ok(_) | Err(ChangeError::OutcomeUnknown { .. })), "{added:?}");
        let leader = world.leader().await;
        let term = world.status(leader).term;
        sleep(secs(10)).await;
        assert_eq!(world.status(world.leader().await).term, term);
    });
}

#[test]
fn a_leader_that_removes_itself_answers_steps_down_and_stops() {
    simulate(async {
        let mut world = World::running(3, 308).await;
        let old = world.leader().await;
        let term = world.status(old).term;
        world.change(old, remove(&world, old)).await.unwrap();
        world.bury(old).await;
        let new = world.leader().await;
        assert!(world.status(new).term > term);
        world.apply(new, "under the next").await.unwrap();
        voters(&world, 2).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_leader_removed_amid_writes_loses_none_and_goes_on_as_a_stranger_if_it_is_told_to() {
    simulate(async {
        let mut world = World::new(3, 309);
        world.config.shutdown_on_remove = false;
        world.start_all().await;
        let old = world.leader().await;
        let mut answers = Vec::new();
        for n in 0..100 {
            if n == 80 {
                answers.push(spawn_local({
                    let (raft, change) = (world.raft(old), remove(&world, old));
                    async move { raft.send(change).await.unwrap().map(|index| index.0).map_err(|e| e.to_string()) }
                }));
            }
            let raft = world.raft(old);
            let put = raftix::Apply(crate::support::Put(format!("command {n}")));
            answers
                .push(spawn_local(async move { raft.send(put).await.unwrap().map_err(|e| e.to_string()) }));
        }
        let mut failed = Vec::new();
        for answer in answers {
            failed.extend(answer.await.unwrap().err());
        }
        let new = (0..3).find(|n| *n != old && world.leads(*n));
        let told = |world: &World| world.all().any(|n| n != old && world.leads(n));
        world.wait_for("another leader", told).await;
        let new = new.or_else(|| world.all().find(|n| *n != old && world.leads(*n))).unwrap();
        world.apply(new, "last").await.unwrap();
        let commands = world.recording(new).commands();
        // What failed is unknown, or was refused and is not there; the rest is, once.
        assert!(commands.len() + failed.len() >= 101, "{} applied, failed: {failed:?}", commands.len());
        assert!(!world.leads(old));
        assert_eq!(world.status(old).fatal, None);
        assert!(!world.status(old).voters.iter().any(|id| id.as_str() == world.id(old)));
    });
}

#[test]
fn a_demoted_leader_steps_down_and_follows_without_a_vote() {
    simulate(async {
        let world = World::running(3, 310).await;
        let old = world.leader().await;
        world.change(old, DemoteVoter::new(world.id(old))).await.unwrap();
        let another = |world: &World| world.all().any(|n| n != old && world.leads(n));
        world.wait_for("another leader", another).await;
        world.leader().await;
        voters(&world, 2).await;
        world.wait_for("the demoted to follow", |world| world.status(old).role == ServerRole::Nonvoter).await;
        world.apply(old, "from the demoted").await.unwrap();
        let new = world.leader().await;
        world.change(new, add(&world, old)).await.unwrap();
        voters(&world, 3).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_nonvoter_gets_everything_and_never_stands() {
    simulate(async {
        let mut world = World::with_spares(2, 1, 311).await;
        let leader = world.leader().await;
        world.change(leader, add_nonvoter(&world, 2)).await.unwrap();
        assert_eq!(members(&world, leader).await, "n1 n2 (n3)");
        world.apply(2, "through the nonvoter").await.unwrap();
        world.ensure_same().await;
        let other = 1 - leader;
        world.crash(other).await;
        sleep(secs(10)).await;
        // One of two voters is no majority, whoever else holds the log.
        assert_eq!(world.status(2).role, ServerRole::Nonvoter);
        assert!(!world.leads(leader) && !world.leads(2));
        world.start(other).await;
        world.leader().await;
        world.ensure_same().await;
    });
}

#[test]
fn no_change_may_leave_fewer_than_a_quorum_of_living_voters() {
    simulate(async {
        let mut world = World::with_spares(3, 1, 312).await;
        let leader = world.leader().await;
        let (dead, living) = match world.followers().await[..] {
            [a, b, ..] => (a, b),
            _ => unreachable!("three founders"),
        };
        world.crash(dead).await;
        sleep(secs(1)).await;
        let refused = world.change(leader, remove(&world, living)).await;
        assert!(matches!(refused, Err(ChangeError::QuorumUnreachable)), "{refused:?}");
        let refused = world.change(leader, DemoteVoter::new(world.id(living))).await;
        assert!(matches!(refused, Err(ChangeError::QuorumUnreachable)), "{refused:?}");
        assert_eq!(members(&world, leader).await, "n1 n2 n3");
        // What mends the cluster is allowed: another voter, and the dead one's removal.
        world.change(leader, add(&world, 3)).await.unwrap();
        world.change(leader, remove(&world, dead)).await.unwrap();
        voters(&world, 3).await;
        world.apply(leader, "mended").await.unwrap();
    });
}

#[test]
fn a_forced_change_is_made_all_the_same() {
    simulate(async {
        let mut world = World::running(3, 313).await;
        world.config.shutdown_on_remove = false;
        let leader = world.leader().await;
        let [dead, living] = world.followers().await[..] else { unreachable!("three nodes") };
        world.crash(dead).await;
        sleep(secs(1)).await;
        let forced = spawn_local({
            let (raft, change) = (world.raft(leader), remove(&world, living).force().timeout(secs(30)));
            async move { raft.send(change).await.unwrap() }
        });
        // It is in force as soon as it is appended, and takes the dead one to be committed.
        world.wait_for("the change", |world| world.status(leader).voters.len() == 2).await;
        world.start(dead).await;
        let _ = forced.await.unwrap();
        let two =
            |world: &World| world.status(dead).voters.len() == 2 && world.status(leader).voters.len() == 2;
        world.wait_for("both to know", two).await;
    });
}

#[test]
fn a_minority_changes_nothing() {
    simulate(async {
        let mut world = World::running(4, 314).await;
        let leader = world.leader().await;
        let far = world.followers().await;
        world.partition(&far[..2]);
        // Without the one on this side it would take two of three, and two of them are far.
        let doubtful = world.change(leader, remove(&world, far[2]).timeout(secs(3))).await;
        assert!(matches!(doubtful, Err(ChangeError::OutcomeUnknown { .. })), "{doubtful:?}");
        assert!(!world.configuration(leader).await.committed);
        world.heal();
        // It may take effect yet; nobody is of two minds about it.
        world.wait_for("a leader", |world| world.all().any(|n| world.leads(n))).await;
        sleep(secs(5)).await;
        let leader = world.all().find(|n| world.is_running(*n) && world.leads(*n)).unwrap();
        world.apply(leader, "whole again").await.unwrap();
        let known = members(&world, leader).await;
        let live = world.all().filter(|n| world.status(*n).standing == "member" && *n != far[2]);
        for n in live.collect::<Vec<_>>() {
            assert_eq!(members(&world, n).await, known);
        }
    });
}

#[test]
fn who_does_not_answer_or_is_somebody_elses_is_not_added() {
    simulate(async {
        let mut world = World::with_spares(1, 2, 315).await;
        let absent = world.change(0, AddVoter::new("n9", "n9:0")).await;
        assert!(
            matches!(absent, Err(ChangeError::Unreachable { ref id }) if id.as_str() == "n9"),
            "{absent:?}"
        );
        let absent = world.change(0, AddVoter::new("n9", "n9:0").force()).await;
        assert!(matches!(absent, Err(ChangeError::Unreachable { .. })), "{absent:?}");
        let another = world.change(0, AddVoter::new("n9", world.address(1))).await;
        assert!(matches!(another, Err(ChangeError::Unreachable { .. })), "{another:?}");
        let taken = world.change(0, AddVoter::new("n2", world.address(0))).await;
        assert!(taken.is_err(), "{taken:?}");
        // A node that forms a cluster of its own belongs to that.
        world.wipe(2).await;
        world.start_alone(2).await;
        world.wait_for("it to lead", |world| world.leads(2)).await;
        let foreign = world.change(0, add(&world, 2)).await;
        let refused = matches!(foreign, Err(ChangeError::Foreign { .. } | ChangeError::Unreachable { .. }));
        assert!(refused, "{foreign:?}");
        assert_eq!(members(&world, 0).await, "n1");
    });
}

#[test]
fn a_node_that_lost_its_disk_comes_back_by_removal_and_addition_only() {
    simulate(async {
        let mut world = World::running(3, 316).await;
        let leader = world.leader().await;
        let lost = world.followers().await[0];
        world.apply_all((0..20).map(|n| format!("before {n}"))).await;
        world.wipe(lost).await;
        world.start(lost).await;
        world.wait_for("quarantine", |world| world.status(lost).standing.starts_with("quarantined")).await;
        let refused = world.change(leader, add(&world, lost)).await;
        assert!(matches!(refused, Err(ChangeError::AnotherLife { .. })), "{refused:?}");
        world.change(leader, remove(&world, lost)).await.unwrap();
        world.change(leader, add(&world, lost)).await.unwrap();
        world.wait_for("membership", |world| world.status(lost).standing == "member").await;
        world.ensure_same().await;
        // It counts again.
        let other = world.followers().await.into_iter().find(|n| *n != lost).unwrap();
        world.crash(other).await;
        world.apply(leader, "with the new life").await.unwrap();
    });
}

#[test]
fn a_newcomer_that_falls_silent_stays_a_nonvoter_and_is_finished_later() {
    simulate(async {
        let mut world = World::with_spares(3, 1, 317).await;
        world.traffic.delay(317, ms(20));
        let leader = world.leader().await;
        world.apply_all((0..50).map(|n| format!("early {n}"))).await;
        let change = spawn_local({
            let (raft, change) = (world.raft(leader), add(&world, 3).timeout(secs(20)));
            async move { raft.send(change).await.unwrap() }
        });
        world.wait_for("the newcomer to be told", |world| world.status(3).last_index > LogIndex(0)).await;
        world.disconnect(3);
        let given_up = change.await.unwrap();
        assert!(matches!(given_up, Err(ChangeError::NotCaughtUp { .. })), "{given_up:?}");
        assert_eq!(members(&world, leader).await, "n1 n2 n3 (n4)");
        // It holds nobody up.
        world.apply(leader, "meanwhile").await.unwrap();
        world.heal();
        world.change(leader, add(&world, 3).timeout(secs(20))).await.unwrap();
        assert_eq!(members(&world, leader).await, "n1 n2 n3 n4");
    });
}

#[test]
fn an_addition_cut_short_by_the_leaders_end_is_unknown_and_finished_by_repeating_it() {
    for pause in [0, 10, 40, 80, 120, 200] {
        simulate(async move {
            let mut world = World::with_spares(3, 1, 318).await;
            world.traffic.delay(318, ms(20));
            let old = world.leader().await;
            let change = spawn_local({
                let (raft, change) = (world.raft(old), add(&world, 3));
                async move { raft.send(change).await.unwrap() }
            });
            sleep(ms(pause)).await;
            world.disconnect(old);
            let ended = change.await.unwrap();
            let told = |error: &ChangeError| {
                matches!(
                    error,
                    ChangeError::OutcomeUnknown { .. }
                        | ChangeError::NotLeader { .. }
                        | ChangeError::Unreachable { .. }
                )
            };
            assert!(ended.as_ref().err().is_none_or(told), "after {pause} ms: {ended:?}");
            let new = world.leader().await;
            world.change(new, add(&world, 3).timeout(secs(20))).await.unwrap();
            assert_eq!(members(&world, new).await, "n1 n2 n3 n4");
            world.heal();
            world.leader().await;
            voters(&world, 4).await;
            world.ensure_same().await;
        });
    }
}

#[test]
fn a_change_that_was_never_committed_falls_back_with_its_entry() {
    simulate(async {
        let mut world = World::with_spares(3, 1, 319).await;
        let old = world.leader().await;
        // The newcomer is on the leader's side: it answers, and no quorum does.
        let far: Vec<usize> = (0..3).filter(|n| *n != old).collect();
        world.partition(&far);
        let doubtful = world.change(old, add_nonvoter(&world, 3)).await;
        assert!(matches!(doubtful, Err(ChangeError::OutcomeUnknown { .. })), "{doubtful:?}");
        assert_eq!(members(&world, old).await, "n1 n2 n3 (n4)");
        world.heal();
        world.wait_for("another leader", |world| far.iter().any(|n| world.leads(*n))).await;
        world.wait_for("the old one to follow", |world| !world.leads(old)).await;
        let new = far.iter().copied().find(|n| world.leads(*n)).unwrap();
        world.apply(new, "after").await.unwrap();
        let index = world.status(new).last_index;
        world.wait_applied(old, index).await;
        assert_eq!(members(&world, old).await, "n1 n2 n3");
        let end = world.change(new, add(&world, 3)).await;
        assert!(end.is_ok(), "{end:?}");
    });
}

#[test]
fn a_member_that_moves_is_found_at_its_new_address() {
    simulate(async {
        let mut world = World::running(3, 320).await;
        let leader = world.leader().await;
        let moved = world.followers().await[0];
        world.stop(moved).await;
        world.move_to(moved, "elsewhere:0");
        world.start(moved).await;
        world.apply(leader, "while it moves").await.unwrap();
        let index = world.change(leader, add(&world, moved)).await.unwrap();
        world.wait_applied(moved, LogIndex(index)).await;
        world.leader().await;
        world.apply(moved, "from there").await.unwrap();
        world.ensure_same().await;
        // It is asked for its vote there.
        world.crash(leader).await;
        world.leader().await;
    });
}

#[test]
fn a_cluster_shrinks_to_one_node_and_grows_again() {
    simulate(async {
        let mut world = World::running(5, 321).await;
        for left in (1..5).rev() {
            let leader = world.leader().await;
            let gone = world.followers().await[0];
            world.change(leader, remove(&world, gone)).await.unwrap();
            world.bury(gone).await;
            world.apply(leader, &format!("of {left}")).await.unwrap();
        }
        let alone = world.leader().await;
        assert_eq!(members(&world, alone).await, world.id(alone));
        let refused = world.change(alone, remove(&world, alone)).await;
        assert!(matches!(refused, Err(ChangeError::Invalid { .. })), "{refused:?}");
        for n in world.all().filter(|n| *n != alone) {
            world.start(n).await;
            world.change(alone, add(&world, n)).await.unwrap();
        }
        voters(&world, 5).await;
        world.leader().await;
        world.ensure_same().await;
    });
}

#[test]
fn every_node_can_be_replaced_one_after_the_other() {
    simulate(async {
        let mut world = World::with_spares(3, 3, 322).await;
        world.apply_all((0..10).map(|n| format!("old {n}"))).await;
        for old in 0..3 {
            let leader = world.leader().await;
            world.change(leader, add(&world, old + 3)).await.unwrap();
            world.change(leader, remove(&world, old)).await.unwrap();
            world.bury(old).await;
            let leader = world.leader().await;
            world.apply(leader, &format!("without {}", world.id(old))).await.unwrap();
        }
        let leader = world.leader().await;
        assert_eq!(members(&world, leader).await, "n4 n5 n6");
        assert_eq!(world.recording(leader).len(), 13);
        world.ensure_same().await;
    });
}

#[test]
fn several_additions_at_once_are_made_one_after_the_other() {
    simulate(async {
        let world = World::with_spares(1, 4, 323).await;
        let changes: Vec<_> = (1..5)
            .map(|n| {
                let (raft, change) = (world.raft(0), add(&world, n));
                spawn_local(async move { raft.send(change).await.unwrap() })
            })
            .collect();
        let mut indexes = Vec::new();
        for change in changes {
            indexes.push(change.await.unwrap().unwrap());
        }
        indexes.sort();
        indexes.dedup();
        assert_eq!(indexes.len(), 4);
        voters(&world, 5).await;
        world.ensure_same().await;
    });
}

#[test]
fn a_follower_that_restarts_while_the_membership_changes_elects_nobody() {
    simulate(async {
        let mut world = World::running(3, 324).await;
        let leader = world.leader().await;
        let [gone, stays] = world.followers().await[..] else { unreachable!("three nodes") };
        let term = world.status(leader).term;
        world.change(leader, remove(&world, gone)).await.unwrap();
        world.bury(gone).await;
        world.restart(stays).await;
        world.leader().await;
        sleep(secs(2)).await;
        assert_eq!((world.leads(leader), world.status(leader).term), (true, term));
    });
}

#[test]
fn a_node_that_is_stopped_or_stops_is_told_to_callers() {
    simulate(async {
        let world = World::running(3, 325).await;
        let follower = world.followers().await[0];
        let raft = world.raft(follower);
        let stopping = raft.send(raftix::Shutdown);
        let refused = raft.send(remove(&world, 0)).await;
        if let Ok(refused) = refused {
            assert!(matches!(refused, Err(ChangeError::ShuttingDown)), "{refused:?}");
        }
        stopping.await.unwrap();
    });
}
