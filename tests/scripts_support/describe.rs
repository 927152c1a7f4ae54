//! Messages and states in words: one line each.

use raftix::{
    ApplyError, ChangeError, ReadError, Status,
    transport::RpcError,
    types::{
        AppendOutcome, Entries, ForwardedResult, GreetResponse, InstallOutcome, LogId, LogIndex, NodeId,
        Request, RequestVote, RequestVoteResponse, Response,
    },
};

use super::register::{Set, describe_data};

pub(crate) fn request(request: &Request) -> String {
    match request {
        Request::AppendEntries(r) => {
            format!("AppendEntries t{} prev={} commit={} {}", r.term, r.prev, r.commit, entries(&r.entries))
        }
        Request::Heartbeat(r) => format!("Heartbeat t{} round={}", r.term, r.round),
        Request::PreVote(r) => format!("PreVote {}", vote_request(r)),
        Request::RequestVote(r) => format!("RequestVote {}", vote_request(r)),
        Request::TimeoutNow(r) => format!("TimeoutNow t{}", r.term),
        Request::Greet(r) => {
            let admits = if r.admits.is_none() { "" } else { " to admit it" };
            format!("Greet incarnation={}{admits}", r.incarnation.0)
        }
        Request::ForwardApply(r) => {
            let commands: Vec<String> =
                r.commands.iter().map(|command| describe_data(command.kind, &command.data)).collect();
            format!("ForwardApply {}", commands.join(" "))
        }
        Request::ForwardReadIndex(_) => "ForwardReadIndex".to_owned(),
        Request::ForwardTransfer(r) => {
            format!("ForwardTransfer to={}", r.to.as_ref().map_or("anybody".to_owned(), NodeId::to_string))
        }
        Request::ForwardChange(r) => format!("ForwardChange {:?}", r.operation),
        Request::InstallSnapshot(r) => format!(
            "InstallSnapshot t{} last={} offset={} {} of {} bytes",
            r.term,
            r.snapshot.description.last,
            r.offset,
            r.data.len(),
            r.snapshot.bytes
        ),
    }
}

pub(crate) fn response(response: &Response) -> String {
    match response {
        Response::AppendEntries(r) => {
            let outcome = match &r.outcome {
                AppendOutcome::Matched { matched } => format!("matched={matched}"),
                AppendOutcome::Conflict { refused, hint } => format!("conflict at={refused} hint={hint}"),
                AppendOutcome::Refused => "refused".to_owned(),
            };
            format!("AppendEntriesResponse t{} {outcome}", r.term)
        }
        Response::Heartbeat(r) => {
            let follows = if r.follows { "follows" } else { "does not follow" };
            format!("HeartbeatResponse t{} round={} {follows}", r.term, r.round)
        }
        Response::PreVote(r) => format!("PreVoteResponse {}", vote_response(r)),
        Response::RequestVote(r) => format!("RequestVoteResponse {}", vote_response(r)),
        Response::TimeoutNow(r) => format!("TimeoutNowResponse t{} accepted={}", r.term, r.accepted),
        Response::Greet(r) => greet_response(r),
        Response::ForwardApply(r) => {
            let results: Vec<String> = r.results.iter().map(forwarded).collect();
            format!("ForwardApplyResponse {}", results.join(", "))
        }
        Response::ForwardTransfer(r) => match &r.result {
            Ok(leader) => format!("ForwardTransferResponse {leader} leads"),
            Err(failure) => format!("ForwardTransferResponse {failure}"),
        },
        Response::ForwardChange(r) => format!("ForwardChangeResponse {:?}", r.result),
        Response::ForwardReadIndex(r) => match &r.result {
            Ok(index) => format!("ForwardReadIndexResponse index={index}"),
            Err(leader) => format!("ForwardReadIndexResponse not the leader, {}", known(leader.as_ref())),
        },
        Response::InstallSnapshot(r) => {
            let outcome = match r.outcome {
                InstallOutcome::Wanted { offset } => format!("wanted={offset}"),
                InstallOutcome::Installed => "installed".to_owned(),
                InstallOutcome::Refused => "refused".to_owned(),
            };
            format!("InstallSnapshotResponse t{} {outcome}", r.term)
        }
    }
}

pub(crate) fn error(error: &RpcError) -> String {
    match error {
        RpcError::NotSent(_) => "not sent".to_owned(),
        RpcError::Lost(_) => "lost".to_owned(),
        _ => "no answer".to_owned(),
    }
}

