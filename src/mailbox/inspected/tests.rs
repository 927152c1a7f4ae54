//! What a report tells. Each test has an actor type of its own, since tests of one process are kin otherwise.

use std::{sync::mpsc, thread, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Handler, Message, fut::WrapFuture};
use tokio::task::LocalSet;

use crate::{
    inspect::{ActorMailbox, ActorState, Handling, Waiting},
    mailbox::{Context, Inspector, Port, Spawned, spawn},
};

struct Subject<const TEST: usize>;

impl<const TEST: usize> Actor for Subject<TEST> {
    type Context = Context<Self>;
}

macro_rules! handle {
    ($message:ty, |$received:ident, $ctx:ident| $body:expr) => {
        impl Message for $message {
            type Result = ();
        }

        impl<const TEST: usize> Handler<$message> for Subject<TEST> {
            type Result = ();

            fn handle(&mut self, $received: $message, $ctx: &mut Self::Context) {
                $body
            }
        }
    };
}

struct Tick;
handle!(Tick, |_tick, _ctx| {});

struct FlushAfter;
handle!(FlushAfter, |_flush, ctx| ctx.notify(Tick));

/// Leaves the mailbox alone for a while.
struct Pause(Duration);
handle!(Pause, |pause, ctx| ctx.wait(tokio::time::sleep(pause.0).into_actor(&Self)));

/// Blocks the actor's thread: says so, and goes on when told.
struct Block(mpsc::Sender<()>, mpsc::Receiver<()>);
handle!(Block, |block, _ctx| {
    block.0.send(()).expect("the test waits");
    block.1.recv().expect("the test lets go");
});

struct Stop;
handle!(Stop, |_stop, ctx| ctx.stop());

struct Panic;
handle!(Panic, |_panic, _ctx| panic!("a broken invariant"));

fn subject<const TEST: usize>(inspector: &Inspector, name: &str) -> Spawned<Subject<TEST>> {
    spawn(inspector, name, |_| Subject)
}

fn seen(inspector: &Inspector, name: &str) -> ActorMailbox {
    let report = inspector.report().expect("this build inspects");
    report.actor(name).unwrap_or_else(|| panic!("no {name} in\n{report}")).clone()
}

async fn local<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn depth_age_and_waiting_time_are_told() {
    local(async {
        let inspector = Inspector::new("n1");
        let actor = subject::<1>(&inspector, "actor");
        assert_eq!(seen(&inspector, "actor").state, ActorState::Starting);
        actor.port.request(Pause(5 * SECOND)).await.expect("alive");
        actor.port.send_now(Tick);
        tokio::time::sleep(2 * SECOND).await;
        actor.port.send_now(Stop);
        let waiting = seen(&inspector, "actor");
        assert_eq!((waiting.depth, waiting.high_water, waiting.state), (2, 2, ActorState::Idle));
        assert_eq!(waiting.oldest, Some(Waiting { message: "Tick".to_owned(), age: 2 * SECOND }));
        actor.task.await.expect("stopped");
        let ended = seen(&inspector, "actor");
        assert_eq!((ended.depth, ended.high_water, ended.state), (0, 2, ActorState::Stopped));
        assert_eq!((ended.waited_max, ended.waited_mean), (5 * SECOND, 8 * SECOND / 3), "0, 5 and 3 s");
        assert_eq!(ended.handled, [("Pause", 1), ("Stop", 1), ("Tick", 1)].map(|(m, n)| (m.to_owned(), n)));
        assert!(inspector.report().expect("inspects").actors.is_empty(), "an end is told once");
    })
    .await;
}

/// An actor on a thread of its own, that runs until its ports are gone.
fn on_a_thread<const TEST: usize>(inspector: &Inspector) -> (Port<Subject<TEST>>, thread::JoinHandle<()>) {
    let (inspector, (give, take)) = (inspector.clone(), mpsc::channel());
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async move {
            let Spawned { port, task } = subject(&inspector, "actor");
            give.send(port).expect("the test waits");
            task.await.expect("ended in good order");
        });
    });
    (take.recv().expect("spawned"), thread)
}

