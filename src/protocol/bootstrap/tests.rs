//! The rule alone, then whole clusters that form while answers are late and directories are wiped.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::types::{ClusterId, ClusterState};

fn name(number: usize) -> NodeId {
    format!("n{}", number + 1).into()
}

fn list(size: usize) -> Vec<(NodeId, String)> {
    (0..size).map(|number| (name(number), format!("{}:1", name(number)))).collect()
}

fn life(number: usize, wiped: u64) -> Incarnation {
    Incarnation((number as u128 + 1) * 100 + u128::from(wiped))
}

fn members(lives: &[Incarnation]) -> Membership {
    let server = |((id, address), life): ((NodeId, String), &Incarnation)| Server {
        id,
        address,
        suffrage: Suffrage::Voter,
        incarnation: *life,
    };
    Membership::new(list(lives.len()).into_iter().zip(lives).map(server)).unwrap()
}

/// n1 of three, in its first life.
fn n1() -> Bootstrap {
    Bootstrap::new(name(0), list(3), life(0, 0))
}

fn blank(number: usize, wiped: u64) -> GreetResponse {
    let (from, incarnation) = (name(number), life(number, wiped));
    GreetResponse { from, incarnation, peers_hash: peers_hash(&list(3)), state: None }
}

fn with_state(number: usize, first: Option<Membership>) -> GreetResponse {
    GreetResponse { state: Some(ClusterState { cluster: ClusterId(1), first }), ..blank(number, 0) }
}

/// The answers of the others, in this order.
fn hear(rule: &mut Bootstrap, answers: &[(usize, u64)]) -> Option<Decision> {
    let mut decision = None;
    for (number, wiped) in answers {
        assert_eq!(decision, None, "before {rule}");
        decision = rule.greeted(&name(*number), &blank(*number, *wiped));
    }
    decision
}

#[test]
fn the_hash_of_a_list_depends_on_its_content_alone() {
    let mut reversed = list(3);
    reversed.reverse();
    assert_eq!(peers_hash(&reversed), peers_hash(&list(3)));
    assert_ne!(peers_hash(&list(2)), peers_hash(&list(3)));
    let pair = |id: &str, address: &str| peers_hash(&[(id.into(), address.to_owned())]);
    assert_ne!(pair("ab", "c"), pair("a", "bc"));
    assert_ne!(peers_hash(&[]), 0);
}

#[test]
fn a_node_that_is_listed_alone_forms_at_once() {
    let alone = Bootstrap::new(name(0), list(1), life(0, 0));
    assert_eq!(alone.alone(), Some(Decision::Form(members(&[life(0, 0)]))));
    assert_eq!(n1().alone(), None);
    assert_eq!(Bootstrap::new(name(0), Vec::new(), life(0, 0)).alone(), None, "not even itself");
}

#[test]
fn all_blank_and_confirmed_forms_with_the_lives_that_answered() {
    let mut rule = n1();
    assert_eq!(hear(&mut rule, &[(1, 0), (2, 0), (1, 0), (2, 0), (1, 0)]), None);
    assert_eq!(rule.to_string(), "n1 blank: n2 00000000+2, n3 00000000+1");
    let formed = Decision::Form(members(&[life(0, 0), life(1, 0), life(2, 0)]));
    assert_eq!(hear(&mut rule, &[(2, 0)]), Some(formed));
}

#[test]
fn nothing_is_formed_while_a_peer_is_silent() {
    assert_eq!(hear(&mut n1(), &[(1, 0); 20]), None);
}

#[test]
fn a_peer_that_is_wiped_meanwhile_starts_everything_over() {
    let mut rule = n1();
    assert_eq!(hear(&mut rule, &[(1, 0), (2, 0), (1, 0), (1, 0), (2, 0), (1, 7)]), None);
    assert_eq!(rule.to_string(), "n1 blank: n2 00000000+0, n3 ?");
    let formed = Decision::Form(members(&[life(0, 0), life(1, 7), life(2, 0)]));
    assert_eq!(hear(&mut rule, &[(2, 0), (1, 7), (1, 7), (2, 0), (2, 0)]), Some(formed));
}

#[test]
fn a_peer_with_state_decides_at_once() {
    let ours = members(&[life(0, 0), life(1, 0), life(2, 0)]);
    let adopted = n1().greeted(&name(1), &with_state(1, Some(ours.clone())));
    assert_eq!(adopted, Some(Decision::Adopt(ours)), "a crash half way resumes");
    let other_life = members(&[life(0, 3), life(1, 0), life(2, 0)]);
    let mut without = list(3);
    without.remove(0);
    let without = Membership::new(members(&[life(0, 0), life(1, 0)]).servers()[1..].to_vec()).unwrap();
    for (first, why) in [
        (Some(other_life), QuarantineReason::OtherIncarnation),
        (Some(without), QuarantineReason::NotNamed),
        (None, QuarantineReason::Unknown),
    ] {
        let quarantined = Decision::Quarantine { by: name(1), why };
        assert_eq!(n1().greeted(&name(1), &with_state(1, first)), Some(quarantined));
    }
}

