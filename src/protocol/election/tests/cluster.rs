//! Several nodes, a network that loses, delays and doubles, disks that flush late, and crashes: never two
//! leaders of a term, and one leader soon after it all ends.

use std::collections::BTreeMap;

use super::*;

/// A request or an answer on its way.
#[derive(Clone, Debug)]
enum Packet {
    Ask { from: usize, to: usize, pre_vote: bool, request: RequestVote },
    Answer { from: usize, to: usize, pre_vote: bool, asked: Term, response: RequestVoteResponse },
    Heartbeat { to: usize, term: Term, leader: usize },
}

/// One node with its disk.
struct Member {
    election: Election,
    last: LogId,
    withheld: Option<LogId>,
    durable: Vote,
    /// Records that are written but not flushed, in order.
    unflushed: Vec<Vote>,
    /// Granted answers and the records they wait for.
    held: Vec<(Vote, Packet)>,
}

struct Cluster {
    members: Membership,
    nodes: Vec<Member>,
    network: Vec<Packet>,
    now: Duration,
    rng: fastrand::Rng,
    leaders: BTreeMap<Term, usize>,
}

fn name(number: usize) -> NodeId {
    format!("n{}", number + 1).into()
}

fn boot(number: usize, vote: Vote, withheld: Option<LogId>, now: Duration, seed: u64) -> Election {
    let id = name(number);
    let incarnation = incarnation_of(id.as_str());
    let pre_vote = !seed.is_multiple_of(5);
    Election::new(ElectionConfig { pre_vote, ..CONFIG }, id, incarnation, vote, withheld, now, seed)
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let size = rng.usize(1..6);
        let nodes = (0..size)
            .map(|number| {
                let last = at(rng.u64(0..3), rng.u64(0..2));
                let withheld = rng.bool().then(|| at(rng.u64(0..4), 1)).filter(|_| rng.u8(0..4) == 0);
                let election = boot(number, Vote::default(), withheld, Duration::ZERO, rng.u64(..));
                let (unflushed, held) = (Vec::new(), Vec::new());
                Member { election, last, withheld, durable: Vote::default(), unflushed, held }
            })
            .collect();
        let members = members(size as u64);
        Self { members, nodes, network: Vec::new(), now: Duration::ZERO, rng, leaders: BTreeMap::new() }
    }

    fn with<R>(&mut self, node: usize, call: impl FnOnce(&mut Election, Duration, &LogView<'_>) -> R) -> R {
        let member = &mut self.nodes[node];
        let (membership, settled) = (&self.members, &self.members);
        let view = LogView { last: member.last, membership, settled, quarantined: false };
        call(&mut member.election, self.now, &view)
    }

    fn carry_out(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::SaveVote(vote) => self.nodes[node].unflushed.push(vote),
                Effect::Ask { request, pre_vote, to } => {
                    let to = to.iter().map(|id| (0..self.nodes.len()).find(|n| name(*n) == *id).unwrap());
                    self.network.extend(to.map(|to| Packet::Ask {
                        from: node,
                        to,
                        pre_vote,
                        request: request.clone(),
                    }));
                }
                Effect::BecameLeader { term } => {
                    let known = *self.leaders.entry(term).or_insert(node);
                    assert_eq!(known, node, "two leaders of term {term}");
                    assert_eq!(self.nodes[node].durable.term, term, "it leads a term that it may forget");
                    let last = &mut self.nodes[node].last;
                    *last = LogId::new(term, last.index.next());
                }
                Effect::Deposed { .. } | Effect::LeaderChanged { .. } | Effect::TermChanged { .. } => {}
            }
        }
    }

    fn deliver(&mut self, packet: Packet) {
        match packet {
            Packet::Ask { from, to, pre_vote: true, request } => {
                let response = self.with(to, |e, now, view| e.answer_pre_vote(now, &request, view));
                let asked = request.term;
                self.network.push(Packet::Answer { from: to, to: from, pre_vote: true, asked, response });
            }
            Packet::Ask { from, to, pre_vote: false, request } => {
                let (effects, response) = self.with(to, |e, now, view| e.answer_vote(now, &request, view));
                self.carry_out(to, effects);
                let (granted, asked) = (response.granted, request.term);
                let answer = Packet::Answer { from: to, to: from, pre_vote: false, asked, response };
                if granted {
                    let vote = Vote { term: asked, voted_for: Some(request.candidate) };
                    self.nodes[to].held.push((vote, answer));
                } else {
                    self.network.push(answer);
                }
            }
            Packet::Answer { from, to, pre_vote, asked, response } => {
                let effects = self.with(to, |e, now, view| {
                    e.vote_answered(now, &name(from), pre_vote, asked, &response, view)
                });
                self.carry_out(to, effects);
            }
            Packet::Heartbeat { to, term, leader } => {
                let effects = self.with(to, |e, now, _| e.heard_leader(now, term, &name(leader)).1);
                self.carry_out(to, effects);
                let reached = self.nodes[to].election.term();
                let effects = self.with(leader, |e, now, _| e.saw_term(now, reached));
                self.carry_out(leader, effects);
            }
        }
    }

    fn flush(&mut self, node: usize) {
        let member = &mut self.nodes[node];
        let flushed = std::mem::take(&mut member.unflushed);
        if let Some(newest) = flushed.last() {
            member.durable = newest.clone();
        }
        let durable = member.durable.clone();
        let (ready, held) = std::mem::take(&mut member.held).into_iter().partition(|held| held.0 == durable);
        member.held = held;
        self.network.extend(ready.into_iter().map(|(_, answer): (Vote, Packet)| answer));
        if durable.voted_for == Some(name(node)) {
            let effects = self.with(node, |e, now, view| e.own_vote_durable(now, durable.term, view));
            self.carry_out(node, effects);
        }
    }

    /// The process dies; an unflushed record may or may not have reached the disk.
    fn crash(&mut self, node: usize) {
        let seed = self.rng.u64(..);
        let reached = self.rng.usize(0..=self.nodes[node].unflushed.len());
        let member = &mut self.nodes[node];
        member.unflushed.truncate(reached);
        if let Some(newest) = member.unflushed.drain(..).next_back() {
            member.durable = newest;
        }
        member.held.clear();
        member.election = boot(node, member.durable.clone(), member.withheld, self.now, seed);
    }

    fn heartbeats(&mut self) {
        for leader in (0..self.nodes.len()).filter(|node| self.nodes[*node].election.is_leader()) {
            let term = self.nodes[leader].election.term();
            let others = (0..self.nodes.len()).filter(|to| *to != leader);
            self.network.extend(others.map(|to| Packet::Heartbeat { to, term, leader }));
        }
    }

    /// Anything may happen.
    fn disturb(&mut self) {
        let node = self.rng.usize(0..self.nodes.len());
        match self.rng.u8(0..32) {
            0 => self.crash(node),
            1 => self.heartbeats(),
            2..6 => self.flush(node),
            6..14 => {
                self.now += ms(self.rng.u64(0..60));
                let effects = self.with(node, Election::tick);
                self.carry_out(node, effects);
            }
            14 => {
                let term = self.nodes[node].election.term();
                let leader = self.nodes[node].election.leader().cloned();
                let (_, effects) = self.with(node, |e, now, view| {
                    leader.map_or((false, Vec::new()), |leader| e.stand_now(now, &leader, term, view))
                });
                self.carry_out(node, effects);
            }
            15 => {
                let term = self.nodes[node].election.term();
                let reason = StepDownReason::QuorumLost;
                let effects = self.with(node, |e, now, _| e.step_down(now, term, reason));
                self.carry_out(node, effects);
            }
            _ if self.network.is_empty() => {}
            fate => {
                let packet = self.network.swap_remove(self.rng.usize(0..self.network.len()));
                if fate == 16 {
                    return;
                }
                if fate == 17 {
                    self.network.push(packet.clone());
                }
                self.deliver(packet);
            }
        }
    }

    /// Nothing goes wrong any more.
    fn heal(&mut self) {
        for round in 0..2000 {
            self.now += ms(5);
            if round % 4 == 0 {
                self.heartbeats();
            }
            for node in 0..self.nodes.len() {
                let effects = self.with(node, Election::tick);
                self.carry_out(node, effects);
                self.flush(node);
            }
            for packet in std::mem::take(&mut self.network) {
                self.deliver(packet);
            }
        }
    }
}

#[test]
fn there_is_never_a_second_leader_of_a_term_and_soon_one_for_all() {
    for seed in 0..400 {
        let mut cluster = Cluster::new(seed);
        for _ in 0..1500 {
            cluster.disturb();
        }
        cluster.heal();
        let leader = cluster.nodes[0].election.leader().cloned();
        assert!(leader.is_some(), "seed {seed}: nobody leads");
        for node in &cluster.nodes {
            assert_eq!(node.election.leader(), leader.as_ref(), "seed {seed}: {}", node.election);
        }
    }
}
