//! The voter's side: whether a candidate gets this node's vote, and whether it would.

use std::time::Duration;

use super::{Effect, Election, LogView, Role};
use crate::{
    known_bug::KnownBug,
    types::{NodeId, RequestVote, RequestVoteResponse, Vote},
};

/// How a request fares before its term and log are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not to be taken notice of: its term means nothing here.
    Ignored,
    /// A member that must not be elected; its term counts, else a demoted node that is ahead blocks the
    /// cluster for good (hashicorp/raft#524).
    Nonvoter,
    /// A candidate, as far as this node can tell.
    Eligible,
}

impl Election {
    /// Whether this node would vote for the candidate. Changes nothing: neither term nor vote, nor when
    /// a leader was last heard (hashicorp/raft#609, where a spammer of pre-votes keeps everybody quiet).
    pub fn answer_pre_vote(
        &mut self,
        now: Duration,
        request: &RequestVote,
        view: &LogView<'_>,
    ) -> RequestVoteResponse {
        self.note_log(view);
        let granted = self.standing(now, request, view) == Standing::Eligible
            && self.could_vote_for(request)
            && self.is_up_to_date(request, view);
        if granted && KnownBug::PreVoteRefreshesContact.is_back() {
            self.last_contact = Some(now);
            self.wait(now, self.config.heartbeat_timeout);
        }
        // Refused, it tells our term, so that one who is behind catches up (openraft#1796).
        let term = if granted { request.term } else { self.term() };
        RequestVoteResponse { term, incarnation: self.incarnation, granted }
    }

    /// Whether this node votes for the candidate. A granted answer may leave only when the record that
    /// [`Effect::SaveVote`] names is durable; if the vote was given before, when that record is.
    ///
    /// The log is compared also when the vote is asked for again (hashicorp/raft#661 does not).
    pub fn answer_vote(
        &mut self,
        now: Duration,
        request: &RequestVote,
        view: &LogView<'_>,
    ) -> (Vec<Effect>, RequestVoteResponse) {
        self.note_log(view);
        let standing = self.standing(now, request, view);
        let mut effects = Vec::new();
        let before = self.vote.clone();
        if standing != Standing::Ignored && request.term > self.term() {
            self.enter_term(now, request.term, &mut effects);
        }
        let granted = standing == Standing::Eligible
            && request.term == self.term()
            && self.could_vote_for(request)
            && self.is_up_to_date(request, view);
        if granted {
            self.give_vote(now, request);
        }
        if granted && self.vote != before && KnownBug::TornVote.is_back() {
            effects.push(Effect::SaveVote(Vote { term: self.term(), ..before.clone() }));
        }
        if self.vote != before && (granted || !KnownBug::TermNotSaved.is_back()) {
            effects.push(Effect::SaveVote(self.vote.clone()));
        }
        if self.vote.term != before.term {
            effects.push(Effect::TermChanged { term: self.term() });
            self.follow(None, &mut effects);
        }
        (effects, RequestVoteResponse { term: self.term(), incarnation: self.incarnation, granted })
    }

    /// Gives the vote of the current term, and with it time to win.
    fn give_vote(&mut self, now: Duration, request: &RequestVote) {
        self.vote.voted_for = Some(request.candidate.clone());
        self.wait(now, self.config.heartbeat_timeout);
        if self.role == Role::PreCandidate {
            self.role = Role::Follower;
            self.campaign = None;
        }
    }

    /// What a record that is still being written says is not known yet: [`KnownBug::SecondVoteInFlight`].
    #[cfg(feature = "known-bugs")]
    pub(crate) fn forget_vote(&mut self) {
        self.vote.voted_for = None;
    }

    /// Who the candidate is to us. A blank node knows nobody, so it never votes; a candidate in another
    /// life of its directory is nobody.
    ///
    /// The membership is what the log says, so a log that ends before the candidate's may lack the entry that made a
    /// voter of it, and its node be one whose vote that membership needs: it does not judge (thesis §4.1). Nor does it
    /// when the candidate's own removal is what it lacks (§4.2.2).
    fn standing(&self, now: Duration, request: &RequestVote, view: &LogView<'_>) -> Standing {
        let member = view.membership.get(&request.candidate);
        let known = member.is_some_and(|member| member.incarnation == request.incarnation);
        let behind = request.last > view.last && !view.membership.is_empty();
        if view.quarantined || self.is_bound(now, request, known) {
            Standing::Ignored
        } else if behind || (known && view.membership.is_voter(&request.candidate)) {
            Standing::Eligible
        } else if known {
            Standing::Nonvoter
        } else {
            Standing::Ignored
        }
    }

    /// Whether this node must not elect the candidate, whatever its term: a leader heard lately is another
    /// (hashicorp/raft#12), or may have been before a restart. A leader keeps to itself. The leader that was promised
    /// this may ask for itself (hashicorp/raft#74, #606), in the life that this node knows. An election that a leader
    /// asked for binds nobody: he gave his lease up before, and no leader of that term or a later one is harmed, since
    /// another's votes have been given.
    fn is_bound(&self, now: Duration, request: &RequestVote, known: bool) -> bool {
        let leads = self.role == Role::Leader && request.candidate != self.id;
        let promised =
            |(to, until): &(NodeId, Duration)| (*to != request.candidate || !known) && now < *until;
        !request.leadership_transfer
            && (leads || now < self.silent_until || self.promise.as_ref().is_some_and(promised))
    }

    /// Whether the vote of the request's term is still there for the candidate, or given to it already
    /// (nebula#2419: the first answer may be lost).
    fn could_vote_for(&self, request: &RequestVote) -> bool {
        let free = self.vote.voted_for.as_ref().is_none_or(|voted| *voted == request.candidate);
        request.term > self.term() || (request.term == self.term() && free && self.role != Role::Leader)
    }

    /// Whether the candidate's log is at least as up to date as ours (Raft §5.4.1): as all of it, flushed or
    /// not, and as what a damaged tail promised, unless every voter is asked to show what it really has.
    fn is_up_to_date(&self, request: &RequestVote, view: &LogView<'_>) -> bool {
        if KnownBug::CandidateComparedByLength.is_back() {
            return request.last.index >= view.last.index;
        }
        let again = || request.term == self.term() && self.voted_for() == Some(&request.candidate);
        if KnownBug::TornVote.is_back() && again() {
            return true;
        }
        let promised = self.withheld.filter(|_| !request.unanimous).unwrap_or_default();
        request.last >= view.last.max(promised)
    }
}
