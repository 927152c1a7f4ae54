//! Every metric there is, in one place: its name after the conventions of Prometheus, what it says, and what
//! hashicorp/raft calls it. docs/metrics.md is made of this.

use std::borrow::Cow;

use crate::board::{ServerRole, Statistics, Status};

/// A gauge that is read off a status.
pub(super) struct StatusGauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) go: &'static str,
    pub(super) read: fn(&Status) -> f64,
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    go: &'static str,
    read: fn(&Status) -> f64,
) -> StatusGauge {
    StatusGauge { name, help, go, read }
}

/// What is read off a status.
pub(super) const STATUS: &[StatusGauge] = &[
    gauge("raftix_term", "Its term.", "", |status| status.term.0 as f64),
    gauge("raftix_has_leader", "1 if it knows a leader.", "", |status| status.leader.is_some().into()),
    gauge("raftix_commit_index", "Everything up to here is committed, as far as it knows.", "", |status| {
        status.commit_index.0 as f64
    }),
    gauge("raftix_applied_index", "Everything up to here is applied to its state machine.", "", |status| {
        status.applied_index.0 as f64
    }),
    gauge("raftix_last_index", "The last entry of its log.", "", |status| status.last_index.0 as f64),
    gauge("raftix_durable_index", "Everything up to here is on its medium.", "", |status| {
        status.durable_index.0 as f64
    }),
    gauge("raftix_snapshot_index", "The last entry of its newest snapshot; 0 without one.", "", |status| {
        status.snapshot_index.0 as f64
    }),
    gauge("raftix_membership_index", "The entry of the membership in effect.", "", |status| {
        status.membership_index.0 as f64
    }),
    gauge(
        "raftix_fsm_pending_entries",
        "Entries that are committed and not applied to its state machine yet.",
        "",
        |status| status.fsm_pending as f64,
    ),
    gauge("raftix_members", "Members of the membership in effect.", "", |status| status.members.len() as f64),
    gauge("raftix_voters", "Those of them that vote.", "peers", |status| status.voters.len() as f64),
    gauge(
        "raftix_last_contact_seconds",
        "How long ago it last heard its leader: 0 on the leader, -1 if it never heard one.",
        "",
        |status| status.last_contact.map_or(-1.0, |ago| ago.as_secs_f64()),
    ),
];

/// Another metric.
pub(super) struct Other {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// Its labels beside `node`.
    pub(super) labels: &'static str,
    pub(super) help: &'static str,
    pub(super) go: &'static str,
}

pub(super) const UP: Other = Other {
    name: "raftix_up",
    kind: "gauge",
    labels: "",
    help: "1 while it runs, 0 once it has stopped or failed.",
    go: "",
};
pub(super) const ROLE: Other = Other {
    name: "raftix_role",
    kind: "gauge",
    labels: "role",
    help: "1 for what it does in its cluster, 0 for every other role.",
    go: "state.follower, state.candidate, state.leader",
};
pub(super) const STEP_DOWNS: Other = Other {
    name: "raftix_step_downs_total",
    kind: "counter",
    labels: "reason",
    help: "Leaderships of this node that ended, by the reason.",
    go: "transition.leader_lease_timeout",
};
pub(super) const COMMIT: Other = Other {
    name: "raftix_commit_seconds",
    kind: "histogram",
    labels: "",
    help: "From when the leader appended a batch to when all of it was committed.",
    go: "commitTime",
};
pub(super) const FLUSH: Other = Other {
    name: "raftix_flush_seconds",
    kind: "histogram",
    labels: "",
    help: "From when a batch was given to the log to when it was durable; what waits for an earlier flush waits in here.",
    go: "leader.dispatchLog, rpc.appendEntries.storeLogs",
};
pub(super) const APPLY: Other = Other {
    name: "raftix_apply_seconds",
    kind: "histogram",
    labels: "",
    help: "From when committed entries were handed to the state machine to when it was done with them.",
    go: "fsm.apply, fsm.applyBatch, fsm.enqueue",
};
pub(super) const SNAPSHOT: Other = Other {
    name: "raftix_snapshot_seconds",
    kind: "histogram",
    labels: "",
    help: "From when the state machine was asked for its state to when the snapshot was durable.",
    go: "snapshot.takeSnapshot, snapshot.create, snapshot.persist, fsm.snapshot",
};
pub(super) const APPENDS: Other = Other {
    name: "raftix_append_round_trip_seconds",
    kind: "histogram",
    labels: "peer",
    help: "From when a leader sent an AppendEntries to the follower's answer, which waits for the follower's flush.",
    go: "replication.appendEntries.rpc",
};
pub(super) const HEARTBEATS: Other = Other {
    name: "raftix_heartbeat_round_trip_seconds",
    kind: "histogram",
    labels: "peer",
    help: "From when a leader sent a heartbeat to its answer.",
    go: "replication.heartbeat",
};
pub(super) const THREAD_SATURATION: Other = Other {
    name: "raftix_thread_saturation_ratio",
    kind: "gauge",
    labels: "",
    help: "How much of the last second or so the thread of its protocol actors was at work, for whatever runs on it.",
    go: "thread.main.saturation",
};
pub(super) const FSM_SATURATION: Other = Other {
    name: "raftix_fsm_saturation_ratio",
    kind: "gauge",
    labels: "",
    help: "How much of it the state machine had something to apply.",
    go: "thread.fsm.saturation",
};
pub(super) const LOG_SATURATION: Other = Other {
    name: "raftix_log_saturation_ratio",
    kind: "gauge",
    labels: "",
    help: "How much of it the log had something to flush.",
    go: "",
};

