//! Seeded random runs: slow and broken networks, crashes and power losses, clients all the while.
//!
//! At the end: every acknowledged command is there exactly once, every refused one is not, every read saw
//! what was acknowledged before it began, every life of every state machine saw a front part of the one
//! history, and no term had two leaders.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use raftix::{AddVoter, Apply, Config, Raft, Read, RemoveServer};
use tokio::{
    task::spawn_local,
    time::{Instant, sleep},
};

use crate::support::{History, Put, Recorder, World, ms, secs, simulate};

/// What the clients know, and whom they can talk to.
#[derive(Default)]
struct Ledger {
    nodes: RefCell<Vec<Option<Raft<Recorder>>>>,
    acknowledged: RefCell<BTreeSet<String>>,
    refused: RefCell<BTreeSet<String>>,
    unknown: RefCell<BTreeSet<String>>,
    reads: RefCell<Vec<Vec<String>>>,
    over: Cell<bool>,
}

impl Ledger {
    fn see(&self, world: &World) {
        *self.nodes.borrow_mut() = world.all().map(|n| world.is_running(n).then(|| world.raft(n))).collect();
    }

    fn any_node(&self, rng: &mut fastrand::Rng) -> Option<Raft<Recorder>> {
        let nodes = self.nodes.borrow();
        nodes[rng.usize(..nodes.len())].clone()
    }

    async fn write(&self, raft: &Raft<Recorder>, command: String) {
        let result = raft.send(Apply(Put(command.clone())).timeout(secs(2))).await;
        match result {
            Ok(Ok(_)) => self.acknowledged.borrow_mut().insert(command),
            Ok(Err(error)) if error.is_refused() => {
                assert_eq!(error.into_command(), Some(Put(command.clone())));
                self.refused.borrow_mut().insert(command)
            }
            // The node died, or it does not know.
            Ok(Err(_)) | Err(_) => self.unknown.borrow_mut().insert(command),
        };
    }

    async fn read(&self, raft: &Raft<Recorder>) {
        let before = self.acknowledged.borrow().clone();
        if let Ok(Ok(history)) = raft.send(Read(History).timeout(secs(2))).await {
            let seen: BTreeSet<&String> = history.iter().collect();
            let missed: Vec<&String> = before.iter().filter(|command| !seen.contains(command)).collect();
            assert!(missed.is_empty(), "a read at {:?} is stale: {missed:?}", raft.status());
            self.reads.borrow_mut().push(history);
        }
    }
}

async fn client(ledger: Rc<Ledger>, number: usize, mut rng: fastrand::Rng) {
    let mut commands = 0;
    while !ledger.over.get() {
        sleep(ms(rng.u64(5..400))).await;
        let Some(raft) = ledger.any_node(&mut rng) else { continue };
        if rng.u8(..4) == 0 {
            ledger.read(&raft).await;
        } else {
            for _ in 0..rng.u8(1..4) {
                commands += 1;
                ledger.write(&raft, format!("{number}-{commands}")).await;
            }
        }
    }
}

/// Something that goes wrong, or is mended.
async fn disturb(world: &mut World, rng: &mut fastrand::Rng, lives: &mut Vec<Vec<String>>) {
    let n = rng.usize(..world.count());
    match rng.u8(..12) {
        0..3 => {
            let far: Vec<usize> = world.all().filter(|_| rng.bool()).collect();
            world.partition(&far);
        }
        3 => world.disconnect(n),
        4 => {
            let other = rng.usize(..world.count());
            world.network.cut(world.address(n), world.address(other));
        }
        5..8 => world.heal(),
        _ if !world.is_running(n) => world.start(n).await,
        8..10 => {
            lives.push(world.recording(n).commands());
            world.crash(n).await;
        }
        _ => {
            lives.push(world.recording(n).commands());
            world.lose_power(n, rng.u64(..)).await;
        }
    }
}

/// Somebody adds a node that is no voter, or removes one as long as three stay; a member that was removed goes on, and may
/// be added again. One change at a time, and only where the present membership is certain, so that a majority lives.
async fn change(world: &World, rng: &mut fastrand::Rng) {
    let Some(leader) = world.all().find(|n| world.leads(*n)) else { return };
    let now = world.configuration(leader).await;
    let asked =
        world.all().filter(|n| world.is_running(*n)).nth(rng.usize(..world.count())).unwrap_or(leader);
    let n = rng.usize(..world.count());
    let votes = now.membership.is_voter(&world.id(n).into());
    let (id, raft) = (world.id(n).to_owned(), world.raft(asked));
    // How it ends is seen by what becomes of the commands.
    if !now.committed {
    } else if !votes && world.is_running(n) {
        let _ = raft.send(AddVoter::new(id, world.address(n)).prev_index(now.index).timeout(secs(3))).await;
    } else if votes && now.membership.voters().count() > 3 {
        let _ = raft.send(RemoveServer::new(id).prev_index(now.index).timeout(secs(3))).await;
    }
}

