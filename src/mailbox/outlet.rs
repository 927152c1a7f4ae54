//! A way to whoever takes a message, whatever actor that is.

use std::{fmt, sync::Arc};

use actix::{Actor, Handler, Message};

use super::{Context, Port};

/// Where messages `M` go. Lets an actor speak without knowing who listens, so that files of actors which
/// speak to each other do not import each other. Cheap to clone.
pub struct Outlet<M>(Arc<dyn Fn(M) + Send + Sync>);

impl<M> Outlet<M> {
    /// Messages go where `send` puts them.
    pub fn new(send: impl Fn(M) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    /// Queues a message, as [`Port::send_now`] does.
    pub fn send_now(&self, message: M) {
        (self.0)(message);
    }
}

impl<A: Actor<Context = Context<A>>> Port<A> {
    /// The way to this actor for messages of one type.
    pub fn outlet<M>(&self) -> Outlet<M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let port = self.clone();
        Outlet::new(move |message| port.send_now(message))
    }
}

impl<M> Clone for Outlet<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Outlet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outlet<{}>", std::any::type_name::<M>())
    }
}
