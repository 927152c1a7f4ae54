//! Holds an inline store back, as a disk does that takes its time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// A gate before a store that is placed inline, for simulations and tests.
///
/// While it is closed, what the protocol wants written queues up in its order; nothing of it reaches the store, nothing
/// becomes durable, and a node that crashes meanwhile loses it. When it opens, everything queued is written
/// and flushed. The node goes on working in between, as it does before a real disk. Shutting the node down
/// waits for the gate. Clones are handles to the same gate; it is open at first.
#[derive(Clone, Debug, Default)]
pub struct FlushGate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    opened: Notify,
}

impl FlushGate {
    /// An open gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds back everything from here on.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    /// Lets through what was held back, and everything after it.
    pub fn open(&self) {
        self.shared.closed.store(false, Ordering::Release);
        self.shared.opened.notify_one();
    }

    /// Whether it holds back.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Waits until it was opened since the last wait.
    pub(crate) async fn opened(&self) {
        self.shared.opened.notified().await;
    }
}
