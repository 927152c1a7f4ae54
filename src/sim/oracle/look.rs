//! A node between two of its turns.

use super::{Oracle, State, Violation};
use crate::{
    actors::node::Node,
    board::ServerRole,
    types::{LogId, LogIndex, Term},
};

/// What a node is, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) term: Term,
    pub(crate) role: ServerRole,
    pub(crate) base: LogId,
    pub(crate) last: LogId,
    pub(crate) durable: LogIndex,
    pub(crate) commit: LogIndex,
    pub(crate) handed: LogIndex,
    pub(crate) applied: LogIndex,
}

impl Look {
    fn at(node: &Node) -> Self {
        let (role, term) = node.board.seat();
        let log = node.log.borrow();
        Self {
            term,
            role,
            base: log.base(),
            last: log.last(),
            durable: log.durable(),
            commit: log.commit(),
            handed: log.handed(),
            applied: node.applied(),
        }
    }

    /// Within one life nothing of this falls, and what is done is never ahead of what it rests on.
    fn check_after(&self, before: &Self, node: usize) -> Result<(), Violation> {
        let fell = |what: &str| {
            Err(Violation::new("monotone", format!("the {what} of n{node} fell: {before:?}, {self:?}")))
        };
        if self.term < before.term {
            return fell("term");
        }
        if self.commit < before.commit {
            return fell("commit index");
        }
        if self.base < before.base {
            return fell("base");
        }
        if self.applied < before.applied || self.handed < before.handed {
            return fell("applied index");
        }
        let ordered = self.base.index <= self.handed.min(self.durable)
            && self.applied <= self.handed
            && self.handed <= self.commit
            && self.commit <= self.last.index
            && self.durable <= self.last.index;
        if ordered {
            Ok(())
        } else {
            Err(Violation::new("applied ≤ commit ≤ last", format!("n{node}: {self:?}")))
        }
    }
}

impl Oracle {
    /// Looks at a node whose turn is over. Costs little when nothing has changed.
    pub(crate) fn look(&self, number: usize, node: &Node) {
        let look = Look::at(node);
        let before = self.state().nodes[number].seen;
        if look == before {
            return;
        }
        self.note(
            "state",
            Some(number),
            [look.term.0 << 3 | look.role as u64, look.last.index.0, look.commit.0],
        );
        self.note("progress", Some(number), [look.last.term.0, look.durable.0, look.applied.0]);
        self.check(|state| {
            look.check_after(&before, number + 1)?;
            state.nodes[number].seen = look;
            state.nodes[number].incarnation = node.incarnation;
            if look.role == ServerRole::Leader && (before.role, before.term) != (look.role, look.term) {
                state.begins_to_lead(number, look.term, node)?;
            }
            state.commit_rose(number, before.commit, look.commit, node)?;
            state.commits_own_term(number, &before, &look, node)?;
            let told = state.nodes[number].told;
            if told > state.ledger.committed() {
                let what = format!("n{} tells {told} as committed, and nobody has committed it", number + 1);
                return Err(Violation::new("committed before it is told", what));
            }
            Ok(())
        });
    }
}

impl State {
    fn begins_to_lead(&mut self, number: usize, term: Term, node: &Node) -> Result<(), Violation> {
        self.ledger.leads(term, number + 1)?;
        let log = node.log.borrow();
        let here = |id: &LogId| id.index <= log.base().index || log.runs().term_at(id.index) == Some(id.term);
        if let Some(id) = self.ledger.committed_before(term).find(|id| !here(id)) {
            let what = format!("n{} leads term {term} without {id}", number + 1);
            return Err(Violation::new("leader completeness", what));
        }
        Ok(())
    }

    /// A leader commits by entries of its own term alone (Raft §5.4.2, Figure 8).
    fn commits_own_term(
        &self,
        number: usize,
        before: &Look,
        now: &Look,
        node: &Node,
    ) -> Result<(), Violation> {
        let led =
            (before.role, before.term) == (ServerRole::Leader, now.term) && now.role == ServerRole::Leader;
        let term = node.log.borrow().runs().term_at(now.commit);
        if !led || now.commit == before.commit || term == Some(now.term) {
            return Ok(());
        }
        let what =
            format!("n{} leads term {} and commits {} of term {term:?}", number + 1, now.term, now.commit);
        Err(Violation::new("a leader commits by its own term", what))
    }

    fn commit_rose(
        &mut self,
        number: usize,
        before: LogIndex,
        now: LogIndex,
        node: &Node,
    ) -> Result<(), Violation> {
        let during = self.nodes[number].seen.term;
        let log = node.log.borrow();
        for index in before.0 + 1..=now.0 {
            let index = LogIndex(index);
            let Some(term) = log.runs().term_at(index) else { continue };
            let id = LogId::new(term, index);
            if self.ledger.commits(id, during, number + 1)? {
                self.commits_under(id, node)?;
            }
        }
        Ok(())
    }
}
