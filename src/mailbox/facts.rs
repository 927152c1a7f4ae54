//! What actix does that shaped this room, and that it does it alike where the build inspects and where it does not.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::{
    Actor, ActorContext, AsyncContext, Handler, Message,
    prelude::{MailboxError, SendError},
};
use tokio::task::LocalSet;

use super::{
    Context, Inspector, Latch, Park, Parked, Port, ReplySender, Signal, Spawned, port_of, spawn, when_drained,
};

type Journal = Rc<RefCell<Vec<u32>>>;
type Replies = Rc<RefCell<Vec<ReplySender<u32>>>>;

impl Park<u32> for RefCell<Vec<ReplySender<u32>>> {
    fn park(&self, sender: ReplySender<u32>) {
        self.borrow_mut().push(sender);
    }
}

/// Writes down what it handles.
#[derive(Default)]
struct Recorder {
    journal: Journal,
    replies: Replies,
    latch: Latch,
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Record(u32);

impl Handler<Record> for Recorder {
    type Result = u32;

    fn handle(&mut self, Record(number): Record, _: &mut Self::Context) -> u32 {
        self.journal.borrow_mut().push(number);
        number
    }
}

/// Arms a flush, then posts `count` messages to the recorder itself.
#[derive(Message)]
#[rtype(result = "()")]
struct Burst {
    count: u32,
}

const FLUSH: u32 = 1_000;

impl Handler<Burst> for Recorder {
    type Result = ();

