//! The metrics of one node, and when they are told.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    time::Duration,
};

use ::metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::{
    Timer,
    catalogue::{self, Other, ROLES, STATUS},
};
use crate::{
    board::{Board, ServerRole, Statistics, Status},
    clock::Clock,
    types::NodeId,
};

/// What is read off the board is told again after that long.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// The metrics of a node, registered with the recorder that is installed when the node starts.
pub(crate) struct Metrics {
    node: String,
    clock: Clock,
    /// By the store's tickets: what is given to it until it is durable.
    pub(crate) flush: Timer,
    /// By index: what a leader appends until it is committed.
    pub(crate) commit: Timer,
    /// By index: what the state machine is handed until it is done.
    pub(crate) apply: Timer,
    /// A snapshot of the node's own state.
    pub(crate) snapshot: Timer,
    up: Gauge,
    /// In the order of [`ROLES`].
    roles: Vec<Gauge>,
    /// In the order of [`STATUS`].
    status: Vec<Gauge>,
    saturation: Saturation,
    counted: RefCell<Counted>,
    due: Cell<Duration>,
}

impl Metrics {
    pub(crate) fn new(node: &NodeId, clock: Clock) -> Self {
        describe();
        let node = node.to_string();
        let timer = |what: &Other| Timer::new(clock, histogram!(what.name, "node" => node.clone()));
        let plain = |name: &'static str| gauge!(name, "node" => node.clone());
        let role = |role: &ServerRole| gauge!(catalogue::ROLE.name, "node" => node.clone(), "role" => role.to_string());
        Self {
            clock,
            flush: timer(&catalogue::FLUSH),
            commit: timer(&catalogue::COMMIT),
            apply: timer(&catalogue::APPLY),
            snapshot: timer(&catalogue::SNAPSHOT),
            up: plain(catalogue::UP.name),
            roles: ROLES.iter().map(role).collect(),
            status: STATUS.iter().map(|gauge| plain(gauge.name)).collect(),
            saturation: Saturation {
                thread: plain(catalogue::THREAD_SATURATION.name),
                fsm: plain(catalogue::FSM_SATURATION.name),
                log: plain(catalogue::LOG_SATURATION.name),
                seen: Cell::new(Busy { at: clock.now(), thread: thread_busy(), ..Busy::default() }),
            },
            counted: RefCell::new(Counted::new(&node)),
            due: Cell::default(),
            node,
        }
    }

    /// How long `peer` takes to answer heartbeats.
    pub(crate) fn heartbeats(&self, peer: &NodeId) -> Timer {
        self.of_peer(&catalogue::HEARTBEATS, peer)
    }

    /// How long `peer` takes to answer AppendEntries.
    pub(crate) fn appends(&self, peer: &NodeId) -> Timer {
        self.of_peer(&catalogue::APPENDS, peer)
    }

    fn of_peer(&self, what: &Other, peer: &NodeId) -> Timer {
        let labels = [("node", self.node.clone()), ("peer", peer.to_string())];
        Timer::new(self.clock, histogram!(what.name, &labels))
    }

    /// Tells what the board says, if that was not done for a while.
    pub(crate) fn publish(&self, now: Duration, board: &Board) {
        if now < self.due.get() || board.is_over() {
            return;
        }
        self.due.set(now + PUBLISH_INTERVAL);
        self.tell_status(&board.status());
        self.counted.borrow_mut().tell(&self.node, &board.statistics());
        self.saturation.tell(Busy {
            at: now,
            thread: thread_busy(),
            fsm: self.apply.busy(now),
            log: self.flush.busy(now),
        });
    }

    fn tell_status(&self, status: &Status) {
        self.up.set(1.0);
        for (gauge, role) in self.roles.iter().zip(ROLES) {
            gauge.set(f64::from(status.role == role));
        }
        for (gauge, of) in self.status.iter().zip(STATUS) {
            gauge.set((of.read)(status));
        }
    }

