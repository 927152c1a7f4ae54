//! raft-rs in memory: a core without transport, log or threads, here in the loop that does least: all nodes on one
//! thread, messages handed over as they are, everything that waits proposed in one message.
//!
//! `one-thread` has the clients there too; `own-thread` has them on another.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use raft::{
    Config, RawNode, StateRole,
    eraftpb::{ConfState, Entry, Message, MessageType},
    storage::MemStorage,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Notify, oneshot},
};

use crate::{
    child::{self, Nodes},
    digest::{Machine, Position},
    job::{Job, NODES},
    load::{self, Client, Place},
    outcome::Outcome,
};

const TICK: Duration = Duration::from_millis(100);
/// How many entries may pile up in memory before the applied ones go.
const COMPACT_EVERY: u64 = 1 << 16;

type Waiting = (Bytes, oneshot::Sender<Position>);

/// What the clients and the nodes share.
#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<Waiting>>,
    wake: Notify,
    /// The leader's term, 0 while there is none.
    term: AtomicU64,
    machines: [Mutex<Machine>; NODES],
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Handle(Arc<Shared>);

impl Client for Handle {
    async fn write(&self, command: Bytes) -> Result<Position, String> {
        let (reply, position) = oneshot::channel();
        let first = {
            let mut waiting = locked(&self.0.waiting);
            waiting.push((command, reply));
            waiting.len() == 1
        };
        if first {
            self.0.wake.notify_one();
        }
        position.await.map_err(|_| "the proposal was dropped".to_owned())
    }

    async fn read(&self) -> Result<(), String> {
        Err("reads are not driven".to_owned())
    }
}

impl Nodes for Handle {
    async fn machine(&self, number: usize) -> Result<Machine, String> {
        Ok(*locked(&self.0.machines[number]))
    }

    fn term(&self) -> u64 {
        self.0.term.load(Ordering::Relaxed)
    }
}

pub(crate) fn run(job: &Job) -> Result<Outcome, String> {
    let began = Instant::now();
    let shared = Handle(Arc::default());
    let clients = runtime()?;
    if job.setting == "own-thread" {
        let (nodes, shared) = (runtime()?, shared.clone());
        thread::spawn(move || nodes.block_on(drive(shared.0)));
    } else {
        clients.spawn(drive(shared.0.clone()));
    }
    clients.block_on(async {
        while shared.term() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let run = async |job: Job| load::run(&job, &shared, Place::Runtime).await;
        Ok(child::measure(job, &shared, began, run).await)
    })
}

fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

/// One node and what it has to do beside the core.
struct Node {
    raw: RawNode<MemStorage>,
    /// The term of the entry applied last.
    last_term: u64,
    compacted: u64,
}

async fn drive(shared: Arc<Shared>) {
    let mut group = Group::new(shared.clone()).expect("the configuration is valid");
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            biased;
            () = shared.wake.notified() => {
                let waiting = std::mem::take(&mut *locked(&shared.waiting));
                group.propose(waiting);
            }
            _ = ticks.tick() => group.tick(),
        }
        group.settle();
    }
}

struct Group {
    nodes: Vec<Node>,
    shared: Arc<Shared>,
    /// Who waits for which index, ascending.
    replies: std::collections::VecDeque<(u64, oneshot::Sender<Position>)>,
}

impl Group {
    fn new(shared: Arc<Shared>) -> raft::Result<Self> {
        let voters: Vec<u64> = (1..=NODES as u64).collect();
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = |id: &u64| {
            let config = Config {
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 256,
                pre_vote: true,
                check_quorum: true,
                batch_append: true,
                ..Config::new(*id)
            };
            let storage = MemStorage::new_with_conf_state(ConfState::from((voters.clone(), Vec::new())));
            let raw = RawNode::new(&config, storage, &logger)?;
            Ok(Node { raw, last_term: 0, compacted: 0 })
        };
        let mut nodes: Vec<Node> = voters.iter().map(node).collect::<raft::Result<_>>()?;
        nodes[0].raw.campaign()?;
        Ok(Self { nodes, shared, replies: std::collections::VecDeque::new() })
    }

    fn tick(&mut self) {
        for node in &mut self.nodes {
            node.raw.tick();
        }
    }

    /// All that wait in one message; who is refused learns it by its sender being dropped.
    fn propose(&mut self, waiting: Vec<Waiting>) {
        let leader = &mut self.nodes[0].raw;
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.set_from(1);
        let mut replies = Vec::with_capacity(waiting.len());
        for (command, reply) in waiting {
            let mut entry = Entry::default();
            entry.set_data(command);
            message.mut_entries().push(entry);
            replies.push(reply);
        }
        let next = leader.raft.raft_log.last_index() + 1;
        if leader.raft.state == StateRole::Leader && leader.step(message).is_ok() {
            self.replies.extend((next..).zip(replies));
        }
    }

    /// Lets every node do what it has to until none has anything.
    fn settle(&mut self) {
        let mut messages = Vec::new();
        loop {
            for number in 0..NODES {
                while self.nodes[number].raw.has_ready() {
                    self.ready(number, &mut messages);
                }
            }
            if messages.is_empty() {
                break;
            }
            for message in messages.drain(..) {
                let to = message.get_to() as usize - 1;
                // A message that no longer fits the state is dropped, as the core asks for.
                let _ = self.nodes[to].raw.step(message);
            }
        }
        let raft = &self.nodes[0].raw.raft;
        let leads = raft.state == StateRole::Leader && raft.raft_log.applied > 0;
        self.shared.term.store(if leads { raft.term } else { 0 }, Ordering::Relaxed);
        self.compact();
    }

    fn ready(&mut self, number: usize, messages: &mut Vec<Message>) {
        let node = &mut self.nodes[number].raw;
        let mut ready = node.ready();
        messages.extend(ready.take_messages());
        let mut committed = ready.take_committed_entries();
        {
            let mut storage = node.raft.raft_log.store.wl();
            storage.append(ready.entries()).expect("the log continues");
            if let Some(state) = ready.hs() {
                storage.set_hardstate(state.clone());
            }
        }
        messages.extend(ready.take_persisted_messages());
        let mut light = node.advance_append(ready);
        if let Some(commit) = light.commit_index() {
            node.raft.raft_log.store.wl().mut_hard_state().set_commit(commit);
        }
        messages.extend(light.take_messages());
        committed.extend(light.take_committed_entries());
        node.advance_apply();
        self.apply(number, &committed);
    }

    fn apply(&mut self, number: usize, entries: &[Entry]) {
        let mut machine = locked(&self.shared.machines[number]);
        let last_term = &mut self.nodes[number].last_term;
        for entry in entries {
            let at = Position { index: entry.get_index(), term: entry.get_term() };
            // A leader begins with an empty entry, which is no command: the first of its term.
            if !entry.get_data().is_empty() || at.term == *last_term {
                machine.apply(at, entry.get_data());
            }
            *last_term = at.term;
            if number == 0 && self.replies.front().is_some_and(|(index, _)| *index == at.index) {
                // A client that is gone needs no answer.
                let _ = self.replies.pop_front().map(|(_, reply)| reply.send(at));
            }
        }
    }

    /// Lets go of what every node has.
    fn compact(&mut self) {
        let applied = self.nodes.iter().map(|node| node.raw.raft.raft_log.applied).min().unwrap_or(0);
        for node in &mut self.nodes {
            if applied > node.compacted + 2 * COMPACT_EVERY {
                node.compacted = applied - COMPACT_EVERY;
                node.raw.raft.raft_log.store.wl().compact(node.compacted).expect("it was applied");
            }
        }
    }
}
