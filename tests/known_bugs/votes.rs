//! What a node makes of the answers to its own candidacy: the rule alone.

use std::time::Duration;

use raftix::{
    protocol::{Effect, Election, ElectionConfig, LogView, Role},
    types::{
        Incarnation, LogId, LogIndex, Membership, RequestVote, RequestVoteResponse, Server, Suffrage, Term,
        Vote,
    },
};

use crate::support::ms;

const TIMEOUT: Duration = ms(100);
const LIFE: Incarnation = Incarnation(7);

/// n1 of three voters, in term 4, with a log that ends at index 7.
struct Node {
    election: Election,
    members: Membership,
    now: Duration,
}

impl Node {
    fn new() -> Self {
        let server = |id: &str| Server {
            id: id.into(),
            address: format!("{id}:1"),
            suffrage: Suffrage::Voter,
            incarnation: LIFE,
        };
        let members = Membership::new(["n1", "n2", "n3"].map(server)).unwrap();
        let config = ElectionConfig { heartbeat_timeout: TIMEOUT, election_timeout: TIMEOUT, pre_vote: true };
        let vote = Vote { term: Term(4), voted_for: None };
        let election = Election::new(config, "n1".into(), LIFE, vote, None, ms(1000), 7);
        Self { election, members, now: ms(1000) }
    }

    /// Standing in term 5, its own vote durable.
    fn standing() -> Self {
        let mut node = Self::new();
        node.now += 2 * TIMEOUT;
        node.with(Election::tick);
        node.answer("n2", true, 5, 5, true);
        assert_eq!((node.election.role(), node.election.term()), (Role::Candidate, Term(5)));
        node.with(|election, now, view| election.own_vote_durable(now, Term(5), view));
        node
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Election, Duration, &LogView<'_>) -> R) -> R {
        let (membership, settled) = (&self.members, &self.members);
        let view = LogView { last: at(7, 4), membership, settled, quarantined: false };
        call(&mut self.election, self.now, &view)
    }

    /// A voter in `term` answers what was asked about term `asked`.
    fn answer(&mut self, from: &str, pre_vote: bool, asked: u64, term: u64, granted: bool) -> Vec<Effect> {
        let response = RequestVoteResponse { term: Term(term), incarnation: LIFE, granted };
        self.with(|election, now, view| {
            election.vote_answered(now, &from.into(), pre_vote, Term(asked), &response, view)
        })
    }

    fn votes_for(&mut self, candidate: &str, term: u64, last: LogId) -> bool {
        let request = RequestVote {
            term: Term(term),
            candidate: candidate.into(),
            incarnation: LIFE,
            last,
            leadership_transfer: false,
            unanimous: false,
        };
        self.with(|election, now, view| election.answer_vote(now, &request, view)).1.granted
    }
}

fn at(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

#[test]
fn regress_a12_late_answers_to_an_older_round_make_no_leader_stand_again() {
    let mut node = Node::standing();
    node.answer("n3", false, 5, 5, true);
    assert!(node.election.is_leader());
    for (pre_vote, asked) in [(true, 5), (true, 6), (false, 5)] {
        for from in ["n2", "n3"] {
            assert_eq!(node.answer(from, pre_vote, asked, asked, pre_vote || asked == 5), []);
        }
    }
    assert!(node.election.is_leader());
    assert_eq!(node.election.term(), Term(5));
}

#[test]
fn regress_a16_a_higher_term_in_an_answer_is_no_vote_for_whoever_has_it() {
    let mut node = Node::standing();
    let saved = Effect::SaveVote(Vote { term: Term(9), voted_for: None });
    assert!(node.answer("n2", false, 5, 9, false).contains(&saved));
    assert_eq!((node.election.role(), node.election.voted_for()), (Role::Follower, None));
    assert!(!node.votes_for("n2", 9, at(6, 4)), "its log is compared all the same");
    assert!(node.votes_for("n3", 9, at(7, 4)), "and the vote is free");
}