    fn handle(&mut self, burst: Burst, ctx: &mut Self::Context) {
        ctx.notify(Record(FLUSH));
        (0..burst.count).for_each(|number| port_of(ctx).send_now(Record(number)));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct NotifyInOrder(u32);

impl Handler<NotifyInOrder> for Recorder {
    type Result = ();

    fn handle(&mut self, message: NotifyInOrder, ctx: &mut Self::Context) {
        (0..message.0).for_each(|number| ctx.notify(Record(number)));
    }
}

#[derive(Message)]
#[rtype(result = "u32")]
struct AnswerLater(u32);

impl Handler<AnswerLater> for Recorder {
    type Result = Parked<u32>;

    fn handle(&mut self, message: AnswerLater, _: &mut Self::Context) -> Parked<u32> {
        self.journal.borrow_mut().push(message.0);
        Parked::Later(self.replies.clone())
    }
}

#[derive(Message, Default)]
#[rtype(result = "()")]
struct Wake;

impl Handler<Wake> for Recorder {
    type Result = ();

    fn handle(&mut self, _: Wake, _: &mut Self::Context) {
        self.latch.lower();
        self.journal.borrow_mut().push(0);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum End {
    Stop,
    Panic,
}

impl Handler<End> for Recorder {
    type Result = ();

    fn handle(&mut self, end: End, ctx: &mut Self::Context) {
        match end {
            End::Stop => ctx.stop(),
            End::Panic => panic!("a broken invariant"),
        }
    }
}

struct Setup {
    port: Port<Recorder>,
    task: tokio::task::JoinHandle<()>,
    journal: Journal,
    replies: Replies,
    latch: Latch,
}

fn recorder() -> Setup {
    let actor = Recorder::default();
    let (journal, replies, latch) = (actor.journal.clone(), actor.replies.clone(), actor.latch.clone());
    let Spawned { port, task } = spawn(&Inspector::new("n1"), "recorder", |_| actor);
    Setup { port, task, journal, replies, latch }
}

/// On a bare `LocalSet` under paused time, as in the simulator: no actix system anywhere.
async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_takes_more_than_any_capacity() {
    struct Small(Rc<RefCell<u32>>);
    impl Actor for Small {
        type Context = actix::Context<Self>;
    }
    impl Handler<Wake> for Small {
        type Result = ();
        fn handle(&mut self, _: Wake, _: &mut Self::Context) {
            *self.0.borrow_mut() += 1;
        }
    }
    local(async {
        let count = Rc::new(RefCell::new(0));
        let addr = Small::create(|ctx| {
            ctx.set_mailbox_capacity(2);
            Small(count.clone())
        });
        (0..1_000).for_each(|_| addr.do_send(Wake));
        let refused =
            (0..1_000).filter(|_| matches!(addr.clone().try_send(Wake), Err(SendError::Full(_)))).count();
        addr.send(Wake).await.expect("alive");
        assert_eq!((*count.borrow(), refused), (2_001, 0), "each clone has a slot of its own");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_after_the_mailbox_runs_once_behind_the_whole_burst() {
    local(async {
        let recorder = recorder();
        recorder.port.send_now(Burst { count: 300 });
        recorder.port.request(Record(300)).await.expect("alive");
        tokio::task::yield_now().await;
        let mut expected: Vec<_> = (0..300).collect();
        // Queued before the burst's own messages, which are sent when the burst is handled.
        expected.insert(0, 300);
        expected.push(FLUSH);
        assert_eq!(*recorder.journal.borrow(), expected);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_burst_leaves_to_be_done_is_done_once_behind_it() {
    #[derive(Default)]
    struct Collector {
        collected: u32,
        journal: Journal,
    }
    impl Actor for Collector {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            when_drained(ctx, |collector| {
                if collector.collected > 0 {
                    collector.journal.borrow_mut().push(std::mem::take(&mut collector.collected));
                }
            });
        }
    }
    impl Handler<Wake> for Collector {
        type Result = ();
        fn handle(&mut self, _: Wake, _: &mut Self::Context) {
            self.collected += 1;
        }
    }
    local(async {
        let collector = Collector::default();
        let journal = collector.journal.clone();
        let port = spawn(&Inspector::new("n1"), "collector", |_| collector).port;
        for burst in [300, 1, 7] {
            (0..burst).for_each(|_| port.send_now(Wake));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*journal.borrow(), [300, 1, 7]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_to_oneself_by_notify_run_in_no_useful_order() {
    local(async {
        let recorder = recorder();
        recorder.port.request(NotifyInOrder(5)).await.expect("alive");
        tokio::task::yield_now().await;
        assert_eq!(*recorder.journal.borrow(), [0, 4, 3, 2, 1], "so completions carry an index");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_caller_has_gone_is_skipped() {
    local(async {
        let recorder = recorder();
        drop(recorder.port.request(Record(1)));
        let kept = recorder.port.request(Record(2));
        assert_eq!(kept.await, Ok(2));
        assert_eq!(*recorder.journal.borrow(), [2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_parked_for_each_request_that_wants_one() {
    local(async {
        let recorder = recorder();
        let first = recorder.port.request(AnswerLater(1));
        recorder.port.send_now(AnswerLater(2));
        let third = recorder.port.request(AnswerLater(3));
        tokio::task::yield_now().await;
        assert_eq!(recorder.journal.borrow()[..], [1, 2, 3]);
        let replies = recorder.replies.take();
        assert_eq!(replies.len(), 2, "one was sent without asking for an answer");
        for (number, reply) in [1, 3].into_iter().zip(replies) {
            reply.send(number * 10).expect("awaited");
        }
        assert_eq!((first.await, third.await), (Ok(10), Ok(30)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_reply_that_is_dropped_tells_its_caller() {
    local(async {
        let recorder = recorder();
        let asked = recorder.port.request(AnswerLater(1));
        tokio::task::yield_now().await;
        drop(recorder.replies.borrow_mut().pop());
        assert_eq!(asked.await, Err(MailboxError::Closed));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_runs_although_the_actor_never_answers() {
    local(async {
        let recorder = recorder();
        let asked = recorder.port.request(AnswerLater(1)).timeout(Duration::from_secs(1));
        assert_eq!(asked.await, Err(MailboxError::Timeout));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_raised_often_is_one_message_until_it_is_lowered() {
    local(async {
        let recorder = recorder();
        let signal = Signal::<_, Wake>::with_latch(recorder.port.clone(), recorder.latch.clone());
        (0..10_000).for_each(|_| signal.raise());
        recorder.port.request(Record(7)).await.expect("alive");
        assert_eq!(*recorder.journal.borrow(), [0, 7]);
        signal.raise();
        recorder.port.request(Record(8)).await.expect("alive");
        assert_eq!(*recorder.journal.borrow(), [0, 7, 0, 8]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_holds_the_task_sees_a_panic_and_the_queue_is_closed() {
    local(async {
        let recorder = recorder();
        recorder.port.send_now(End::Panic);
        let queued = recorder.port.request(Record(1));
        let ended = recorder.task.await;
        assert!(ended.expect_err("it panicked").is_panic());
        assert_eq!(queued.await, Err(MailboxError::Closed));
        assert!(!recorder.port.connected() && recorder.journal.borrow().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_stops_ends_its_task_and_drops_what_is_queued() {
    local(async {
        let recorder = recorder();
        assert!(recorder.port.connected());
        recorder.port.send_now(End::Stop);
        let queued = recorder.port.request(Record(1));
        recorder.task.await.expect("ended in good order");
        assert_eq!(queued.await, Err(MailboxError::Closed));
        assert_eq!(recorder.port.request(Record(2)).await, Err(MailboxError::Closed));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_without_ports_ends() {
    local(async {
        let recorder = recorder();
        drop(recorder.port);
        recorder.task.await.expect("ended in good order");
    })
    .await;
}

#[test]
fn what_other_threads_hold_may_cross_to_them() {
    fn crosses<T: Send + Sync>() {}
    crosses::<(Port<Recorder>, Signal<Recorder, Wake>, Latch, Inspector, super::Credits)>();
}
