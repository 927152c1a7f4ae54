//! From match indexes to the commit index, for one tenure.
//!
//! Mailbox: [`Match`], [`MatchLost`], [`SetVoters`], [`WatchMatches`]. Voice: [`CommitAdvanced`] and [`MatchesKnown`] to
//! the leader. Go: `commitment.go`.
//! Owns the match indexes. Of the log it reads how much the leader's own disk has, and changes nothing: what it says
//! takes effect there, under the tenure.

use std::rc::Rc;

use actix::{Actor, Handler};

use crate::{
    actors::node::Node,
    log::Tenure,
    mailbox::{Context, Outlet},
    messages::{
        CommitAdvanced, Match, MatchLost, MatchesKnown, OWN_SESSION, SetVoters, StopActor, WatchMatches,
    },
    protocol,
    types::LogIndex,
};

/// See the module.
pub(crate) struct Commitment {
    node: Rc<Node>,
    tenure: Rc<Tenure>,
    rule: protocol::Commitment,
    advanced: Outlet<CommitAdvanced>,
    matches: Outlet<MatchesKnown>,
    /// Whether the leader wants to know every change.
    watched: bool,
}

impl Commitment {
    pub(crate) fn new(
        node: Rc<Node>,
        tenure: Rc<Tenure>,
        rule: protocol::Commitment,
        advanced: Outlet<CommitAdvanced>,
        matches: Outlet<MatchesKnown>,
    ) -> Self {
        Self { node, tenure, rule, advanced, matches, watched: false }
    }

    /// Counts what `session` has, and before it what of that the leader's own disk has, of which nobody need tell as
    /// long as it is not the last of a quorum. No more of it: an entry that changes the voters is on this disk before
    /// [`SetVoters`] is handled, and on no other.
    fn count(&mut self, session: u64, index: LogIndex) {
        let durable = self.node.log.borrow().durable();
        let own = self.rule.matched(OWN_SESSION, durable.min(index));
        if let Some(index) = self.rule.matched(session, index).or(own) {
            self.advanced.send_now(CommitAdvanced { index });
        }
    }

    fn tell_matches(&self) {
        if self.watched && self.tenure.is_live() {
            self.matches.send_now(MatchesKnown { matches: self.rule.matches().to_vec() });
        }
    }
}

impl Actor for Commitment {
    type Context = Context<Self>;
}

impl Handler<Match> for Commitment {
    type Result = ();

    fn handle(&mut self, Match { session, index }: Match, _: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        self.count(session, index);
        self.tell_matches();
    }
}

impl Handler<MatchLost> for Commitment {
    type Result = ();

    fn handle(&mut self, MatchLost { session }: MatchLost, _: &mut Self::Context) {
        self.rule.forget(session);
        self.tell_matches();
    }
}

impl Handler<WatchMatches> for Commitment {
    type Result = ();

    fn handle(&mut self, WatchMatches(watched): WatchMatches, _: &mut Self::Context) {
        self.watched = watched;
        self.tell_matches();
    }
}

impl Handler<SetVoters> for Commitment {
    type Result = ();

    fn handle(&mut self, SetVoters { sessions }: SetVoters, _: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        if let Some(index) = self.rule.set_voters(sessions) {
            self.advanced.send_now(CommitAdvanced { index });
        }
    }
}

impl Handler<StopActor> for Commitment {
    type Result = ();

    fn handle(&mut self, _: StopActor, ctx: &mut Self::Context) {
        actix::ActorContext::stop(ctx);
    }
}
