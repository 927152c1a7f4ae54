//! What an operator sees and sets on a running cluster: observers, leadership, status, statistics, settings.

use std::sync::{Arc, Mutex};

use actix::{Actor, Context, Handler};
use raftix::{
    AddVoter, Bootstrap, BootstrapError, EventKind, GetConfig, Observation, Observe, ObserverHandle,
    RaftEvent, ReloadConfig, ServerRole, Snapshot, StopObserving,
};
use tokio::time::{Instant, sleep};

use crate::support::{World, ms, secs, simulate};

/// Keeps what it observes.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<RaftEvent>>>);

impl Actor for Notes {
    type Context = Context<Self>;
}

impl Handler<Observation> for Notes {
    type Result = ();

    fn handle(&mut self, observation: Observation, _: &mut Self::Context) {
        assert_eq!(observation.missed, 0);
        self.0.lock().unwrap().push(observation.event);
    }
}

impl Notes {
    async fn observe(world: &World, n: usize, kinds: &[EventKind]) -> (Self, ObserverHandle) {
        let notes = Self::default();
        let observe = Observe::new(notes.clone().start().recipient()).only(kinds.iter().copied());
        let handle = world.raft(n).send(observe).await.unwrap().unwrap();
        (notes, handle)
    }

    fn all(&self) -> Vec<RaftEvent> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn a_follower_s_observer_hears_of_the_election_and_of_the_new_leader() {
    simulate(async {
        let mut world = World::running(3, 71).await;
        let (old, watched) = (world.leader().await, world.followers().await[0]);
        let kinds = [EventKind::LeaderChanged, EventKind::VoteRequested];
        let (notes, handle) = Notes::observe(&world, watched, &kinds).await;
        let term = world.status(old).term;
        world.disconnect(old);
        let new = world.leader().await;
        assert!(world.status(new).term > term);
        let events = notes.all();
        let last_leader = events.iter().rev().find_map(|event| match event {
            RaftEvent::LeaderChanged { leader, .. } => Some(leader.as_ref().map(|leader| leader.id.clone())),
            _ => None,
        });
        assert_eq!(last_leader, Some(Some(world.id(new).into())), "{events:?}");
        let lost = |event: &RaftEvent| matches!(event, RaftEvent::LeaderChanged { leader: None, .. });
        assert!(events.iter().any(lost), "{events:?}");
        assert!(world.raft(watched).send(StopObserving(handle.id())).await.unwrap());
        let told = handle.sent();
        world.heal();
        world.crash(new).await;
        world.leader().await;
        assert_eq!(handle.sent(), told, "nothing after it was ended");
    });
}

/// Each is told once and not at every heartbeat.
#[test]
fn a_leader_s_observer_hears_once_of_a_peer_that_falls_silent_and_once_when_it_is_back() {
    simulate(async {
        let mut world = World::running(3, 72).await;
        let (leader, silent) = (world.leader().await, world.followers().await[0]);
        let kinds = [EventKind::HeartbeatFailed, EventKind::HeartbeatResumed];
        let (notes, _) = Notes::observe(&world, leader, &kinds).await;
        let peer = world.id(silent).into();
        world.disconnect(silent);
        world.wait_for("a failure", |_| !notes.all().is_empty()).await;
        sleep(world.config.heartbeat_timeout * 20).await;
        let events = notes.all();
        assert!(
            matches!(&events[..], [RaftEvent::HeartbeatFailed { peer: named, last_contact: Some(_) }] if *named == peer),
            "{events:?}"
        );
        world.heal();
        world.wait_for("the peer", |_| notes.all().len() > 1).await;
        assert_eq!(notes.all()[1..], [RaftEvent::HeartbeatResumed { peer }]);
        assert!(world.raft(leader).statistics().heartbeats_failed > 1, "counted each time");
    });
}

#[test]
fn the_leadership_watch_tells_the_latest_and_whether_it_is_here() {
    simulate(async {
        let mut world = World::running(3, 73).await;
        let old = world.leader().await;
        let (mut watch, mut own) = (world.raft(old).leadership(), world.raft(old).leadership());
        assert!(watch.current().here);
        world.apply(old, "one").await.unwrap();
        world.disconnect(old);
        let deposed = own.elected_or_deposed().await.unwrap();
        assert!(!deposed.here);
        assert_eq!(watch.changed().await.unwrap().leader, None);
        let new = world.leader().await;
        world.heal();
        world.wait_for("the new leader", |world| world.status(old).leader.is_some()).await;
        // What lay between is not told.
        let now = watch.changed().await.unwrap();
        assert_eq!((now.leader, now.here), (Some(world.id(new).into()), false));
        world.stop(old).await;
        assert_eq!(watch.changed().await, None);
        assert_eq!(own.elected_or_deposed().await, None);
    });
}

#[test]
fn status_and_statistics_say_what_hashicorp_s_stats_say() {
    simulate(async {
        let mut world = World::running(3, 74).await;
        let (leader, follower) = (world.leader().await, world.followers().await[0]);
        world.apply_all((0..10).map(|n| format!("c{n}"))).await;
        world.ensure_same().await;
        let (own, other) = (world.status(leader), world.status(follower));
        assert_eq!((own.num_peers, own.members.len(), own.voters.len()), (2, 3, 3));
        assert_eq!((own.last_contact, own.fsm_pending), (Some(ms(0)), 0));
        assert_eq!((own.last_term, own.membership_index.0), (own.term, 1));
        assert_eq!((&own.cluster, own.cluster.is_some()), (&other.cluster, true));
        assert!(other.last_contact.is_some_and(|ago| ago <= world.config.heartbeat_timeout), "{other:?}");
        let (led, followed) = (world.raft(leader).statistics(), world.raft(follower).statistics());
        assert_eq!((led.elections_won, led.entries_applied), (1, own.applied_index.0));
        assert_eq!(followed.entries_appended, led.entries_appended);
        assert!(led.entries_sent >= 2 * 10 && led.flushes > 0 && led.heartbeats_sent > 0, "{led:?}");
        assert!(led.step_downs.is_empty());
        world.disconnect(leader);
        world.wait_for("the step-down", |world| world.status(leader).role != ServerRole::Leader).await;
        let led = world.raft(leader).statistics();
        assert_eq!(led.step_downs.values().sum::<u64>(), 1, "{led:?}");
        assert!(led.step_downs.keys().all(|why| why.contains("quorum")), "{led:?}");
    });
}

/// hashicorp/raft lets a shorter timeout wake its followers, else the old one would be waited for once more.
#[test]
fn a_shorter_patience_is_obeyed_at_once_by_followers_and_by_the_leader() {
    simulate(async {
        let mut world = World::new(3, 75);
        world.config.heartbeat_timeout = secs(100);
        world.config.election_timeout = secs(100);
        world.config.leader_lease_timeout = ms(200);
        world.config.request_timeout = secs(1000);
        world.start_all().await;
        let slow = world.raft(0);
        let elected = slow.leader_elected();
        let mut part = world.config.reloadable();
        (part.heartbeat_timeout, part.election_timeout) = (ms(300), ms(300));
        for n in world.all() {
            world.raft(n).send(ReloadConfig(part)).await.unwrap().unwrap();
        }
        let began = Instant::now();
        elected.await;
        assert!(began.elapsed() < secs(5), "elected after {:?}", began.elapsed());
        let old = world.leader().await;
        assert_eq!(world.raft(old).send(GetConfig).await.unwrap().reloadable(), part);
        let term = world.status(old).term;
        sleep(secs(30)).await;
        assert_eq!(world.status(old).term, term, "the leader's heartbeats keep up with the patience");
        world.disconnect(old);
        let began = Instant::now();
        world.leader().await;
        assert!(began.elapsed() < secs(3), "replaced after {:?}", began.elapsed());
    });
}

#[test]
fn settings_that_do_not_suit_the_others_are_refused_as_a_whole() {
    simulate(async {
        let world = World::running(1, 76).await;
        let before = world.raft(0).send(GetConfig).await.unwrap();
        let mut part = before.reloadable();
        part.election_timeout = secs(9);
        part.heartbeat_timeout = before.leader_lease_timeout / 2;
        let refused = world.raft(0).send(ReloadConfig(part)).await.unwrap().unwrap_err();
        assert_eq!(refused.field, "leader_lease_timeout");
        assert_eq!(world.raft(0).send(GetConfig).await.unwrap(), before);
    });
}

/// Nodes that were started without a list, `count` of them.
async fn waiting(count: usize, seed: u64) -> World {
    let mut world = World::new(count, seed);
    for n in world.all() {
        let no_peers: [(String, String); 0] = [];
        world.start_with(n, |builder, _| builder.peers(no_peers).wait_for_bootstrap()).await;
    }
    world
}

async fn bootstrap(world: &World, n: usize, peers: &[usize]) -> Result<(), BootstrapError> {
    let peers = peers.iter().map(|n| (world.id(*n).to_owned(), world.address(*n).to_owned()));
    world.raft(n).send(Bootstrap::new(peers)).await.unwrap()
}

/// hashicorp/raft's live bootstrap: one node, to which the others are added.
#[test]
fn a_node_that_waits_forms_a_cluster_alone_and_takes_in_others_that_wait() {
    simulate(async {
        let world = waiting(3, 77).await;
        sleep(secs(30)).await;
        assert!(world.all().all(|n| world.status(n).leader.is_none()), "nobody was told anything");
        assert!(matches!(bootstrap(&world, 0, &[1]).await, Err(BootstrapError::NotListed)));
        bootstrap(&world, 0, &[0]).await.unwrap();
        world.raft(0).leader_elected().await;
        for n in [1, 2] {
            let add = AddVoter::new(world.id(n), world.address(n));
            world.raft(0).send(add).await.unwrap().unwrap();
        }
        world.apply_all((0..5).map(|n| format!("c{n}"))).await;
        world.ensure_same().await;
        assert_eq!(world.status(2).voters.len(), 3);
        for n in world.all() {
            let again = bootstrap(&world, n, &[0, 1, 2]).await;
            assert!(matches!(again, Err(BootstrapError::HasState | BootstrapError::InProgress)), "{again:?}");
        }
    });
}

#[test]
fn nodes_that_wait_form_a_cluster_once_all_were_told_the_same() {
    simulate(async {
        let world = waiting(3, 78).await;
        bootstrap(&world, 0, &[0, 1, 2]).await.unwrap();
        assert!(matches!(bootstrap(&world, 0, &[0]).await, Err(BootstrapError::InProgress)));
        bootstrap(&world, 1, &[0, 1, 2]).await.unwrap();
        sleep(secs(30)).await;
        assert!(world.all().all(|n| world.status(n).leader.is_none()), "the third was told nothing yet");
        bootstrap(&world, 2, &[0, 1, 2]).await.unwrap();
        world.leader().await;
        assert!(matches!(bootstrap(&world, 2, &[2]).await, Err(BootstrapError::HasState)));
        world.apply_all((0..5).map(|n| format!("c{n}"))).await;
        world.ensure_same().await;
    });
}

#[test]
fn observers_and_statistics_tell_of_snapshots_on_both_sides() {
    simulate(async {
        let mut world = World::new(3, 79);
        world.config.trailing_logs = 0;
        world.start_all().await;
        let (leader, behind) = (world.leader().await, world.followers().await[0]);
        let (taken, _) = Notes::observe(&world, leader, &[EventKind::SnapshotTaken]).await;
        let (installed, _) = Notes::observe(&world, behind, &[EventKind::SnapshotInstalled]).await;
        world.disconnect(behind);
        world.apply_all((0..20).map(|n| format!("c{n}"))).await;
        let meta = world.raft(leader).send(Snapshot).await.unwrap().unwrap();
        let (last, bytes) = (meta.description.last, meta.bytes);
        world.wait_for("the notice", |_| !taken.all().is_empty()).await;
        assert_eq!(taken.all(), [RaftEvent::SnapshotTaken { last, bytes }]);
        world.heal();
        world.ensure_same().await;
        assert_eq!(installed.all(), [RaftEvent::SnapshotInstalled { last, bytes }]);
        assert_eq!(world.status(behind).snapshot_index, last.index);
        let of = |n: usize| world.raft(n).statistics();
        world.wait_for("the leader to know", |_| of(leader).snapshots_sent == 1).await;
        assert_eq!(of(leader).snapshots_taken, 1);
        let behind = of(behind);
        assert_eq!((behind.snapshots_taken, behind.snapshots_installed), (0, 1));
        assert!(
            behind.entries_applied < last.index.0,
            "a restored state is not an applied entry: {behind:?}"
        );
    });
}
