//! The probes of a node, to be read from any thread.

use std::sync::{Arc, Mutex};

use crate::inspect::{InspectionDisabled, MailboxReport};

use super::{ledger::lock, probe::Probe};

/// Actors that have ended and were not yet reported: beyond this many the earliest are forgotten.
const ENDED_MAX: usize = 32;

/// The probes of a node. A clone reads the same probes.
///
/// It owns them, and they own no actor: a probe outlives its actor until one report has told of the end.
#[derive(Clone, Debug)]
pub struct Inspector(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    node: String,
    probes: Mutex<Vec<Arc<Probe>>>,
}

impl Inspector {
    /// An inspector for the actors of `node`.
    pub fn new(node: impl Into<String>) -> Self {
        Self(Arc::new(Registry { node: node.into(), probes: Mutex::default() }))
    }

    pub(super) fn register(&self, probe: Arc<Probe>) {
        let mut probes = lock(&self.0.probes);
        let ended = probes.iter().filter(|probe| !probe.is_alive()).count();
        let mut forget = ended.saturating_sub(ENDED_MAX);
        probes.retain(|probe| {
            let forgotten = forget > 0 && !probe.is_alive();
            forget -= usize::from(forgotten);
            !forgotten
        });
        probes.push(probe);
    }

    /// What the probes saw, without waiting for any actor. Actors that have ended are in it for the last time.
    ///
    /// Ages are told by tokio's clock: under a paused one, ask on its own thread.
    ///
    /// # Errors
    /// [`InspectionDisabled`], never, in this build.
    pub fn report(&self) -> Result<MailboxReport, InspectionDisabled> {
        let mut probes = lock(&self.0.probes);
        let actors: Vec<_> = probes.iter().map(|probe| probe.describe()).collect();
        let mut described = actors.iter();
        // By what was told, not by what is true by now: an end is reported before it is forgotten.
        probes.retain(|_| described.next().is_some_and(|actor| actor.state.is_alive()));
        Ok(MailboxReport { node: self.0.node.clone(), actors })
    }
}
