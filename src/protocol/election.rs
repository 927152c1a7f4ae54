//! Elections: term, vote and role (Raft §5.2, §5.4.1; pre-vote and stickiness: thesis §9.6, §4.2.3).

use std::{fmt, time::Duration};

use super::{TallyState, VoteTally};
use crate::types::{Incarnation, LogId, Membership, NodeId, RequestVote, RequestVoteResponse, Term, Vote};

/// How long to wait, and whether to ask before standing.
#[derive(Clone, Copy, Debug)]
pub struct ElectionConfig {
    /// A follower's patience is drawn from `[T, 2T)`.
    pub heartbeat_timeout: Duration,
    /// A candidate's patience is drawn from `[T, 2T)`.
    pub election_timeout: Duration,
    /// Ask for promises before entering a new term.
    pub pre_vote: bool,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows, or waits for somebody to follow.
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Stands.
    Candidate,
    /// Leads.
    Leader,
}

/// What the rule must know of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    /// The end of the log, flushed or not.
    pub last: LogId,
    /// The effective membership.
    pub membership: &'a Membership,
    /// Whether this node takes no part.
    pub quarantined: bool,
}

/// Why a leader gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepDownReason {
    /// Somebody is in a higher term.
    HigherTerm,
    /// No quorum answered for too long.
    QuorumLost,
    /// The log has no room.
    DiskFull,
    /// The log does not finish its flush.
    DiskStalled,
    /// The node stops.
    Stopping,
}

impl fmt::Display for StepDownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HigherTerm => "a higher term",
            Self::QuorumLost => "no contact with a quorum",
            Self::DiskFull => "disk full",
            Self::DiskStalled => "disk stalled",
            Self::Stopping => "stopping",
        })
    }
}

