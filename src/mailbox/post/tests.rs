//! An actor without an address is like any other to those who have a port.

use std::{cell::RefCell, future::Future, rc::Rc, sync::mpsc, thread, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Handler, Message, fut::WrapFuture};
use tokio::task::LocalSet;

use crate::mailbox::{Context, Inspector, Port, Spawned, port_of, spawn_unaddressed};

type Journal = Rc<RefCell<Vec<u32>>>;

struct Recorder(Journal);

impl Actor for Recorder {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
enum Do {
    Record(u32),
    /// Handled when the mailbox is drained.
    RecordBehind(u32),
    /// Sends itself so many numbers.
    Burst(u32),
    /// Leaves the mailbox alone for a while.
    Pause(Duration),
    Stop,
    Panic,
    /// Sends the number to its own mailbox when it is dropped.
    Hold(#[expect(dead_code, reason = "it is there to be dropped")] LastWords),
}

struct LastWords(Port<Recorder>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.send_now(Do::Record(99));
    }
}

impl Handler<Do> for Recorder {
    type Result = ();

    fn handle(&mut self, message: Do, ctx: &mut Self::Context) {
        match message {
            Do::Record(number) => self.0.borrow_mut().push(number),
            Do::RecordBehind(number) => ctx.notify(Do::Record(number)),
            Do::Burst(count) => (0..count).for_each(|number| port_of(ctx).send_now(Do::Record(number))),
            Do::Pause(pause) => ctx.wait(tokio::time::sleep(pause).into_actor(self)),
            Do::Stop => ctx.stop(),
            Do::Panic => panic!("a broken invariant"),
            Do::Hold(_) => {}
        }
    }
}

fn recorder() -> (Spawned<Recorder>, Journal) {
    let journal = Journal::default();
    let actor = Recorder(journal.clone());
    (spawn_unaddressed(&Inspector::new("n1"), "recorder", |_| actor), journal)
}

async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

/// Long enough for everything that is queued.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_order_and_what_waits_for_the_drained_mailbox_behind_them() {
    local(async {
        let (actor, journal) = recorder();
        actor.port.send_now(Do::RecordBehind(1_000));
        actor.port.send_now(Do::Burst(300));
        actor.port.clone().send_now(Do::Record(300));
        settle().await;
        let expected: Vec<_> = [300].into_iter().chain(0..300).chain([1_000]).collect();
        assert_eq!(*journal.borrow(), expected);
        actor.port.send_now(Do::Record(7));
        settle().await;
        assert_eq!(journal.borrow().last(), Some(&7), "it is woken again");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_waits_is_given_nothing_meanwhile() {
    local(async {
        let (actor, journal) = recorder();
        actor.port.send_now(Do::Pause(Duration::from_secs(5)));
        actor.port.send_now(Do::Record(1));
        tokio::time::sleep(Duration::from_secs(4)).await;
        actor.port.send_now(Do::Record(2));
        assert!(journal.borrow().is_empty());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(*journal.borrow(), [1, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_drops_what_is_queued() {
    local(async {
        let (actor, journal) = recorder();
        assert!(actor.port.connected());
        actor.port.send_now(Do::Stop);
        actor.port.send_now(Do::Record(1));
        actor.task.await.expect("ended in good order");
        actor.port.send_now(Do::Record(2));
        assert!(!actor.port.connected() && journal.borrow().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_seen_by_who_holds_the_task_and_closes_the_mailbox() {
    local(async {
        let (actor, journal) = recorder();
        actor.port.send_now(Do::Panic);
        actor.port.send_now(Do::Record(1));
        assert!(actor.task.await.expect_err("it panicked").is_panic());
        assert!(!actor.port.connected() && journal.borrow().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_without_ports_handles_what_is_queued_and_ends() {
    local(async {
        let (actor, journal) = recorder();
        settle().await;
        actor.port.send_now(Do::Record(1));
        drop(actor.port);
        actor.task.await.expect("ended in good order");
        assert_eq!(*journal.borrow(), [1]);
        let (asleep, _) = recorder();
        settle().await;
        drop(asleep.port);
        asleep.task.await.expect("ended in good order");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_unhandled_may_write_to_the_same_mailbox() {
    local(async {
        let (actor, journal) = recorder();
        actor.port.send_now(Do::Stop);
        actor.port.send_now(Do::Hold(LastWords(actor.port.clone())));
        actor.task.await.expect("ended in good order");
        actor.port.send_now(Do::Hold(LastWords(actor.port.clone())));
        assert!(journal.borrow().is_empty());
    })
    .await;
}

#[test]
fn nothing_is_lost_when_threads_write() {
    const THREADS: u32 = 4;
    const EACH: u32 = 2_000;
    let (give, take) = mpsc::channel();
    let actor = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async move {
            let (actor, journal) = recorder();
            give.send(actor.port).expect("the test waits");
            actor.task.await.expect("ended in good order");
            journal.take()
        })
    });
    let port = take.recv().expect("spawned");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let port = port.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    port.send_now(Do::Record(thread * EACH + number));
                    if number % 64 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    drop(port);
    let journal = actor.join().expect("no panic");
    for thread in 0..THREADS {
        let own: Vec<_> = journal.iter().filter(|number| **number / EACH == thread).copied().collect();
        assert!(own.into_iter().eq(thread * EACH..(thread + 1) * EACH), "all of them, in order");
    }
}
