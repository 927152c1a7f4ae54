//! The candidate's side: when a node may stand, whom it asks, and what it makes of the answers.

use std::time::Duration;

use super::{super::VoteTally, Effect, Election, LogView, Role, campaign::Campaign};
use crate::{
    known_bug::KnownBug,
    types::{Membership, NodeId, RequestVote, RequestVoteResponse, Term, Vote},
};

/// How often patience must run out, without a leader, before a node asks for everybody's vote.
///
/// A withheld node asks for nothing less from then on. Any other tries it now and then, since it may hold
/// the best real tail of all while withheld voters refuse it for what they lost.
const FRUITLESS_TIMEOUTS: u32 = 3;

impl Election {
    /// A voter answered what it was `asked` about, in the term of that name. A grant counts once, in the
    /// round that is open, and only from the life of the voter's directory that the membership names; a
    /// higher term counts from anybody.
    pub fn vote_answered(
        &mut self,
        now: Duration,
        from: &NodeId,
        pre_vote: bool,
        asked: Term,
        response: &RequestVoteResponse,
        view: &LogView<'_>,
    ) -> Vec<Effect> {
        // The term of a granted pre-vote is the one asked about: nobody is there yet (openraft 94c820c3).
        let promise = pre_vote && (response.granted || KnownBug::RefusedPreVoteTermIgnored.is_back());
        if !promise && response.term > self.term() {
            return self.saw_term(now, response.term);
        }
        let granted = response.granted && response.term == asked;
        let voter = view.membership.get(from);
        let counts = voter.is_some_and(|voter| {
            voter.incarnation == response.incarnation || KnownBug::WipedNodeTakesPart.is_back()
        });
        let open = |campaign: &&mut Campaign| {
            (campaign.pre_vote == pre_vote || KnownBug::PreVoteCountsAsVote.is_back())
                && (campaign.term == asked || KnownBug::OlderRoundCounted.is_back())
        };
        let Some(campaign) = self.campaign.as_mut().filter(open).filter(|_| counts) else {
            return Vec::new();
        };
        campaign.tally.record(from, granted);
        self.conclude(now, view)
    }

    /// The candidate's own vote in `term` is durable, and counts from now on.
    pub fn own_vote_durable(&mut self, now: Duration, term: Term, view: &LogView<'_>) -> Vec<Effect> {
        let open = |campaign: &&mut Campaign| !campaign.pre_vote && campaign.term == term;
        let Some(campaign) = self.campaign.as_mut().filter(open) else { return Vec::new() };
        campaign.own_vote_durable = true;
        campaign.tally.record(&self.id, true);
        self.conclude(now, view)
    }

    /// The leader asks this node to stand at once (TimeoutNow). Returns whether it does: only for its own
    /// leader in the current term, and only a follower that may stand (hashicorp/raft accepts it from
    /// anybody, in any state). Skips the pre-vote, which the living leader would spoil (canonical/raft#203).
    pub fn stand_now(
        &mut self,
        now: Duration,
        from: &NodeId,
        term: Term,
        view: &LogView<'_>,
    ) -> (bool, Vec<Effect>) {
        self.note_log(view);
        let asked = term == self.term() && self.leader.as_ref() == Some(from) && self.role == Role::Follower;
        if !asked || self.withheld.is_some() || !self.may_stand(now, view) {
            return (false, Vec::new());
        }
        let mut effects = Vec::new();
        // Whoever was promised something has just given it back.
        self.promise = None;
        self.wait(now, self.config.election_timeout);
        self.stand(view, false, true, &mut effects);
        (true, effects)
    }

    /// Whether this node may stand: a voter, in the life that is named, that is neither quarantined nor
    /// forbidden to; and while withheld only when patience ran out often enough (hashicorp/raft#476,
    /// #483: removed nodes and nonvoters stood).
    ///
    /// A voter whose own removal is not known to be committed is one still: its log may be the only one that is long
    /// enough, and the others no quorum without it (thesis §4.2.2). It counts no vote of its own then.
    pub(super) fn may_stand(&self, now: Duration, view: &LogView<'_>) -> bool {
        let other_life = view.membership.get(&self.id).is_some_and(|own| own.incarnation != self.incarnation);
        let voter = self.is_voter_of(view.membership) || self.is_voter_of(view.settled);
        let forbidden = self.forbidden_until.is_some_and(|until| now < until);
        let held_back = self.withheld.is_some() && self.fruitless <= FRUITLESS_TIMEOUTS;
        // A peer may have named the highest term there is; it can be followed but not passed.
        let can_pass = self.term().get() < u64::MAX;
        voter && !other_life && !view.quarantined && !forbidden && !held_back && can_pass
    }

