//! The voter's side.

use super::*;

#[test]
fn a_vote_is_given_once_a_term() {
    let mut node = Node::new();
    let (effects, answer) = node.asked_for_vote(&request("n2", 5));
    assert_eq!(effects, [saved(5, Some("n2")), term_changed(5)]);
    assert_eq!((answer.granted, answer.term, answer.incarnation), (true, Term(5), incarnation_of("n1")));
    assert!(!node.votes_for(&request("n3", 5)), "also while the record is being written");
    assert_eq!(node.state(), "n1 t5 Follower voted n2 leader -");
}

#[test]
fn a_vote_whose_answer_was_lost_is_given_again() {
    let mut node = Node::new();
    node.votes_for(&request("n2", 5));
    let (effects, answer) = node.asked_for_vote(&request("n2", 5));
    assert_eq!((effects, answer.granted), (NONE, true));
}

#[test]
fn the_log_is_compared_also_when_the_record_names_the_candidate() {
    let vote = Vote { term: Term(5), voted_for: Some("n2".into()) };
    let mut node = Node::start(CONFIG, vote, None);
    assert!(!node.votes_for(&RequestVote { last: at(9, 3), ..request("n2", 5) }));
}

#[test]
fn candidates_are_compared_by_last_term_then_by_last_index() {
    for (last, granted) in [((6, 4), false), ((99, 3), false), ((7, 4), true), ((8, 4), true), ((1, 5), true)]
    {
        let request = RequestVote { last: at(last.0, last.1), ..request("n2", 6) };
        assert_eq!(Node::new().votes_for(&request), granted, "{last:?}");
        assert_eq!(Node::new().would_vote_for(&request).1, granted, "{last:?}");
    }
}

#[test]
fn a_refusal_for_the_log_still_adopts_the_term() {
    let mut node = Node::new();
    let (effects, answer) = node.asked_for_vote(&RequestVote { last: at(1, 1), ..request("n2", 6) });
    assert_eq!(effects, [saved(6, None), term_changed(6)]);
    assert_eq!((answer.granted, answer.term), (false, Term(6)));
}

#[test]
fn an_older_term_gets_nothing() {
    let mut node = Node::new();
    assert!(!node.votes_for(&request("n2", 3)));
    assert_eq!(node.would_vote_for(&request("n2", 3)), (4, false), "and learns the term");
}

#[test]
fn a_candidate_and_a_leader_keep_their_own_vote() {
    let mut standing = Node::standing();
    assert!(!standing.votes_for(&request("n2", 5)));
    let mut leader = Node::leading();
    let transfer = RequestVote { leadership_transfer: true, ..request("n2", 5) };
    assert!(!leader.votes_for(&transfer));
    assert!(leader.election.is_leader());
}

#[test]
fn giving_a_vote_ends_a_pre_vote_and_gives_time() {
    let mut node = Node::asking();
    assert!(node.votes_for(&request("n2", 4)));
    assert_eq!(node.state(), "n1 t4 Follower voted n2 leader -");
    assert_eq!(node.tick(), NONE);
    assert_eq!(node.answer("n3", true, 5, 5, true), NONE);
}

#[test]
fn a_living_leader_is_stuck_to() {
    let mut node = Node::following();
    node.now += HEARTBEAT - ms(1);
    let before = node.state();
    assert_eq!(node.asked_for_vote(&request("n3", 9)).0, NONE);
    assert_eq!(node.would_vote_for(&request("n3", 9)), (4, false));
    assert_eq!(node.state(), before, "the term is not looked at");
    assert_eq!(node.would_vote_for(&request("n2", 9)), (9, true), "but to the leader itself");
    assert!(node.votes_for(&request("n2", 9)));
}

#[test]
fn a_silent_leader_is_not_stuck_to() {
    let mut node = Node::following();
    node.now += HEARTBEAT;
    assert_eq!(node.would_vote_for(&request("n3", 9)), (9, true));
    assert!(node.votes_for(&request("n3", 9)));
}