#[test]
fn another_list_or_another_name_is_reported_and_asked_again() {
    let mut rule = n1();
    hear(&mut rule, &[(1, 0), (2, 0), (1, 0), (1, 0)]);
    let other = GreetResponse { peers_hash: 5, ..blank(2, 0) };
    let mismatch = |why| Some(Decision::Mismatch { peer: name(2), why });
    assert_eq!(rule.greeted(&name(2), &other), mismatch(MismatchReason::OtherList));
    assert_eq!(rule.greeted(&name(2), &blank(1, 0)), mismatch(MismatchReason::OtherName(name(1))));
    let formed = hear(&mut rule, &[(1, 0), (2, 0), (1, 0), (1, 0), (2, 0), (2, 0)]);
    assert!(matches!(formed, Some(Decision::Form(_))), "mended meanwhile");
}

#[test]
fn who_is_not_listed_says_nothing() {
    let mut rule = n1();
    let stranger = GreetResponse { from: "n7".into(), ..with_state(1, None) };
    assert_eq!(rule.greeted(&"n7".into(), &stranger), None);
    assert_eq!(rule.greeted(&name(0), &with_state(0, None)), None, "itself");
    let nameless = GreetResponse { incarnation: Incarnation::NONE, ..blank(1, 0) };
    assert_eq!(rule.greeted(&name(1), &nameless), None);
}

#[test]
fn a_node_that_its_own_list_does_not_name_forms_nothing() {
    let mut rule = Bootstrap::new("n8".into(), list(3), Incarnation(8));
    assert_eq!(
        hear(&mut rule, &[(0, 0), (1, 0), (2, 0), (0, 0), (1, 0), (2, 0), (0, 0), (1, 0), (2, 0)]),
        None
    );
}

/// A node of the model.
#[derive(Clone, Debug)]
enum Stage {
    Blank(Bootstrap),
    Member(Membership),
    Quarantined,
}

/// Nodes that greet each other. An answer is made at one moment and arrives at another; one at a time is on
/// its way from each node to each.
struct Model {
    lives: Vec<Incarnation>,
    wipes: u64,
    stages: Vec<Stage>,
    /// Answers on their way, by (asker, answerer).
    answers: BTreeMap<(usize, usize), GreetResponse>,
    /// Every membership ever formed.
    formed: BTreeSet<Vec<u8>>,
    /// Every membership that a majority of its own lives ever held at the same time, and who held it then.
    quorate: BTreeMap<Vec<u8>, BTreeSet<Incarnation>>,
}

impl Model {
    fn new(size: usize) -> Self {
        let lives: Vec<Incarnation> = (0..size).map(|number| life(number, 0)).collect();
        let blank = |number: usize| Stage::Blank(Bootstrap::new(name(number), list(size), lives[number]));
        let stages = (0..size).map(blank).collect();
        let (answers, formed, quorate) = Default::default();
        Self { lives, wipes: 0, stages, answers, formed, quorate }
    }

    fn size(&self) -> usize {
        self.stages.len()
    }

    fn answer(&mut self, asker: usize, answerer: usize) {
        let state = match &self.stages[answerer] {
            Stage::Member(first) => {
                let cluster = ClusterId::of(&first.encode());
                Some(ClusterState { cluster, first: Some(first.clone()) })
            }
            Stage::Blank(_) | Stage::Quarantined => None,
        };
        let answer = GreetResponse {
            from: name(answerer),
            incarnation: self.lives[answerer],
            peers_hash: peers_hash(&list(self.size())),
            state,
        };
        self.answers.entry((asker, answerer)).or_insert(answer);
    }

    fn arrive(&mut self, asker: usize, answerer: usize) {
        let Some(answer) = self.answers.remove(&(asker, answerer)) else { return };
        let Stage::Blank(rule) = &mut self.stages[asker] else { return };
        match rule.greeted(&name(answerer), &answer) {
            Some(Decision::Form(first)) => {
                self.formed.insert(first.encode());
                self.stages[asker] = Stage::Member(first);
            }
            Some(Decision::Adopt(first)) => self.stages[asker] = Stage::Member(first),
            Some(Decision::Quarantine { .. }) => self.stages[asker] = Stage::Quarantined,
            Some(Decision::Mismatch { peer, why }) => panic!("{peer}: {why}"),
            Some(Decision::Wait { .. }) => panic!("it was not to join anything"),
            None => {}
        }
    }

