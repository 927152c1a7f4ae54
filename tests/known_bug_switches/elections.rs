//! The bugs of elections, at the rule.

use std::time::Duration;

use raftix::{
    known_bug::KnownBug,
    protocol::{Effect, Election, ElectionConfig, LogView, Role},
    types::{
        Incarnation, LogId, LogIndex, Membership, NodeId, RequestVote, RequestVoteResponse, Server, Suffrage,
        Term, Vote,
    },
};

use crate::differs;

const TIMEOUT: Duration = Duration::from_millis(100);

/// `n1` of some voters, in term 4, in which it voted for `n2`; its log ends at 7@4.
struct Node {
    election: Election,
    members: Membership,
    now: Duration,
}

impl Node {
    fn among(voters: u64) -> Self {
        let config = ElectionConfig { heartbeat_timeout: TIMEOUT, election_timeout: TIMEOUT, pre_vote: true };
        let vote = Vote { term: Term(4), voted_for: Some("n2".into()) };
        let server = |n| Server {
            id: NodeId::from(format!("n{n}")),
            address: format!("n{n}:1"),
            suffrage: Suffrage::Voter,
            incarnation: Incarnation(1),
        };
        let members = Membership::new((1..=voters).map(server)).unwrap();
        let now = Duration::from_secs(1);
        Self {
            // Long enough ago to vote again.
            election: Election::new(config, "n1".into(), Incarnation(1), vote, None, now - TIMEOUT, 7),
            members,
            now,
        }
    }

    fn with<R>(&mut self, ask: impl FnOnce(&mut Election, Duration, &LogView<'_>) -> R) -> R {
        let last = LogId::new(Term(4), LogIndex(7));
        let (membership, settled) = (&self.members, &self.members);
        ask(&mut self.election, self.now, &LogView { last, membership, settled, quarantined: false })
    }

    fn lose_patience(&mut self) {
        self.now += 2 * TIMEOUT;
        self.with(Election::tick);
    }

    fn requested(&mut self, candidate: &str, term: u64, last: (u64, u64)) -> (bool, Vec<Vote>) {
        let request = candidacy(candidate, term, last);
        let (effects, response) = self.with(|election, now, view| election.answer_vote(now, &request, view));
        (response.granted, saved(&effects))
    }

    /// The voter called `from` grants what it was asked in the term `asked`.
    fn granted(&mut self, from: &str, pre_vote: bool, asked: u64, incarnation: u128) {
        let incarnation = Incarnation(incarnation);
        self.answered(
            from,
            pre_vote,
            asked,
            RequestVoteResponse { term: Term(asked), incarnation, granted: true },
        );
    }

    fn answered(&mut self, from: &str, pre_vote: bool, asked: u64, response: RequestVoteResponse) {
        self.with(|election, now, view| {
            election.vote_answered(now, &from.into(), pre_vote, Term(asked), &response, view)
        });
    }

    fn own_vote_durable(&mut self, term: u64) {
        self.with(|election, now, view| election.own_vote_durable(now, Term(term), view));
    }
}

fn candidacy(candidate: &str, term: u64, last: (u64, u64)) -> RequestVote {
    RequestVote {
        term: Term(term),
        candidate: candidate.into(),
        incarnation: Incarnation(1),
        last: LogId::new(Term(last.1), LogIndex(last.0)),
        leadership_transfer: false,
        unanimous: false,
    }
}

fn saved(effects: &[Effect]) -> Vec<Vote> {
    let vote = |effect: &Effect| match effect {
        Effect::SaveVote(vote) => Some(vote.clone()),
        _ => None,
    };
    effects.iter().filter_map(vote).collect()
}

fn vote(term: u64, candidate: &str) -> Vote {
    Vote { term: Term(term), voted_for: Some(candidate.into()) }
}

#[test]
fn votes_are_torn_unsaved_or_given_to_whoever_is_behind() {
    let change = || Node::among(3).requested("n3", 5, (7, 4));
    let torn = vec![vote(5, "n2"), vote(5, "n3")];
    differs(KnownBug::TornVote, change, (true, vec![vote(5, "n3")]), (true, torn));
    // As if a crash had left the first of the two records.
    let again = || Node::among(3).requested("n2", 4, (6, 3)).0;
    differs(KnownBug::TornVote, again, false, true);
    let long = || Node::among(3).requested("n3", 5, (9, 3)).0;
    differs(KnownBug::CandidateComparedByLength, long, false, true);
    let adopted = Vote { term: Term(9), voted_for: None };
    let seen = || saved(&Node::among(3).with(|election, now, _| election.saw_term(now, Term(9))));
    differs(KnownBug::TermNotSaved, seen, vec![adopted.clone()], vec![]);
    let refused = || Node::among(3).requested("n3", 9, (0, 0));
    differs(KnownBug::TermNotSaved, refused, (false, vec![adopted]), (false, vec![]));
}

#[test]
fn promises_change_what_they_must_not_and_say_what_is_not_heard() {
    let heard = || {
        let mut node = Node::among(3);
        let request = candidacy("n3", 5, (7, 4));
        node.with(|election, now, view| election.answer_pre_vote(now, &request, view));
        node.election.last_contact()
    };
    differs(KnownBug::PreVoteRefreshesContact, heard, None, Some(Duration::from_secs(1)));
    let refused = || {
        let mut node = Node::among(3);
        node.lose_patience();
        let response = RequestVoteResponse { term: Term(9), incarnation: Incarnation(1), granted: false };
        node.answered("n3", true, 5, response);
        node.election.term()
    };
    differs(KnownBug::RefusedPreVoteTermIgnored, refused, Term(9), Term(4));
}

/// `n1` of five stands in term 5, with the promises of two others.
fn standing() -> Node {
    let mut node = Node::among(5);
    node.lose_patience();
    node.granted("n2", true, 5, 1);
    node.granted("n3", true, 5, 1);
    assert_eq!(node.election.role(), Role::Candidate);
    node
}

#[test]
fn elections_are_won_with_what_is_no_vote() {
    let promised = || {
        let mut node = standing();
        node.own_vote_durable(5);
        node.granted("n4", true, 5, 1);
        node.granted("n5", true, 5, 1);
        node.election.is_leader()
    };
    differs(KnownBug::PreVoteCountsAsVote, promised, false, true);
    let undurable = || {
        let mut node = standing();
        node.granted("n2", false, 5, 1);
        node.granted("n3", false, 5, 1);
        node.election.is_leader()
    };
    differs(KnownBug::OwnVoteBeforeFlush, undurable, false, true);
    let late = || {
        let mut node = standing();
        node.own_vote_durable(5);
        node.lose_patience();
        node.granted("n2", true, 6, 1);
        node.granted("n3", true, 6, 1);
        node.own_vote_durable(6);
        node.granted("n4", false, 5, 1);
        node.granted("n5", false, 5, 1);
        (node.election.term(), node.election.is_leader())
    };
    differs(KnownBug::OlderRoundCounted, late, (Term(6), false), (Term(6), true));
    let wiped = || {
        let mut node = standing();
        node.own_vote_durable(5);
        node.granted("n2", false, 5, 2);
        node.granted("n3", false, 5, 2);
        node.election.is_leader()
    };
    differs(KnownBug::WipedNodeTakesPart, wiped, false, true);
}

#[test]
fn a_voter_that_was_restarted_votes_at_once() {
    let voted = || {
        let mut node = Node::among(3);
        node.now -= TIMEOUT;
        node.requested("n3", 5, (7, 4)).0
    };
    differs(KnownBug::RestartedVoterForgetsLease, voted, false, true);
}
