//! Spawning an actor, and the handle through which the actors of a node address each other.

use std::fmt;

use actix::{
    Actor, Addr, AsyncContext, Handler, Message,
    dev::{Request, channel},
};
use tokio::task::JoinHandle;

use super::{
    Context, Inspector,
    mode::{self, ProbeHandle},
};

/// actix's mark for a mailbox without a limit: its limits do not hold, see [`Credits`](super::Credits).
const UNBOUNDED: usize = 0;

/// A handle to an actor: its `Addr`, and its probe where the build inspects.
///
/// Sending through it costs what sending through the `Addr` costs. Cloning allocates, as it does for an `Addr`:
/// keep a port, do not make one per message. It keeps the actor alive as an `Addr` does.
pub struct Port<A: Actor> {
    addr: Addr<A>,
    probe: ProbeHandle,
}

impl<A: Actor<Context = Context<A>>> Port<A> {
    fn new(addr: Addr<A>, probe: ProbeHandle) -> Self {
        Self { addr, probe }
    }

    /// Queues a message and expects no answer. It is lost if the actor has ended.
    #[inline]
    pub fn send_now<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.probe.sending(|| self.addr.do_send(message));
    }

    /// Queues a message, at once, and resolves to its answer.
    ///
    /// Dropping the future before the message is handled takes the message back unhandled; dropping it later
    /// leaves open what became of it.
    ///
    /// # Errors
    /// `MailboxError::Closed` if the actor had ended, ended before it answered, or let go of the reply unanswered.
    #[inline]
    pub fn request<M>(&self, message: M) -> Request<A, M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.probe.sending(|| self.addr.send(message))
    }

    /// The actor's bare address. What is sent through it is inspected all the same, but while several actors of
    /// this type live in the process no one can say for which of them it waits.
    pub fn addr(&self) -> &Addr<A> {
        &self.addr
    }

    /// Whether the actor still takes messages.
    pub fn connected(&self) -> bool {
        self.addr.connected()
    }
}

impl<A: Actor> Clone for Port<A> {
    fn clone(&self) -> Self {
        Self { addr: self.addr.clone(), probe: self.probe.clone() }
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

/// Runs the actor that `build` makes on this thread's `LocalSet` or actix system, under a name for reports.
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
    let (_, receiver) = channel::channel(UNBOUNDED);
    let (addr, probe, task) = mode::spawn(receiver, inspector, name, build);
    Spawned { port: Port::new(addr, probe), task }
}

/// An actor's port to itself, from `build`, `started` or a handler. An actor that keeps it ends only by `ctx.stop()`.
pub fn port_of<A: Actor<Context = Context<A>>>(ctx: &Context<A>) -> Port<A> {
    Port::new(ctx.address(), mode::probe_of(ctx))
}

/// Has the actor handle `message` when its mailbox is drained: what a burst leaves to be done once, such as one
/// flush for all it appended. The caller arms it with the first of a burst, and cuts a batch that grows too long
/// without waiting for it, since a mailbox that never runs dry never lets it run.
#[inline]
pub fn after_mailbox<A, M>(ctx: &mut Context<A>, message: M)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + 'static,
{
    ctx.notify(message);
}
