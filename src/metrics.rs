//! What a node tells the `metrics` facade, for whatever the program exports metrics with; docs/metrics.md is the table.
//!
//! Counts and indexes are read off the board about once a second, at a tick. Durations are taken where something ends
//! that is done for a whole batch, never for each entry, and with the node's clock. Without the feature `metrics` all of
//! this is [`off`]: nothing is stored, measured or called.
//!
//! Never decides anything, and nothing waits for it.

#[cfg(feature = "metrics")]
mod catalogue;
#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod publisher;
#[cfg(feature = "metrics")]
mod stopwatch;
#[cfg(feature = "metrics")]
mod timer;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::{Metrics, Timer};
#[cfg(feature = "metrics")]
pub(crate) use publisher::Metrics;
#[cfg(feature = "metrics")]
pub(crate) use timer::Timer;
