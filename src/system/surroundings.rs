//! What a node lives in beside files and network: its clock, its threads, and who watches its stores.

#[cfg(any(test, feature = "sim"))]
use std::rc::Rc;

#[cfg(any(test, feature = "sim"))]
use crate::actors::paced::Pace;
use crate::{
    clock::ClockSkew,
    storage::{LogStore, snapshot::SnapshotStore},
    types::Incarnation,
};

/// Stands between a node and its stores.
pub(crate) struct WatchStores {
    pub(crate) log: Between<dyn LogStore>,
    pub(crate) snapshots: Between<dyn SnapshotStore>,
}

/// Puts something before a store.
type Between<S> = Box<dyn FnOnce(Box<S>) -> Box<S>>;

/// See the module. Only a simulator asks for any other than the real ones.
pub(crate) struct Surroundings {
    /// How wrong the clock is.
    pub(crate) skew: ClockSkew,
    /// The Unix time now, if it is not the real one.
    pub(crate) virtual_epoch: Option<std::time::Duration>,
    /// What the incarnation of a blank directory is, instead of drawn from the system's entropy.
    pub(crate) incarnation: Option<Incarnation>,
    /// Put before the stores when they are opened.
    pub(crate) watch: Option<WatchStores>,
    /// How fast its threads are, if they are simulated.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) pace: Option<Rc<dyn Pace>>,
}

impl Surroundings {
    /// A true clock, true entropy, true threads.
    pub(crate) fn real() -> Self {
        Self {
            skew: ClockSkew::NONE,
            virtual_epoch: None,
            incarnation: None,
            watch: None,
            #[cfg(any(test, feature = "sim"))]
            pace: None,
        }
    }
}
