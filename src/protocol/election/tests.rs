//! The rule alone: one node, and what it makes of each thing that may happen to it.

mod cluster;
mod standing;
mod taking_turns;
mod voting;

use std::time::Duration;

use super::*;
use crate::types::{LogIndex, RequestVoteResponse, Server, Suffrage};

const HEARTBEAT: Duration = Duration::from_millis(100);
const CONFIG: ElectionConfig =
    ElectionConfig { heartbeat_timeout: HEARTBEAT, election_timeout: HEARTBEAT, pre_vote: true };
const NONE: Vec<Effect> = Vec::new();

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

fn server(id: &str, suffrage: Suffrage) -> Server {
    Server { id: id.into(), address: format!("{id}:1"), suffrage, incarnation: incarnation_of(id) }
}

/// Each node's admitted life, told from the others.
fn incarnation_of(id: &str) -> Incarnation {
    Incarnation(id.bytes().fold(1, |sum, byte| sum * 256 + u128::from(byte)))
}

/// Voters n1 to n`voters`, and the nonvoter n9.
fn members(voters: u64) -> Membership {
    let voters = (1..=voters).map(|number| server(&format!("n{number}"), Suffrage::Voter));
    Membership::new(voters.chain([server("n9", Suffrage::Nonvoter)])).unwrap()
}

/// A node and its surroundings, so that a test says only what matters.
struct Node {
    election: Election,
    members: Membership,
    /// `None` if the effective membership is.
    settled: Option<Membership>,
    last: LogId,
    quarantined: bool,
    now: Duration,
}

impl Node {
    /// n1 of three voters, in term 4, whose log ends at 7@4.
    fn new() -> Self {
        Self::start(CONFIG, Vote { term: Term(4), voted_for: None }, None)
    }

    fn start(config: ElectionConfig, vote: Vote, withheld: Option<LogId>) -> Self {
        let now = ms(1000);
        // Long enough ago to vote again.
        let started = now - HEARTBEAT;
        let election = Election::new(config, "n1".into(), incarnation_of("n1"), vote, withheld, started, 7);
        Self { election, members: members(3), settled: None, last: at(7, 4), quarantined: false, now }
    }

    /// n1 of one voter.
    fn alone() -> Self {
        Self { members: members(1), ..Self::new() }
    }

    /// n1 following n2 in term 4, heard just now.
    fn following() -> Self {
        let mut node = Self::new();
        assert!(node.heard(4, "n2").0);
        node
    }

    /// n1 asking for pre-votes for term 5.
    fn asking() -> Self {
        let mut node = Self::new();
        node.lose_patience();
        assert_eq!(node.election.role(), Role::PreCandidate);
        node
    }

    /// n1 standing in term 5, its vote not durable yet.
    fn standing() -> Self {
        let mut node = Self::asking();
        node.answer("n2", true, 5, 5, true);
        assert_eq!(node.election.role(), Role::Candidate);
        node
    }

    /// n1 leading term 5.
    fn leading() -> Self {
        let mut node = Self::standing();
        node.answer("n2", false, 5, 5, true);
        node.own_vote_durable(5);
        assert!(node.election.is_leader());
        node
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Election, Duration, &LogView<'_>) -> R) -> R {
        let (membership, quarantined) = (&self.members, self.quarantined);
        let settled = self.settled.as_ref().unwrap_or(membership);
        let view = LogView { last: self.last, membership, settled, quarantined };
        call(&mut self.election, self.now, &view)
    }

    fn tick(&mut self) -> Vec<Effect> {
        self.with(Election::tick)
    }

    /// Twice the timeout passes, then a tick.
    fn lose_patience(&mut self) -> Vec<Effect> {
        self.now += 2 * HEARTBEAT;
        self.tick()
    }

    fn heard(&mut self, term: u64, leader: &str) -> (bool, Vec<Effect>) {
        self.with(|election, now, _| election.heard_leader(now, Term(term), &leader.into()))
    }

    fn own_vote_durable(&mut self, term: u64) -> Vec<Effect> {
        self.with(|election, now, view| election.own_vote_durable(now, Term(term), view))
    }

    /// A voter in `term` answers what was asked about term `asked`.
    fn answer(&mut self, from: &str, pre_vote: bool, asked: u64, term: u64, granted: bool) -> Vec<Effect> {
        let response = RequestVoteResponse { term: Term(term), incarnation: incarnation_of(from), granted };
        self.with(|election, now, view| {
            election.vote_answered(now, &from.into(), pre_vote, Term(asked), &response, view)
        })
    }

    fn asked_for_vote(&mut self, request: &RequestVote) -> (Vec<Effect>, RequestVoteResponse) {
        self.with(|election, now, view| election.answer_vote(now, request, view))
    }

    /// Whether the vote is given.
    fn votes_for(&mut self, request: &RequestVote) -> bool {
        self.asked_for_vote(request).1.granted
    }

    /// The term and the verdict of the answer to a pre-vote.
    fn would_vote_for(&mut self, request: &RequestVote) -> (u64, bool) {
        let answer = self.with(|election, now, view| election.answer_pre_vote(now, request, view));
        (answer.term.get(), answer.granted)
    }

    /// The whole state but for the timers.
    fn state(&self) -> String {
        self.election.to_string()
    }
}

