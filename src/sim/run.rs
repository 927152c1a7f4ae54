//! One seed from the first start to the verdict.

use std::time::Duration;

use tokio::{
    runtime::Builder,
    task::LocalSet,
    time::{Instant, timeout},
};

use super::{
    chaos::Chaos,
    history::log_order,
    plan::Plan,
    report::{Report, Verdict},
    restores,
    workload::Workload,
    world::{End, World},
};

/// How long a cluster that nobody disturbs any more may take to be well.
const HEAL_PATIENCE: Duration = Duration::from_secs(120);
/// How long a bare majority without faults may take to elect: some six rounds of the usual timeouts.
const ELECTION_PATIENCE: Duration = Duration::from_secs(12);
/// How long a moment is waited for at which every log is the same.
const QUIET_PATIENCE: Duration = Duration::from_secs(10);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often everything is checked anew while faults strike.
const SCAN: Duration = Duration::from_secs(10);
/// How many answers the first healed nodes, and later every node, must give.
const ANSWERS: u64 = 4;

/// Runs `plan` on a thread of its own, so that nothing of another run is near.
///
/// # Panics
/// If there is no thread to be had.
pub fn run<W: Workload>(workload: W, plan: Plan) -> Report {
    run_prepared(workload, plan, || ())
}

/// The same after `prepare`, which runs on the run's own thread; what it gives lives as long as the run.
///
/// # Panics
/// If there is no thread to be had, or the run itself panics.
pub fn run_prepared<W: Workload, T>(
    workload: W,
    plan: Plan,
    prepare: impl FnOnce() -> T + Send + 'static,
) -> Report {
    let seed = plan.seed;
    let thread = std::thread::Builder::new().name(format!("sim-{seed}")).spawn(move || {
        let _prepared = prepare();
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        LocalSet::new().block_on(&runtime, simulate(workload, plan))
    });
    thread.expect("a thread for the run").join().expect("a run that goes wrong says so in its report")
}

async fn simulate<W: Workload>(workload: W, plan: Plan) -> Report {
    let began = Instant::now();
    let mut world = World::new(plan, workload.clone());
    for n in 0..world.nodes.len() {
        world.start(n).await;
    }
    let mut rng = fastrand::Rng::with_seed(super::world::mix(world.plan.seed, 0, 0xc11e));
    let mut clients = world.clients.start(world.plan.clients, world.plan.think_ms, &mut rng);
    clients.extend(restores::start(&world.clients, &world.oracle, world.plan.seed));
    let mut chaos = Chaos::new(&world);
    let end = began + world.plan.span;
    while Instant::now() < end && world.oracle.violation().is_none() {
        chaos.go_on(&mut world, end.min(Instant::now() + SCAN)).await;
        world.oracle.scan();
    }
    chaos.forget();
    let mut excuse = None;
    if world.oracle.violation().is_none() {
        excuse = heal(&mut world, &mut chaos).await;
    }
    world.clients.stop();
    for client in clients {
        let _ = timeout(HEAL_PATIENCE, client).await;
    }
    if world.oracle.violation().is_none() && excuse.is_none() {
        judge(&world, &workload);
    }
    let report = report(&world, began.elapsed(), excuse);
    for n in 0..world.nodes.len() {
        world.end(n, End::Killed).await;
    }
    report
}

/// The liveness phase. The reason if it had to be given up for something that no cluster survives.
async fn heal<W: Workload>(world: &mut World<W>, chaos: &mut Chaos) -> Option<String> {
    // A disk that lost its power while a snapshot was written ends its process as well, which may not have noticed.
    chaos.reap(world).await;
    world.mend_all();
    chaos.start_all(world);
    if world.plan.heals_core_first && !anyone_withheld(world) {
        heal_core(world, chaos).await;
        world.mend_all();
    }
    let healed = wait_for(world, chaos, |world| is_well(world, &world.oracle.members())).await
        && answer(world, chaos, None).await;
    if !healed && world.oracle.violation().is_none() {
        // Whoever is withheld needs every voter, and one that lost its directory will never be one again.
        if anyone_withheld(world) && world.intact().len() < world.oracle.members().len() {
            return Some("a withheld node has the best log, and a voter is gone for good".to_owned());
        }
        world.accuse("liveness", format!("healed and not well: {}", describe(world)));
    }
    // Clients as many as there leave no moment at which nothing is under way.
    world.clients.hold(world.plan.everything);
    let same = healed
        && wait_for(world, chaos, |world| {
            let members = world.oracle.members();
            let running: Vec<usize> = members.iter().copied().filter(|n| world.is_running(*n)).collect();
            is_well(world, &members) && world.oracle.all_applied(&running) && world.same_logs()
        })
        .await;
    if healed && !same {
        world.accuse("liveness", format!("logs and states do not become equal: {}", describe(world)));
    }
    world.oracle.scan();
    None
}