#[test]
fn an_actor_stuck_in_its_handler_is_described_without_its_help() {
    let inspector = Inspector::new("n1");
    let (port, thread) = on_a_thread::<2>(&inspector);
    let ((entered, wait), (go_on, told)) = (mpsc::channel(), mpsc::channel());
    port.send_now(Block(entered, told));
    wait.recv().expect("its handler is entered");
    (0..3).for_each(|_| port.send_now(Tick));
    let stuck = seen(&inspector, "actor");
    assert_eq!((stuck.state, stuck.depth), (ActorState::Busy, 3));
    assert!(matches!(&stuck.handling, Some(Handling { message, .. }) if message == "Block"));
    assert!(matches!(&stuck.oldest, Some(Waiting { message, .. }) if message == "Tick"));
    go_on.send(()).expect("it waits");
    drop(port);
    thread.join().expect("no panic");
    let ended = seen(&inspector, "actor");
    assert_eq!((ended.state, ended.depth, ended.handling), (ActorState::Stopped, 0, None));
    assert_eq!(ended.handled, [("Tick".to_owned(), 3), ("Block".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn messages_by_a_bare_address_count_for_the_only_actor_of_its_type() {
    local(async {
        let inspector = Inspector::new("n1");
        let actor = subject::<3>(&inspector, "actor");
        actor.port.addr().do_send(Tick);
        actor.port.addr().clone().recipient::<Tick>().do_send(Tick);
        actor.port.send_now(Tick);
        let waiting = seen(&inspector, "actor");
        assert_eq!((waiting.depth, waiting.unaddressed, waiting.high_water), (3, 0, 3));
        actor.port.addr().send(Tick).await.expect("alive");
        let idle = seen(&inspector, "actor");
        assert_eq!((idle.depth, idle.high_water, idle.handled_total()), (0, 4, 4));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_by_a_bare_address_may_be_for_any_of_several_until_taken() {
    local(async {
        let inspector = Inspector::new("n1");
        let (one, two) = (subject::<4>(&inspector, "one"), subject::<4>(&inspector, "two"));
        one.port.addr().do_send(Tick);
        one.port.addr().do_send(Tick);
        two.port.send_now(Tick);
        let (first, second) = (seen(&inspector, "one"), seen(&inspector, "two"));
        assert_eq!((first.depth, first.unaddressed), (0, 2));
        assert_eq!((second.depth, second.unaddressed), (1, 2), "a port names its actor");
        tokio::task::yield_now().await;
        let (first, second) = (seen(&inspector, "one"), seen(&inspector, "two"));
        assert_eq!((first.handled_total(), first.depth, first.unaddressed), (2, 0, 0));
        assert_eq!((second.handled_total(), second.depth, second.unaddressed), (1, 0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_of_several_is_the_survivors_when_the_others_end() {
    local(async {
        let inspector = Inspector::new("n1");
        let (one, two) = (subject::<5>(&inspector, "one"), subject::<5>(&inspector, "two"));
        one.port.request(Pause(SECOND)).await.expect("alive");
        one.port.addr().do_send(Tick);
        assert_eq!(seen(&inspector, "one").unaddressed, 1);
        two.port.send_now(Stop);
        two.task.await.expect("stopped");
        let survivor = seen(&inspector, "one");
        assert_eq!((survivor.depth, survivor.unaddressed), (1, 0));
        assert!(survivor.oldest.is_some_and(|waiting| waiting.message == "Tick"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_mailbox_counts_nothing_and_misleads_no_later_message() {
    local(async {
        let inspector = Inspector::new("n1");
        let (one, two) = (subject::<6>(&inspector, "one"), subject::<6>(&inspector, "two"));
        one.port.send_now(Stop);
        one.task.await.expect("stopped");
        one.port.send_now(Tick);
        assert!(one.port.request(Tick).await.is_err());
        assert_eq!(seen(&inspector, "one").depth, 0);
        two.port.addr().do_send(Tick);
        assert_eq!(seen(&inspector, "two").depth, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_with_its_message_and_what_was_queued() {
    local(async {
        let inspector = Inspector::new("n1");
        let actor = subject::<7>(&inspector, "actor");
        actor.port.send_now(Panic);
        actor.port.send_now(Tick);
        actor.task.await.expect_err("it panicked");
        let ended = seen(&inspector, "actor");
        assert_eq!((ended.state, ended.depth, ended.dropped), (ActorState::Panicked, 0, 1));
        assert!(ended.handling.as_ref().is_some_and(|last| last.message == "Panic"));
        assert_eq!(ended.handled_total(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_taken_back_counts_as_abandoned() {
    local(async {
        let inspector = Inspector::new("n1");
        let actor = subject::<8>(&inspector, "actor");
        drop(actor.port.request(Tick));
        actor.port.request(Tick).await.expect("alive");
        let seen = seen(&inspector, "actor");
        assert_eq!((seen.abandoned, seen.handled_total(), seen.depth), (1, 1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_to_oneself_are_seen_though_they_pass_the_mailbox_by() {
    local(async {
        let inspector = Inspector::new("n1");
        let actor = subject::<9>(&inspector, "actor");
        actor.port.request(FlushAfter).await.expect("alive");
        tokio::task::yield_now().await;
        let seen = seen(&inspector, "actor");
        assert_eq!(seen.handled, [("FlushAfter".to_owned(), 1), ("Tick".to_owned(), 1)]);
        assert_eq!(seen.high_water, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn actors_that_die_with_their_runtime_are_told_as_stopped() {
    let inspector = Inspector::new("n1");
    let actor = local(async {
        let actor = subject::<10>(&inspector, "actor");
        actor.port.request(Tick).await.expect("alive");
        actor
    })
    .await;
    assert_eq!(seen(&inspector, "actor").state, ActorState::Stopped);
    assert!(!actor.port.connected());
}

#[tokio::test(start_paused = true)]
async fn the_ended_are_not_kept_without_end() {
    local(async {
        let inspector = Inspector::new("n1");
        let root = subject::<11>(&inspector, "root");
        for tenure in 0..100 {
            let leader = subject::<12>(&inspector, &format!("leader {tenure}"));
            leader.port.send_now(Stop);
            leader.task.await.expect("stopped");
        }
        let report = inspector.report().expect("this build inspects");
        assert!(report.actors.len() < 40, "{report}");
        assert!(report.actor("root").is_some() && report.actor("leader 99").is_some());
        assert!(root.port.connected());
    })
    .await;
}

#[test]
fn counts_hold_when_threads_send_in_both_ways() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2_000;
    let inspector = Inspector::new("n1");
    let (port, thread) = on_a_thread::<13>(&inspector);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (port, inspector) = (port.clone(), &inspector);
            scope.spawn(move || {
                for round in 0..EACH {
                    if round % 2 == 0 {
                        port.send_now(Tick)
                    } else {
                        port.addr().do_send(Tick)
                    }
                    if round % 64 == 0 {
                        let now = seen(inspector, "actor");
                        assert!(now.depth <= now.high_water && now.high_water <= THREADS * EACH, "{now:?}");
                    }
                }
            });
        }
    });
    drop(port);
    thread.join().expect("no panic");
    let ended = seen(&inspector, "actor");
    assert_eq!((ended.depth, ended.unaddressed, ended.dropped), (0, 0, 0));
    assert_eq!(ended.handled, [("Tick".to_owned(), THREADS * EACH)]);
}