/// The same while the membership changes.
async fn run_with_changes(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = World::joining(3, 2, seed);
    world.config = Config::default();
    world.config.shutdown_on_remove = false;
    world.traffic.delay(seed, ms(rng.u64(1..60)));
    world.start_all().await;
    let ledger = Rc::new(Ledger::default());
    ledger.see(&world);
    let clients: Vec<_> =
        (0..3).map(|number| spawn_local(client(ledger.clone(), number, rng.fork()))).collect();
    let (mut lives, mut indexes) = (Vec::new(), BTreeSet::new());
    let until = Instant::now() + secs(90);
    while Instant::now() < until {
        sleep(ms(rng.u64(20..2000))).await;
        if rng.u8(..3) == 0 {
            disturb(&mut world, &mut rng, &mut lives).await;
        } else {
            if rng.bool() {
                world.heal();
            }
            if let Some(down) = world.all().find(|n| !world.is_running(*n)).filter(|_| rng.bool()) {
                world.start(down).await;
            }
            change(&world, &mut rng).await;
        }
        for n in world.all().filter(|n| world.leads(*n)) {
            indexes.insert(world.configuration(n).await.index);
        }
        ledger.see(&world);
        world.check();
    }
    world.heal();
    for n in world.all() {
        if !world.is_running(n) {
            world.start(n).await;
        }
    }
    ledger.see(&world);
    sleep(secs(10)).await;
    ledger.over.set(true);
    for client in clients {
        client.await.unwrap();
    }
    world.wait_for("a leader", |world| world.all().any(|n| world.leads(n))).await;
    let leader = world.all().find(|n| world.leads(*n)).unwrap();
    world.apply(leader, "last").await.unwrap();
    let last = world.status(leader).last_index;
    for server in world.configuration(leader).await.membership.servers() {
        let n = world.all().find(|n| world.id(*n) == server.id.as_str()).unwrap();
        world.wait_applied(n, last).await;
    }
    world.check();
    lives.extend(world.all().map(|n| world.recording(n).commands()));
    verify(&world, leader, &ledger, &lives);
    assert!(indexes.len() > 3, "only {} memberships", indexes.len());
}

async fn run(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = World::new(if seed.is_multiple_of(3) { 5 } else { 3 }, seed);
    world.config = Config::default();
    world.traffic.delay(seed, ms(rng.u64(1..80)));
    world.start_all().await;
    let ledger = Rc::new(Ledger::default());
    ledger.see(&world);
    let clients: Vec<_> =
        (0..3).map(|number| spawn_local(client(ledger.clone(), number, rng.fork()))).collect();
    let mut lives = Vec::new();
    let until = Instant::now() + secs(60);
    while Instant::now() < until {
        sleep(ms(rng.u64(20..3000))).await;
        disturb(&mut world, &mut rng, &mut lives).await;
        ledger.see(&world);
        world.check();
    }
    world.heal();
    for n in world.all() {
        if !world.is_running(n) {
            world.start(n).await;
        }
    }
    ledger.see(&world);
    sleep(secs(5)).await;
    ledger.over.set(true);
    for client in clients {
        client.await.unwrap();
    }
    world.leader().await;
    world.apply_all(["last".to_owned()]).await;
    world.ensure_same().await;
    verify(&world, 0, &ledger, &lives);
}

fn verify(world: &World, whole: usize, ledger: &Ledger, lives: &[Vec<String>]) {
    let history = world.recording(whole).commands();
    let distinct: BTreeSet<&String> = history.iter().collect();
    assert_eq!(distinct.len(), history.len(), "a command was applied twice");
    for command in ledger.acknowledged.borrow().iter() {
        assert!(distinct.contains(command), "{command} was acknowledged and is lost");
    }
    for command in ledger.refused.borrow().iter() {
        assert!(!distinct.contains(command), "{command} was refused and is applied");
    }
    for seen in ledger.reads.borrow().iter().chain(lives) {
        assert!(history.starts_with(seen), "a node saw another history");
    }
    let acknowledged = ledger.acknowledged.borrow().len();
    assert!(acknowledged > 20, "only {acknowledged} commands went through");
    assert!(ledger.reads.borrow().len() > 5, "only {} reads went through", ledger.reads.borrow().len());
}

macro_rules! seeds {
    ($run:ident: $($name:ident: $seeds:expr),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                for seed in $seeds {
                    eprintln!("seed {seed}");
                    simulate($run(seed));
                }
            }
        )+
    };
}

// In several tests, so that they run beside each other.
seeds! {
    run:
    nothing_acknowledged_is_lost_in_random_runs_1_to_5: 1..=5,
    nothing_acknowledged_is_lost_in_random_runs_6_to_10: 6..=10,
    nothing_acknowledged_is_lost_in_random_runs_11_to_15: 11..=15,
    nothing_acknowledged_is_lost_in_random_runs_16_to_20: 16..=20,
}

seeds! {
    run_with_changes:
    nothing_acknowledged_is_lost_while_the_membership_changes_1_to_5: 1..=5,
    nothing_acknowledged_is_lost_while_the_membership_changes_6_to_10: 6..=10,
}