/// Leaves a bare majority well, and without its leader. The rest can send and hears nothing: it must not keep the
/// others from electing one of themselves (pre-vote, stickiness, check-quorum; Cloudflare's outage of 2020).
async fn heal_core<W: Workload>(world: &mut World<W>, chaos: &mut Chaos) {
    // Nobody is to be behind, so that nobody's log keeps the outsiders' questions from being granted.
    world.clients.hold(true);
    wait_within(QUIET_PATIENCE, world, chaos, |world| {
        is_well(world, &world.oracle.members()) && world.same_logs()
    })
    .await;
    let voters = world.oracle.voters();
    let mut intact: Vec<usize> = world.intact().into_iter().filter(|n| voters.contains(n)).collect();
    // Whoever stands most often is to be outside, and the leader next.
    let leader = world.leader();
    intact.sort_by_key(|n| 2 * u8::from(world.plan.hasty == Some(*n)) + u8::from(leader == Some(*n)));
    let core: Vec<usize> = intact.into_iter().take(voters.len() / 2 + 1).collect();
    if core.len() <= voters.len() / 2 {
        return world.clients.hold(false);
    }
    let deaf = |n: &usize| !core.contains(n);
    let ways = world.links.ways().into_iter().filter(|(_, to)| deaf(to)).collect();
    let deafness = world.links.deafen(ways);
    if let Some(leader) = leader {
        world.end(leader, End::Killed).await;
    }
    if leader.is_some_and(|leader| core.contains(&leader)) {
        chaos.start_all(world);
    }
    let well = wait_within(ELECTION_PATIENCE, world, chaos, |world| is_well(world, &core)).await;
    world.clients.hold(false);
    if !(well && answer(world, chaos, Some(&core)).await) && world.oracle.violation().is_none() {
        world.accuse("liveness", format!("a majority is healed and not well: {}", describe(world)));
    }
    world.links.end(deafness);
    chaos.start_all(world);
}

/// Whether one of `nodes` leads, and all of them that take part agree on it.
fn is_well<W: Workload>(world: &World<W>, nodes: &[usize]) -> bool {
    let Some(leader) = world.leader().filter(|leader| nodes.contains(leader)) else { return false };
    let term = world.seat(leader).map(|(_, term)| term);
    let take_part = nodes.iter().filter(|n| !world.nodes[**n].refuses);
    take_part.into_iter().all(|n| world.seat(*n).map(|(_, term)| term) == term)
}

fn anyone_withheld<W: Workload>(world: &World<W>) -> bool {
    let withheld = |n: &super::node::SimNode<W::Machine>| {
        n.process.as_ref().is_some_and(|process| process.raft.status().standing.contains("withheld"))
    };
    world.nodes.iter().any(withheld)
}

/// Goes on until `condition` holds; false if it does not within [`HEAL_PATIENCE`].
async fn wait_for<W: Workload>(
    world: &mut World<W>,
    chaos: &mut Chaos,
    condition: impl Fn(&World<W>) -> bool,
) -> bool {
    wait_within(HEAL_PATIENCE, world, chaos, condition).await
}

async fn wait_within<W: Workload>(
    patience: Duration,
    world: &mut World<W>,
    chaos: &mut Chaos,
    condition: impl Fn(&World<W>) -> bool,
) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until && world.oracle.violation().is_none() {
        if condition(world) {
            return true;
        }
        chaos.go_on(world, Instant::now() + LOOK).await;
    }
    false
}

/// Has every node of `nodes`, or every one that takes part, answer some clients.
async fn answer<W: Workload>(world: &mut World<W>, chaos: &mut Chaos, nodes: Option<&[usize]>) -> bool {
    let nodes = nodes.map_or_else(|| world.intact(), <[usize]>::to_vec);
    for n in nodes {
        let clients = world.clients.clone();
        let asking = tokio::task::spawn_local(async move { clients.ask_until(n, ANSWERS).await });
        // A change that was asked for before may remove it meanwhile.
        let over = |world: &World<W>| asking.is_finished() || !world.intact().contains(&n);
        let answered = wait_for(world, chaos, over).await;
        asking.abort();
        if !answered {
            if world.oracle.violation().is_none() {
                let id = world.nodes[n].id.clone();
                world.accuse("liveness", format!("healed, and {id} answers nobody: {}", describe(world)));
            }
            return false;
        }
    }
    true
}

/// What the clients saw.
fn judge<W: Workload>(world: &World<W>, workload: &W) {
    let history = world.clients.history();
    let applied = world.oracle.applied_log();
    if let Err(violation) = log_order::check(workload.machine(), &history, &applied) {
        return world.accuse("linearizability, by the log", violation.to_string());
    }
    if let Err(violation) = workload.check(&history) {
        world.oracle.accuse(violation);
    }
}

fn describe<W: Workload>(world: &World<W>) -> String {
    let one = |n: &super::node::SimNode<W::Machine>| match &n.process {
        None => format!("{} is down", n.id),
        Some(process) => format!("{:?}", process.raft.status()),
    };
    let members: Vec<&str> = world.oracle.members().into_iter().map(|n| world.nodes[n].id.as_str()).collect();
    let nodes = world.nodes.iter().map(one).collect::<Vec<_>>().join("\n  ");
    format!("committed members {}\n  {nodes}", members.join(" "))
}

fn report<W: Workload>(world: &World<W>, virtual_time: Duration, excuse: Option<String>) -> Report {
    let activities = world.activities();
    let verdict = match (world.oracle.violation(), excuse) {
        (Some(violation), _) => Verdict::Failed(violation),
        (None, Some(why)) => Verdict::Rejected(why),
        (None, None) => Verdict::of_coverage(&activities, world.plan.everything),
    };
    let retries = world.clients.retries();
    Report {
        verdict,
        activities,
        retried: retries.retried,
        sessions_expired: retries.expired,
        faults: world.fault_counts(),
        virtual_time,
        trace: world.oracle.trace(),
        plan: world.plan.clone(),
    }
}
