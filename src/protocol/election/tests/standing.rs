//! The candidate's side.

use super::*;

fn became_leader(term: u64) -> [Effect; 2] {
    [Effect::BecameLeader { term: Term(term) }, leader_changed(Some("n1"), term)]
}

#[test]
fn a_follower_that_loses_patience_asks_first() {
    let mut node = Node::following();
    assert_eq!(node.tick(), NONE);
    assert_eq!(node.lose_patience(), [leader_changed(None, 4), asks(5, true)]);
    assert_eq!(node.state(), "n1 t4 PreCandidate voted - leader - (pre-vote t5: n1 yes, n2 ?, n3 ?)");
}

#[test]
fn an_election_runs_from_the_pre_vote_to_the_lead() {
    let mut node = Node::asking();
    let stands = [saved(5, Some("n1")), term_changed(5), asks(5, false)];
    assert_eq!(node.answer("n2", true, 5, 5, true), stands);
    assert_eq!(node.own_vote_durable(5), NONE);
    assert_eq!(node.answer("n3", false, 5, 5, true), became_leader(5));
    assert_eq!(node.state(), "n1 t5 Leader voted n1 leader n1");
    assert_eq!(node.answer("n2", false, 5, 5, true), NONE, "it leads already");
}

#[test]
fn without_pre_vote_it_stands_at_once() {
    let config = ElectionConfig { pre_vote: false, ..CONFIG };
    let mut node = Node::start(config, Vote { term: Term(4), voted_for: None }, None);
    assert_eq!(node.lose_patience(), [saved(5, Some("n1")), term_changed(5), asks(5, false)]);
}

#[test]
fn no_election_is_won_before_the_own_vote_is_durable() {
    let mut node = Node::standing();
    assert_eq!(node.answer("n2", false, 5, 5, true), NONE);
    assert_eq!(node.answer("n3", false, 5, 5, true), NONE, "not even with the votes of all others");
    assert_eq!(node.own_vote_durable(4), NONE, "of another term");
    assert_eq!(node.own_vote_durable(5), became_leader(5));
}

#[test]
fn no_second_election_while_the_own_vote_is_being_written() {
    let mut node = Node::standing();
    assert_eq!(node.lose_patience(), NONE);
    assert_eq!(node.election.term(), Term(5));
    assert_eq!(node.own_vote_durable(5), NONE);
    assert_eq!(node.lose_patience(), [asks(6, true)]);
}

#[test]
fn a_single_voter_wins_when_its_vote_is_durable() {
    let mut node = Node::alone();
    assert_eq!(node.lose_patience(), [saved(5, Some("n1")), term_changed(5)]);
    assert_eq!(node.own_vote_durable(5), became_leader(5));
}

#[test]
fn refused_by_a_majority_it_waits_for_the_timer() {
    let mut node = Node::asking();
    node.answer("n2", true, 5, 4, false);
    node.answer("n3", true, 5, 4, false);
    assert_eq!(node.tick(), NONE);
    assert_eq!(node.lose_patience(), [asks(5, true)], "the same term: nobody has entered it");
}

#[test]
fn a_split_vote_is_followed_by_another_round() {
    let mut node = Node::standing();
    node.own_vote_durable(5);
    assert_eq!(node.lose_patience(), [asks(6, true)]);
    assert_eq!(node.state(), "n1 t5 PreCandidate voted n1 leader - (pre-vote t6: n1 yes, n2 ?, n3 ?)");
    assert_eq!(node.answer("n2", false, 5, 5, true), NONE, "a late vote of the older round");
}

#[test]
fn pre_votes_are_not_votes_and_other_rounds_do_not_count() {
    let mut node = Node::standing();
    node.own_vote_durable(5);
    assert_eq!(node.answer("n2", true, 5, 5, true), NONE, "a late pre-vote");
    assert_eq!(node.answer("n3", true, 5, 5, true), NONE);
    assert_eq!(node.answer("n2", false, 4, 4, true), NONE, "an older term");
    assert_eq!(node.election.role(), Role::Candidate);
}

#[test]
fn a_refused_pre_vote_of_a_higher_term_is_learned_from() {
    let mut node = Node::asking();
    assert_eq!(node.answer("n2", true, 5, 9, false), [saved(9, None), term_changed(9)]);
    assert_eq!(node.state(), "n1 t9 Follower voted - leader -");
}

