//! The world the tests run in: nodes, their network, their disks, and what their state machines saw. tests/known_bugs
//! runs in it, too.

mod peer;
mod recorder;
mod store;
mod traffic;
mod world;

pub(crate) use peer::{Puppet, Stage, agree, entries, joined, let_time_run_out};
pub(crate) use recorder::{History, Put, Recorder, Recording, state_of};
pub(crate) use store::{FaultyStore, StoreFaults};
pub(crate) use traffic::Traffic;
pub(crate) use world::World;

use std::{
    future::Future,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use tokio::{runtime::Builder, task::LocalSet};

/// Simulations share it; a test that measures real time has it for itself.
static CLOCK: RwLock<()> = RwLock::new(());

/// Runs a test on this thread. Its time is paused: it jumps to the next timer when nobody has anything to do.
pub(crate) fn simulate(test: impl Future<Output = ()>) {
    let _shared = CLOCK.read().unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Runs a test in real time, while no other test of this binary runs.
pub(crate) fn in_real_time(test: impl Future<Output = ()>) {
    let _alone = CLOCK.write().unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