/// `candidate` stands in `term`; its log ends at 7@4, as that of n1.
fn request(candidate: &str, term: u64) -> RequestVote {
    RequestVote {
        term: Term(term),
        candidate: candidate.into(),
        incarnation: incarnation_of(candidate),
        last: at(7, 4),
        leadership_transfer: false,
        unanimous: false,
    }
}

fn saved(term: u64, voted_for: Option<&str>) -> Effect {
    Effect::SaveVote(Vote { term: Term(term), voted_for: voted_for.map(NodeId::from) })
}

fn term_changed(term: u64) -> Effect {
    Effect::TermChanged { term: Term(term) }
}

fn leader_changed(leader: Option<&str>, term: u64) -> Effect {
    Effect::LeaderChanged { leader: leader.map(NodeId::from), term: Term(term) }
}

/// n1 asks n2 and n3 about `term`.
fn asks(term: u64, pre_vote: bool) -> Effect {
    Effect::Ask { request: request("n1", term), pre_vote, to: vec!["n2".into(), "n3".into()] }
}

#[test]
fn patience_is_between_once_and_twice_the_timeout_and_differs_by_seed() {
    let patience = |seed| {
        let vote = Vote::default();
        let election = Election::new(CONFIG, "n1".into(), incarnation_of("n1"), vote, None, ms(1000), seed);
        let mut node = Node { election, ..Node::new() };
        let began = node.now;
        while node.tick() == NONE {
            node.now += Duration::from_micros(100);
        }
        node.now - began
    };
    let all: Vec<Duration> = (0..50).map(patience).collect();
    assert!(all.iter().all(|patience| (HEARTBEAT..=2 * HEARTBEAT).contains(patience)));
    assert_eq!(patience(3), patience(3));
    assert!(all.iter().any(|patience| *patience != all[0]));
}

#[test]
fn a_leader_that_is_heard_is_followed() {
    let mut node = Node::new();
    assert_eq!(node.heard(4, "n2"), (true, vec![leader_changed(Some("n2"), 4)]));
    assert_eq!(node.heard(4, "n2"), (true, NONE));
    assert_eq!(
        node.heard(6, "n3"),
        (true, vec![saved(6, None), term_changed(6), leader_changed(Some("n3"), 6)],)
    );
    assert_eq!(node.heard(5, "n2"), (false, NONE), "an older term");
    assert_eq!(node.state(), "n1 t6 Follower voted - leader n3");
    assert_eq!(node.election.last_contact(), Some(node.now));
}

#[test]
fn candidates_give_way_to_a_leader_of_their_term() {
    let mut asking = Node::asking();
    assert!(asking.heard(4, "n2").0);
    assert_eq!(asking.state(), "n1 t4 Follower voted - leader n2");
    let mut standing = Node::standing();
    assert!(standing.heard(5, "n2").0);
    assert_eq!(standing.state(), "n1 t5 Follower voted n1 leader n2");
    assert_eq!(standing.own_vote_durable(5), NONE);
    assert_eq!(standing.answer("n3", false, 5, 5, true), NONE);
}

#[test]
fn two_leaders_of_one_term_are_not_both_followed() {
    let mut node = Node::following();
    assert_eq!(node.heard(4, "n3"), (false, NONE));
    let mut leader = Node::leading();
    assert_eq!(leader.heard(5, "n2"), (false, NONE));
    assert!(leader.election.is_leader());
    assert_eq!(Node::new().heard(4, "n1"), (false, NONE), "its own name");
}

#[test]
fn a_higher_term_deposes_first_of_all() {
    let mut node = Node::leading();
    let effects = node.with(|election, now, _| election.saw_term(now, Term(9)));
    let deposed = Effect::Deposed { term: Term(5), reason: StepDownReason::HigherTerm };
    assert_eq!(effects, [deposed, saved(9, None), term_changed(9), leader_changed(None, 9)]);
    assert_eq!(node.state(), "n1 t9 Follower voted - leader -");
    assert_eq!(node.with(|election, now, _| election.saw_term(now, Term(9))), NONE);
}

#[test]
fn stepping_down_keeps_the_term_and_then_waits() {
    let mut node = Node::leading();
    let reason = StepDownReason::DiskStalled;
    assert_eq!(node.with(|election, now, _| election.step_down(now, Term(4), reason)), NONE, "another term");
    let effects = node.with(|election, now, _| election.step_down(now, Term(5), reason));
    assert_eq!(effects, [Effect::Deposed { term: Term(5), reason }, leader_changed(None, 5)]);
    assert_eq!(node.with(|election, now, _| election.step_down(now, Term(5), reason)), NONE, "twice");
    assert_eq!(node.lose_patience(), NONE, "the others lose patience sooner");
    node.now += 2 * HEARTBEAT;
    assert_eq!(node.tick(), [asks(6, true)]);
}

#[test]
fn a_leader_does_not_stand_however_long_it_leads() {
    let mut node = Node::leading();
    node.now += ms(1_000_000);
    assert_eq!(node.tick(), NONE);
    assert!(!node.with(|election, now, view| election.stand_now(now, &"n1".into(), Term(5), view)).0);
}

#[test]
fn the_highest_term_can_be_followed_but_not_passed() {
    let mut node = Node::new();
    node.with(|election, now, _| election.saw_term(now, Term(u64::MAX)));
    assert_eq!(node.lose_patience(), NONE);
    assert_eq!(node.election.role(), Role::Follower);
}
