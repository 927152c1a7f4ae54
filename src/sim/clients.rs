//! The clients of a run: they ask random nodes, wait, and write down what they were told.
//!
//! Half of them work in a session, and send a command whose outcome they do not know again, to any node, until they
//! know. For the history that is one operation: it was asked for once, and took effect once or never.

use std::{
    cell::{Cell, Ref, RefCell},
    future::Future,
    rc::Rc,
    time::Duration,
};

use actix::MailboxError;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    doors::{DEADLINE, Doors, PATIENCE},
    history::{Action, History, Outcome},
    observed::{Asked, Seen, Tagged},
    oracle::Oracle,
    sessions::{Retries, Session, Sessions},
    workload::{Client, Workload},
};
use crate::{
    error::ReadError,
    messages::Read,
    state_machine::{Answer, StateMachine},
    types::NodeId,
};

/// What the clients of a run share.
pub(super) struct Clients<W: Workload> {
    workload: W,
    oracle: Oracle,
    /// The nodes that they ask.
    pub(super) doors: Rc<Doors<W::Machine>>,
    sessions: Sessions<W::Machine>,
    history: RefCell<History<W::Machine>>,
    acknowledged: Cell<u64>,
    numbers: Cell<u64>,
    held: Cell<bool>,
    over: Cell<bool>,
}

impl<W: Workload> Clients<W> {
    pub(super) fn new(workload: W, oracle: Oracle, nodes: Vec<NodeId>) -> Rc<Self> {
        let doors = Rc::new(Doors::new(nodes));
        let sessions = Sessions { doors: doors.clone(), oracle: oracle.clone(), retries: Cell::default() };
        Rc::new(Self {
            workload,
            oracle,
            doors,
            sessions,
            history: RefCell::new(History::new()),
            acknowledged: Cell::new(0),
            numbers: Cell::new(0),
            held: Cell::new(false),
            over: Cell::new(false),
        })
    }

    /// How many operations were answered.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.get()
    }

    /// What became of commands that were sent again in their sessions.
    pub(super) fn retries(&self) -> Retries {
        self.sessions.retries.get()
    }

    /// Whether the clients of the run ask nothing for now.
    pub(super) fn hold(&self, held: bool) {
        self.held.set(held);
    }

    /// Whether they ask nothing for now.
    pub(super) fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Whether they ask no more.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Asks no more; the tasks end when what they asked has.
    pub(super) fn stop(&self) {
        self.over.set(true);
    }

    /// What was asked and told so far.
    pub(super) fn history(&self) -> Ref<'_, History<W::Machine>> {
        self.history.borrow()
    }

    /// Has new clients ask one node until it has answered them so often.
    pub(super) async fn ask_until(&self, node: usize, answers: u64) {
        let mut number = self.next_number();
        let mut client = self.workload.client(number, number);
        let mut answered = 0;
        while answered < answers {
            match self.ask(number, &mut client, &mut Session::none(), node).await {
                Told::Answer => answered += 1,
                Told::Refusal => {}
                Told::Nothing => {
                    number = self.next_number();
                    client = self.workload.client(number, number);
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts clients that wait up to `think_ms` milliseconds between operations.
    pub(super) fn start(
        self: &Rc<Self>,
        count: usize,
        think_ms: u64,
        rng: &mut fastrand::Rng,
    ) -> Vec<JoinHandle<()>> {
        let spawn = |_| tokio::task::spawn_local(self.clone().run(think_ms, rng.fork()));
        (0..count).map(spawn).collect()
    }

    /// No two clients of a run have the same number.
    fn next_number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }

    async fn run(self: Rc<Self>, think_ms: u64, mut rng: fastrand::Rng) {
        while !self.over.get() {
            let number = self.next_number();
            let mut client = self.workload.client(number, rng.u64(..));
            let mut session = if rng.bool() { Session::of(rng.fork()) } else { Session::none() };
            self.be(number, &mut client, &mut session, think_ms, &mut rng).await;
        }
    }

    /// Acts as one client until it does not know any more what became of its request: from then on it could
    /// do nothing that is known to come later, so another takes its place.
    async fn be(
        &self,
        number: u64,
        client: &mut W::Client,
        session: &mut Session,
        think_ms: u64,
        rng: &mut fastrand::Rng,
    ) {
        while !self.over.get() {
            sleep(Duration::from_millis(rng.u64(1..=think_ms))).await;
            if self.held.get() {
                continue;
            }
            let node = self.doors.any(rng);
            session.open_on(&self.sessions, node).await;
            if self.ask(number, client, session, node).await == Told::Nothing {
                return;
            }
        }
    }

    /// Asks the node of this number for what `client` wants.
    async fn ask(&self, number: u64, client: &mut W::Client, session: &mut Session, node: usize) -> Told {
        let (id, raft) = self.doors.at(node);
        // Who is in no cluster yet has nobody to ask.
        let Some(raft) = raft.filter(|raft| !raft.status().voters.is_empty()) else { return Told::Refusal };
        let action = client.next_action();
        let operation = self.history.borrow_mut().invoked(self.oracle.stamp(), number, id, action.clone());
        self.oracle.note("invoke", Some(node), [operation, number, 0]);
        let outcome = match action {
            Action::Apply(command) => {
                session.apply(&self.sessions, &raft, Tagged { operation, command }).await
            }
            // The leader may answer every other one by its lease.
            Action::Query(query) if operation.is_multiple_of(2) => {
                read(raft.send(Read(Asked(query)).lease())).await
            }
            Action::Query(query) => read(raft.send(Read(Asked(query)).timeout(DEADLINE))).await,
        };
        let (told, at) = match &outcome {
            Outcome::Applied { at, .. } => {
                self.oracle.acknowledged(node, *at);
                (Told::Answer, at.index.0)
            }
            Outcome::Answered { at, .. } => (Told::Answer, at.0),
            Outcome::Refused => (Told::Refusal, 0),
            Outcome::Unknown => (Told::Nothing, u64::MAX),
        };
        self.oracle.note("return", Some(node), [operation, at, 0]);
        self.acknowledged.set(self.acknowledged.get() + u64::from(told == Told::Answer));
        let mut history = self.history.borrow_mut();
        history.returned(self.oracle.stamp(), operation, outcome);
        if let Some(operation) = history.get(operation) {
            client.saw(operation);
        }
        told
    }
}

/// What a client knows when its request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It was done.
    Answer,
    /// It was not, and never will be.
    Refusal,
    /// Neither.
    Nothing,
}

/// What a node makes of a read.
type ReadResult<S> = Result<Result<Seen<Answer<S>>, ReadError>, MailboxError>;

async fn read<S: StateMachine>(asked: impl Future<Output = ReadResult<S>>) -> Outcome<S> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(Ok(seen))) => Outcome::Answered { at: seen.at, answer: seen.answer },
        // A read that was not answered has changed nothing.
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => Outcome::Refused,
    }
}