    /// The process dies, and comes back with its directory or with an empty one. What it had asked is lost,
    /// what it had answered is on its way.
    fn restart(&mut self, node: usize, wiped: bool) {
        self.answers.retain(|(asker, _), _| *asker != node);
        if wiped {
            self.wipes += 1;
            self.lives[node] = life(node, self.wipes);
        }
        if wiped || matches!(self.stages[node], Stage::Blank(_)) {
            let rule = Bootstrap::new(name(node), list(self.size()), self.lives[node]);
            self.stages[node] = Stage::Blank(rule);
        }
    }

    fn check(&mut self) {
        let mut held: BTreeMap<Vec<u8>, Vec<Incarnation>> = BTreeMap::new();
        for (node, stage) in self.stages.iter().enumerate() {
            let Stage::Member(first) = stage else { continue };
            let named = first.get(&name(node)).map(|server| server.incarnation);
            assert_eq!(named, Some(self.lives[node]), "a member under the name of its former life");
            held.entry(first.encode()).or_default().push(self.lives[node]);
        }
        let majority = self.size() / 2 + 1;
        for (first, holders) in held.into_iter().filter(|held| held.1.len() >= majority) {
            let others = self.quorate.iter().filter(|quorate| *quorate.0 != first);
            let left = others.flat_map(|(_, held)| held).find(|life| self.lives.contains(life));
            assert_eq!(left, None, "a second cluster beside one that lives: {:?}", self.stages);
            self.quorate.entry(first).or_default().extend(holders);
        }
        assert!(self.wipes > 0 || self.formed.len() <= 1, "two memberships though nobody was wiped");
    }

    /// Every answer is made and arrives at once, many times over.
    fn settle(&mut self) {
        for _ in 0..6 {
            for (asker, answerer) in pairs(self.size()) {
                self.answer(asker, answerer);
                self.arrive(asker, answerer);
                self.check();
            }
        }
    }
}

fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size).flat_map(move |a| (0..size).map(move |b| (a, b))).filter(|(a, b)| a != b)
}

#[test]
fn no_second_cluster_is_founded_beside_one_that_lives_whatever_is_late_or_wiped() {
    for seed in 0..1500 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let size = rng.usize(2..5);
        let wipes_max = rng.u64(0..4);
        let mut model = Model::new(size);
        for _ in 0..rng.usize(20..200) {
            let (one, other) = (rng.usize(0..size), rng.usize(0..size));
            match rng.u8(0..40) {
                0 if model.wipes < wipes_max => model.restart(one, true),
                1 => model.restart(one, false),
                2..20 if one != other => model.answer(one, other),
                _ => model.arrive(one, other),
            }
            model.check();
        }
        model.settle();
        if model.wipes == 0 {
            let member = |stage: &Stage| matches!(stage, Stage::Member(_));
            assert!(model.stages.iter().all(member), "seed {seed}: {:?}", model.stages);
        }
    }
}

/// n1 and n2 are a cluster and acknowledge writes; n2 is wiped; n3 still has n1's old answer "blank".
#[test]
fn a_wiped_node_and_a_late_one_do_not_found_a_second_cluster() {
    let mut model = Model::new(3);
    model.answer(2, 0);
    let form = [(0, 1), (0, 2), (0, 1), (0, 2), (0, 1), (0, 2), (1, 0)];
    for (asker, answerer) in form {
        model.answer(asker, answerer);
        model.arrive(asker, answerer);
    }
    assert!(matches!((&model.stages[0], &model.stages[1]), (Stage::Member(_), Stage::Member(_))));
    model.restart(1, true);
    model.arrive(2, 0);
    for _ in 0..4 {
        for (asker, answerer) in [(2, 1), (1, 2)] {
            model.answer(asker, answerer);
            model.arrive(asker, answerer);
            model.check();
        }
    }
    assert!(matches!(model.stages[2], Stage::Blank(_)), "n1 must say once more that it is blank");
    model.settle();
    assert!(matches!(model.stages[2], Stage::Member(_)), "it is not: n3 joins it");
    assert!(matches!(model.stages[1], Stage::Quarantined));
}

#[test]
fn who_is_to_join_waits_for_the_cluster_it_is_told_of() {
    let answer = |state: Option<u128>| GreetResponse {
        from: name(1),
        incarnation: Incarnation(1),
        peers_hash: 5,
        state: state.map(|id| ClusterState { cluster: ClusterId(id), first: None }),
    };
    let cluster = ClusterId(7);
    assert_eq!(Decision::of_joining(&answer(Some(7))), Some(Decision::Wait { by: name(1), cluster }));
    assert_eq!(Decision::of_joining(&answer(None)), None);
    assert_eq!(Decision::of_joining(&answer(Some(0))), None);
}