fn entries(entries: &Entries) -> String {
    let mut ids = entries.iter().map(|entry| entry.id());
    match (ids.next(), ids.last()) {
        (None, _) => "entries=none".to_owned(),
        (Some(only), None) => format!("entries={only}"),
        (Some(first), Some(last)) => format!("entries={first}..{last}"),
    }
}

fn vote_request(r: &RequestVote) -> String {
    format!("t{} last={}", r.term, r.last)
}

fn vote_response(r: &RequestVoteResponse) -> String {
    format!("t{} {}", r.term, if r.granted { "granted" } else { "refused" })
}

fn greet_response(r: &GreetResponse) -> String {
    let state = match &r.state {
        None => "blank".to_owned(),
        Some(state) => match &state.first {
            None => "has a cluster".to_owned(),
            Some(first) => {
                let servers = first.servers().iter();
                let names: Vec<String> = servers.map(|s| format!("{}/{}", s.id, s.incarnation.0)).collect();
                format!("cluster began with {}", names.join(" "))
            }
        },
    };
    format!("GreetResponse incarnation={} {state}", r.incarnation.0)
}

fn forwarded(result: &ForwardedResult) -> String {
    match result {
        ForwardedResult::Applied { at, .. } => format!("applied at {at}"),
        ForwardedResult::NotLeader { leader } => format!("not the leader, {}", known(leader.as_ref())),
        other => format!("{other:?}"),
    }
}

fn known(leader: Option<&NodeId>) -> String {
    leader.map_or("knows none".to_owned(), |leader| format!("{leader} is"))
}

/// How a write ended for its caller.
pub(crate) fn applied(command: &str, result: Result<LogId, ApplyError<Set>>) -> String {
    match result {
        Ok(at) => format!("{command} applied at {at}"),
        Err(ApplyError::OutcomeUnknown { index, why }) => {
            let at = index.map_or(String::new(), |index| format!(" at {index}"));
            format!("{command}{at} outcome unknown: {why}")
        }
        Err(error) => {
            let why = error.to_string();
            let given_back = error.into_command().map_or("lost", |_| "given back");
            format!("{command} not applied, command {given_back}: {why}")
        }
    }
}

/// How a change of the membership ended for its caller.
pub(crate) fn changed(words: &str, result: Result<LogIndex, ChangeError>) -> String {
    match result {
        Ok(index) => format!("{words} done at {index}"),
        Err(error) => format!("{words} failed: {error}"),
    }
}

/// How a read ended for its caller.
pub(crate) fn answered(name: &str, result: Result<Option<String>, ReadError>) -> String {
    match result {
        Ok(Some(value)) => format!("read {name} → {value}"),
        Ok(None) => format!("read {name} → nothing"),
        Err(error) => format!("read {name} failed: {error}"),
    }
}

fn standing(s: &Status) -> String {
    let of = match &s.leader {
        Some(leader) if *leader != s.id => format!(" of {leader}"),
        _ => String::new(),
    };
    format!("{} t{}{of}", s.role, s.term)
}

fn indexes(s: &Status) -> [(&'static str, u64); 4] {
    [
        ("last", s.last_index.0),
        ("durable", s.durable_index.0),
        ("commit", s.commit_index.0),
        ("applied", s.applied_index.0),
    ]
}

/// A state.
pub(crate) fn status(s: &Status) -> String {
    let indexes: Vec<String> = indexes(s).iter().map(|(name, index)| format!("{name}={index}")).collect();
    let fatal = s.fatal.as_ref().map_or(String::new(), |fatal| format!(" FAILED: {fatal}"));
    format!("{}: {} {} ({}){fatal}", s.id, standing(s), indexes.join(" "), s.standing)
}

/// What is new about a state, if anything is.
pub(crate) fn change(before: &Status, now: &Status) -> Option<String> {
    let mut changes = Vec::new();
    if standing(before) != standing(now) {
        changes.push(format!("{} → {}", standing(before), standing(now)));
    }
    for ((name, before), (_, now)) in indexes(before).into_iter().zip(indexes(now)) {
        if before != now {
            changes.push(format!("{name} {before}→{now}"));
        }
    }
    if before.standing != now.standing {
        changes.push(now.standing.clone());
    }
    if before.fatal != now.fatal {
        changes.extend(now.fatal.iter().map(|fatal| format!("FAILED: {fatal}")));
    }
    (!changes.is_empty()).then(|| format!("{}: {}", now.id, changes.join(", ")))
}
