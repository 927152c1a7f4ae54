//! Who stands when a leader is lost, and when.

use super::*;

/// Voter n`number` of `members`, which heard n1 lead `term` at 1000 ms.
fn follower(number: u64, term: u64, members: &Membership, seed: u64) -> Node {
    let id: NodeId = format!("n{number}").into();
    let vote = Vote { term: Term(term), voted_for: None };
    let incarnation = incarnation_of(id.as_str());
    let election = Election::new(CONFIG, id, incarnation, vote, None, ms(0), seed);
    let mut node = Node { election, members: members.clone(), ..Node::new() };
    assert!(node.heard(term, "n1").0);
    node
}

/// How long after it was last heard the node stands that follows a leader.
fn patience_of(mut node: Node) -> Duration {
    let heard = node.election.last_contact().unwrap();
    while node.tick() == NONE {
        node.now += Duration::from_micros(100);
    }
    node.now - heard
}

/// How long n2 and the others of `voters` wait when n1 is lost in `term`, the first to stand first.
fn patiences(voters: u64, term: u64) -> Vec<Duration> {
    let members = members(voters);
    let mut patiences: Vec<Duration> =
        (2..=voters).map(|number| patience_of(follower(number, term, &members, number))).collect();
    patiences.sort();
    patiences
}

#[test]
fn the_first_stands_soon_and_the_next_when_that_must_be_decided() {
    for term in 1..10 {
        for voters in 2..8 {
            let patiences = patiences(voters, term);
            assert!((HEARTBEAT * 17 / 16..=HEARTBEAT * 9 / 8).contains(&patiences[0]), "{patiences:?}");
            assert!(patiences.iter().all(|patience| *patience < 2 * HEARTBEAT), "{patiences:?}");
            assert!(patiences.windows(2).all(|pair| pair[1] - pair[0] > HEARTBEAT / 10), "{patiences:?}");
        }
    }
}

#[test]
fn who_is_first_differs_from_term_to_term() {
    let members = members(3);
    let first = |term| patience_of(follower(2, term, &members, 7)) < HEARTBEAT * 5 / 4;
    let terms: Vec<u64> = (1..40).filter(|term| first(*term)).collect();
    assert!((10..30).contains(&terms.len()), "{terms:?}");
}

#[test]
fn who_is_first_by_two_memberships_at_once_is_told_apart_by_the_draw() {
    let members = members(2);
    let waits: Vec<Duration> = (0..20).map(|seed| patience_of(follower(2, 4, &members, seed))).collect();
    assert!(waits.iter().all(|wait| *wait < HEARTBEAT * 9 / 8), "its turn is the first: {waits:?}");
    assert!(waits.iter().any(|wait| *wait != waits[0]));
}

#[test]
fn who_knows_of_no_leader_in_its_term_draws() {
    // The first whenever it has lost a leader, so that a turn would never be later than this.
    let turn = HEARTBEAT * 9 / 8;
    let draws = |prepare: fn(&mut Node)| {
        let members = members(2);
        let later = |seed: &u64| {
            let mut node = follower(2, 4, &members, *seed);
            prepare(&mut node);
            patience_of(node) > turn
        };
        (0..40).filter(later).count()
    };
    assert_eq!(draws(|_| ()), 0);
    let in_another_term = draws(|node| {
        node.with(|election, now, _| election.saw_term(now, Term(9)));
    });
    assert!(in_another_term > 20, "{in_another_term} of 40");
}

#[test]
fn a_round_that_was_lost_is_followed_by_a_draw() {
    let members = members(2);
    let again = |seed| {
        let mut node = follower(2, 4, &members, seed);
        node.now += patience_of(follower(2, 4, &members, seed));
        assert!(matches!(&node.tick()[..], [_, Effect::Ask { .. }]));
        let lost = node.now;
        node.now += HEARTBEAT / 8;
        assert!(matches!(&node.tick()[..], [Effect::Ask { .. }]), "the second question of its turn");
        while node.tick() == NONE {
            node.now += Duration::from_micros(100);
        }
        node.now - lost
    };
    let waits: Vec<Duration> = (0..40).map(again).collect();
    assert!(waits.iter().all(|wait| (HEARTBEAT..=2 * HEARTBEAT).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > HEARTBEAT * 3 / 2));
}

#[test]
fn a_turn_counts_from_when_the_leader_was_heard_last_and_hearing_it_draws_nothing() {
    let members = members(3);
    let whole = patience_of(follower(2, 4, &members, 7));
    let mut node = follower(2, 4, &members, 7);
    for _ in 0..100 {
        node.now += HEARTBEAT - ms(1);
        assert_eq!(node.tick(), NONE);
        assert!(node.heard(4, "n1").0);
    }
    assert_eq!(patience_of(node), whole);
}

/// n1 of three, which followed n2 and asked n3 in vain in its turn.
fn refused() -> Node {
    let mut node = Node::following();
    node.now += HEARTBEAT * 2;
    assert_eq!(node.tick(), [leader_changed(None, 4), asks(5, true)]);
    assert_eq!(node.answer("n3", true, 5, 4, false), NONE);
    node
}

#[test]
fn a_voter_that_heard_the_leader_later_is_asked_again_once() {
    let mut node = refused();
    node.now += HEARTBEAT / 8 - ms(1);
    assert_eq!(node.tick(), NONE);
    node.now += ms(1);
    assert_eq!(node.tick(), [asks(5, true)], "about the same term");
    node.now += HEARTBEAT - HEARTBEAT / 8 - ms(1);
    assert_eq!(node.tick(), NONE, "and then it waits as anybody");
}

#[test]
fn who_is_granted_its_second_question_stands() {
    let mut node = refused();
    node.now += HEARTBEAT / 8;
    node.tick();
    let stands = vec![saved(5, Some("n1")), term_changed(5), asks(5, false)];
    assert_eq!(node.answer("n3", true, 5, 5, true), stands);
    node.now += HEARTBEAT / 2;
    assert_eq!(node.tick(), NONE, "a vote is not asked for again");
}

#[test]
fn nobody_asks_again_who_has_found_a_leader_or_must_not_stand() {
    let mut follower = refused();
    assert!(follower.heard(4, "n2").0);
    let mut forbidden = refused();
    forbidden.election.forbid(forbidden.now + HEARTBEAT * 9);
    let mut quarantined = refused();
    quarantined.quarantined = true;
    for mut node in [follower, forbidden, quarantined] {
        node.now += HEARTBEAT / 2;
        assert_eq!(node.tick(), NONE, "{}", node.state());
    }
}

#[test]
fn who_drew_asks_again_only_after_the_next_draw() {
    let mut node = Node::asking();
    node.now += HEARTBEAT - ms(1);
    assert_eq!(node.tick(), NONE);
}

#[test]
fn without_pre_vote_nobody_stands_twice_in_one_turn() {
    let config = ElectionConfig { pre_vote: false, ..CONFIG };
    let mut node = Node::start(config, Vote { term: Term(4), voted_for: None }, None);
    node.heard(4, "n2");
    node.now += HEARTBEAT * 2;
    assert!(matches!(&node.tick()[..], [.., Effect::Ask { pre_vote: false, .. }]));
    node.own_vote_durable(5);
    node.now += HEARTBEAT / 2;
    assert_eq!(node.tick(), NONE);
}
