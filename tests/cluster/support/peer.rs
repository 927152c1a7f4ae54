//! Members that do what the test says, beside one real node.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::channel::oneshot;
use raftix::{
    protocol::peers_hash,
    transport::{
        Identity, Inbound, Link, Responder, ResponseSink, RpcError, Transport, memory::MemoryTransport,
    },
    types::{
        AppendEntries, AppendEntriesResponse, AppendOutcome, ClusterId, Entries, EntryBuffer, EntryKind,
        GreetResponse, GroupId, Heartbeat, HeartbeatResponse, Incarnation, LogId, LogIndex, NodeId, Request,
        RequestVote, RequestVoteResponse, Response, Term,
    },
};

use super::{Put, World, ms};

/// What a puppet answers by itself; `None` keeps the request for the test.
type Answers = Box<dyn FnMut(&Request) -> Option<Response> + Send>;

/// A member without a mind of its own. It greets back, so that a cluster is formed with it.
pub(crate) struct Puppet {
    transport: MemoryTransport,
    /// The address of the real node.
    to: (NodeId, String),
    desk: Arc<Desk>,
}

struct Desk {
    identity: Identity,
    peers_hash: u64,
    answers: Mutex<Answers>,
    kept: Mutex<VecDeque<(Request, Responder)>>,
}

/// The real node `n1` among the puppets `n2` and `n3`.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) n2: Puppet,
    pub(crate) n3: Puppet,
}

impl Stage {
    /// A cluster has been formed; nobody has been elected.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(set: impl FnOnce(&mut World)) -> Self {
        let mut world = World::new(3, 1);
        set(&mut world);
        let n2 = Puppet::new(&world, "n2", 0);
        let n3 = Puppet::new(&world, "n3", 0);
        world.start(0).await;
        world.wait_for("membership", |world| world.status(0).standing == "member").await;
        Self { world, n2, n3 }
    }

    /// The puppets vote for `n1` and acknowledge whatever it sends until it leads and has committed.
    pub(crate) async fn crown(&self) -> Term {
        self.n2.answer_by(agree(&self.n2));
        self.n3.answer_by(agree(&self.n3));
        self.world
            .wait_for("n1 to lead", |world| world.leads(0) && world.status(0).commit_index >= LogIndex(2))
            .await;
        self.world.status(0).term
    }
}

impl Puppet {
    /// A member called `id` that has lived `lives` times before.
    pub(crate) fn new(world: &World, id: &str, lives: u128) -> Self {
        let mut transport = world.network.transport(format!("{id}:0"));
        let peers: Vec<(NodeId, String)> =
            world.peers().into_iter().map(|(id, address)| (NodeId::from(id), address)).collect();
        let identity = Identity {
            id: id.into(),
            cluster: ClusterId::NONE,
            group: GroupId::ZERO,
            incarnation: Incarnation(1000 + lives),
        };
        let desk = Arc::new(Desk {
            identity,
            peers_hash: peers_hash(&peers),
            answers: Mutex::new(Box::new(|_| None)),
            kept: Mutex::default(),
        });
        transport.start(desk.clone()).unwrap();
        Self { transport, to: (world.id(0).into(), world.address(0).to_owned()), desk }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.desk.identity.id.clone()
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.desk.identity.incarnation
    }

    /// From now on answers by `answers`.
    pub(crate) fn answer_by(&self, answers: impl FnMut(&Request) -> Option<Response> + Send + 'static) {
        *self.desk.answers.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(answers);
    }

    /// Takes out what was kept.
    pub(crate) fn kept(&self) -> Vec<(Request, Responder)> {
        self.desk.kept().drain(..).collect()
    }

    /// Takes out the first of what was kept.
    pub(crate) fn kept_first(&self) -> Option<(Request, Responder)> {
        self.desk.kept().pop_front()
    }

