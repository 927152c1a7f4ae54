//! The clients: each has one request under way, to one node, and goes to the next node when that one fails it. They
//! write keys of their own and a few that they share, and read both.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use fastrand::Rng;
use raftix::{
    sim::history::{Action, Outcome},
    types::{LogId, LogIndex, Term},
};
use serde::Deserialize;

use crate::{
    connection::{Answer, Connection},
    recording::Recording,
    register::{Get, Registers, Set},
    support::{Node, eventually_within},
};

const CLIENTS: u64 = 64;
/// What a client does between an answer and its next request takes this long. All of them together ask some thousand
/// times a second, which leaves the machine time for the nodes and the checkers a history they are quick with.
const PAUSE: Duration = Duration::from_millis(20);
/// Few enough that several clients write a key at once, many enough that the search for an order stays short.
const SHARED_KEYS: u64 = 16;
const OWN_KEYS: u64 = 2;
/// How long a write is waited for that an operator's action may hold up.
const RESUME_TIMEOUT: Duration = Duration::from_secs(60);

/// A node as clients know it: its name and where it listens for them.
type Target = (String, String);

/// 64 clients that run.
#[derive(Debug)]
pub(crate) struct Load {
    recording: Arc<Recording>,
    targets: Arc<Mutex<Vec<Target>>>,
    clients: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Load {
    /// They begin to ask these nodes. `label` sets what they write apart from what others did.
    pub(crate) fn start(label: &'static str, nodes: &[Node]) -> Self {
        let recording = Arc::new(Recording::new());
        let targets = Arc::new(Mutex::new(targets(nodes)));
        let start = |number: u64| {
            let (stop, stopped) = channel();
            let client = Client {
                number,
                label,
                recording: recording.clone(),
                targets: targets.clone(),
                turn: number as usize,
                connection: None,
                random: Rng::with_seed(number),
                writes: 0,
            };
            (stop, thread::spawn(move || client.run(&stopped)))
        };
        let clients = (0..CLIENTS).map(start).collect();
        Self { recording, targets, clients }
    }

    /// From now on these are the nodes.
    pub(crate) fn set_nodes(&self, nodes: &[Node]) {
        *self.targets.lock().expect("no client panicked") = targets(nodes);
    }

    /// What they have asked and been told so far.
    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Waits until as many writes are acknowledged as there are clients, all of them acknowledged after this call.
    pub(crate) fn wait_for_writes(&self) {
        let enough = self.recording.acknowledged() + CLIENTS as usize;
        eventually_within(RESUME_TIMEOUT, "writes go on", || {
            (self.recording.acknowledged() >= enough).then_some(())
        });
    }

    /// Does `action`, and says in how long a time around it no write was acknowledged.
    pub(crate) fn gap_around<T>(&self, action: impl FnOnce() -> T) -> (T, Duration) {
        let from = self.recording.elapsed();
        let done = action();
        self.wait_for_writes();
        (done, self.recording.longest_gap(from, self.recording.elapsed()))
    }

    /// Each ends with the answer that it waits for. All that they asked and were told.
    pub(crate) fn stop(self) -> Recording {
        let (stops, clients): (Vec<_>, Vec<_>) = self.clients.into_iter().unzip();
        drop(stops);
        for client in clients {
            client.join().expect("a client does not panic");
        }
        Arc::into_inner(self.recording).expect("the clients have ended")
    }
}

/// Reads every one of `keys` through every node, each until it is answered.
pub(crate) fn read_everything(recording: &Recording, nodes: &[Node], keys: &BTreeSet<String>) {
    thread::scope(|scope| {
        for (number, target) in (CLIENTS..).zip(targets(nodes)) {
            scope.spawn(move || {
                let mut connection = None;
                for key in keys {
                    eventually_within(RESUME_TIMEOUT, &format!("{} answers a read", target.0), || {
                        let action = Action::Query(Get { key: key.clone() });
                        let outcome = ask(recording, number, &target, &mut connection, action)?;
                        matches!(outcome, Told::Done).then_some(())
                    });
                }
            });
        }
    });
}

fn targets(nodes: &[Node]) -> Vec<Target> {
    nodes.iter().map(|node| (node.id.clone(), node.http.clone())).collect()
}

struct Client {
    number: u64,
    label: &'static str,
    recording: Arc<Recording>,
    targets: Arc<Mutex<Vec<Target>>>,
    /// Which of the nodes it asks.
    turn: usize,
    connection: Option<(Target, Connection)>,
    random: Rng,
    writes: u64,
}

impl Client {
    fn run(mut self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let target = self.target();
            let mut connection = self.connection.take().filter(|(to, _)| *to == target).map(|(_, open)| open);
            let action = self.draw();
            match ask(&self.recording, self.number, &target, &mut connection, action) {
                Some(Told::Done) => self.connection = connection.map(|open| (target, open)),
                Some(Told::Failed) | None => self.turn += 1,
            }
        }
    }

