//! What all tasks of one transport share: its options, the node it serves, its random numbers.

use std::{cell::RefCell, sync::Arc, time::Duration};

use super::{complaints::Complaints, options::TcpOptions};
use crate::transport::{Identity, Inbound};

/// No wait is longer, whatever the options say, so that no instant overflows.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// What all tasks of one transport share.
pub(super) struct Shared {
    pub(super) options: TcpOptions,
    /// The node; none before the start and after the stop.
    pub(super) inbound: RefCell<Option<Arc<dyn Inbound>>>,
    random: RefCell<fastrand::Rng>,
    pub(super) complaints: Complaints,
}

impl Shared {
    pub(super) fn new(options: TcpOptions) -> Self {
        let random = RefCell::new(fastrand::Rng::with_seed(options.seed));
        Self { options, inbound: RefCell::default(), random, complaints: Complaints::default() }
    }

    pub(super) fn inbound(&self) -> Option<Arc<dyn Inbound>> {
        self.inbound.borrow().clone()
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.inbound().map(|inbound| inbound.identity())
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.inbound.borrow().is_none()
    }

    /// How often connections look whether they live.
    pub(super) fn beat(&self) -> Duration {
        (self.options.silence_max / 4).clamp(Duration::from_millis(1), WAIT_MAX)
    }

    /// Between half of `pause` and all of it, so that nodes do not come back in step.
    pub(super) fn jitter(&self, pause: Duration) -> Duration {
        pause.min(WAIT_MAX).mul_f64(0.5 + self.random.borrow_mut().f64() / 2.0)
    }
}
