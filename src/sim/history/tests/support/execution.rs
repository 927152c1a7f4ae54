//! A run of one state machine behind one log. Everything that clients see is true, unless it is to go wrong.

use crate::{
    sim::{
        history::{Action, History, Outcome},
        kv::{Kv, KvClient, KvCommand},
    },
    state_machine::StateMachine,
    types::{LogId, LogIndex, Term},
};

/// How much happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    pub(crate) operations: usize,
    /// How many of a hundred clients are not told what happened.
    pub(crate) unknown_percent: u32,
    /// How many of a hundred requests go wrong: lost though acknowledged, applied twice, or answered from the
    /// past.
    pub(crate) wrong_percent: u32,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) history: History<Kv>,
    pub(crate) log: Vec<(LogId, u64)>,
}

/// What a client waits for.
enum Waiting {
    Nothing,
    /// Its operation has not been done.
    Asked(u64, Action<Kv>),
    /// It has.
    Done(u64, Outcome<Kv>),
}

struct World {
    shape: Shape,
    rng: fastrand::Rng,
    kv: Kv,
    /// Every state before, if things are to go wrong.
    past: Vec<(LogIndex, Kv)>,
    last: LogId,
    log: Vec<(LogId, u64)>,
    history: History<Kv>,
    now: u64,
    /// Commands whose clients have given up. They may still be applied.
    orphans: Vec<(u64, KvCommand)>,
}

/// Runs the shape; clients ask, are served and are told at random moments.
pub(crate) fn execute(seed: u64, shape: Shape) -> Execution {
    let mut world = World {
        shape,
        rng: fastrand::Rng::with_seed(seed),
        kv: Kv::default(),
        past: Vec::new(),
        last: LogId::new(Term(1), LogIndex(1)),
        log: Vec::new(),
        history: History::new(),
        now: 0,
        orphans: Vec::new(),
    };
    let workload = |client| KvClient::new(seed, client as u64, shape.keys);
    let mut clients: Vec<_> = (0..shape.clients).map(|client| (workload(client), Waiting::Nothing)).collect();
    while world.history.operations().len() < shape.operations || !clients.iter().all(is_idle) {
        let number = world.rng.usize(..shape.clients);
        let (workload, waiting) = &mut clients[number];
        *waiting = match std::mem::replace(waiting, Waiting::Nothing) {
            Waiting::Nothing if world.history.operations().len() < shape.operations => {
                let node = format!("n{}", world.rng.u8(1..4)).into();
                let (asked, kept) = twice(workload.next_action());
                let stamp = world.tick();
                let id = world.history.invoked(stamp, number as u64, node, asked);
                Waiting::Asked(id, kept)
            }
            Waiting::Nothing => Waiting::Nothing,
            Waiting::Asked(id, action) => world.serve(id, action),
            Waiting::Done(id, outcome) => {
                let stamp = world.tick();
                world.history.returned(stamp, id, outcome);
                workload.saw(&world.history.operations()[id as usize]);
                Waiting::Nothing
            }
        };
        world.go_on();
    }
    Execution { history: world.history, log: world.log }
}

fn is_idle((_, waiting): &(KvClient, Waiting)) -> bool {
    matches!(waiting, Waiting::Nothing)
}

fn twice(action: Action<Kv>) -> (Action<Kv>, Action<Kv>) {
    match action {
        Action::Apply(command) => (Action::Apply(command.clone()), Action::Apply(command)),
        Action::Query(query) => (Action::Query(query.clone()), Action::Query(query)),
    }
}

impl World {
    fn tick(&mut self) -> u64 {
        self.now += self.rng.u64(1..5);
        self.now
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    /// Does it, or loses the request or the answer on the way.
    fn serve(&mut self, id: u64, action: Action<Kv>) -> Waiting {
        let outcome = match (self.happens(self.shape.unknown_percent), action) {
            (true, action) => {
                if let Action::Apply(command) = action {
                    match self.rng.u8(..3) {
                        0 => drop(self.apply(id, command)),
                        1 => self.orphans.push((id, command)),
                        _ => {}
                    }
                }
                Outcome::Unknown
            }
            (false, _) if self.rng.u8(..20) == 0 => Outcome::Refused,
            (false, action) if self.happens(self.shape.wrong_percent) => self.do_wrong(id, action),
            (false, Action::Apply(command)) => self.apply(id, command),
            (false, Action::Query(query)) => {
                Outcome::Answered { at: self.last.index, answer: self.kv.query(query) }
            }
        };
        Waiting::Done(id, outcome)
    }

    fn apply(&mut self, id: u64, command: KvCommand) -> Outcome<Kv> {
        if self.shape.wrong_percent > 0 {
            self.past.push((self.last.index, self.kv.clone()));
        }
        self.last.index = self.last.index.next();
        self.log.push((self.last, id));
        Outcome::Applied { at: self.last, reply: self.kv.apply(self.last, command) }
    }

    fn do_wrong(&mut self, id: u64, action: Action<Kv>) -> Outcome<Kv> {
        match action {
            Action::Apply(command) if self.rng.bool() => {
                let at = LogId { index: self.last.index.next(), ..self.last };
                Outcome::Applied { at, reply: self.kv.clone().apply(at, command) }
            }
            Action::Apply(command) => {
                let outcome = self.apply(id, command.clone());
                self.orphans.push((id, command));
                outcome
            }
            Action::Query(query) => {
                self.past.push((self.last.index, self.kv.clone()));
                let (at, kv) = &self.past[self.rng.usize(..self.past.len())];
                Outcome::Answered { at: *at, answer: kv.query(query) }
            }
        }
    }

    /// What happens without clients: another leader's first entry, a command that nobody waits for any more.
    fn go_on(&mut self) {
        match self.rng.u8(..40) {
            0 => self.last = LogId::new(self.last.term.next(), self.last.index.next()),
            1..4 if !self.orphans.is_empty() => {
                let (id, command) = self.orphans.swap_remove(self.rng.usize(..self.orphans.len()));
                self.apply(id, command);
            }
            _ => {}
        }
    }
}