    fn target(&self) -> Target {
        let targets = self.targets.lock().expect("nobody panicked");
        targets[self.turn % targets.len()].clone()
    }

    fn draw(&mut self) -> Action<Registers> {
        let key = match self.random.u8(..4) {
            0 => format!("shared-{}", self.random.u64(..SHARED_KEYS)),
            _ => format!("own-{}-{}", self.number, self.random.u64(..OWN_KEYS)),
        };
        if self.random.u8(..4) == 0 {
            return Action::Query(Get { key });
        }
        self.writes += 1;
        Action::Apply(Set { key, value: format!("{}{}.{}", self.label, self.number, self.writes) })
    }
}

/// Whether a client goes on with the node it asked.
enum Told {
    Done,
    Failed,
}

/// Asks once and records it; `None` if there is no connection, and nothing was asked.
fn ask(
    recording: &Recording,
    client: u64,
    (node, address): &Target,
    connection: &mut Option<Connection>,
    action: Action<Registers>,
) -> Option<Told> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address).ok()?,
    };
    let operation = recording.invoked(client, node, action.clone());
    let answer = match &action {
        Action::Apply(Set { key, value }) => open.exchange("PUT", &format!("/kv/{key}"), value.as_bytes()),
        Action::Query(Get { key }) => open.exchange("GET", &format!("/kv/{key}"), b""),
    };
    let Ok(answer) = answer else {
        recording.returned(operation, Outcome::Unknown);
        return Some(Told::Failed);
    };
    let outcome = outcome(&action, &answer);
    let is_done = matches!(outcome, Outcome::Applied { .. } | Outcome::Answered { .. });
    recording.returned(operation, outcome);
    *connection = Some(open).filter(|_| !answer.is_last);
    Some(if is_done { Told::Done } else { Told::Failed })
}

/// What an answer means, by the table in the example's `http/error.rs`.
///
/// # Panics
/// If no client should ever be answered so.
fn outcome(action: &Action<Registers>, answer: &Answer) -> Outcome<Registers> {
    #[derive(Deserialize)]
    struct At {
        index: u64,
        term: u64,
    }
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    match (action, answer.status) {
        (Action::Apply(_), 200) => {
            let At { index, term } = serde_json::from_slice(&answer.body).expect("where it stands");
            Outcome::Applied { at: LogId::new(Term(term), LogIndex(index)), reply: () }
        }
        // A read does not say what it was answered as of; nothing here asks for that.
        (Action::Query(_), 200) => Outcome::Answered { at: LogIndex::ZERO, answer: Some(text()) },
        (Action::Query(_), 404) => Outcome::Answered { at: LogIndex::ZERO, answer: None },
        // Not applied, now or ever: a value that is read although its write was refused is found by the checkers.
        (_, 503) => Outcome::Refused,
        (Action::Apply(_), 504) => Outcome::Unknown,
        (_, status) => panic!("{status} for {action:?}: {}", text()),
    }
}
