//! All that is known of one actor instance, readable from any thread while the actor does whatever it does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::inspect::{ActorMailbox, ActorState, Handling, Waiting};

use super::{
    kin::{Kin, Kinship},
    ledger::{Ledger, Note, Queue, lock},
};

/// The probe of one actor. Holds no address, so it keeps no actor alive.
#[derive(Debug)]
pub(in crate::mailbox) struct Probe {
    name: String,
    ledger: Arc<Ledger>,
    kin: Arc<Kin>,
    work: Mutex<Work>,
}

/// What the actor has done and is doing; written on its own thread.
#[derive(Debug)]
struct Work {
    state: ActorState,
    /// The message in hand and when its handler was entered.
    handling: Option<(&'static str, Instant)>,
    handled: BTreeMap<&'static str, u64>,
    waited: Waited,
    abandoned: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Waited {
    messages: u32,
    total: Duration,
    max: Duration,
}

impl Waited {
    fn add(&mut self, time: Duration) {
        self.messages = self.messages.saturating_add(1);
        self.total = self.total.saturating_add(time);
        self.max = self.max.max(time);
    }

    fn mean(&self) -> Duration {
        self.total.checked_div(self.messages).unwrap_or_default()
    }
}

impl Probe {
    pub(super) fn new(name: String, kinship: &Kinship) -> Self {
        let work = Work {
            state: ActorState::Starting,
            handling: None,
            handled: BTreeMap::new(),
            waited: Waited::default(),
            abandoned: 0,
        };
        let (ledger, kin) = (Arc::clone(&kinship.ledger), Arc::clone(&kinship.kin));
        Self { name, ledger, kin, work: Mutex::new(work) }
    }

    /// Runs `send`, which sends one message to this actor.
    pub(in crate::mailbox) fn sending<R>(&self, send: impl FnOnce() -> R) -> R {
        self.ledger.sending(send)
    }

    /// The actor was given control, gave it back, or ended. What has ended stays ended.
    pub(super) fn enter(&self, state: ActorState) {
        let mut work = lock(&self.work);
        if work.state.is_alive() {
            work.state = state;
        }
    }

    /// Whether the actor can still handle a message.
    pub(super) fn is_alive(&self) -> bool {
        lock(&self.work).state.is_alive()
    }

    /// A message came out of the mailbox.
    pub(super) fn taken(&self, note: Note, abandoned: bool) {
        let waited = note.sent.elapsed();
        let mut work = lock(&self.work);
        work.waited.add(waited);
        work.abandoned += u64::from(abandoned);
    }

    /// The handler of a message is entered.
    pub(in crate::mailbox) fn begin(&self, message: &'static str) {
        lock(&self.work).handling = Some((message, Instant::now()));
    }

    /// It returned. After a panic this is not called, and the report names the message.
    pub(in crate::mailbox) fn finish(&self, message: &'static str) {
        let mut work = lock(&self.work);
        work.handling = None;
        *work.handled.entry(message).or_default() += 1;
    }

    /// What there is to say now.
    pub(super) fn describe(&self) -> ActorMailbox {
        let queue = self.ledger.queue();
        let (shared, sole) = self.kin.shared_queue();
        let work = lock(&self.work);
        let now = Instant::now();
        let (ours, unaddressed) = match (work.state.is_alive(), sole) {
            (false, _) => (None, 0),
            (true, true) => (Some(shared), 0),
            (true, false) => (None, shared.depth),
        };
        let depth = (queue.depth + ours.map_or(0, |ours| ours.depth)) as u64;
        ActorMailbox {
            name: self.name.clone(),
            state: work.state,
            depth,
            unaddressed: unaddressed as u64,
            high_water: depth.max(queue.high_water as u64),
            oldest: oldest(queue, ours, now),
            handled: by_frequency(&work.handled),
            waited_mean: work.waited.mean(),
            waited_max: work.waited.max,
            handling: work.handling.map(|(message, since)| Handling {
                message: short_name(message),
                since: now.saturating_duration_since(since),
            }),
            abandoned: work.abandoned,
            dropped: queue.dropped,
        }
    }
}

fn oldest(queue: Queue, ours: Option<Queue>, now: Instant) -> Option<Waiting> {
    let notes = queue.oldest.into_iter().chain(ours.and_then(|ours| ours.oldest));
    let oldest = notes.min_by_key(|note| note.sent)?;
    Some(Waiting { message: short_name(oldest.message), age: now.saturating_duration_since(oldest.sent) })
}

fn by_frequency(handled: &BTreeMap<&'static str, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = handled.iter().map(|(message, count)| (short_name(message), *count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

/// A type's name without module paths: `Rpc<AppendEntries>`.
fn short_name(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for token in full.split_inclusive(|c| !is_path(c)) {
        short.push_str(token.rsplit("::").next().unwrap_or(token));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_lose_their_paths_and_keep_their_parameters() {
        let shown =
            ["raftix::messages::rpc::Rpc<raftix::types::rpc::AppendEntries>", "Tick", "a::B<(c::D, &e::F)>"]
                .map(short_name);
        assert_eq!(shown, ["Rpc<AppendEntries>", "Tick", "B<(D, &F)>"]);
    }
}