#[test]
fn a_granted_pre_vote_names_the_asked_term_and_moves_nobody() {
    let mut node = Node::asking();
    assert_eq!(node.answer("n2", true, 5, 8, true), NONE, "a grant about another term");
    assert_eq!(node.election.term(), Term(4));
}

#[test]
fn an_equal_term_in_a_refusal_is_no_grant() {
    let mut node = Node::standing();
    node.own_vote_durable(5);
    assert_eq!(node.answer("n2", false, 5, 5, false), NONE);
    assert_eq!(node.election.role(), Role::Candidate);
}

#[test]
fn a_vote_counts_only_from_the_admitted_life_of_a_voter() {
    let mut node = Node::asking();
    node.members = Membership::new(node.members.servers().iter().cloned().map(|mut server| {
        if server.id != "n1".into() {
            server.incarnation = Incarnation(99);
        }
        server
    }))
    .unwrap();
    assert_eq!(node.answer("n2", true, 5, 5, true), NONE);
    assert_eq!(node.answer("n7", true, 5, 5, true), NONE, "a stranger");
    assert_eq!(node.answer("n9", true, 5, 5, true), NONE, "a nonvoter");
    assert_eq!(node.election.role(), Role::PreCandidate);
}

#[test]
fn only_an_admitted_voter_stands() {
    let nonvoter = Membership::new([server("n1", Suffrage::Nonvoter), server("n2", Suffrage::Voter)]);
    let removed = Membership::new([server("n2", Suffrage::Voter)]);
    let wiped = Server { incarnation: Incarnation(5), ..server("n1", Suffrage::Voter) };
    let wiped = Membership::new([wiped, server("n2", Suffrage::Voter)]);
    for members in [nonvoter.unwrap(), removed.unwrap(), wiped.unwrap(), Membership::default()] {
        let mut node = Node { members, ..Node::following() };
        assert_eq!(node.lose_patience(), [leader_changed(None, 4)]);
        assert_eq!(node.lose_patience(), NONE);
        assert_eq!(node.election.role(), Role::Follower);
    }
    let mut quarantined = Node { quarantined: true, ..Node::new() };
    assert_eq!(quarantined.lose_patience(), NONE);
}

/// n1 in a cluster of four, with its own `change` at the end of its log, not committed.
fn changed(change: Option<Server>) -> Node {
    let others = ["n2", "n3", "n4"].map(|id| server(id, Suffrage::Voter));
    let effective = Membership::new(others.into_iter().chain(change)).unwrap();
    Node { members: effective, settled: Some(members(4)), ..Node::new() }
}

#[test]
fn a_voter_whose_removal_is_not_committed_stands_and_counts_the_votes_of_the_others_alone() {
    for change in [None, Some(server("n1", Suffrage::Nonvoter))] {
        let mut node = changed(change);
        let asks = |pre_vote| {
            let to = vec!["n2".into(), "n3".into(), "n4".into()];
            Effect::Ask { request: request("n1", 5), pre_vote, to }
        };
        assert_eq!(node.lose_patience(), [asks(true)]);
        assert_eq!(node.answer("n2", true, 5, 5, true), NONE, "one of three; its own is none");
        let stands = [saved(5, Some("n1")), term_changed(5), asks(false)];
        assert_eq!(node.answer("n3", true, 5, 5, true), stands);
        assert_eq!(node.answer("n2", false, 5, 5, true), NONE);
        assert_eq!(node.own_vote_durable(5), NONE, "one of three; its own is none");
        assert_eq!(node.answer("n3", false, 5, 5, true), became_leader(5));
    }
}

#[test]
fn who_may_have_been_removed_asks_first_in_any_case() {
    let config = ElectionConfig { pre_vote: false, ..CONFIG };
    let without = Node::start(config, Vote { term: Term(4), voted_for: None }, None);
    let mut node = Node { election: without.election, ..changed(None) };
    assert!(matches!(&node.lose_patience()[..], [Effect::Ask { pre_vote: true, .. }]));
}

#[test]
fn nobody_stands_for_another_life_of_its_directory() {
    let mut node = changed(Some(Server { incarnation: Incarnation(5), ..server("n1", Suffrage::Voter) }));
    assert_eq!(node.lose_patience(), NONE);
    let mut never = Node { settled: Some(Membership::default()), ..changed(None) };
    assert_eq!(never.lose_patience(), NONE);
}

