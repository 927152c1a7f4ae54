//! A cluster's daily life: electing, applying, forwarding, losing a leader, falling behind, shutting down.

use futures::future::join_all;
use raftix::{
    Apply, ApplyBatch, ApplyError, GetStatus, InspectMailboxes, Read, ReadError, ServerRole, Shutdown,
    StaleRead, UnknownReason,
};
use tokio::time::{Instant, sleep};

use crate::support::{History, Put, World, ms, simulate};

fn numbered(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{prefix}{n}"))
}

#[test]
fn a_single_node_elects_itself_and_applies() {
    simulate(async {
        let world = World::running(1, 1).await;
        assert_eq!(world.apply(0, "one").await.unwrap(), 1);
        assert_eq!(world.apply(0, "two").await.unwrap(), 2);
        assert_eq!(world.read(0).await.unwrap(), ["one", "two"]);
        let status = world.status(0);
        assert_eq!((status.applied_index, status.durable_index), (status.commit_index, status.last_index));
        world.check();
    });
}

#[test]
fn three_nodes_elect_one_leader_and_apply_the_same() {
    simulate(async {
        let world = World::running(3, 2).await;
        let roles: Vec<ServerRole> = world.roles().into_values().collect();
        assert_eq!(roles.iter().filter(|role| **role == ServerRole::Leader).count(), 1);
        assert_eq!(roles.iter().filter(|role| **role == ServerRole::Follower).count(), 2);
        world.apply_all(numbered("c", 10)).await;
        world.ensure_same().await;
        assert_eq!(world.recording(2).commands(), numbered("c", 10).collect::<Vec<_>>());
    });
}

#[test]
fn an_isolated_leader_is_replaced_and_its_write_ends_truthfully() {
    simulate(async {
        let mut world = World::running(3, 3).await;
        let old = world.leader().await;
        let old_term = world.status(old).term;
        world.apply(old, "before").await.unwrap();
        world.partition(&[old]);
        let lost = world.raft(old).send(Apply(Put::from("lost")));
        let new = world.leader().await;
        assert_ne!(new, old);
        assert!(world.status(new).term > old_term);
        world.apply(new, "after").await.unwrap();
        let error = lost.await.unwrap().unwrap_err();
        assert!(
            matches!(error, ApplyError::OutcomeUnknown { why: UnknownReason::LeadershipLost, .. }),
            "{error}"
        );
        world.heal();
        world.leader().await;
        world.ensure_same().await;
        assert_eq!(world.recording(old).commands(), ["before", "after"]);
    });
}

#[test]
fn a_follower_that_was_cut_off_catches_up() {
    simulate(async {
        let mut world = World::running(3, 4).await;
        let behind = world.followers().await[0];
        world.disconnect(behind);
        world.apply_all(numbered("c", 100)).await;
        assert_eq!(world.recording(behind).len(), 0);
        let term = world.status(world.leader().await).term;
        world.heal();
        world.ensure_same().await;
        assert_eq!(world.recording(behind).len(), 100);
        assert_eq!(world.status(behind).term, term, "pre-votes disturbed nobody");
    });
}

#[test]
fn a_follower_that_does_not_forward_gives_the_command_back() {
    simulate(async {
        let mut world = World::new(3, 5);
        world.config.forwarding = false;
        world.start_all().await;
        let leader = world.leader().await;
        let follower = world.followers().await[0];
        let error = world.apply(follower, "mine").await.unwrap_err();
        let ApplyError::NotLeader { leader: Some(hint), command } = error else { panic!("{error}") };
        assert_eq!((hint.id.as_str(), hint.address.as_str()), (world.id(leader), world.address(leader)));
        assert_eq!(command, Put::from("mine"));
        assert!(matches!(world.read(follower).await, Err(ReadError::NotLeader { leader: Some(_) })));
        world.ensure_same().await;
        assert_eq!(world.recording(leader).len(), 0);
    });
}

#[test]
fn a_follower_forwards_to_the_leader() {
    simulate(async {
        let world = World::running(3, 6).await;
        for follower in world.followers().await {
            let command = format!("from {}", world.id(follower));
            world.apply(follower, &command).await.unwrap();
        }
        world.ensure_same().await;
        assert_eq!(world.recording(0).len(), 2);
    });
}

#[test]
fn a_hundred_commands_at_once_are_each_applied_once() {
    simulate(async {
        let world = World::running(3, 7).await;
        let sent = numbered("c", 100).enumerate().map(|(number, command)| {
            let raft = world.raft(number % 3);
            async move { raft.send(Apply(Put(command))).await.unwrap().unwrap() }
        });
        let mut replies = join_all(sent).await;
        replies.sort_unstable();
        assert_eq!(replies, (1..=100).collect::<Vec<u64>>(), "every reply is another length of the history");
        world.ensure_same().await;
        for command in numbered("c", 100) {
            assert_eq!(world.recording(1).count(&command), 1, "{command}");
        }
    });
}

