//! A node whose parts fail: whoever waits is answered, and nothing of it stays behind.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use actix::Message;
use serde::{Deserialize, Serialize};
use tokio::{task::LocalSet, time::timeout};

use crate::{
    config::Config,
    error::{ApplyError, Fatal, RestoreError},
    messages::{Apply, PieceSettled, Restore, Rpc, Shutdown},
    state_machine::{Answer, Reply, StateMachine},
    storage::{LogStore, Recovered, StorageError, VoteStore, memory::MemoryStore},
    system::{Placement, Raft},
    transport::{Responder, ResponseSink, RpcError},
    types::{
        EntryBatch, ForwardApply, ForwardApplyResponse, ForwardedResult, LogBase, LogId, LogIndex, Response,
        Vote,
    },
};

#[derive(Clone, Debug, Message, Serialize)]
#[rtype(result = "u64")]
struct Add(u64);

/// A command whose decoding panics, as a careless `Deserialize` may.
const POISON: u64 = 666;

impl<'de> Deserialize<'de> for Add {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let amount = u64::deserialize(from)?;
        assert!(amount != POISON, "poison");
        Ok(Self(amount))
    }
}

#[derive(Default)]
struct Counter(u64);

impl StateMachine for Counter {
    type Command = Add;
    type Query = Add;

    fn apply(&mut self, _: LogId, Add(amount): Add) -> Reply<Self> {
        self.0 += amount;
        self.0
    }

    fn query(&self, _: Add) -> Answer<Self> {
        self.0
    }
}

/// A store in memory whose flushes take some time, and fail from some moment on.
#[derive(Default)]
struct Failing {
    store: MemoryStore,
    takes: Duration,
    fails: Arc<AtomicBool>,
}

impl VoteStore for Failing {
    fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.store.save_vote(vote)
    }
}

impl LogStore for Failing {
    fn recover(&mut self) -> Result<Recovered, StorageError> {
        self.store.recover()
    }

    fn append(&mut self, entries: &EntryBatch) -> Result<(), StorageError> {
        self.store.append(entries)
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.store.truncate(from)
    }

    fn purge(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.store.purge(base)
    }

    fn reset(&mut self, base: &LogBase) -> Result<(), StorageError> {
        self.store.reset(base)
    }

    #[expect(clippy::disallowed_methods, reason = "the injected delay of a flush")]
    fn flush(&mut self) -> Result<(), StorageError> {
        if self.fails.load(Ordering::Relaxed) {
            let source = io::Error::other("the disk is gone");
            return Err(StorageError::Io { operation: "sync", file: "log".to_owned(), source });
        }
        std::thread::sleep(self.takes);
        Ok(())
    }

    fn read(&mut self, first: LogIndex, last: LogIndex, max: usize) -> Result<Vec<EntryBatch>, StorageError> {
        self.store.read(first, last, max)
    }
}

async fn alone(placement: Placement) -> (Raft<Counter>, Arc<AtomicBool>) {
    with_flushes_that_take(Duration::ZERO, placement).await
}

async fn with_flushes_that_take(takes: Duration, placement: Placement) -> (Raft<Counter>, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let store = Failing { takes, fails: fails.clone(), ..Failing::default() };
    let builder = crate::RaftSystem::builder("n1").log_store(store).placement(placement);
    let builder = builder.config(Config::fast());
    let raft = builder.state_machine(Counter::default()).start().await.unwrap();
    assert_eq!(raft.leader_elected().await, Some("n1".into()));
    (raft, fails)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it ends")
}

#[tokio::test]
async fn a_failed_flush_stops_the_node_and_a_shutdown_of_it_ends() {
    for placement in [Placement::Inline, Placement::Dedicated] {
        let run = async {
            let (raft, fails) = alone(placement).await;
            assert_eq!(soon(raft.send(Apply(Add(2)))).await.unwrap().unwrap(), 2);
            fails.store(true, Ordering::Relaxed);
            let unknown = soon(raft.send(Apply(Add(3)))).await.unwrap().unwrap_err();
            assert!(matches!(unknown, ApplyError::OutcomeUnknown { .. }), "{unknown:?}");
            assert!(matches!(soon(raft.stopped()).await, Some(Fatal::Storage(_))));
            let refused = soon(raft.send(Apply(Add(4)))).await.unwrap().unwrap_err();
            assert!(matches!(refused, ApplyError::Failed { .. }), "{refused:?}");
            soon(raft.send(Shutdown)).await.unwrap();
            soon(raft.send(Shutdown)).await.unwrap();
        };
        LocalSet::new().run_until(run).await;
    }
}