#[test]
fn a_forbidden_node_stands_only_when_its_time_is_over() {
    let mut node = Node::standing();
    let until = node.now + ms(1000);
    node.election.forbid(until);
    assert_eq!(node.state(), "n1 t5 Follower voted n1 leader -");
    assert_eq!(node.own_vote_durable(5), NONE);
    assert_eq!(node.lose_patience(), NONE);
    node.now = until;
    assert_eq!(node.tick(), [asks(6, true)]);
    node.election.forbid(until + ms(1000));
    node.election.allow();
    assert!(matches!(&node.lose_patience()[..], [Effect::Ask { .. }]));
}

fn stand_now(node: &mut Node, from: &str, term: u64) -> (bool, Vec<Effect>) {
    node.with(|election, now, view| election.stand_now(now, &from.into(), Term(term), view))
}

#[test]
fn the_leader_may_ask_a_follower_to_stand() {
    let mut node = Node::following();
    let request = RequestVote { leadership_transfer: true, ..request("n1", 5) };
    let ask = Effect::Ask { request, pre_vote: false, to: vec!["n2".into(), "n3".into()] };
    let effects = vec![saved(5, Some("n1")), term_changed(5), leader_changed(None, 5), ask];
    assert_eq!(stand_now(&mut node, "n2", 4), (true, effects));
    assert_eq!(node.heard(4, "n2"), (false, NONE), "the old leader is over");
}

#[test]
fn nobody_else_may_ask_it_to_stand_nor_who_must_not() {
    let refused = (false, NONE);
    assert_eq!(stand_now(&mut Node::following(), "n3", 4), refused, "not the leader");
    assert_eq!(stand_now(&mut Node::following(), "n2", 3), refused, "an older term");
    assert_eq!(stand_now(&mut Node::following(), "n2", 5), refused, "a term unheard of");
    assert_eq!(stand_now(&mut Node::new(), "n2", 4), refused, "no leader is known");
    assert_eq!(stand_now(&mut Node::standing(), "n2", 5), refused, "it stands already");
    let mut nonvoter = Node::following();
    nonvoter.members =
        Membership::new([server("n1", Suffrage::Nonvoter), server("n2", Suffrage::Voter)]).unwrap();
    assert_eq!(stand_now(&mut nonvoter, "n2", 4), refused);
}

/// n1, whose damaged tail promised 9@4.
fn withheld() -> Node {
    Node::start(CONFIG, Vote { term: Term(4), voted_for: None }, Some(at(9, 4)))
}

#[test]
fn a_withheld_node_stands_once_its_log_is_whole_again() {
    let mut node = withheld();
    assert_eq!(node.lose_patience(), NONE);
    node.heard(4, "n2");
    assert_eq!(stand_now(&mut node, "n2", 4), (false, NONE));
    node.last = at(9, 4);
    assert!(matches!(&node.lose_patience()[..], [_, Effect::Ask { request, .. }] if !request.unanimous));
}

#[test]
fn when_nobody_leads_a_withheld_node_asks_for_the_votes_of_all() {
    let mut node = withheld();
    for _ in 0..3 {
        assert_eq!(node.lose_patience(), NONE);
    }
    let unanimous = RequestVote { unanimous: true, ..request("n1", 5) };
    let ask =
        |pre_vote| Effect::Ask { request: unanimous.clone(), pre_vote, to: vec!["n2".into(), "n3".into()] };
    assert_eq!(node.lose_patience(), [ask(true)]);
    assert_eq!(node.answer("n2", true, 5, 5, true), NONE, "two of three");
    assert_eq!(node.answer("n3", true, 5, 5, true), [saved(5, Some("n1")), term_changed(5), ask(false)]);
    node.own_vote_durable(5);
    assert_eq!(node.answer("n2", false, 5, 5, true), NONE);
    assert_eq!(node.answer("n3", false, 5, 5, true), became_leader(5));
}

#[test]
fn any_node_asks_for_the_votes_of_all_now_and_then() {
    let mut node = Node::new();
    let asked: Vec<bool> = (0..8)
        .map(|_| match &node.lose_patience()[..] {
            [Effect::Ask { request, .. }] => request.unanimous,
            effects => panic!("{effects:?}"),
        })
        .collect();
    assert_eq!(asked, [false, false, false, true, false, false, false, true]);
}

#[test]
fn a_leader_that_is_heard_starts_the_count_of_fruitless_timeouts_anew() {
    let mut node = withheld();
    for _ in 0..3 {
        node.lose_patience();
    }
    node.heard(4, "n2");
    assert_eq!(node.lose_patience(), [leader_changed(None, 4)]);
    assert_eq!(node.election.role(), Role::Follower);
}
