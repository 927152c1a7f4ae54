//! Keeps a peer that does not fit from filling the log.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(1);

/// Lets one warning a second through and counts the others.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Cell<Option<Instant>>,
    silenced: Cell<u64>,
}

impl Complaints {
    /// Calls `warn` with the number of warnings that were kept back since the last one, or keeps it back.
    pub(super) fn warn(&self, warn: impl FnOnce(u64)) {
        let now = Instant::now();
        if self.last.get().is_some_and(|last| now < last + PAUSE) {
            self.silenced.set(self.silenced.get() + 1);
            return;
        }
        self.last.set(Some(now));
        warn(self.silenced.take());
    }
}