/// Those that are neither [`STATUS`] nor counters of [`Statistics`].
pub(super) const OTHERS: &[&Other] = &[
    &UP,
    &ROLE,
    &STEP_DOWNS,
    &COMMIT,
    &FLUSH,
    &APPLY,
    &SNAPSHOT,
    &APPENDS,
    &HEARTBEATS,
    &THREAD_SATURATION,
    &FSM_SATURATION,
    &LOG_SATURATION,
];

/// What a node may do.
pub(super) const ROLES: [ServerRole; 5] = [
    ServerRole::Leader,
    ServerRole::Follower,
    ServerRole::Candidate,
    ServerRole::Nonvoter,
    ServerRole::Quarantined,
];

/// What the counter of a [`Statistics`] is called outside: the unit stands last.
pub(super) fn counter_name(field: &str) -> String {
    match field.strip_prefix("bytes_") {
        Some(what) => format!("raftix_{what}_bytes_total"),
        None => format!("raftix_{field}_total"),
    }
}

/// What hashicorp/raft calls the counter of a [`Statistics`], where it has one.
fn counter_go(field: &str) -> &'static str {
    match field {
        "pre_votes_started" | "elections_started" => "state.candidate",
        "elections_won" => "state.leader",
        "entries_sent" => "replication.appendEntries.logs",
        "read_rounds" => "verify_leader",
        _ => "",
    }
}

/// A row of docs/metrics.md.
pub(super) struct Row {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: &'static str,
    #[cfg_attr(not(test), expect(dead_code))]
    pub(super) labels: &'static str,
    pub(super) help: &'static str,
    #[cfg_attr(not(test), expect(dead_code))]
    pub(super) go: &'static str,
}

/// Every metric.
pub(super) fn all() -> impl Iterator<Item = Row> {
    let status = STATUS.iter().map(|gauge| Row {
        name: gauge.name.into(),
        kind: "gauge",
        labels: "",
        help: gauge.help,
        go: gauge.go,
    });
    let counters = Statistics::HELP.iter().map(|(field, help)| Row {
        name: counter_name(field).into(),
        kind: "counter",
        labels: "",
        help: help.trim(),
        go: counter_go(field),
    });
    let others = OTHERS.iter().map(|other| Row {
        name: other.name.into(),
        kind: other.kind,
        labels: other.labels,
        help: other.help,
        go: other.go,
    });
    status.chain(others).chain(counters)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write as _};

    use super::*;

    /// As it stands in docs/metrics.md, behind what is said there in words.
    fn table() -> String {
        let mut table =
            String::from("| metric | kind | labels | what | hashicorp/raft |\n|---|---|---|---|---|\n");
        for Row { name, kind, labels, help, go } in all() {
            let labels = if labels.is_empty() { "`node`".to_owned() } else { format!("`node`, `{labels}`") };
            writeln!(table, "| `{name}` | {kind} | {labels} | {help} | {go} |").unwrap();
        }
        table
    }

    /// `UPDATE_DOCS=1` writes it anew.
    #[test]
    fn the_page_of_metrics_is_true() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let table = table();
        let (words, _) = page.split_once("| metric |").expect("a table of metrics");
        let expected = format!("{words}{table}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).unwrap();
        } else {
            assert_eq!(page, expected, "UPDATE_DOCS=1 cargo test --lib metrics:: writes it");
        }
    }

    #[test]
    fn every_metric_has_one_name_with_its_unit_last() {
        let mut names = BTreeSet::new();
        for Row { name, kind, help, .. } in all() {
            assert!(name.starts_with("raftix_") && help.ends_with('.'), "{name}: {help}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
            assert!(names.insert(name.clone().into_owned()), "{name} twice");
        }
        assert_eq!(counter_name("bytes_sent"), "raftix_sent_bytes_total");
    }
}