    /// The node has stopped or failed: whatever it was, it is not any more.
    pub(crate) fn ended(&self) {
        self.up.set(0.0);
        self.roles.iter().for_each(|role| role.set(0.0));
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.ended();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What was counted when it was last told: a recorder adds, so that a node that starts again goes on from there.
struct Counted {
    told: Statistics,
    /// In the order of [`Statistics::counters`].
    counters: Vec<Counter>,
    step_downs: BTreeMap<String, Counter>,
}

impl Counted {
    fn new(node: &str) -> Self {
        let told = Statistics::default();
        let of = |(field, _)| counter!(catalogue::counter_name(field), "node" => node.to_owned());
        Self { counters: told.counters().map(of).collect(), told, step_downs: BTreeMap::new() }
    }

    fn tell(&mut self, node: &str, now: &Statistics) {
        for ((counter, (_, now)), (_, told)) in
            self.counters.iter().zip(now.counters()).zip(self.told.counters())
        {
            counter.increment(now.saturating_sub(told));
        }
        for (reason, count) in &now.step_downs {
            let of = || counter!(catalogue::STEP_DOWNS.name, "node" => node.to_owned(), "reason" => reason.clone());
            let told = self.told.step_downs.get(reason).copied().unwrap_or(0);
            self.step_downs.entry(reason.clone()).or_insert_with(of).increment(count.saturating_sub(told));
        }
        self.told.clone_from(now);
    }
}

/// For how long each was at work until then.
#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    at: Duration,
    thread: Duration,
    fsm: Duration,
    log: Duration,
}

struct Saturation {
    thread: Gauge,
    fsm: Gauge,
    log: Gauge,
    seen: Cell<Busy>,
}

impl Saturation {
    fn tell(&self, now: Busy) {
        let seen = self.seen.replace(now);
        let span = now.at.saturating_sub(seen.at);
        self.thread.set(ratio(now.thread, seen.thread, span));
        self.fsm.set(ratio(now.fsm, seen.fsm, span));
        self.log.set(ratio(now.log, seen.log, span));
    }
}

/// Which part of a span was work. The thread's work is measured by another clock than the span.
fn ratio(now: Duration, seen: Duration, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { now.saturating_sub(seen).div_duration_f64(span).min(1.0) }
}

/// For how long this thread's runtime has been at work so far.
fn thread_busy() -> Duration {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map_or(Duration::ZERO, |runtime| runtime.metrics().worker_total_busy_duration(0))
}

fn describe() {
    for catalogue::Row { name, kind, help, .. } in catalogue::all() {
        match kind {
            "counter" => describe_counter!(name.into_owned(), help),
            "gauge" => describe_gauge!(name.into_owned(), help),
            _ => describe_histogram!(name.into_owned(), Unit::Seconds, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::{
        clock::ClockSkew,
        transport::Identity,
        types::{ClusterId, GroupId, Incarnation, LogIndex, Term},
    };

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_board_says_is_told_once_a_second_and_a_second_life_goes_on_counting() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let value = |metric: &str| {
            let text = handle.render();
            let line = text.lines().find_map(|line| line.strip_prefix(metric)).map(str::trim);
            line.map(|value| value.parse::<f64>().unwrap())
        };
        let identity = Identity {
            id: "n1".into(),
            cluster: ClusterId(7),
            group: GroupId::ZERO,
            incarnation: Incarnation(1),
        };
        let clock = Clock::start(ClockSkew::NONE, None);
        ::metrics::with_local_recorder(&recorder, || {
            for life in 1..=2 {
                let board = Board::new(identity.clone(), clock);
                let metrics = Metrics::new(&"n1".into(), clock);
                board.set_role(ServerRole::Leader, Term(4), None);
                board.set_commit(LogIndex(9));
                board.counters.bytes_appended.add(100);
                board.count_step_down("quorum lost");
                metrics.apply.start(3);
                metrics.publish(at(1.0), &board);
                assert_eq!(value("raftix_appended_bytes_total{node=\"n1\"}"), Some(100.0 * f64::from(life)));
                assert_eq!(
                    value("raftix_step_downs_total{node=\"n1\",reason=\"quorum lost\"}"),
                    Some(life.into())
                );
                assert_eq!(value("raftix_commit_index{node=\"n1\"}"), Some(9.0));
                assert_eq!(value("raftix_last_contact_seconds{node=\"n1\"}"), Some(0.0));
                assert_eq!(value("raftix_role{node=\"n1\",role=\"leader\"}"), Some(1.0));
                assert_eq!(value("raftix_role{node=\"n1\",role=\"follower\"}"), Some(0.0));
                assert_eq!(value("raftix_fsm_saturation_ratio{node=\"n1\"}"), Some(1.0), "it has been busy");
                board.set_commit(LogIndex(10));
                metrics.publish(at(1.9), &board);
                assert_eq!(value("raftix_commit_index{node=\"n1\"}"), Some(9.0), "not yet");
                metrics.publish(at(2.0), &board);
                assert_eq!(value("raftix_commit_index{node=\"n1\"}"), Some(10.0));
                assert_eq!(value("raftix_up{node=\"n1\"}"), Some(1.0));
                drop(metrics);
                assert_eq!(value("raftix_up{node=\"n1\"}"), Some(0.0));
                assert_eq!(value("raftix_role{node=\"n1\",role=\"leader\"}"), Some(0.0));
            }
        });
    }
}