#[test]
fn commands_of_one_message_keep_their_order_and_their_own_results() {
    simulate(async {
        let world = World::running(3, 8).await;
        let leader = world.leader().await;
        let commands: Vec<Put> = numbered("c", 50).map(Put).collect();
        let results = world.raft(leader).send(ApplyBatch(commands)).await.unwrap();
        let replies: Vec<u64> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(replies, (1..=50).collect::<Vec<u64>>());
        assert!(world.raft(leader).send(ApplyBatch::<Put>(Vec::new())).await.unwrap().is_empty());
        world.ensure_same().await;
        assert_eq!(world.recording(0).commands(), numbered("c", 50).collect::<Vec<_>>());
    });
}

#[test]
fn after_a_shutdown_every_message_is_answered_and_says_so() {
    simulate(async {
        let world = World::running(3, 9).await;
        let leader = world.leader().await;
        world.apply(leader, "one").await.unwrap();
        let raft = world.raft(leader);
        let queued = raft.send(Apply(Put::from("queued")));
        raft.send(Shutdown).await.unwrap();
        assert!(raft.stopped().await.is_none(), "it stopped in order");
        match queued.await.unwrap() {
            Ok(2) | Err(ApplyError::ShuttingDown { .. }) => {}
            other => panic!("{other:?}"),
        }
        if let Ok(result) = raft.send(Apply(Put::from("late"))).await {
            let error = result.unwrap_err();
            assert!(matches!(&error, ApplyError::ShuttingDown { .. }), "{error}");
            assert_eq!(error.into_command(), Some(Put::from("late")));
        }
        if let Ok(result) = raft.send(Apply(Put::from("late")).timeout(ms(10))).await {
            assert!(matches!(result, Err(ApplyError::ShuttingDown { .. })));
        }
        if let Ok(results) = raft.send(ApplyBatch(vec![Put::from("late"), Put::from("later")])).await {
            assert_eq!(results.len(), 2);
            assert!(results.iter().all(|result| matches!(result, Err(ApplyError::ShuttingDown { .. }))));
        }
        for read in [
            raft.send(Read(History)).await,
            raft.send(Read(History).timeout(ms(10))).await,
            raft.send(StaleRead(History)).await,
        ] {
            assert!(matches!(read, Err(_) | Ok(Err(ReadError::ShuttingDown))), "{read:?}");
        }
        let _ = raft.send(GetStatus).await;
        let _ = raft.send(InspectMailboxes).await;
        assert!(raft.send(Shutdown).await.is_ok(), "a second one gets the same answer");
        assert!(raft.status().fatal.is_none());
    });
}

#[test]
fn a_node_that_was_stopped_in_order_comes_back_with_everything() {
    simulate(async {
        let mut world = World::running(3, 10).await;
        world.apply_all(numbered("c", 20)).await;
        for n in world.all() {
            world.stop(n).await;
        }
        world.start_all().await;
        world.leader().await;
        world.apply_all(["again".to_owned()]).await;
        world.ensure_same().await;
        assert_eq!(world.recording(2).len(), 21);
    });
}

#[test]
fn a_follower_that_was_restarted_learns_what_is_committed_although_nobody_writes() {
    simulate(async {
        let mut world = World::running(3, 13).await;
        world.apply_all(numbered("c", 5)).await;
        world.ensure_same().await;
        let follower = world.followers().await[0];
        world.restart(follower).await;
        assert_eq!(world.read(follower).await.unwrap().len(), 5);
        world.ensure_same().await;
    });
}

#[test]
fn a_crash_of_all_loses_nothing_that_was_acknowledged() {
    simulate(async {
        let mut world = World::running(3, 11).await;
        world.apply_all(numbered("c", 20)).await;
        for n in world.all() {
            world.lose_power(n, 77 + n as u64).await;
        }
        world.start_all().await;
        world.leader().await;
        world.apply_all(["again".to_owned()]).await;
        world.ensure_same().await;
        assert_eq!(world.recording(0).len(), 21);
    });
}

#[test]
fn a_leader_without_a_quorum_steps_down_in_time_and_knows_no_leader() {
    simulate(async {
        let mut world = World::running(2, 12).await;
        let leader = world.leader().await;
        let follower = 1 - leader;
        let cut = Instant::now();
        world.partition(&[follower]);
        let lease = world.config.leader_lease_timeout;
        world.wait_for("the leader to step down", |world| !world.leads(leader)).await;
        let took = cut.elapsed();
        assert!(took >= lease - world.config.heartbeat_interval() && took < 2 * lease, "{took:?}");
        assert_eq!(world.status(leader).leader, None);
        world.wait_for("the follower to forget", |world| world.status(follower).leader.is_none()).await;
        let term = world.status(leader).term;
        sleep(10 * world.config.election_timeout).await;
        assert_eq!((world.status(leader).term, world.status(follower).term), (term, term));
        assert!(!world.leads(leader) && !world.leads(follower));
        world.heal();
        world.leader().await;
        world.ensure_same().await;
    });
}
