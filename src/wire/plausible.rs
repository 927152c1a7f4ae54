//! Numbers that no run of a cluster ever reaches are refused at the door, so that adding one to a term
//! or an index that a peer sent never overflows.

use super::Message;
use crate::types::{
    AppendOutcome, ChangeFailure, ClusterOperation, ForwardedResult, LogId, LogIndex, Request, Response, Term,
};

/// Terms and indexes stay below: at a billion a second, 146 years away.
const NUMBER_MAX: u64 = 1 << 62;

/// Whether every term and index that `message` brings lies in the range that can be counted on from.
pub(super) fn is_plausible(message: &Message) -> bool {
    match message {
        Message::Request(request) => request_is_plausible(request),
        Message::Response(response) => response_is_plausible(response),
        Message::Dropped | Message::Ping | Message::Pong => true,
    }
}

fn request_is_plausible(request: &Request) -> bool {
    match request {
        Request::AppendEntries(append) => {
            term(append.term)
                && id(append.prev)
                && index(append.commit)
                && append.entries.last_id().is_none_or(id)
        }
        Request::Heartbeat(heartbeat) => term(heartbeat.term),
        Request::PreVote(vote) | Request::RequestVote(vote) => term(vote.term) && id(vote.last),
        Request::TimeoutNow(timeout) => term(timeout.term),
        Request::ForwardChange(change) => match &change.operation {
            ClusterOperation::ChangeMembership(change) => change.prev_index.is_none_or(index),
        },
        Request::Greet(_)
        | Request::ForwardApply(_)
        | Request::ForwardReadIndex(_)
        | Request::ForwardTransfer(_) => true,
        Request::InstallSnapshot(install) => {
            let description = &install.snapshot.description;
            term(install.term) && id(description.last) && index(description.membership_index)
        }
    }
}

fn response_is_plausible(response: &Response) -> bool {
    match response {
        Response::AppendEntries(append) => {
            term(append.term)
                && match append.outcome {
                    AppendOutcome::Matched { matched } => index(matched),
                    AppendOutcome::Conflict { refused, hint } => index(refused) && id(hint),
                    AppendOutcome::Refused => true,
                }
        }
        Response::Heartbeat(heartbeat) => term(heartbeat.term),
        Response::PreVote(vote) | Response::RequestVote(vote) => term(vote.term),
        Response::TimeoutNow(timeout) => term(timeout.term),
        Response::Greet(_) | Response::ForwardTransfer(_) => true,
        Response::InstallSnapshot(install) => term(install.term),
        Response::ForwardApply(apply) => apply.results.iter().all(|result| match result {
            ForwardedResult::Applied { at, .. } => id(*at),
            _ => true,
        }),
        Response::ForwardChange(change) => match &change.result {
            Ok(at) | Err(ChangeFailure::ConfigurationChanged { index: at }) => index(*at),
            Err(_) => true,
        },
        Response::ForwardReadIndex(read) => read.result.as_ref().map_or(true, |at| index(*at)),
    }
}

fn term(term: Term) -> bool {
    term.get() < NUMBER_MAX
}

fn index(index: LogIndex) -> bool {
    index.get() < NUMBER_MAX
}

fn id(id: LogId) -> bool {
    term(id.term) && index(id.index)
}