#[test]
fn a_leader_sticks_to_itself_but_for_a_transfer() {
    let mut node = Node::leading();
    node.now += ms(100_000);
    assert_eq!(node.asked_for_vote(&request("n2", 9)).0, NONE);
    assert_eq!(node.would_vote_for(&request("n2", 9)), (5, false));
    let (effects, answer) =
        node.asked_for_vote(&RequestVote { leadership_transfer: true, ..request("n2", 6) });
    let deposed = Effect::Deposed { term: Term(5), reason: StepDownReason::HigherTerm };
    assert_eq!(effects, [deposed, saved(6, Some("n2")), term_changed(6), leader_changed(None, 6)]);
    assert!(answer.granted);
}

#[test]
fn strangers_and_other_lives_of_a_member_are_not_taken_notice_of() {
    let mut node = Node::new();
    let stranger = request("n7", 9);
    let wiped = RequestVote { incarnation: Incarnation(77), ..request("n2", 9) };
    for request in [stranger, wiped] {
        assert_eq!(node.asked_for_vote(&request).0, NONE);
        assert!(!node.would_vote_for(&request).1);
    }
    assert_eq!(node.election.term(), Term(4));
}

#[test]
fn a_nonvoter_is_refused_but_its_term_counts() {
    let mut node = Node::new();
    let (effects, answer) = node.asked_for_vote(&request("n9", 9));
    assert_eq!(effects, [saved(9, None), term_changed(9)]);
    assert!(!answer.granted);
    assert!(!node.would_vote_for(&request("n9", 12)).1);
}

#[test]
fn whoever_is_behind_a_candidate_does_not_judge_who_belongs() {
    // Its own log may lack the entries that made a voter of n7, of another life of n2 and of the nonvoter n9.
    let unknown = |term| {
        let wiped = RequestVote { incarnation: Incarnation(77), ..request("n2", term) };
        [request("n7", term), wiped, request("n9", term)]
    };
    for later in unknown(9).map(|request| RequestVote { last: at(8, 4), ..request }) {
        let mut node = Node::new();
        assert!(node.would_vote_for(&later).1, "{later:?}");
        assert!(node.votes_for(&later), "{later:?}");
        let mut bound = Node::following();
        assert!(!bound.would_vote_for(&later).1 && !bound.votes_for(&later), "it hears its leader");
    }
    for same in unknown(9) {
        assert!(!Node::new().votes_for(&same), "the same log names the same members: {same:?}");
    }
}

#[test]
fn blank_and_quarantined_nodes_never_vote() {
    let mut blank = Node { members: Membership::default(), last: LogId::ZERO, ..Node::new() };
    let mut quarantined = Node { quarantined: true, ..Node::new() };
    for node in [&mut blank, &mut quarantined] {
        for request in [request("n2", 9), RequestVote { last: at(80, 4), ..request("n2", 9) }] {
            assert!(!node.would_vote_for(&request).1);
            assert!(!node.votes_for(&request));
        }
        assert_eq!(node.state(), "n1 t4 Follower voted - leader -");
    }
}

#[test]
fn a_pre_vote_changes_nothing() {
    let mut node = Node::following();
    node.now += HEARTBEAT + ms(1);
    let (state, patience) = (node.state(), node.election.patience);
    for term in [5, 50, 500] {
        assert!(node.would_vote_for(&request("n3", term)).1);
    }
    assert_eq!((node.state(), node.election.patience), (state, patience));
    assert_eq!(node.election.last_contact(), Some(ms(1000)), "a spammer keeps nobody quiet");
}

#[test]
fn a_pre_vote_for_the_current_term_respects_the_vote_given() {
    let mut node = Node::new();
    node.votes_for(&request("n2", 5));
    assert_eq!(node.would_vote_for(&request("n3", 5)), (5, false));
    assert_eq!(node.would_vote_for(&request("n2", 5)), (5, true));
}

#[test]
fn a_withheld_node_compares_with_what_its_damaged_tail_promised() {
    let mut node = Node::start(CONFIG, Vote { term: Term(4), voted_for: None }, Some(at(9, 4)));
    assert!(!node.would_vote_for(&request("n2", 5)).1);
    assert!(!node.votes_for(&request("n2", 5)));
    assert!(node.votes_for(&RequestVote { last: at(9, 4), ..request("n3", 5) }));
    assert!(node.votes_for(&RequestVote { unanimous: true, ..request("n2", 6) }), "its real tail");
    node.last = at(9, 4);
    node.tick();
    assert_eq!(node.election.withheld(), None, "whole again");
}

