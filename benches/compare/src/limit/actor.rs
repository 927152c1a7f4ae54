//! The limit in memory: actors on one thread in the shape of the write path, with the clients of the
//! comparison and its digest, and with no term, no vote, no encoding and no check.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use actix::{
    dev::{MessageResponse, OneshotSender},
    prelude::*,
};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    child::{self, Nodes},
    digest::{Machine, Position},
    job::{Job, NODES},
    load::{self, Client, Measured, Place},
    outcome::Outcome,
};

type Reply = OneshotSender<u64>;

/// Consecutive commands, shared by the three logs.
#[derive(Clone)]
struct Batch {
    first: u64,
    commands: Arc<[Bytes]>,
}

impl Batch {
    fn last(&self) -> u64 {
        self.first + self.commands.len() as u64 - 1
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Propose(Bytes);

#[derive(Message)]
#[rtype(result = "()")]
struct Cut;

#[derive(Message)]
#[rtype(result = "()")]
struct Append(Batch);

#[derive(Message)]
#[rtype(result = "()")]
struct Match {
    node: usize,
    index: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Committed(u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Mutate(Batch, Vec<Reply>);

/// Parks the sender of a reply beside its command: no future for a request.
struct Parked(Rc<RefCell<Vec<Reply>>>);

impl<A: Actor> MessageResponse<A, Propose> for Parked {
    fn handle(self, _: &mut A::Context, reply: Option<Reply>) {
        self.0.borrow_mut().extend(reply);
    }
}

struct Leader {
    collecting: Vec<Bytes>,
    replies: Rc<RefCell<Vec<Reply>>>,
    next: u64,
    appended: VecDeque<(Batch, Vec<Reply>)>,
    followers: Vec<Addr<Follower>>,
    commitment: Addr<Commitment>,
    applier: Addr<Applier>,
}

impl Actor for Leader {
    type Context = Context<Self>;
}

impl Handler<Propose> for Leader {
    type Result = Parked;

    fn handle(&mut self, Propose(command): Propose, ctx: &mut Context<Self>) -> Parked {
        if self.collecting.is_empty() {
            ctx.notify(Cut);
        }
        self.collecting.push(command);
        Parked(self.replies.clone())
    }
}

impl Handler<Cut> for Leader {
    type Result = ();

    fn handle(&mut self, _: Cut, _: &mut Context<Self>) {
        let batch = Batch { first: self.next, commands: self.collecting.drain(..).collect() };
        self.next = batch.last() + 1;
        for follower in &self.followers {
            follower.do_send(Append(batch.clone()));
        }
        self.commitment.do_send(Match { node: 0, index: batch.last() });
        self.appended.push_back((batch, self.replies.take()));
    }
}

impl Handler<Committed> for Leader {
    type Result = ();

    fn handle(&mut self, Committed(index): Committed, _: &mut Context<Self>) {
        while self.appended.front().is_some_and(|(batch, _)| batch.last() <= index) {
            if let Some((batch, replies)) = self.appended.pop_front() {
                self.applier.do_send(Mutate(batch, replies));
            }
        }
    }
}

struct Commitment {
    matched: [u64; NODES],
    committed: u64,
    leader: Option<Recipient<Committed>>,
}

impl Actor for Commitment {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Match> for Commitment {
    type Result = ();

    fn handle(&mut self, Match { node, index }: Match, _: &mut Context<Self>) {
        self.matched[node] = index;
        let mut sorted = self.matched;
        sorted.sort_unstable();
        let quorum = sorted[NODES / 2];
        if quorum > self.committed
            && let Some(leader) = &self.leader
        {
            self.committed = quorum;
            leader.do_send(Committed(quorum));
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct LedBy(Recipient<Committed>);

impl Handler<LedBy> for Commitment {
    type Result = ();

    fn handle(&mut self, LedBy(leader): LedBy, _: &mut Context<Self>) {
        self.leader = Some(leader);
    }
}

struct Follower {
    node: usize,
    log: VecDeque<Batch>,
    commitment: Addr<Commitment>,
    applier: Addr<Applier>,
}

impl Actor for Follower {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Append> for Follower {
    type Result = ();

    fn handle(&mut self, Append(batch): Append, _: &mut Context<Self>) {
        self.commitment.do_send(Match { node: self.node, index: batch.last() });
        self.log.push_back(batch.clone());
        self.applier.do_send(Mutate(batch, Vec::new()));
    }
}

struct Applier(Arc<Mutex<Machine>>);

impl Actor for Applier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Mutate> for Applier {
    type Result = ();

    fn handle(&mut self, Mutate(batch, replies): Mutate, _: &mut Context<Self>) {
        let mut machine = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, command) in (batch.first..).zip(batch.commands.iter()) {
            machine.apply(Position { index, term: 1 }, command);
        }
        for (index, reply) in (batch.first..).zip(replies) {
            // A client that is gone needs no answer.
            let _ = reply.send(index);
        }
    }
}

impl Client for Addr<Leader> {
    async fn write(&self, command: Bytes) -> Result<Position, String> {
        let index = self.send(Propose(command)).await.map_err(|error| error.to_string())?;
        Ok(Position { index, term: 1 })
    }

    async fn read(&self) -> Result<(), String> {
        Err("the limit has no reads".to_owned())
    }
}

struct Pipe(Vec<Arc<Mutex<Machine>>>);

impl Nodes for Pipe {
    async fn machine(&self, number: usize) -> Result<Machine, String> {
        Ok(*self.0[number].lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn term(&self) -> u64 {
        1
    }
}

pub(super) fn run(job: &Job) -> Result<Outcome, String> {
    System::new().block_on(async {
        let pipe = Pipe((0..NODES).map(|_| Arc::default()).collect());
        let leader = start(&pipe);
        let run = async |job: Job| {
            if job.own_thread {
                apart(job, leader.clone()).await
            } else {
                load::run(&job, &leader, Place::Here).await
            }
        };
        Ok(child::measure(job, &pipe, Instant::now(), run).await)
    })
}

fn start(pipe: &Pipe) -> Addr<Leader> {
    let applier = |node: usize| Applier(pipe.0[node].clone()).start();
    let commitment = Commitment { matched: [0; NODES], committed: 0, leader: None }.start();
    let followers = (1..NODES).map(|node| {
        Follower { node, log: VecDeque::new(), commitment: commitment.clone(), applier: applier(node) }
            .start()
    });
    let followers = followers.collect();
    let applier = applier(0);
    Leader::create(|ctx| {
        ctx.set_mailbox_capacity(0);
        commitment.do_send(LedBy(ctx.address().recipient()));
        Leader {
            collecting: Vec::new(),
            replies: Rc::default(),
            next: 1,
            appended: VecDeque::new(),
            followers,
            commitment,
            applier,
        }
    })
}

async fn apart(job: Job, leader: Addr<Leader>) -> Measured {
    let (report, measured) = oneshot::channel();
    let thread = thread::spawn(move || {
        System::new().block_on(async move {
            // Nobody waits any more only if this process is about to end.
            let _ = report.send(load::run(&job, &leader, Place::Here).await);
        });
    });
    let measured = measured.await.expect("the clients' thread reports");
    thread.join().expect("the clients' thread ends");
    measured
}
