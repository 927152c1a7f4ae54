//! What the handles, transports and links of one memory network share, behind one lock.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::faults::Faults;
use crate::transport::Inbound;

/// The registry, and how often it changed.
#[derive(Default)]
pub(super) struct Shared {
    registry: Mutex<Registry>,
    /// Raised by every change of the registry, so that a link knows without a lock that its route is good.
    generation: AtomicU64,
}

/// Who listens where, and what is in their way.
#[derive(Default)]
pub(super) struct Registry {
    /// The nodes that listen, by address.
    pub(super) nodes: BTreeMap<String, Arc<dyn Inbound>>,
    pub(super) faults: Faults,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.lock();
        let result = change(&mut registry);
        self.generation.fetch_add(1, Ordering::Release);
        result
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}
