//! From match indexes to the commit index, for one tenure.
//!
//! Mailbox: [`Match`], [`MatchLost`], [`SetVoters`]. Voice: [`CommitAdvanced`] to the leader. Go: `commitment.go`.
//! Owns the match indexes. Never touches the log: what it says takes effect there, under the tenure.

use std::rc::Rc;

use actix::{Actor, Handler};

use crate::{
    log::Tenure,
    mailbox::{Context, Outlet},
    messages::{CommitAdvanced, Match, MatchLost, SetVoters, StopActor},
    protocol,
};

/// See the module.
pub(crate) struct Commitment {
    tenure: Rc<Tenure>,
    rule: protocol::Commitment,
    advanced: Outlet<CommitAdvanced>,
}

impl Commitment {
    pub(crate) fn new(
        tenure: Rc<Tenure>,
        rule: protocol::Commitment,
        advanced: Outlet<CommitAdvanced>,
    ) -> Self {
        Self { tenure, rule, advanced }
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
        if let Some(index) = self.rule.matched(session, index) {
            self.advanced.send_now(CommitAdvanced { index });
        }
    }
}

impl Handler<MatchLost> for Commitment {
    type Result = ();

    fn handle(&mut self, MatchLost { session }: MatchLost, _: &mut Self::Context) {
        self.rule.forget(session);
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
