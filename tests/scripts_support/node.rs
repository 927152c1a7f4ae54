//! One node: the actors that ship, on a paused runtime of their own, so that its clock goes only when the script says.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use actix::{Handler, Message};
use raftix::{
    Apply, ChangeError, Config, Placement, Raft, RaftSystem, Read, Status, TransferLeadership,
    system::FlushGate,
    types::{Incarnation, LogIndex, NodeId},
};
use tokio::{runtime::Runtime, task::LocalSet};

use super::{
    describe,
    disk::Disk,
    network::Network,
    register::{Get, Register, Set},
    trace::Trace,
};

/// What a node is started with.
pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) seed: u64,
    pub(crate) peers: Vec<String>,
    /// Whether it asks the peers to be let in, instead of forming a cluster with them.
    pub(crate) joins: bool,
    pub(crate) config: Config,
    pub(crate) disk: Disk,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
}

pub(crate) struct Node {
    runtime: Runtime,
    tasks: Pin<Box<LocalSet>>,
    woken: Arc<Woken>,
    raft: Raft<Register>,
    gate: FlushGate,
    trace: Trace,
    id: String,
    /// What the trace has told of its state.
    told: Status,
}

/// Whether something of the node wants to run.
#[derive(Debug)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Woken {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Node {
    pub(crate) fn start(parts: Parts) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let tasks = Box::pin(LocalSet::new());
        let gate = FlushGate::new();
        let builder = RaftSystem::builder(parts.id.as_str());
        let builder = match parts.joins {
            true => builder.advertise(parts.id.as_str()).join(parts.peers),
            false => builder.peers(parts.peers.iter().map(|peer| (peer.as_str(), peer.as_str()))),
        };
        let builder = builder
            .config(parts.config)
            .seed(parts.seed)
            .placement(Placement::Inline)
            .log_store(parts.disk)
            .incarnation(parts.incarnation)
            .flush_gate(gate.clone())
            .transport(parts.network.transport(&parts.id))
            .state_machine(Register::default());
        let raft = runtime.block_on(tasks.run_until(builder.start())).unwrap();
        let told = raft.status();
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { runtime, tasks, woken, raft, gate, trace: parts.trace, id: parts.id, told }
    }

    /// Runs until every actor waits. Whether any had something to do.
    pub(crate) fn run(&mut self) -> bool {
        let Self { runtime, tasks, woken, .. } = self;
        if !woken.0.load(Ordering::Acquire) {
            return false;
        }
        let waker = Waker::from(woken.clone());
        runtime.block_on(async {
            loop {
                while woken.take() {
                    poll_fn(|_| {
                        let _ = tasks.as_mut().poll(&mut Context::from_waker(&waker));
                        Poll::Ready(())
                    })
                    .await;
                }
                // Lets the runtime wake what has been put off.
                tokio::task::yield_now().await;
                if !woken.0.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        true
    }

    /// Lets a millisecond pass; what is due then runs with the next [`run`](Self::run).
    pub(crate) fn pass_millisecond(&self) {
        self.runtime.block_on(tokio::time::advance(Duration::from_millis(1)));
    }

    /// Tells what is new about its state.
    pub(crate) fn tell(&mut self) {
        let now = self.raft.status();
        if let Some(change) = describe::change(&self.told, &now) {
            self.trace.line(change);
        }
        self.told = now;
    }

    /// Its whole state.
    pub(crate) fn tell_all(&mut self) -> String {
        self.told = self.raft.status();
        describe::status(&self.told)
    }

    pub(crate) fn status(&self) -> Status {
        self.raft.status()
    }

    pub(crate) fn gate(&self) -> &FlushGate {
        &self.gate
    }

    /// A client of this node sends a write; its end is told when it comes.
    pub(crate) fn propose(&self, command: Set) {
        let words = format!("{}={}", command.name, command.value);
        let (trace, id) = (self.trace.clone(), self.id.clone());
        let reply = self.raft.send(Apply(command));
        self.tasks.spawn_local(async move {
            if let Ok(result) = reply.await {
                trace.line(format!("{id} client: {}", describe::applied(&words, result)));
            }
        });
        self.woken.wake_by_ref();
    }

    /// A client of this node changes the membership.
    pub(crate) fn change<M>(&self, words: String, change: M)
    where
        M: Message<Result = Result<LogIndex, ChangeError>> + Send + 'static,
        RaftSystem<Register>: Handler<M>,
    {
        let (trace, id) = (self.trace.clone(), self.id.clone());
        let reply = self.raft.send(change);
        self.tasks.spawn_local(async move {
            if let Ok(result) = reply.await {
                trace.line(format!("{id} client: {}", describe::changed(&words, result)));
            }
        });
        self.woken.wake_by_ref();
    }

    /// A client of this node reads.
    pub(crate) fn read(&self, name: &str) {
        let (trace, id, name) = (self.trace.clone(), self.id.clone(), name.to_owned());
        let reply = self.raft.send(Read(Get(name.clone())));
        self.tasks.spawn_local(async move {
            if let Ok(result) = reply.await {
                trace.line(format!("{id} client: {}", describe::answered(&name, result)));
            }
        });
        self.woken.wake_by_ref();
    }

    /// A client of this node asks for another leader.
    pub(crate) fn transfer(&self, to: Option<&str>) {
        let (trace, id) = (self.trace.clone(), self.id.clone());
        let reply = self.raft.send(TransferLeadership { to: to.map(NodeId::from) });
        self.tasks.spawn_local(async move {
            if let Ok(result) = reply.await {
                let end = result.map_or_else(|error| error.to_string(), |leader| format!("{leader} leads"));
                trace.line(format!("{id} client: transfer: {end}"));
            }
        });
        self.woken.wake_by_ref();
    }

    /// Ends it like a power cut: nothing of it runs any more. The network must have let go of it before.
    pub(crate) fn crash(self) {
        let Self { runtime, tasks, raft, .. } = self;
        let _context = runtime.enter();
        drop(raft);
        drop(tasks);
    }
}