    /// Sends a request to the real node and waits for the answer.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response, RpcError> {
        let (sender, answer) = oneshot::channel();
        let link: Box<dyn Link> = self.transport.link(&self.to.0, &self.to.1, request.lane());
        link.send(request, Responder::new(Arc::new(One(Mutex::new(Some(sender)))), 0));
        answer.await.expect("every request is answered")
    }

    /// Asks to append as the leader of `term`.
    pub(crate) async fn append(
        &self,
        term: u64,
        prev: (u64, u64),
        entries: Entries,
        commit: u64,
    ) -> AppendEntriesResponse {
        let request = AppendEntries {
            term: Term(term),
            leader: self.id(),
            prev: LogId::new(Term(prev.1), LogIndex(prev.0)),
            commit: LogIndex(commit),
            entries,
        };
        match self.ask(Request::AppendEntries(request)).await {
            Ok(Response::AppendEntries(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn heartbeat(&self, term: u64) -> HeartbeatResponse {
        let request = Heartbeat { term: Term(term), leader: self.id(), round: 7 };
        match self.ask(Request::Heartbeat(request)).await {
            Ok(Response::Heartbeat(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// What this puppet would ask as a candidate whose log ends at index and term `last`.
    pub(crate) fn candidacy(&self, term: u64, last: (u64, u64)) -> RequestVote {
        RequestVote {
            term: Term(term),
            candidate: self.id(),
            incarnation: self.incarnation(),
            last: LogId::new(Term(last.1), LogIndex(last.0)),
            leadership_transfer: false,
            unanimous: false,
        }
    }

    pub(crate) async fn request_vote(&self, request: RequestVote) -> RequestVoteResponse {
        match self.ask(Request::RequestVote(request)).await {
            Ok(Response::RequestVote(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn pre_vote(&self, request: RequestVote) -> RequestVoteResponse {
        match self.ask(Request::PreVote(request)).await {
            Ok(Response::PreVote(response)) => response,
            other => panic!("{other:?}"),
        }
    }
}

impl fmt::Debug for Puppet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Puppet({})", self.id())
    }
}

impl Desk {
    fn kept(&self) -> MutexGuard<'_, VecDeque<(Request, Responder)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbound for Desk {
    fn deliver(&self, _: &Identity, request: Request, responder: Responder) {
        if let Request::Greet(_) = &request {
            return responder.respond(Ok(Response::Greet(GreetResponse {
                from: self.identity.id.clone(),
                incarnation: self.identity.incarnation,
                peers_hash: self.peers_hash,
                state: None,
            })));
        }
        let answer = (self.answers.lock().unwrap_or_else(PoisonError::into_inner))(&request);
        match answer {
            Some(response) => responder.respond(Ok(response)),
            None => self.kept().push_back((request, responder)),
        }
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }
}

struct One(Mutex<Option<oneshot::Sender<Result<Response, RpcError>>>>);

impl ResponseSink for One {
    fn respond(&self, _: u64, result: Result<Response, RpcError>) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The test may have gone on.
            let _ = sender.send(result);
        }
    }
}

/// Agrees with everything, as `puppet`.
pub(crate) fn agree(puppet: &Puppet) -> impl FnMut(&Request) -> Option<Response> + Send + 'static {
    let incarnation = puppet.incarnation();
    move |request| match request {
        Request::AppendEntries(request) => {
            let matched = request.entries.last().unwrap_or(request.prev.index);
            let outcome = AppendOutcome::Matched { matched };
            Some(Response::AppendEntries(AppendEntriesResponse { term: request.term, incarnation, outcome }))
        }
        Request::Heartbeat(request) => Some(Response::Heartbeat(HeartbeatResponse {
            term: request.term,
            incarnation,
            round: request.round,
            follows: true,
            sticks_ms: 0,
        })),
        Request::PreVote(request) => {
            Some(Response::PreVote(RequestVoteResponse { term: request.term, incarnation, granted: true }))
        }
        Request::RequestVote(request) => Some(Response::RequestVote(RequestVoteResponse {
            term: request.term,
            incarnation,
            granted: true,
        })),
        _ => None,
    }
}

/// Commands from index `first` on, all of `term`.
pub(crate) fn entries(first: u64, term: u64, commands: &[&str]) -> Entries {
    let mut buffer = EntryBuffer::default();
    for command in commands {
        buffer.push(EntryKind::Command, &rmp_serde::to_vec(&Put::from(*command)).unwrap());
    }
    let mut entries = Entries::none();
    if !commands.is_empty() {
        entries.push(buffer.seal(LogIndex(first), Term(term)));
    }
    entries
}

/// Two runs of entries, one behind the other.
pub(crate) fn joined(first: Entries, second: &Entries) -> Entries {
    let mut joined = first;
    second.batches().iter().for_each(|batch| joined.push(batch.clone()));
    joined
}

/// Long enough for `n1` to stand, whatever it drew.
pub(crate) async fn let_time_run_out(world: &World) {
    tokio::time::sleep(world.config.election_timeout * 2 + ms(50)).await;
}