    /// Whether `membership` names this life of the directory as a voter.
    fn is_voter_of(&self, membership: &Membership) -> bool {
        membership.is_voter(&self.id)
            && membership.get(&self.id).is_some_and(|own| own.incarnation == self.incarnation)
    }

    /// Begins with a pre-vote, or without one where it is switched off. A node whose own log says that it is no voter
    /// asks in any case: it may be one that was removed long ago, and must not disturb.
    pub(super) fn campaign(&mut self, view: &LogView<'_>, effects: &mut Vec<Effect>) {
        let periodically = self.fruitless.is_multiple_of(FRUITLESS_TIMEOUTS + 1);
        let unanimous = self.withheld.is_some() || periodically;
        if !self.config.pre_vote && self.is_voter_of(view.membership) {
            return self.stand(view, unanimous, false, effects);
        }
        self.role = Role::PreCandidate;
        self.open(true, self.term().next(), unanimous, view);
        if let Some(campaign) = self.campaign.as_mut() {
            campaign.tally.record(&self.id, true);
        }
        if self.campaign.as_ref().is_some_and(Campaign::is_won) {
            self.stand(view, unanimous, false, effects);
        } else {
            self.ask(view, false, effects);
        }
    }

    /// Asks once more in the turn in which it lost the leader: a voter that heard it a little later has refused, and
    /// promises nothing any more. Costs nobody a term, and whose turn is next has not begun.
    pub(super) fn ask_again(&mut self, now: Duration, view: &LogView<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let due = |campaign: &Campaign| campaign.pre_vote && campaign.again.is_some_and(|again| now >= again);
        if self.campaign.as_ref().is_some_and(due) && self.may_stand(now, view) {
            self.campaign(view, &mut effects);
        }
        effects
    }

    /// Enters the next term as a candidate that has voted for itself.
    fn stand(&mut self, view: &LogView<'_>, unanimous: bool, transfer: bool, effects: &mut Vec<Effect>) {
        assert!(self.role != Role::Leader, "a leader does not stand: {self}");
        self.vote = Vote { term: self.term().next(), voted_for: Some(self.id.clone()) };
        self.role = Role::Candidate;
        self.open(false, self.term(), unanimous, view);
        effects.push(Effect::SaveVote(self.vote.clone()));
        effects.push(Effect::TermChanged { term: self.term() });
        self.follow(None, effects);
        self.ask(view, transfer, effects);
    }

    /// Opens a round; whatever an older one got is void.
    fn open(&mut self, pre_vote: bool, term: Term, unanimous: bool, view: &LogView<'_>) {
        let voters = view.membership.voters().map(|voter| voter.id.clone());
        let mut tally = VoteTally::new(voters, unanimous);
        let own_vote_durable = KnownBug::OwnVoteBeforeFlush.is_back();
        if own_vote_durable {
            tally.record(&self.id, true);
        }
        self.campaign = Some(Campaign { term, pre_vote, unanimous, tally, own_vote_durable, again: None });
    }

    fn ask(&self, view: &LogView<'_>, leadership_transfer: bool, effects: &mut Vec<Effect>) {
        let Some(campaign) = &self.campaign else { return };
        let others = view.membership.voters().filter(|voter| voter.id != self.id);
        let to: Vec<NodeId> = others.map(|voter| voter.id.clone()).collect();
        if to.is_empty() {
            return;
        }
        let request = RequestVote {
            term: campaign.term,
            candidate: self.id.clone(),
            incarnation: self.incarnation,
            last: view.last,
            leadership_transfer,
            unanimous: campaign.unanimous,
        };
        effects.push(Effect::Ask { request, pre_vote: campaign.pre_vote, to });
    }

    /// Goes on if the round is won: from the pre-vote to the vote, from the vote to the lead. A lost round
    /// waits for the timer.
    fn conclude(&mut self, now: Duration, view: &LogView<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(won) = self.campaign.as_ref().filter(|campaign| campaign.is_won()) else {
            return effects;
        };
        let unanimous = won.unanimous;
        if self.role == Role::PreCandidate {
            self.wait(now, self.config.election_timeout);
            self.stand(view, unanimous, false, &mut effects);
            return effects;
        }
        assert!(self.role == Role::Candidate, "won an election without standing: {self}");
        self.campaign = None;
        self.role = Role::Leader;
        self.fruitless = 0;
        effects.push(Effect::BecameLeader { term: self.term() });
        self.follow(Some(self.id.clone()), &mut effects);
        effects
    }
}
