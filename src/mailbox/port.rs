//! Spawning an actor, and the handle through which the actors of a node address each other.

use std::{fmt, pin::Pin, sync::Arc, task};

use actix::{
    Actor, Addr, AsyncContext, Handler, Message,
    dev::{Request, ToEnvelope, channel},
    fut::ActorFuture,
};
use tokio::task::JoinHandle;

use super::{
    Context, Inspector,
    mode::{self, ProbeHandle},
    post::{Post, Slot},
};

/// actix's mark for a mailbox without a limit: its limits do not hold, see [`Credits`](super::Credits).
const UNBOUNDED: usize = 0;

/// A handle to an actor, and its probe where the build inspects.
///
/// Cloning one to an actor with an address allocates, as it does for an `Addr`: keep a port, do not make one per
/// message. It keeps the actor alive as an `Addr` does.
pub struct Port<A: Actor> {
    way: Way<A>,
    probe: ProbeHandle,
}

/// How messages reach the actor.
enum Way<A: Actor> {
    /// As they do from a client: through actix's mailbox.
    Address(Addr<A>),
    /// Through its own.
    Slot(Slot<A>),
}

impl<A: Actor<Context = Context<A>>> Port<A> {
    fn new(way: Way<A>, probe: ProbeHandle) -> Self {
        Self { way, probe }
    }

    /// Queues a message and expects no answer. It is lost if the actor has ended.
    #[inline]
    pub fn send_now<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.probe.sending(|| match &self.way {
            Way::Address(addr) => addr.do_send(message),
            Way::Slot(slot) => slot.put(<Context<A> as ToEnvelope<A, M>>::pack(message, None)),
        });
    }

    /// Queues a message, at once, and resolves to its answer.
    ///
    /// Dropping the future before the message is handled takes the message back unhandled; dropping it later
    /// leaves open what became of it.
    ///
    /// # Errors
    /// `MailboxError::Closed` if the actor had ended, ended before it answered, or let go of the reply unanswered.
    ///
    /// # Panics
    /// If the actor has no address.
    #[inline]
    pub fn request<M>(&self, message: M) -> Request<A, M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.probe.sending(|| self.addr().send(message))
    }

    /// The actor's bare address. What is sent through it is inspected all the same, but while several actors of
    /// this type live in the process no one can say for which of them it waits.
    ///
    /// # Panics
    /// If it has none.
    pub fn addr(&self) -> &Addr<A> {
        match &self.way {
            Way::Address(addr) => addr,
            Way::Slot(_) => panic!("{} was spawned without an address", std::any::type_name::<A>()),
        }
    }

    /// Whether the actor still takes messages.
    pub fn connected(&self) -> bool {
        match &self.way {
            Way::Address(addr) => addr.connected(),
            Way::Slot(slot) => slot.connected(),
        }
    }
}

impl<A: Actor> Clone for Port<A> {
    fn clone(&self) -> Self {
        let way = match &self.way {
            Way::Address(addr) => Way::Address(addr.clone()),
            Way::Slot(slot) => Way::Slot(slot.clone()),
        };
        Self { way, probe: self.probe.clone() }
    }
}

impl<A: Actor> fmt::Debug for Port<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port<{}>", std::any::type_name::<A>())
    }
}

/// An actor that was set running.
#[derive(Debug)]
#[must_use = "a panic of the actor is seen only by the one who awaits its task"]
pub struct Spawned<A: Actor> {
    /// Its handle.
    pub port: Port<A>,
    /// Its end: `Ok` if it stopped, an error that `is_panic` if it panicked. tokio swallows the panic and actix
    /// runs `stopped` on what it left, so whoever fail-stops the node awaits this. Dropping it detaches the actor.
    pub task: JoinHandle<()>,
}

/// Runs the actor that `build` makes on this thread's `LocalSet` or actix system, under a name for reports. It has an
/// address that may be given to anybody.
///
/// Its mailbox has no limit. It runs until it calls `ctx.stop()` or all its ports and addresses are gone.
///
/// # Panics
/// Outside a `LocalSet`, as `tokio::task::spawn_local` does.
pub fn spawn<A: Actor<Context = Context<A>>>(
    inspector: &Inspector,
    name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> Spawned<A> {
    run(None, inspector, name, build)
}

/// The same for one that is reached by ports alone, at a fraction of the cost: actors write to it, and no clients.
///
/// # Panics
/// As [`spawn`] does.
pub fn spawn_unaddressed<A: Actor<Context = Context<A>>>(
    inspector: &Inspector,
    name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> Spawned<A> {
    run(Some(Post::new()), inspector, name, build)
}

fn run<A: Actor<Context = Context<A>>>(
    post: Option<Arc<Post<A>>>,
    inspector: &Inspector,
    name: impl Into<String>,
    build: impl FnOnce(&mut Context<A>) -> A,
) -> Spawned<A> {
    let (_, receiver) = channel::channel(UNBOUNDED);
    let (port, task) = mode::spawn(receiver, post, inspector, name, build);
    Spawned { port, task }
}

/// An actor's port to itself, from `build`, `started` or a handler. An actor that keeps it ends only by `ctx.stop()`.
pub fn port_of<A: Actor<Context = Context<A>>>(ctx: &Context<A>) -> Port<A> {
    let way = match ctx.post() {
        Some(post) => Way::Slot(Slot::new(post)),
        None => Way::Address(ctx.address()),
    };
    Port::new(way, ctx.probe().clone())
}

/// Calls `then` whenever the actor has run and its mailbox is drained: for what a burst leaves to be done once, such as
/// one flush for all it appended. Armed once, where the actor starts. The actor cuts a batch that grows too long without
/// waiting for it, since a mailbox that never runs dry never lets it run, and ends only by `ctx.stop()`.
pub fn when_drained<A: Actor<Context = Context<A>>>(ctx: &mut Context<A>, then: fn(&mut A)) {
    ctx.spawn(WhenDrained(then));
}

struct WhenDrained<A>(fn(&mut A));

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for WhenDrained<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        _: &mut Context<A>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<()> {
        (self.0)(actor);
        task::Poll::Pending
    }
}