/// n1, started just now with this term in its record.
fn started(term: u64) -> Node {
    let mut node = Node::start(CONFIG, Vote { term: Term(term), voted_for: None }, None);
    node.now -= HEARTBEAT;
    node
}

#[test]
fn who_starts_with_state_elects_nobody_for_a_timeout() {
    let mut node = started(4);
    node.now += HEARTBEAT - ms(1);
    let before = node.state();
    assert_eq!(node.asked_for_vote(&request("n2", 9)).0, NONE);
    assert!(!node.would_vote_for(&request("n2", 9)).1);
    assert_eq!(node.tick(), NONE, "its own vote would be one, too");
    assert_eq!(node.state(), before);
    node.now += ms(1);
    assert!(node.would_vote_for(&request("n2", 9)).1);
    assert!(node.votes_for(&request("n2", 9)));
}

#[test]
fn who_starts_without_state_has_promised_nothing() {
    assert!(started(0).votes_for(&request("n2", 9)));
}

#[test]
fn silence_does_not_hold_up_a_transfer() {
    let transfer = RequestVote { leadership_transfer: true, ..request("n2", 5) };
    assert!(started(4).votes_for(&transfer), "the leader of term 4 gave up its lease before");
    let mut elected = started(4);
    assert!(elected.heard(5, "n3").0);
    assert!(!elected.votes_for(&RequestVote { last: at(6, 4), ..transfer.clone() }));
    let mut silent = started(4);
    silent.heard(6, "n3");
    assert!(!silent.votes_for(&transfer), "a late one, of a term that is over");
}

#[test]
fn a_promise_stands_in_a_later_term_that_has_no_leader() {
    let mut node = Node::following();
    node.now += ms(10);
    node.with(|election, now, _| election.saw_term(now, Term(8)));
    assert_eq!(node.election.leader(), None);
    assert!(!node.votes_for(&request("n3", 8)), "n2 may still read by its lease");
    assert!(!node.would_vote_for(&request("n3", 9)).1);
    node.now += HEARTBEAT;
    assert!(node.votes_for(&request("n3", 8)));
}

#[test]
fn a_promise_is_to_the_newest_leader_and_never_cut_short() {
    let mut node = Node::following();
    node.now -= ms(50);
    node.heard(4, "n2");
    node.now += HEARTBEAT;
    assert!(!node.votes_for(&request("n3", 9)), "what came later promised more");
    node.heard(6, "n3");
    assert!(node.votes_for(&request("n3", 7)));
    let mut other = Node::following();
    other.heard(6, "n3");
    assert!(!other.votes_for(&request("n2", 7)));
}

#[test]
fn a_longer_patience_is_promised_when_the_leader_is_heard_next_even_at_the_same_moment() {
    let mut node = Node::following();
    node.heard(4, "n2");
    let long = HEARTBEAT * 3;
    let config = ElectionConfig { heartbeat_timeout: long, election_timeout: long, ..CONFIG };
    node.election.reconfigure(node.now, config);
    node.heard(4, "n2");
    node.now += long - ms(1);
    assert!(!node.votes_for(&request("n3", 9)), "its answer said so");
    node.now += ms(1);
    assert!(node.votes_for(&request("n3", 9)));
}

#[test]
fn a_promise_outlives_the_timeout_that_it_was_made_with() {
    let mut node = Node::following();
    let (promised, short) = (node.now + HEARTBEAT, HEARTBEAT / 10);
    let config = ElectionConfig { heartbeat_timeout: short, election_timeout: short, ..CONFIG };
    node.election.reconfigure(node.now, config);
    node.now = promised - ms(1);
    assert!(!node.votes_for(&request("n3", 9)), "the leader counts on it");
    assert_eq!(node.tick(), NONE, "its own vote would break it, too");
    node.now = promised;
    assert!(node.votes_for(&request("n3", 9)));
}