#[tokio::test]
async fn a_shutdown_ends_although_the_store_fails_meanwhile() {
    let run = async {
        let (raft, fails) = alone(Placement::Inline).await;
        fails.store(true, Ordering::Relaxed);
        let pending = raft.send(Apply(Add(1)));
        let shutdown = raft.send(Shutdown);
        let (pending, shutdown) = soon(futures::future::join(pending, shutdown)).await;
        assert!(pending.unwrap().is_err());
        shutdown.unwrap();
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_command_that_panics_while_it_is_decoded_stops_the_node() {
    for placement in [Placement::Inline, Placement::Dedicated] {
        let run = async {
            let (raft, _) = alone(placement).await;
            let unknown = soon(raft.send(Apply(Add(POISON)))).await.unwrap().unwrap_err();
            assert!(matches!(unknown, ApplyError::OutcomeUnknown { .. }), "{unknown:?}");
            assert!(matches!(soon(raft.stopped()).await, Some(Fatal::Panicked { .. })));
            soon(raft.send(Shutdown)).await.unwrap();
        };
        LocalSet::new().run_until(run).await;
    }
}

#[tokio::test]
async fn a_store_that_was_closed_is_let_go() {
    for placement in [Placement::Inline, Placement::Dedicated] {
        let run = async {
            let (raft, fails) = alone(placement).await;
            soon(raft.send(Shutdown)).await.unwrap();
            assert_eq!(Arc::strong_count(&fails), 1, "nobody holds the store any more");
            drop(raft);
        };
        LocalSet::new().run_until(run).await;
    }
}

#[tokio::test]
async fn the_first_of_a_great_burst_are_in_the_log_before_the_last_are_taken_in() {
    let run = async {
        let (raft, _) = alone(Placement::Inline).await;
        let (before, batches) = (raft.status().last_index, raft.statistics().batches_appended);
        let burst = (0..600).map(|_| raft.send(Apply(Add(1)))).collect::<Vec<_>>();
        // Looks whenever anybody else of this thread may run.
        let watched = raft.clone();
        let watcher = tokio::task::spawn_local(async move {
            let mut lengths = Vec::new();
            while lengths.last() != Some(&600) {
                lengths.push(watched.status().last_index.since(before));
                let mut turn = false;
                std::future::poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut turn, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            lengths.dedup();
            lengths
        });
        assert_eq!(soon(watcher).await.unwrap(), [0, 128, 256, 384, 512, 600]);
        assert_eq!(raft.statistics().batches_appended - batches, 5);
        for (number, sent) in burst.into_iter().enumerate() {
            assert_eq!(soon(sent).await.unwrap().unwrap(), number as u64 + 1);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_burst_shares_one_flush_where_that_takes_long() {
    let run = async {
        let (raft, _) = with_flushes_that_take(Duration::from_millis(4), Placement::Dedicated).await;
        // The first shows how long a flush takes, and the second is cut with that known.
        for total in 1..=2 {
            assert_eq!(soon(raft.send(Apply(Add(1)))).await.unwrap().unwrap(), total);
        }
        let batches = raft.statistics().batches_appended;
        let burst = (0..600).map(|_| raft.send(Apply(Add(1)))).collect::<Vec<_>>();
        for (number, sent) in burst.into_iter().enumerate() {
            assert_eq!(soon(sent).await.unwrap().unwrap(), number as u64 + 3);
        }
        assert_eq!(raft.statistics().batches_appended - batches, 1);
    };
    LocalSet::new().run_until(run).await;
}

/// Collects the one answer to a request of another node.
#[derive(Default)]
struct Answered(Mutex<Option<Result<Response, RpcError>>>);

impl ResponseSink for Answered {
    fn respond(&self, _: u64, result: Result<Response, RpcError>) {
        *self.0.lock().unwrap() = Some(result);
    }
}

#[tokio::test]
async fn a_forwarded_command_that_does_not_decode_is_never_logged() {
    let run = async {
        let (raft, _) = alone(Placement::Inline).await;
        let (answered, last) = (Arc::new(Answered::default()), raft.status().last_index);
        let good = rmp_serde::to_vec(&Add(5)).unwrap().into();
        let poison = rmp_serde::to_vec(&Add(POISON)).unwrap().into();
        let request = ForwardApply { commands: vec![vec![0xc1].into(), poison, good], timeout_ms: 10_000 };
        let responder = Responder::new(answered.clone(), 0);
        raft.addr().do_send(Rpc { from: "n2".into(), request, responder });
        assert_eq!(soon(raft.send(Apply(Add(1)))).await.unwrap().unwrap(), 6);
        let answer = answered.0.lock().unwrap().take();
        let Some(Ok(Response::ForwardApply(ForwardApplyResponse { results }))) = answer else {
            panic!("{answer:?}")
        };
        assert!(
            matches!(
                results[..],
                [
                    ForwardedResult::OutcomeUnknown,
                    ForwardedResult::OutcomeUnknown,
                    ForwardedResult::Applied { .. }
                ]
            ),
            "{results:?}"
        );
        assert_eq!(raft.status().last_index, last.plus(2));
    };
    LocalSet::new().run_until(run).await;
}

/// A snapshot of which nothing comes until its other end is let go.
struct Withheld(std::sync::mpsc::Receiver<()>);

impl io::Read for Withheld {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.recv().map_or(0, |()| 0))
    }
}

#[tokio::test]
async fn a_restore_that_ends_with_a_piece_says_why() {
    let run = async {
        let builder = crate::RaftSystem::builder("n1").in_memory().placement(Placement::Dedicated);
        let builder = builder.config(Config::fast()).state_machine(Counter::default());
        let raft = builder.start().await.unwrap();
        raft.leader_elected().await;
        let (end, withheld) = std::sync::mpsc::channel();
        let restoring = raft.send(Restore::new(Withheld(withheld), Duration::from_secs(20)));
        // One of them is its number.
        for restore in 0..100 {
            let result = Err(RestoreError::Overloaded);
            soon(raft.send(PieceSettled { restore, last: false, result })).await.unwrap();
        }
        let refused = soon(restoring).await.unwrap().unwrap_err();
        assert!(matches!(refused, RestoreError::Overloaded), "{refused}");
        drop(end);
        soon(raft.send(Shutdown)).await.unwrap();
    };
    LocalSet::new().run_until(run).await;
}
