//! Carries a plan out: each fault at its time, and what ends it at its own.

mod remedies;
mod strikes;

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    fault::Fault,
    node::CutOff,
    workload::Workload,
    world::{End, RETRY, Reaped, World, mix},
};

/// How long something unflushed is looked away from.
const MOMENT: Duration = Duration::from_millis(1);

/// What is to be done later.
enum Deed {
    Strike(Fault),
    /// Strikes the node of this number as soon as it has something unflushed, at the latest then.
    Crash {
        n: usize,
        life: u64,
        how: End,
        down: Duration,
        latest: Instant,
    },
    Start(usize),
    /// A process that was stopped goes on, if it is still that life.
    Resume(usize, u64),
    /// A process that was told to stop is ended if it has not.
    Kill(usize, u64),
    EndLinkFault(u64),
    EndQuiet,
    GiveRoom(usize),
}

/// What is to be done when.
pub(super) struct Chaos {
    agenda: BTreeMap<(Instant, u64), Deed>,
    added: u64,
    /// Until when a node that stops by itself stays down.
    downs: BTreeMap<usize, Duration>,
}

impl Chaos {
    /// The faults of `world`'s plan, from now on.
    pub(super) fn new<W: Workload>(world: &World<W>) -> Self {
        let mut chaos = Self { agenda: BTreeMap::new(), added: 0, downs: BTreeMap::new() };
        for planned in &world.plan.faults {
            chaos.later(planned.at, Deed::Strike(planned.fault.clone()));
        }
        chaos
    }

    /// Plans nothing any more.
    pub(super) fn forget(&mut self) {
        self.agenda.clear();
    }

    /// Starts every node that does not run, as soon as [`go_on`](Self::go_on) does.
    pub(super) fn start_all<W: Workload>(&mut self, world: &World<W>) {
        for n in (0..world.nodes.len()).filter(|n| !world.is_running(*n)) {
            self.later(Duration::ZERO, Deed::Start(n));
        }
    }

    fn later(&mut self, after: Duration, deed: Deed) {
        self.added += 1;
        self.agenda.insert((Instant::now() + after, self.added), deed);
    }

    /// Goes on until `end`, or until an oracle has something to say.
    pub(super) async fn go_on<W: Workload>(&mut self, world: &mut World<W>, end: Instant) {
        let attention = world.attention.clone();
        loop {
            let next = self.agenda.first_key_value().map_or(end, |((due, _), _)| *due).min(end);
            let oracle = world.oracle.clone();
            tokio::select! {
                biased;
                () = oracle.violated() => return,
                () = attention.notified() => self.reap(world).await,
                () = sleep_until(next) => {
                    let now = Instant::now();
                    if now >= end {
                        return;
                    }
                    while let Some(deed) = self.due(now) {
                        self.act(world, deed).await;
                    }
                }
            }
        }
    }

    fn due(&mut self, now: Instant) -> Option<Deed> {
        let first = self.agenda.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// Ends what has stopped by itself, and plans its return.
    pub(super) async fn reap<W: Workload>(&mut self, world: &mut World<W>) {
        for n in 0..world.nodes.len() {
            let Some(reaped) = world.reap(n).await else { continue };
            match reaped {
                Reaped::CutOff(CutOff::Power) => world.count("power loss in a flush"),
                Reaped::CutOff(CutOff::Process(_)) => world.count("kill in a flush"),
                Reaped::DiskFailed | Reaped::Stopped => {}
            }
            let down = self.downs.remove(&n).unwrap_or(RETRY);
            if let Reaped::CutOff(CutOff::Process(Some(after))) = reaped {
                let (life, seed) =
                    (world.nodes[n].lives + 1, mix(world.plan.seed, n as u64, world.nodes[n].lives));
                let (how, latest) = (End::PowerLost(seed), Instant::now());
                self.later(down + after, Deed::Crash { n, life, how, down: RETRY, latest });
            }
            self.later(down, Deed::Start(n));
        }
    }

    async fn act<W: Workload>(&mut self, world: &mut World<W>, deed: Deed) {
        match deed {
            Deed::Strike(fault) => self.strike(world, fault).await,
            Deed::Crash { n, life, how, down, latest } => {
                if !world.is_running(n) || world.nodes[n].lives != life {
                    return;
                }
                if world.has_unflushed(n) || Instant::now() >= latest {
                    self.end(world, n, how, down).await;
                } else {
                    self.later(MOMENT, Deed::Crash { n, life, how, down, latest });
                }
            }
            Deed::Start(n) => {
                if !world.start(n).await {
                    self.later(RETRY, Deed::Start(n));
                }
            }
            Deed::Resume(n, life) => {
                if let Some(process) =
                    world.nodes[n].process.as_ref().filter(|_| world.nodes[n].lives == life)
                {
                    process.resume();
                }
            }
            Deed::Kill(n, life) => {
                if world.is_running(n) && world.nodes[n].lives == life {
                    self.end(world, n, End::Killed, RETRY).await;
                }
            }
            Deed::EndLinkFault(number) => world.links.end(number),
            Deed::EndQuiet => world.clients.hold(false),
            Deed::GiveRoom(n) => world.nodes[n].disk.set_capacity(None),
        }
    }

    fn crash<W: Workload>(
        &mut self,
        world: &World<W>,
        n: usize,
        how: End,
        patience: Duration,
        down: Duration,
    ) {
        let life = world.nodes[n].lives;
        let latest = Instant::now() + patience;
        self.later(Duration::ZERO, Deed::Crash { n, life, how, down, latest });
    }

    async fn end<W: Workload>(&mut self, world: &mut World<W>, n: usize, how: End, down: Duration) {
        world.end(n, how).await;
        self.later(down, Deed::Start(n));
    }
}