/// What must happen now, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The leadership of `term` is over.
    Deposed {
        /// Its term.
        term: Term,
        /// Why.
        reason: StepDownReason,
    },
    /// The term is new.
    TermChanged {
        /// The new one.
        term: Term,
    },
    /// Write this down.
    SaveVote(Vote),
    /// Ask these voters.
    Ask {
        /// What.
        request: RequestVote,
        /// Only for a promise.
        pre_vote: bool,
        /// Whom.
        to: Vec<NodeId>,
    },
    /// This node leads.
    BecameLeader {
        /// In this term.
        term: Term,
    },
    /// Another node leads, or none is known.
    LeaderChanged {
        /// Who.
        leader: Option<NodeId>,
        /// In this term.
        term: Term,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Election {
    config: ElectionConfig,
    id: NodeId,
    incarnation: Incarnation,
    vote: Vote,
    role: Role,
    leader: Option<NodeId>,
    last_contact: Option<Duration>,
    deadline: Duration,
    tally: VoteTally,
    /// The term asked about in the running round; answers to another count for nothing.
    asked: Term,
    unanimous: bool,
    transfer: bool,
    withheld: Option<LogId>,
    fruitless: u32,
    rng: fastrand::Rng,
}

/// Election timeouts without any leader before a withheld node asks for everybody's vote.
const FRUITLESS_MAX: u32 = 3;

impl Election {
    /// A follower that knows no leader.
    pub fn new(
        config: ElectionConfig,
        id: NodeId,
        incarnation: Incarnation,
        vote: Vote,
        withheld: Option<LogId>,
        now: Duration,
        seed: u64,
    ) -> Self {
        let mut election = Self {
            config,
            id,
            incarnation,
            vote,
            role: Role::Follower,
            leader: None,
            last_contact: None,
            deadline: now,
            tally: VoteTally::default(),
            asked: Term::ZERO,
            unanimous: false,
            transfer: false,
            withheld,
            fruitless: 0,
            rng: fastrand::Rng::with_seed(seed),
        };
        election.rest(now, config.heartbeat_timeout);
        election
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.vote.term
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whom this node follows, itself if it leads.
    pub fn leader(&self) -> Option<&NodeId> {
        self.leader.as_ref()
    }

    /// Who got this node's vote in the current term.
    pub fn voted_for(&self) -> Option<&NodeId> {
        self.vote.voted_for.as_ref()
    }

    /// Time passes.
    pub fn tick(&mut self, now: Duration, view: &LogView<'_>) -> Vec<Effect> {
        if self.withheld.is_some_and(|withheld| view.last >= withheld) {
            self.withheld = None;
        }
        if self.role == Role::Leader || now < self.deadline {
            return Vec::new();
        }
        if !self.may_stand(view) {
            self.rest(now, self.config.heartbeat_timeout);
            return self.forget_leader();
        }
        self.fruitless += 1;
        let unanimous = self.withheld.is_some();
        if unanimous && self.fruitless <= FRUITLESS_MAX {
            self.rest(now, self.config.election_timeout);
            return self.forget_leader();
        }
        self.unanimous = unanimous;
        self.transfer = false;
        if self.config.pre_vote { self.ask_first(now, view) } else { self.stand(now, view) }
    }

    /// Whether this node would vote for the candidate. Changes nothing.
    pub fn answer_pre_vote(
        &mut self,
        now: Duration,
        request: &RequestVote,
        view: &LogView<'_>,
    ) -> RequestVoteResponse {
        let granted = request.term > self.term()
            && self.deserves(now, request, view)
            && self.is_up_to_date(request, view);
        let term = if granted { request.term } else { self.term() };
        RequestVoteResponse { term, incarnation: self.incarnation, granted }
    }

    /// Whether this node votes for the candidate; if so, only once its record is durable.
    pub fn answer_vote(
        &mut self,
        now: Duration,
        request: &RequestVote,
        view: &LogView<'_>,
    ) -> (Vec<Effect>, RequestVoteResponse) {
        let mut effects = Vec::new();
        let mut granted = false;
        let known = view.membership.get(&request.candidate).is_some();
        if known && !self.is_sticky(now, request) {
            effects = self.saw_term(now, request.term);
            let free = self.vote.voted_for.as_ref().is_none_or(|voted| *voted == request.candidate);
            granted = request.term == self.term()
                && free
                && self.role != Role::Leader
                && self.deserves(now, request, view)
                && self.is_up_to_date(request, view);
            if granted && self.vote.voted_for.is_none() {
                self.vote.voted_for = Some(request.candidate.clone());
                self.rest(now, self.config.heartbeat_timeout);
                effects.push(Effect::SaveVote(self.vote.clone()));
            }
        }
        let response = RequestVoteResponse { term: self.term(), incarnation: self.incarnation, granted };
        (effects, response)
    }

    /// A voter answered.
    pub fn vote_answered(
        &mut self,
        now: Duration,
        from: &NodeId,
        pre_vote: bool,
        asked: Term,
        response: &RequestVoteResponse,
        view: &LogView<'_>,
    ) -> Vec<Effect> {
        if !response.granted && response.term > self.term() {
            return self.saw_term(now, response.term);
        }
        let expected = if pre_vote { Role::PreCandidate } else { Role::Candidate };
        let counts =
            view.membership.get(from).is_some_and(|server| server.incarnation == response.incarnation);
        if self.role != expected || asked != self.asked || !counts {
            return Vec::new();
        }
        let state = self.tally.record(from, response.granted);
        self.count(now, state, view)
    }

    /// The candidate's own vote is durable, and counts from now on.
    pub fn own_vote_durable(&mut self, now: Duration, term: Term, view: &LogView<'_>) -> Vec<Effect> {
        if self.role != Role::Candidate || term != self.term() {
            return Vec::new();
        }
        let own = self.id.clone();
        let state = self.tally.record(&own, true);
        self.count(now, state, view)
    }

    /// An AppendEntries or a heartbeat came. Whether its sender is to be followed.
    pub fn heard_leader(&mut self, now: Duration, term: Term, leader: &NodeId) -> (bool, Vec<Effect>) {
        if term < self.term() {
            return (false, Vec::new());
        }
        let mut effects = self.saw_term(now, term);
        assert!(
            self.role != Role::Leader || *leader == self.id,
            "{leader} and {} both lead in term {term}",
            self.id
        );
        self.role = Role::Follower;
        self.fruitless = 0;
        self.last_contact = Some(now);
        self.rest(now, self.config.heartbeat_timeout);
        if self.leader.as_ref() != Some(leader) {
            self.leader = Some(leader.clone());
            effects.push(Effect::LeaderChanged { leader: self.leader.clone(), term });
        }
        (true, effects)
    }

    /// Somebody is in `term`.
    pub fn saw_term(&mut self, now: Duration, term: Term) -> Vec<Effect> {
        if term <= self.term() {
            return Vec::new();
        }
        let mut effects = self.follow_nobody(StepDownReason::HigherTerm);
        self.vote = Vote { term, voted_for: None };
        effects.push(Effect::TermChanged { term });
        effects.push(Effect::SaveVote(self.vote.clone()));
        self.rest(now, self.config.election_timeout);
        effects
    }

    /// The leader of `term` cannot go on.
    pub fn step_down(&mut self, now: Duration, term: Term, reason: StepDownReason) -> Vec<Effect> {
        if self.role != Role::Leader || term != self.term() {
            return Vec::new();
        }
        self.rest(now, self.config.election_timeout * 2);
        self.last_contact = None;
        self.follow_nobody(reason)
    }

    /// The leader asks this node to stand at once.
    pub fn stand_now(
        &mut self,
        now: Duration,
        from: &NodeId,
        term: Term,
        view: &LogView<'_>,
    ) -> (bool, Vec<Effect>) {
        let asked = term == self.term() && self.leader.as_ref() == Some(from) && self.role == Role::Follower;
        if !asked || !self.may_stand(view) || self.withheld.is_some() {
            return (false, Vec::new());
        }
        self.unanimous = false;
        self.transfer = true;
        (true, self.stand(now, view))
    }

    fn may_stand(&self, view: &LogView<'_>) -> bool {
        let own = view.membership.get(&self.id);
        !view.quarantined
            && view.membership.is_voter(&self.id)
            && own.is_some_and(|server| server.incarnation == self.incarnation)
    }

    fn is_sticky(&self, now: Duration, request: &RequestVote) -> bool {
        let led = self.role == Role::Leader
            || self.last_contact.is_some_and(|contact| now < contact + self.config.heartbeat_timeout);
        !request.leadership_transfer
            && led
            && self.leader.as_ref().is_some_and(|leader| *leader != request.candidate)
    }

    fn deserves(&self, now: Duration, request: &RequestVote, view: &LogView<'_>) -> bool {
        let candidate = view.membership.get(&request.candidate);
        !view.quarantined
            && view.membership.is_voter(&request.candidate)
            && candidate.is_some_and(|server| server.incarnation == request.incarnation)
            && !self.is_sticky(now, request)
    }

    fn is_up_to_date(&self, request: &RequestVote, view: &LogView<'_>) -> bool {
        match self.withheld {
            Some(withheld) if !request.unanimous => request.last >= view.last.max(withheld),
            _ => request.last >= view.last,
        }
    }

    fn ask_first(&mut self, now: Duration, view: &LogView<'_>) -> Vec<Effect> {
        let mut effects = self.forget_leader();
        self.role = Role::PreCandidate;
        self.asked = self.term().next();
        self.begin_round(now, view);
        let own = self.id.clone();
        let state = self.tally.record(&own, true);
        effects.push(self.ask(true, view));
        effects.extend(self.count(now, state, view));
        effects
    }

    fn stand(&mut self, now: Duration, view: &LogView<'_>) -> Vec<Effect> {
        let mut effects = self.forget_leader();
        self.role = Role::Candidate;
        self.vote = Vote { term: self.term().next(), voted_for: Some(self.id.clone()) };
        self.asked = self.term();
        self.begin_round(now, view);
        effects.push(Effect::TermChanged { term: self.term() });
        effects.push(Effect::SaveVote(self.vote.clone()));
        effects.push(self.ask(false, view));
        effects
    }

    fn begin_round(&mut self, now: Duration, view: &LogView<'_>) {
        self.tally = VoteTally::new(view.membership.voters().map(|server| server.id.clone()), self.unanimous);
        self.rest(now, self.config.election_timeout);
    }

    fn ask(&self, pre_vote: bool, view: &LogView<'_>) -> Effect {
        let request = RequestVote {
            term: self.asked,
            candidate: self.id.clone(),
            incarnation: self.incarnation,
            last: view.last,
            leadership_transfer: self.transfer,
            unanimous: self.unanimous,
        };
        let others = view.membership.voters().filter(|server| server.id != self.id);
        Effect::Ask { request, pre_vote, to: others.map(|server| server.id.clone()).collect() }
    }

    fn count(&mut self, now: Duration, state: TallyState, view: &LogView<'_>) -> Vec<Effect> {
        match (state, self.role) {
            (TallyState::Won, Role::PreCandidate) => self.stand(now, view),
            (TallyState::Won, Role::Candidate) => {
                self.role = Role::Leader;
                self.leader = Some(self.id.clone());
                self.fruitless = 0;
                let term = self.term();
                vec![
                    Effect::BecameLeader { term },
                    Effect::LeaderChanged { leader: self.leader.clone(), term },
                ]
            }
            (TallyState::Lost, _) => {
                self.role = Role::Follower;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn forget_leader(&mut self) -> Vec<Effect> {
        match self.leader.take() {
            Some(_) => vec![Effect::LeaderChanged { leader: None, term: self.term() }],
            None => Vec::new(),
        }
    }

    fn follow_nobody(&mut self, reason: StepDownReason) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.role == Role::Leader {
            effects.push(Effect::Deposed { term: self.term(), reason });
        }
        self.role = Role::Follower;
        effects.extend(self.forget_leader());
        effects
    }

    fn rest(&mut self, now: Duration, timeout: Duration) {
        let share = self.rng.f64();
        self.deadline = now + timeout + timeout.mul_f64(share);
    }
}
